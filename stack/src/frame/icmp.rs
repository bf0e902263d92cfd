//! ICMP frames of both families: echo replies, errors, and any other message.

use std::net::IpAddr;

use super::{
    ETHERNET_HEADER_LEN, ICMPV4, ICMPV6, IPV4_HEADER_LEN, IPV6_HEADER_LEN, IcmpMessage, IpPacket, Transport,
    checksum::{self, Sum},
    header::{BuildError, Ethernet, IpHeader, Ipv4Header, Ipv6Header, write_ethernet},
};

/// Length of an ICMP header of either version, bytes.
pub const ICMP_HEADER_LEN: usize = 8;

/// The longest ICMP error as an IP packet (RFC 1812 section 4.3.2.3).
const MAX_ERROR_V4: usize = 576;
/// The longest ICMPv6 error as an IP packet: the least MTU of IPv6 (RFC 4443 section 2.4 c).
const MAX_ERROR_V6: usize = 1280;

const ECHO_REPLY_V4: u8 = 0;
const ECHO_REPLY_V6: u8 = 129;

/// Type, code and the four bytes behind the checksum of an ICMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpHeader {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// The four bytes after the checksum: identifier and sequence number, or an MTU.
    pub rest: [u8; 4],
}

/// An ICMP message over IPv4, checksums in place.
pub fn icmpv4(ethernet: Ethernet, ip: Ipv4Header, icmp: IcmpHeader, body: &[u8]) -> Result<Vec<u8>, BuildError> {
    message(ethernet, IpHeader::V4(ip), icmp, body)
}

/// An ICMPv6 message, checksum in place.
pub fn icmpv6(ethernet: Ethernet, ip: Ipv6Header, icmp: IcmpHeader, body: &[u8]) -> Result<Vec<u8>, BuildError> {
    message(ethernet, IpHeader::V6(ip), icmp, body)
}

/// The reply to an echo request of either family: `rest` is identifier and sequence number, `body` the data.
pub fn icmp_echo_reply(ethernet: Ethernet, ip: IpHeader, rest: [u8; 4], body: &[u8]) -> Result<Vec<u8>, BuildError> {
    let kind = match ip {
        IpHeader::V4(_) => ECHO_REPLY_V4,
        IpHeader::V6(_) => ECHO_REPLY_V6,
    };
    message(ethernet, ip, IcmpHeader { kind, code: 0, rest }, body)
}

/// An ICMP error about `original`, the offending packet from its IP header on, of which as much is quoted as fits into
/// 576 bytes (RFC 1812 section 4.3.2.3).
pub fn icmpv4_error(
    ethernet: Ethernet,
    ip: Ipv4Header,
    icmp: IcmpHeader,
    original: &[u8],
) -> Result<Vec<u8>, BuildError> {
    icmpv4(ethernet, ip, icmp, quote(original, MAX_ERROR_V4 - IPV4_HEADER_LEN - ICMP_HEADER_LEN))
}

/// An ICMPv6 error about `original`, the offending packet from its IP header on, of which as much is quoted as fits into
/// 1280 bytes (RFC 4443 section 2.4 c).
pub fn icmpv6_error(
    ethernet: Ethernet,
    ip: Ipv6Header,
    icmp: IcmpHeader,
    original: &[u8],
) -> Result<Vec<u8>, BuildError> {
    icmpv6(ethernet, ip, icmp, quote(original, MAX_ERROR_V6 - IPV6_HEADER_LEN - ICMP_HEADER_LEN))
}

/// Whether an ICMP error may answer `packet`: not another error, not a later fragment, nothing sent to many or from
/// nobody (RFC 1122 section 3.2.2, RFC 4443 section 2.4 e).
pub fn may_answer_with_error(packet: &IpPacket<'_>) -> bool {
    let error = match &packet.transport {
        Transport::Icmpv4(IcmpMessage { kind, .. }) => matches!(kind, 3..=5 | 11 | 12),
        // Informational messages have the high bit; redirects are neither, but not to be answered either.
        Transport::Icmpv6(IcmpMessage { kind, .. }) => *kind < 128 || *kind == 137,
        Transport::Fragment(fragment) => fragment.offset != 0,
        _ => false,
    };
    let many = packet.dst.is_multicast() || matches!(packet.dst, IpAddr::V4(v4) if v4.is_broadcast());
    !error && !many && !packet.src.is_unspecified()
}

fn quote(original: &[u8], limit: usize) -> &[u8] {
    original.get(..limit).unwrap_or(original)
}

fn message(ethernet: Ethernet, ip: IpHeader, icmp: IcmpHeader, body: &[u8]) -> Result<Vec<u8>, BuildError> {
    let (protocol, pseudo_header) = match ip {
        IpHeader::V4(_) => (ICMPV4, Sum::ZERO),
        IpHeader::V6(_) => (ICMPV6, ip.pseudo_header(ICMPV6, ICMP_HEADER_LEN + body.len())),
    };
    let [a, b, c, d] = icmp.rest;
    let mut header = [icmp.kind, icmp.code, 0, 0, a, b, c, d];
    let [high, low] = (pseudo_header + checksum::sum(&header) + checksum::sum(body)).checksum().to_be_bytes();
    header[2] = high;
    header[3] = low;

    let headroom = ETHERNET_HEADER_LEN + ip.header_len();
    let mut frame = Vec::with_capacity(headroom + header.len() + body.len());
    frame.resize(headroom, 0);
    frame.extend_from_slice(&header);
    frame.extend_from_slice(body);
    write_ethernet(&mut frame, ethernet, ip.ethertype())?;
    ip.write(frame.get_mut(ETHERNET_HEADER_LEN..).unwrap_or_default(), protocol)?;
    Ok(frame)
}
