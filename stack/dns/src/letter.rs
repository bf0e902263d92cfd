//! What the packet loop and the name server write to each other: several queries or answers in one message, each with the
//! container's end that it came from or goes to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of a letter at the most.
pub const LETTER_MAX: usize = 1 + ENTRY_HEADER + 65535;

/// Letters that carry several messages are not made longer than this.
const FULL: usize = 32 << 10;

/// Family, address, port, length.
const ENTRY_HEADER: usize = 1 + 16 + 2 + 2;

/// What a letter brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Messages.
    Messages = b'm' as isize,
    /// A connection: its descriptor comes along.
    Connection = b'c' as isize,
}

/// A letter that is being written.
#[derive(Clone, Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Adds a message; says whether there was room.
    pub fn push(&mut self, end: SocketAddr, message: &[u8]) -> bool {
        let Ok(len) = u16::try_from(message.len()) else { return false };
        if !self.0.is_empty() && self.0.len() + ENTRY_HEADER + message.len() > FULL {
            return false;
        }
        if self.0.is_empty() {
            self.0.push(Kind::Messages as u8);
        }
        let (family, address) = match end.ip() {
            IpAddr::V4(address) => (4, address.to_ipv6_mapped().octets()),
            IpAddr::V6(address) => (6, address.octets()),
        };
        self.0.push(family);
        self.0.extend_from_slice(&address);
        self.0.extend_from_slice(&end.port().to_be_bytes());
        self.0.extend_from_slice(&len.to_be_bytes());
        self.0.extend_from_slice(message);
        true
    }

    /// The letter; empty when nothing was added.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Begins anew. What a long letter took is given back.
    pub fn clear(&mut self) {
        self.0.clear();
        self.0.shrink_to(FULL);
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What kind of letter it is.
pub fn kind(letter: &[u8]) -> Option<Kind> {
    match letter.first() {
        Some(b'm') => Some(Kind::Messages),
        Some(b'c') => Some(Kind::Connection),
        _ => None,
    }
}

/// The messages of a letter; it ends at the first that is not whole.
pub fn messages(letter: &[u8]) -> impl Iterator<Item = (SocketAddr, &[u8])> {
    let mut rest = letter.get(1..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (&family, after) = rest.split_first()?;
        let (address, after) = after.split_first_chunk::<16>()?;
        let (port, after) = after.split_first_chunk::<2>()?;
        let (len, after) = after.split_first_chunk::<2>()?;
        let (message, after) = after.split_at_checked(u16::from_be_bytes(*len).into())?;
        rest = after;
        let address = match family {
            4 => IpAddr::V4(Ipv4Addr::new(address[12], address[13], address[14], address[15])),
            6 => IpAddr::V6(Ipv6Addr::from(*address)),
            _ => return None,
        };
        Some((SocketAddr::new(address, u16::from_be_bytes(*port)), message))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_with_their_ends() {
        let sent: [(SocketAddr, &[u8]); 3] = [
            ("10.0.2.100:5353".parse().unwrap(), b"one"),
            ("[fd00::100]:9".parse().unwrap(), b""),
            ("[::ffff:1.2.3.4]:9".parse().unwrap(), &[7; 5000]),
        ];
        let mut writer = Writer::default();
        assert!(sent.iter().all(|(end, message)| writer.push(*end, message)));
        assert_eq!(kind(writer.bytes()), Some(Kind::Messages));
        assert_eq!(messages(writer.bytes()).collect::<Vec<_>>(), sent);
        for len in 0..writer.bytes().len() {
            assert!(messages(&writer.bytes()[..len]).count() < 3);
        }
    }

    #[test]
    fn a_letter_gets_full_but_one_message_always_fits() {
        let end: SocketAddr = "10.0.2.100:1".parse().unwrap();
        let mut writer = Writer::default();
        assert!(writer.push(end, &[1; 65535]) && !writer.push(end, b"x"));
        assert_eq!(writer.bytes().len(), LETTER_MAX);
        writer.clear();
        let count = (0..).take_while(|_| writer.push(end, &[0; 40])).count();
        assert!((400..600).contains(&count), "{count}");
        assert!(!Writer::default().push(end, &[0; 65536]));
    }
}
