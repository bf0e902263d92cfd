//! Sets of ports, as bits: their size does not depend on what a container opens.

use rnet_stack::Family;

use crate::config::Protocol;

/// Words of 64 bits for the ports of one protocol and family.
const WORDS: usize = 65536 / 64;

/// A port of the container's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Port {
    /// The protocol.
    pub protocol: Protocol,
    /// The family of the address.
    pub family: Family,
    /// Its number.
    pub number: u16,
}

impl Port {
    /// Which of the four sets it belongs to.
    pub(super) fn set(self) -> u8 {
        u8::from(self.protocol == Protocol::Udp) * 2 + u8::from(self.family == Family::V6)
    }

    /// The port of this number in one of the four sets.
    pub(super) fn in_set(set: u8, number: u16) -> Option<Port> {
        let protocol = if set & 2 == 0 { Protocol::Tcp } else { Protocol::Udp };
        let family = if set & 1 == 0 { Family::V4 } else { Family::V6 };
        (set < 4).then_some(Port { protocol, family, number })
    }

    fn place(self) -> (usize, u64) {
        (usize::from(self.set()) * WORDS + usize::from(self.number / 64), 1 << (self.number % 64))
    }
}

/// A set of ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports(Vec<u64>);

impl Default for Ports {
    fn default() -> Ports {
        Ports(vec![0; 4 * WORDS])
    }
}

impl Ports {
    /// Puts a port in or takes it out.
    pub fn set(&mut self, port: Port, is_open: bool) {
        let (word, bit) = port.place();
        if let Some(word) = self.0.get_mut(word) {
            *word = if is_open { *word | bit } else { *word & !bit };
        }
    }

    /// Whether it is in.
    pub fn contains(&self, port: Port) -> bool {
        let (word, bit) = port.place();
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.0.fill(0);
    }

    /// The ports that are in.
    pub fn iter(&self) -> impl Iterator<Item = Port> {
        bits(self.0.iter().copied())
    }

    /// What has to be set for this to become `other`.
    pub fn changes(&self, other: &Ports) -> impl Iterator<Item = (Port, bool)> {
        let different = self.0.iter().zip(&other.0).map(|(own, other)| own ^ other);
        bits(different).map(|port| (port, other.contains(port)))
    }
}

fn bits(words: impl Iterator<Item = u64>) -> impl Iterator<Item = Port> {
    words.zip(0usize..).flat_map(|(word, place)| {
        let set_bits =
            std::iter::successors(Some(word), |word| Some(word & word.wrapping_sub(1))).take_while(|word| *word != 0);
        set_bits.filter_map(move |word| {
            let number = (place % WORDS) as u32 * 64 + word.trailing_zeros();
            Port::in_set((place / WORDS) as u8, number as u16)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_told_and_what_changes_too() {
        let port = |set, number| Port::in_set(set, number).unwrap();
        let all = [port(0, 0), port(0, 80), port(1, 80), port(2, 65535), port(3, 63), port(3, 64)];
        let mut ports = Ports::default();
        all.iter().for_each(|port| ports.set(*port, true));
        assert_eq!(ports.iter().collect::<Vec<_>>(), all);
        assert!(ports.contains(port(1, 80)) && !ports.contains(port(2, 80)));
        let mut other = ports.clone();
        other.set(port(1, 80), false);
        other.set(port(1, 81), true);
        assert_eq!(ports.changes(&other).collect::<Vec<_>>(), [(port(1, 80), false), (port(1, 81), true)]);
        assert_eq!(Port::in_set(4, 1), None);
    }
}
