//! The virtio-net header that stands before each frame on a tap device with IFF_VNET_HDR (linux/virtio_net.h,
//! `struct virtio_net_hdr`, in the machine's byte order).

use rnet_stack::frame::{Checksum, Gso, Offload};

/// Bytes of the header.
pub const VNET_HEADER_LEN: usize = 10;

const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;

const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// Writes what the device has to do for a frame.
pub fn encode(offload: Offload, header: &mut [u8; VNET_HEADER_LEN]) {
    let (flags, start, offset) = match offload.checksum {
        Checksum::Unverified => (0, 0, 0),
        Checksum::Valid => (DATA_VALID, 0, 0),
        Checksum::Partial { start, offset } => (NEEDS_CSUM, start, offset),
    };
    let gso = match offload.gso {
        Gso::None => GSO_NONE,
        Gso::Tcp4 => GSO_TCPV4,
        Gso::Tcp6 => GSO_TCPV6,
        Gso::Udp => GSO_UDP_L4,
    };
    header[0] = flags;
    header[1] = gso;
    header[2..4].copy_from_slice(&offload.header_len.to_ne_bytes());
    header[4..6].copy_from_slice(&offload.gso_size.to_ne_bytes());
    header[6..8].copy_from_slice(&start.to_ne_bytes());
    header[8..10].copy_from_slice(&offset.to_ne_bytes());
}

/// Reads what the device says of a frame.
pub fn decode(header: &[u8; VNET_HEADER_LEN]) -> Offload {
    let field = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
    let checksum = if header[0] & NEEDS_CSUM != 0 {
        Checksum::Partial { start: field(6), offset: field(8) }
    } else if header[0] & DATA_VALID != 0 {
        Checksum::Valid
    } else {
        Checksum::Unverified
    };
    let gso = match header[1] & !GSO_ECN {
        GSO_TCPV4 => Gso::Tcp4,
        GSO_TCPV6 => Gso::Tcp6,
        GSO_UDP_L4 => Gso::Udp,
        _ => Gso::None,
    };
    Offload { checksum, gso, gso_size: field(4), header_len: field(2) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let checksum = Checksum::Partial { start: 34, offset: 16 };
        for gso in [Gso::None, Gso::Tcp4, Gso::Tcp6, Gso::Udp] {
            let offload = Offload { checksum, gso, gso_size: 1460, header_len: 54 };
            let mut header = [0; VNET_HEADER_LEN];
            encode(offload, &mut header);
            assert_eq!(decode(&header), offload);
        }
    }

    #[test]
    fn the_congestion_bit_is_not_a_kind_of_its_own() {
        let mut header = [0; VNET_HEADER_LEN];
        header[1] = GSO_TCPV4 | GSO_ECN;
        assert_eq!(decode(&header).gso, Gso::Tcp4);
    }
}
