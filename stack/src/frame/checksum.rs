//! The Internet checksum (RFC 1071): ones-complement sums over bytes and pseudo-headers, and their combination.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A ones-complement sum of 16-bit big-endian words, folded to 16 bits, not complemented.
///
/// Sums add up with `+` as long as every part but the last has an even number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(u16);

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Sum = Sum(0);

    /// A sum of one 16-bit word.
    pub const fn word(word: u16) -> Sum {
        Sum(word)
    }

    /// The sum itself: what belongs in a checksum field that a device completes (VIRTIO_NET_HDR_F_NEEDS_CSUM).
    pub const fn partial(self) -> u16 {
        self.0
    }

    /// The complement: what belongs in an IPv4, TCP or ICMP checksum field.
    pub const fn checksum(self) -> u16 {
        !self.0
    }

    /// The complement for UDP, whose zero means "no checksum" and is sent as all ones (RFC 768).
    pub const fn udp_checksum(self) -> u16 {
        match !self.0 {
            0 => 0xffff,
            sum => sum,
        }
    }

    /// Whether a sum that covered its own checksum field is right.
    pub const fn verifies(self) -> bool {
        self.0 == 0xffff
    }
}

impl std::ops::Add for Sum {
    type Output = Sum;

    fn add(self, other: Sum) -> Sum {
        let (sum, carry) = self.0.overflowing_add(other.0);
        // With a carry the low half is at most 0xfffe, so this cannot overflow.
        Sum(sum.wrapping_add(u16::from(carry)))
    }
}

impl std::ops::AddAssign for Sum {
    fn add_assign(&mut self, other: Sum) {
        *self = *self + other;
    }
}

/// Sums `bytes`; an odd last byte counts as the high half of a word.
///
/// The words are added in the machine's byte order, eight bytes at a time, and swapped once at the end: ones-complement
/// addition does not mind (RFC 1071 section 2 B).
pub fn sum(bytes: &[u8]) -> Sum {
    let (blocks, tail) = bytes.as_chunks::<32>();
    // 32-bit halves in 64-bit lanes: no carry to mind, and independent lanes that the compiler turns into vectors. A lane
    // overflows only after 2^32 blocks.
    let mut lanes = [0u64; 8];
    for block in blocks {
        let (words, _) = block.as_chunks::<4>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    }
    let mut total: u64 = 0;
    for lane in lanes {
        total += (lane & 0xffff_ffff) + (lane >> 32);
    }
    let (words, tail) = tail.as_chunks::<4>();
    for word in words {
        total += u64::from(u32::from_ne_bytes(*word));
    }
    let (words, rest) = tail.as_chunks::<2>();
    for word in words {
        total += u64::from(u16::from_ne_bytes(*word));
    }
    if let [last] = rest {
        total += u64::from(u16::from_ne_bytes([*last, 0]));
    }
    Sum(u16::from_be(fold(total)))
}

/// The sum of the IPv4 pseudo-header (RFC 9293 section 3.1); `len` is the length of transport header and payload, bytes.
pub fn pseudo_header_v4(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, len: usize) -> Sum {
    sum(&src.octets()) + sum(&dst.octets()) + Sum::word(u16::from(protocol)) + length(len)
}

/// The sum of the IPv6 pseudo-header (RFC 8200 section 8.1); `len` is the length of transport header and payload, bytes.
pub fn pseudo_header_v6(src: Ipv6Addr, dst: Ipv6Addr, protocol: u8, len: usize) -> Sum {
    sum(&src.octets()) + sum(&dst.octets()) + Sum::word(u16::from(protocol)) + length(len)
}

/// The sum of the pseudo-header of whichever family the addresses are.
pub fn pseudo_header(src: IpAddr, dst: IpAddr, protocol: u8, len: usize) -> Sum {
    address(src) + address(dst) + Sum::word(u16::from(protocol)) + length(len)
}

fn address(address: IpAddr) -> Sum {
    match address {
        IpAddr::V4(v4) => sum(&v4.octets()),
        IpAddr::V6(v6) => sum(&v6.octets()),
    }
}

/// A length as the 32-bit word of the pseudo-header; packets have at most 2^16 bytes or so.
fn length(len: usize) -> Sum {
    Sum(fold(len as u64))
}

fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(bytes: &[u8]) -> u16 {
        let mut total = 0u32;
        for pair in bytes.chunks(2) {
            total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            total = (total & 0xffff) + (total >> 16);
        }
        total as u16
    }

    #[test]
    fn rfc_1071_example() {
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).partial(), 0xddf2);
    }

    #[test]
    fn all_ones_stay_all_ones() {
        assert_eq!(sum(&[0xff; 65535]).partial(), naive(&[0xff; 65535]));
        assert!(sum(&[0xff; 65534]).verifies());
        assert_eq!(sum(&[]), Sum::ZERO);
    }

    #[test]
    fn udp_never_sends_zero() {
        assert_eq!(Sum::word(0xffff).udp_checksum(), 0xffff);
        assert_eq!(Sum::word(0xffff).checksum(), 0);
    }

    proptest! {
        #[test]
        fn agrees_with_a_naive_sum(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            prop_assert_eq!(sum(&bytes).partial(), naive(&bytes));
        }

        #[test]
        fn even_parts_add_up(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..150) {
            let at = (at * 2).min(bytes.len() & !1);
            prop_assert_eq!((sum(&bytes[..at]) + sum(&bytes[at..])).partial(), naive(&bytes));
        }
    }
}
