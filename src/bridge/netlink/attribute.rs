//! Netlink attributes (linux/netlink.h): written into a message, and read out of one with every length checked.

/// NLA_F_NESTED.
const NESTED: u16 = 1 << 15;
/// Without NLA_F_NESTED and NLA_F_NET_BYTEORDER.
const TYPE_MASK: u16 = !(3 << 14);
const HEADER: usize = 4;

/// Attributes in the order in which they were written.
#[derive(Clone, Debug, Default)]
pub struct Attributes(Vec<u8>);

impl Attributes {
    /// None yet.
    pub fn new() -> Attributes {
        Attributes::default()
    }

    /// The bytes, a multiple of four.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Raw bytes.
    pub fn put(&mut self, kind: u16, value: &[u8]) {
        // No caller has a value of 64 KiB: names and ids are bounded where they are read, nests are split by `nest_len`.
        let len = u16::try_from(HEADER + value.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&len.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(&value[..usize::from(len) - HEADER]);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// Attributes that are written already.
    pub fn raw(&mut self, attributes: &[u8]) {
        self.0.extend_from_slice(attributes);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// A string with its terminating zero.
    pub fn string(&mut self, kind: u16, value: &str) {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.put(kind, &bytes);
    }

    /// A number in network byte order, as netfilter has them.
    pub fn be32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_be_bytes());
    }

    /// Attributes within an attribute.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Attributes)) {
        let mut inner = Attributes::new();
        fill(&mut inner);
        self.put(kind | NESTED, &inner.0);
    }
}

/// The attributes in a piece of a message: (type, value). What is malformed ends the iteration.
pub fn read(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let header: [u8; HEADER] = bytes.get(..HEADER)?.try_into().ok()?;
        let len = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & TYPE_MASK;
        let value = bytes.get(HEADER..len)?;
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The value of one attribute.
pub fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    read(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

/// A string attribute without its zero; `None` when it is no UTF-8.
pub fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value.strip_suffix(&[0]).unwrap_or(value)).ok()
}

/// A number in network byte order.
pub fn be32(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

/// A number in the host's byte order.
pub fn ne32(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut attributes = Attributes::new();
        attributes.string(1, "abc");
        attributes.nest(4, |inner| inner.be32(2, 7));
        attributes.put(3, &[1]);
        let found: Vec<_> = read(attributes.bytes()).collect();
        assert_eq!(found.len(), 3);
        assert_eq!(text(found[0].1), Some("abc"));
        assert_eq!(find(found[1].1, 2).and_then(be32), Some(7));
        assert_eq!(found[2], (3, &[1][..]));
    }

    #[test]
    fn malformed_ends() {
        assert_eq!(read(&[3, 0, 1, 0]).count(), 0);
        assert_eq!(read(&[9, 0, 1, 0, 5]).count(), 0);
        assert_eq!(read(&[4, 0, 1]).count(), 0);
        assert_eq!(read(&[5, 0, 1, 0, 9]).count(), 1);
    }
}
