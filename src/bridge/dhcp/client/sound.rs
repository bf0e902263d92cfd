//! What of a server's message the decoder is given: the options that rnet reads, and of these only such as have the shape they must have.
//! A server's other options, sound or not, are nobody's business here, and the decoder counts on shapes that nobody promised.

/// struct bootp up to and with the magic cookie (RFC 2131 section 2).
const HEADER4: usize = 240;
/// Message type and transaction (RFC 8415 section 8).
const HEADER6: usize = 4;
/// How deep options may be nested: what is said of an address within an association.
const DEPTH_MAX: u8 = 3;

/// RFC 2132: options without a length.
const PAD: u8 = 0;
const END: u8 = 255;

/// The options of DHCPv4 that are read: mask, routers, name servers, names, MTU, NTP, lease time, kind of message, server, T1 and T2.
const WANTED4: [u8; 12] = [1, 3, 6, 12, 15, 26, 42, 51, 53, 54, 58, 59];

/// A DHCPv4 message of the options that are read; `None` if an option ends beyond the message.
pub fn v4(message: &[u8]) -> Option<Vec<u8>> {
    let (header, mut options) = message.split_at_checked(HEADER4)?;
    let mut kept = header.to_vec();
    while let Some((&code, rest)) = options.split_first() {
        options = match code {
            PAD => rest,
            END => break,
            _ => {
                let (&len, rest) = rest.split_first()?;
                let (data, next) = rest.split_at_checked(usize::from(len))?;
                if WANTED4.contains(&code) {
                    kept.extend([code, len]);
                    kept.extend(data);
                }
                next
            }
        };
    }
    kept.push(END);
    Some(kept)
}

/// A DHCPv6 message of the options that are read; `None` if an option ends beyond what it is in.
pub fn v6(message: &[u8]) -> Option<Vec<u8>> {
    let (header, options) = message.split_at_checked(HEADER6)?;
    let mut kept = header.to_vec();
    kept.extend(wanted6(options, DEPTH_MAX)?);
    Some(kept)
}

fn wanted6(mut options: &[u8], depth: u8) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    while let Some((&[code_high, code_low, len_high, len_low], rest)) = options.split_first_chunk::<4>() {
        let code = u16::from_be_bytes([code_high, code_low]);
        let (data, next) = rest.split_at_checked(usize::from(u16::from_be_bytes([len_high, len_low])))?;
        options = next;
        let Some((fixed, nests)) = shape6(code) else { continue };
        let Some((fixed, nested)) = data.split_at_checked(fixed) else { continue };
        let nested = match nests {
            false => nested.to_vec(),
            true if depth == 0 => return None,
            true => wanted6(nested, depth - 1)?,
        };
        kept.extend(code.to_be_bytes());
        kept.extend(u16::try_from(fixed.len() + nested.len()).ok()?.to_be_bytes());
        kept.extend(fixed);
        kept.extend(nested);
    }
    options.is_empty().then_some(kept)
}

/// Of an option that is read: the bytes it has at least, and whether options follow them in it (RFC 8415 section 21, RFC 3646).
fn shape6(code: u16) -> Option<(usize, bool)> {
    match code {
        1 | 2 | 23 | 24 => Some((0, false)), // client, server, name servers, search list
        3 => Some((12, true)),               // association for addresses
        5 => Some((24, true)),               // address
        13 => Some((2, false)),              // status
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_kept_if_it_has_its_shape() {
        let header = [7, 1, 2, 3];
        let kept = |options: &[u8]| v6(&[&header, options].concat()).map(|message| message[HEADER6..].to_vec());
        assert_eq!(kept(&[]), Some(vec![]));
        assert_eq!(kept(&[0, 1, 0, 1, 9]), Some(vec![0, 1, 0, 1, 9]));
        assert_eq!(kept(&[0, 17, 0, 1, 9, 0, 7, 0, 0, 0, 2, 0, 1, 8]), Some(vec![0, 2, 0, 1, 8]));
        assert_eq!(kept(&[0, 13, 0, 1, 9]), Some(vec![]), "shorter than its fixed part");
        assert_eq!(kept(&[0, 1, 0, 2, 9]), None, "ends beyond the message");
        assert_eq!(kept(&[0, 1, 0]), None);
        assert_eq!(v6(&[7, 1, 2]), None);
        let association = |inner: &[u8]| [&[0, 3, 0, 12 + inner.len() as u8][..], &[0; 12], inner].concat();
        assert_eq!(kept(&association(&[0, 13, 0, 2, 0, 0])), Some(association(&[0, 13, 0, 2, 0, 0])));
        assert_eq!(kept(&association(&[0, 17, 0, 1, 9])), Some(association(&[])));
        let deep = (0..9).fold(Vec::new(), |inner: Vec<u8>, _| association(&inner));
        assert_eq!(kept(&deep), None, "nested without end");
    }

    #[test]
    fn dhcpv4_options_too() {
        let message = |options: &[u8]| [&[0; HEADER4], options].concat();
        let kept = |options: &[u8]| v4(&message(options)).map(|message| message[HEADER4..].to_vec());
        assert_eq!(kept(&[]), Some(vec![END]));
        assert_eq!(kept(&[0, 53, 1, 5, 94, 1, 1, 3, 0, 255, 53, 1, 9]), Some(vec![53, 1, 5, 3, 0, END]));
        assert_eq!(kept(&[53, 2, 5]), None);
        assert_eq!(kept(&[53]), None);
        assert_eq!(v4(&[0; HEADER4 - 1]), None);
    }
}
