//! Names as users write them, in the form in which messages carry them.

use std::fmt;
use std::net::IpAddr;

use crate::wire::NAME_MAX;

/// A domain name in wire format, its letters small.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Vec<u8>);

/// Text that is no domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadName;

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is not a domain name: labels of 1 to 63 characters, 253 in all")
    }
}

impl Name {
    /// Reads `web.example`, with or without its last dot; `.` is the root.
    ///
    /// # Errors
    /// When a label is empty or too long, or the whole is.
    pub fn parse(text: &str) -> Result<Name, BadName> {
        let text = if text == "." { "" } else { text.strip_suffix('.').unwrap_or(text) };
        let mut wire = Vec::with_capacity(text.len() + 2);
        for label in text.split('.').filter(|_| !text.is_empty()) {
            let len = u8::try_from(label.len()).ok().filter(|len| (1..=63).contains(len)).ok_or(BadName)?;
            if label.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
                return Err(BadName);
            }
            wire.push(len);
            wire.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
        }
        wire.push(0);
        if wire.len() > NAME_MAX { Err(BadName) } else { Ok(Name(wire)) }
    }

    /// The name under which an address's own name is found (RFC 1035 section 3.5, RFC 3596 section 2.5).
    pub fn reverse(address: IpAddr) -> Name {
        let mut wire = Vec::with_capacity(80);
        let mut label = |text: &str| {
            wire.push(text.len() as u8);
            wire.extend_from_slice(text.as_bytes());
        };
        match address {
            IpAddr::V4(address) => {
                address.octets().iter().rev().for_each(|octet| label(&octet.to_string()));
                label("in-addr");
            }
            IpAddr::V6(address) => {
                let nibbles = address.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
                nibbles.for_each(|nibble| label(&format!("{nibble:x}")));
                label("ip6");
            }
        }
        label("arpa");
        wire.push(0);
        Name(wire)
    }

    /// A name as a message carries it, without pointers.
    pub(crate) fn from_wire(wire: &[u8]) -> Name {
        // The lengths of labels are below the letters.
        Name(wire.to_ascii_lowercase())
    }

    /// The name in wire format.
    pub fn wire(&self) -> &[u8] {
        &self.0
    }
}

/// A table of names can be asked for one that stands in a message, if its letters are small.
impl std::borrow::Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// The address that a name in wire format, its letters small, is the reverse of ([`Name::reverse`]).
pub(crate) fn address_of(name: &[u8]) -> Option<IpAddr> {
    let (labels, is_v4) = match name.strip_suffix(b"\x07in-addr\x04arpa\0") {
        Some(labels) => (labels, true),
        None => (name.strip_suffix(b"\x03ip6\x04arpa\0")?, false),
    };
    let mut rest = labels;
    let mut label = || {
        let (&len, more) = rest.split_first()?;
        let (label, more) = more.split_at_checked(len.into())?;
        rest = more;
        str::from_utf8(label).ok()
    };
    let address: IpAddr = if is_v4 {
        let mut octets = [0u8; 4];
        for octet in octets.iter_mut().rev() {
            *octet = label()?.parse().ok()?;
        }
        octets.into()
    } else {
        let mut octets = [0u8; 16];
        for octet in octets.iter_mut().rev() {
            let (low, high) = (u8::from_str_radix(label()?, 16).ok()?, u8::from_str_radix(label()?, 16).ok()?);
            *octet = high << 4 | low;
        }
        octets.into()
    };
    // What can be written in several ways is a name in one of them only.
    (Name::reverse(address).wire() == name).then_some(address)
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_slice();
        if rest == [0] {
            return f.write_str(".");
        }
        let mut dot = "";
        while let Some((&len, more)) = rest.split_first() {
            let Some((label, more)) = more.split_at_checked(len.into()).filter(|(label, _)| !label.is_empty()) else {
                break;
            };
            write!(f, "{dot}{}", label.escape_ascii())?;
            (rest, dot) = (more, ".");
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_wire() {
        assert_eq!(Name::parse("Web.Example.").unwrap().wire(), b"\x03web\x07example\0");
        assert_eq!(Name::parse(".").unwrap().wire(), b"\0");
        assert_eq!(Name::parse("web.example").unwrap().to_string(), "web.example");
        for wrong in ["a..b", ".a", &"x".repeat(64), &"abc.".repeat(64), "a b"] {
            assert!(Name::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Name::reverse([192, 0, 2, 7].into()).to_string(), "7.2.0.192.in-addr.arpa");
        for address in ["192.0.2.7", "0.0.0.0", "2001:db8::1", "::"] {
            let address = address.parse().unwrap();
            assert_eq!(address_of(Name::reverse(address).wire()), Some(address));
        }
        for other in [
            "07.2.0.192.in-addr.arpa",
            "1.2.3.in-addr.arpa",
            "1.2.3.4.5.in-addr.arpa",
            "256.1.1.1.in-addr.arpa",
            "in-addr.arpa",
            "1.ip6.arpa",
            "x",
        ] {
            assert_eq!(address_of(Name::parse(other).unwrap().wire()), None, "{other}");
        }
        let six = Name::reverse("2001:db8::1".parse().unwrap()).to_string();
        assert!(six.starts_with("1.0.0.0.") && six.ends_with(".8.b.d.0.1.0.0.2.ip6.arpa"), "{six}");
    }
}
