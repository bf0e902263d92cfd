//! A packet without its IPv4 options or IPv6 extension headers, for a TCP that doesn't read them.

use std::net::IpAddr;

use super::{IPV4_HEADER_LEN, IPV6_HEADER_LEN, IpPacket, Transport, checksum, transport};

/// The packet with a plain IP header and the same transport; a fragment is returned as it is.
///
/// The transport checksum stays right: neither family's pseudo-header covers options.
pub fn strip_options(packet: &IpPacket<'_>) -> Vec<u8> {
    let protocol = match packet.transport {
        Transport::Tcp(_) => transport::TCP,
        Transport::Udp(_) => transport::UDP,
        Transport::Icmpv4(_) => transport::ICMPV4,
        Transport::Icmpv6(_) => transport::ICMPV6,
        Transport::Other(protocol) => protocol,
        Transport::Fragment(_) => return packet.bytes.to_vec(),
    };
    let header_len = match packet.src {
        IpAddr::V4(_) => IPV4_HEADER_LEN,
        IpAddr::V6(_) => IPV6_HEADER_LEN,
    };
    let transport = packet.bytes.get(packet.header_len..).unwrap_or_default();
    let mut plain = Vec::with_capacity(header_len + transport.len());
    plain.extend_from_slice(packet.bytes.get(..header_len).unwrap_or_default());
    plain.extend_from_slice(transport);
    // The casts cannot cut: both lengths are below those that the original stated in as many bits.
    match packet.src {
        IpAddr::V4(_) => {
            let len = plain.len() as u16;
            if let Some(header) = plain.first_chunk_mut::<IPV4_HEADER_LEN>() {
                header[0] = 0x45;
                header[2..4].copy_from_slice(&len.to_be_bytes());
                header[10..12].fill(0);
                let sum = checksum::sum(header).checksum();
                header[10..12].copy_from_slice(&sum.to_be_bytes());
            }
        }
        IpAddr::V6(_) => {
            if let Some(header) = plain.first_chunk_mut::<IPV6_HEADER_LEN>() {
                header[4..6].copy_from_slice(&(transport.len() as u16).to_be_bytes());
                header[6] = protocol;
            }
        }
    }
    plain
}
