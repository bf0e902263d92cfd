//! Ethernet, IP and UDP headers written into bytes that the caller holds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    ETHERNET_HEADER_LEN, ETHERTYPE_IPV4, ETHERTYPE_IPV6, IPV4_HEADER_LEN, IPV6_HEADER_LEN, MacAddr,
    checksum::{self, Sum},
};

/// Length of a UDP header, bytes.
pub const UDP_HEADER_LEN: usize = 8;

/// Why a packet cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The length field of IP or UDP cannot state it.
    #[error("a packet of {0} bytes exceeds what its length field can state")]
    TooLong(usize),
    /// The buffer has no room for the headers.
    #[error("a buffer of {0} bytes is shorter than the headers")]
    NoRoom(usize),
    /// Not a whole IP packet without options, or the MTU leaves no room for a payload.
    #[error("the packet cannot be cut into fragments")]
    Fragmentation,
}

/// The addresses of an Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// Source.
    pub src: MacAddr,
    /// Destination.
    pub dst: MacAddr,
}

/// What may be chosen in an IPv4 header without options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Header {
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Time to live.
    pub ttl: u8,
    /// DSCP and ECN.
    pub tos: u8,
    /// Identification, with which the packet may be fragmented further on; `None` sets "don't fragment" and an
    /// identification of zero (RFC 6864 section 4.1).
    pub id: Option<u16>,
}

/// What may be chosen in an IPv6 header without extension headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Header {
    /// Source address.
    pub src: Ipv6Addr,
    /// Destination address.
    pub dst: Ipv6Addr,
    /// Hop limit.
    pub hop_limit: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
}

/// The header of either version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpHeader {
    /// IPv4.
    V4(Ipv4Header),
    /// IPv6.
    V6(Ipv6Header),
}

impl IpHeader {
    /// A header between two addresses; `None` when they are of different families. IPv4 packets may be fragmented with
    /// `id`; IPv6 doesn't need it.
    pub fn new(src: IpAddr, dst: IpAddr, ttl: u8, tos: u8, id: Option<u16>) -> Option<IpHeader> {
        match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => Some(IpHeader::V4(Ipv4Header { src, dst, ttl, tos, id })),
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                Some(IpHeader::V6(Ipv6Header { src, dst, hop_limit: ttl, traffic_class: tos }))
            }
            _ => None,
        }
    }

    /// Length of the header, bytes.
    pub const fn header_len(&self) -> usize {
        match self {
            IpHeader::V4(_) => IPV4_HEADER_LEN,
            IpHeader::V6(_) => IPV6_HEADER_LEN,
        }
    }

    /// The EtherType that announces this header.
    pub const fn ethertype(&self) -> u16 {
        match self {
            IpHeader::V4(_) => ETHERTYPE_IPV4,
            IpHeader::V6(_) => ETHERTYPE_IPV6,
        }
    }

    /// Writes the header at the start of `packet`, which is the whole IP packet.
    pub fn write(&self, packet: &mut [u8], protocol: u8) -> Result<(), BuildError> {
        match self {
            IpHeader::V4(header) => write_ipv4(packet, header, protocol),
            IpHeader::V6(header) => write_ipv6(packet, header, protocol),
        }
    }

    /// The pseudo-header of a transport of `len` bytes.
    pub fn pseudo_header(&self, protocol: u8, len: usize) -> Sum {
        match self {
            IpHeader::V4(header) => checksum::pseudo_header_v4(header.src, header.dst, protocol, len),
            IpHeader::V6(header) => checksum::pseudo_header_v6(header.src, header.dst, protocol, len),
        }
    }
}

/// The ports of a UDP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Source port.
    pub src: u16,
    /// Destination port.
    pub dst: u16,
}

/// Writes an Ethernet header at the start of `frame`.
pub fn write_ethernet(frame: &mut [u8], ethernet: Ethernet, ethertype: u16) -> Result<(), BuildError> {
    let len = frame.len();
    let header = frame.first_chunk_mut::<ETHERNET_HEADER_LEN>().ok_or(BuildError::NoRoom(len))?;
    header[..6].copy_from_slice(&ethernet.dst.0);
    header[6..12].copy_from_slice(&ethernet.src.0);
    header[12..].copy_from_slice(&ethertype.to_be_bytes());
    Ok(())
}

/// Writes an IPv4 header at the start of `packet`, which is the whole IP packet and gives the total length.
pub fn write_ipv4(packet: &mut [u8], ip: &Ipv4Header, protocol: u8) -> Result<(), BuildError> {
    let len = packet.len();
    let total_len = u16::try_from(len).map_err(|_| BuildError::TooLong(len))?;
    let header = packet.first_chunk_mut::<IPV4_HEADER_LEN>().ok_or(BuildError::NoRoom(len))?;
    let [len_high, len_low] = total_len.to_be_bytes();
    let ([id_high, id_low], flags) = match ip.id {
        Some(id) => (id.to_be_bytes(), 0),
        None => ([0, 0], 0x40),
    };
    header[..12].copy_from_slice(&[0x45, ip.tos, len_high, len_low, id_high, id_low, flags, 0, ip.ttl, protocol, 0, 0]);
    header[12..16].copy_from_slice(&ip.src.octets());
    header[16..].copy_from_slice(&ip.dst.octets());
    let sum = checksum::sum(header).checksum();
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    Ok(())
}

/// Writes an IPv6 header at the start of `packet`, which is the whole IP packet and gives the payload length.
pub fn write_ipv6(packet: &mut [u8], ip: &Ipv6Header, next_header: u8) -> Result<(), BuildError> {
    let len = packet.len();
    let payload_len = len.checked_sub(IPV6_HEADER_LEN).ok_or(BuildError::NoRoom(len))?;
    let payload_len = u16::try_from(payload_len).map_err(|_| BuildError::TooLong(len))?;
    let header = packet.first_chunk_mut::<IPV6_HEADER_LEN>().ok_or(BuildError::NoRoom(len))?;
    let [len_high, len_low] = payload_len.to_be_bytes();
    let class = ip.traffic_class;
    header[..8].copy_from_slice(&[0x60 | (class >> 4), class << 4, 0, 0, len_high, len_low, next_header, ip.hop_limit]);
    header[8..24].copy_from_slice(&ip.src.octets());
    header[24..].copy_from_slice(&ip.dst.octets());
    Ok(())
}

/// Writes a UDP header at the start of `datagram`, which is header and payload, with `sum` in the checksum field.
pub fn write_udp(datagram: &mut [u8], ports: Ports, sum: u16) -> Result<(), BuildError> {
    let len = datagram.len();
    let [len_high, len_low] = u16::try_from(len).map_err(|_| BuildError::TooLong(len))?.to_be_bytes();
    let header = datagram.first_chunk_mut::<UDP_HEADER_LEN>().ok_or(BuildError::NoRoom(len))?;
    let ([src_high, src_low], [dst_high, dst_low]) = (ports.src.to_be_bytes(), ports.dst.to_be_bytes());
    let [sum_high, sum_low] = sum.to_be_bytes();
    *header = [src_high, src_low, dst_high, dst_low, len_high, len_low, sum_high, sum_low];
    Ok(())
}
