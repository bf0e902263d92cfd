//! From bytes to a [`Packet`]: Ethernet II and ARP here, the IP families and transports in the modules beside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    ArpOperation, ArpPacket, Checksum, IpPacket, MacAddr, Packet, Transport,
    checksum::{self, Sum},
    ipv4, ipv6, transport,
};
use crate::event::DropReason;

/// EtherType of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// EtherType of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;

/// Says what a frame carries, or why it is dropped.
///
/// `frame` starts at the Ethernet header, whose addresses are not judged. The IPv4 header checksum is always verified,
/// that of the transport only for [`Checksum::Unverified`]. Padding behind the packet is trimmed. A super-frame
/// (`Gso` other than `None`) is a packet like any other, up to the 65,535 bytes that its header can state.
pub fn classify(frame: &[u8], checksum: Checksum) -> Result<Packet<'_>, DropReason> {
    let Some((header, payload)) = frame.split_first_chunk::<14>() else { return Err(DropReason::Truncated) };
    match u16::from_be_bytes([header[12], header[13]]) {
        ETHERTYPE_IPV4 => ipv4::parse(payload, checksum).map(Packet::Ip),
        ETHERTYPE_IPV6 => ipv6::parse(payload, checksum).map(Packet::Ip),
        ETHERTYPE_ARP => arp(payload).map(Packet::Arp),
        _ => Err(DropReason::EtherType),
    }
}

/// Says what an IP packet without an Ethernet header carries: one that came out of reassembly.
///
/// Such a packet is whole, so another fragment inside it is dropped with [`DropReason::Fragment`].
pub fn classify_ip(packet: &[u8], checksum: Checksum) -> Result<IpPacket<'_>, DropReason> {
    let ip = classify_bare(packet, checksum)?;
    match ip.transport {
        Transport::Fragment(_) => Err(DropReason::Fragment),
        _ => Ok(ip),
    }
}

/// Says what an IP packet carries whose Ethernet header was taken off; it may be a fragment.
pub fn classify_bare(packet: &[u8], checksum: Checksum) -> Result<IpPacket<'_>, DropReason> {
    match packet.first().map(|first| first >> 4) {
        None => Err(DropReason::Truncated),
        Some(4) => ipv4::parse(packet, checksum),
        Some(6) => ipv6::parse(packet, checksum),
        Some(_) => Err(DropReason::Malformed),
    }
}

/// The source address in a frame's Ethernet header, where answers go; `None` when the frame is shorter than the header.
pub fn source_mac(frame: &[u8]) -> Option<MacAddr> {
    let (header, _) = frame.split_first_chunk::<14>()?;
    let [_, _, _, _, _, _, mac @ .., _, _] = *header;
    Some(MacAddr(mac))
}

/// ARP for IPv4 over Ethernet (RFC 826); any other kind of address is malformed here.
fn arp(bytes: &[u8]) -> Result<ArpPacket, DropReason> {
    let Some((packet, _)) = bytes.split_first_chunk::<28>() else { return Err(DropReason::Truncated) };
    let [0, 1, 8, 0, 6, 4, 0, operation, addresses @ ..] = *packet else { return Err(DropReason::Malformed) };
    let operation = match operation {
        1 => ArpOperation::Request,
        2 => ArpOperation::Reply,
        _ => return Err(DropReason::Malformed),
    };
    let [a, b, c, d, e, f, s0, s1, s2, s3, _, _, _, _, _, _, t0, t1, t2, t3] = addresses;
    Ok(ArpPacket {
        operation,
        sender_mac: MacAddr([a, b, c, d, e, f]),
        sender_ip: Ipv4Addr::new(s0, s1, s2, s3),
        target_ip: Ipv4Addr::new(t0, t1, t2, t3),
    })
}

/// Parses the transport, and verifies its checksum unless something vouches for it.
pub(super) fn transport<'a>(
    protocol: u8,
    payload: &'a [u8],
    src: IpAddr,
    dst: IpAddr,
    checksum: Checksum,
) -> Result<Transport<'a>, DropReason> {
    let verified = |covered: &[u8], pseudo_header: fn(IpAddr, IpAddr, u8, usize) -> Sum| match checksum {
        Checksum::Unverified
            if !(pseudo_header(src, dst, protocol, covered.len()) + checksum::sum(covered)).verifies() =>
        {
            Err(DropReason::Checksum)
        }
        _ => Ok(()),
    };
    match (protocol, src) {
        (transport::TCP, _) => {
            let segment = transport::tcp(payload)?;
            verified(payload, checksum::pseudo_header)?;
            Ok(Transport::Tcp(segment))
        }
        (transport::UDP, _) => {
            let (datagram, covered, field) = transport::udp(payload)?;
            match (field, src, checksum) {
                // "No checksum" is legal in IPv4 (RFC 768), and not in IPv6 (RFC 8200 section 8.1). In a partial checksum
                // a zero is only a sum.
                (0, IpAddr::V4(_), _) | (0, IpAddr::V6(_), Checksum::Partial { .. }) => {}
                (0, IpAddr::V6(_), _) => return Err(DropReason::Checksum),
                _ => verified(covered, checksum::pseudo_header)?,
            }
            Ok(Transport::Udp(datagram))
        }
        (transport::ICMPV4, IpAddr::V4(_)) => {
            let message = transport::icmp(payload)?;
            verified(payload, |_, _, _, _| Sum::ZERO)?;
            Ok(Transport::Icmpv4(message))
        }
        (transport::ICMPV6, IpAddr::V6(_)) => {
            let message = transport::icmp(payload)?;
            verified(payload, checksum::pseudo_header)?;
            Ok(Transport::Icmpv6(message))
        }
        _ => Ok(Transport::Other(protocol)),
    }
}

/// Refuses IPv4 addresses that no packet on a link may carry.
///
/// A loopback or unspecified destination must never reach a host socket: `connect()` takes either for the host itself.
pub(super) fn check_ipv4(src: Ipv4Addr, dst: Ipv4Addr, transport: &Transport<'_>) -> Result<(), DropReason> {
    let this_network = |address: Ipv4Addr| address.octets()[0] == 0;
    if src.is_multicast() || src.is_broadcast() || src.is_loopback() || dst.is_loopback() || this_network(dst) {
        return Err(DropReason::Address);
    }
    // Only a DHCP client speaks before it has an address (RFC 2131 section 4.1).
    let dhcp = matches!(transport, Transport::Udp(datagram) if datagram.dst_port == 67);
    if this_network(src) && !(src.is_unspecified() && dhcp) {
        return Err(DropReason::Address);
    }
    Ok(())
}

/// Refuses IPv6 addresses that no packet on a link may carry, IPv4 in disguise among them (RFC 4291 section 2.5.5).
pub(super) fn check_ipv6(src: Ipv6Addr, dst: Ipv6Addr, transport: &Transport<'_>) -> Result<(), DropReason> {
    let never = |address: Ipv6Addr| address.is_loopback() || address.to_ipv4_mapped().is_some();
    if src.is_multicast() || never(src) || never(dst) || dst.is_unspecified() {
        return Err(DropReason::Address);
    }
    // Duplicate address detection, router solicitations and multicast listener reports (RFC 4861, RFC 3810).
    let before_address =
        matches!(transport, Transport::Icmpv6(message) if matches!(message.kind, 131..=133 | 135 | 143));
    if src.is_unspecified() && !before_address {
        return Err(DropReason::Address);
    }
    Ok(())
}
