//! Single values as people type them: numbers, sizes, names, Ethernet addresses, words.

use rnet_stack::frame::MacAddr;

/// A whole number within bounds.
pub(super) fn number(text: &str, least: u64, most: u64) -> Result<u64, String> {
    match text.parse::<u64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ if most == u64::MAX => Err(format!("must be a number, at least {least}")),
        _ => Err(format!("must be a number from {least} to {most}")),
    }
}

/// A count that may not be zero.
pub(super) fn count(text: &str) -> Result<usize, String> {
    number(text, 1, 1 << 24).map(|number| number as usize)
}

/// Bytes, with an optional K, M or G (powers of 1024).
pub(super) fn size(text: &str) -> Result<usize, String> {
    let wrong = || "must be a number of bytes, at least 64K; K, M and G are understood".to_owned();
    let (digits, shift) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 10),
        Some((at, 'm' | 'M')) => (&text[..at], 20),
        Some((at, 'g' | 'G')) => (&text[..at], 30),
        _ => (text, 0),
    };
    let bytes = digits.parse::<usize>().ok().and_then(|number| number.checked_mul(1 << shift)).ok_or_else(wrong)?;
    if bytes < 64 << 10 { Err(wrong()) } else { Ok(bytes) }
}

/// A unicast Ethernet address.
pub(super) fn mac(text: &str) -> Result<MacAddr, String> {
    let wrong = || "must be an Ethernet address such as 02:00:5e:10:00:01".to_owned();
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        let part = parts.next().filter(|part| part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit()));
        *byte = part.and_then(|part| u8::from_str_radix(part, 16).ok()).ok_or_else(wrong)?;
    }
    if parts.next().is_some() {
        return Err(wrong());
    }
    if bytes[0] & 1 != 0 || bytes == [0; 6] {
        return Err("must be a unicast address: the first byte is even, and not all are zero".into());
    }
    Ok(MacAddr(bytes))
}

/// A name that the kernel takes for a new device.
pub(super) fn ifname(text: &str) -> Result<String, String> {
    let forbidden = |c: char| c == '/' || c == ':' || c == '%' || c.is_whitespace() || c.is_control();
    if text.is_empty() || text.len() > 15 {
        Err("must be 1 to 15 bytes long".into())
    } else if text.contains(forbidden) {
        Err("must not contain slashes, colons, percent signs or white space".into())
    } else if ["lo", "all", "default", ".", ".."].contains(&text) {
        Err("is a name that the kernel uses itself".into())
    } else {
        Ok(text.to_owned())
    }
}

/// One of a few words.
pub(super) fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    words.iter().find(|(word, _)| *word == text).map(|&(_, value)| value).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        format!("must be one of {}", words.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("768M"), Ok(768 << 20));
        assert_eq!(size("1g"), Ok(1 << 30));
        assert_eq!(size("65536"), Ok(65536));
        for wrong in ["", "M", "-1", "1T", "1.5G", "99999999999999999999", "18014398509481984K", "10", "é"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ethernet_addresses() {
        assert_eq!(mac("02:00:5e:10:00:fF"), Ok(MacAddr([2, 0, 0x5e, 0x10, 0, 0xff])));
        for wrong in
            ["", "02:00:5e:10:00", "02:00:5e:10:00:01:02", "01:00:5e:10:00:01", "00:00:00:00:00:00", "2:0:5e:1:0:1"]
        {
            assert!(mac(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn device_names() {
        assert_eq!(ifname("tap0").as_deref(), Ok("tap0"));
        for wrong in ["", "sixteen-bytes-ab", "a/b", "a b", "tap%d", "lo", "..", "all"] {
            assert!(ifname(wrong).is_err(), "{wrong}");
        }
    }
}
