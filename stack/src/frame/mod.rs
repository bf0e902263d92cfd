//! Classify a frame into what it carries, and build the frames that answer it.
//!
//! `classify` only looks: it checks lengths and checksums and says which flow a frame belongs to; it keeps no state and
//! copies nothing. Everything here works on bytes that a hostile container chose.

pub mod checksum;
mod classify;
mod fragment;
mod header;
mod icmp;
mod ipv4;
mod ipv6;
mod neighbour;
mod reassembly;
mod strip;
mod transport;
mod udp;

use std::net::IpAddr;

pub use classify::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, classify, classify_bare, classify_ip, source_mac};
pub use fragment::fragment;
pub use header::{
    BuildError, Ethernet, IpHeader, Ipv4Header, Ipv6Header, Ports, UDP_HEADER_LEN, write_ethernet, write_ipv4,
    write_ipv6, write_udp,
};
pub use icmp::{
    ICMP_HEADER_LEN, IcmpHeader, icmp_echo_reply, icmpv4, icmpv4_error, icmpv6, icmpv6_error, may_answer_with_error,
};
pub use ipv4::IPV4_HEADER_LEN;
pub use ipv6::IPV6_HEADER_LEN;
pub use neighbour::{
    NDP_HOP_LIMIT, RouterAdvertisement, Solicited, arp_reply, neighbour_advertisement, router_advertisement,
};
pub use reassembly::{Reassembly, ReassemblyLimits};
pub use strip::strip_options;
pub use transport::{ICMPV4, ICMPV6, TCP, UDP};
pub use udp::{UDP4_HEADROOM, UDP6_HEADROOM, udp, udp_headroom, udp4, udp6, write_udp_frame};

/// Length of an Ethernet II header in bytes.
pub const ETHERNET_HEADER_LEN: usize = 14;

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddr(pub [u8; 6]);

impl std::fmt::Display for MacAddr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl std::fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// What the device says about a frame that it hands over (`struct virtio_net_hdr`, linux/virtio_net.h), and what the
/// stack says about a frame for the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// The state of the transport checksum.
    pub checksum: Checksum,
    /// Whether the frame is to be cut into segments.
    pub gso: Gso,
    /// Payload bytes of each segment but the last, when `gso` is not `Gso::None`.
    pub gso_size: u16,
    /// Bytes from the start of the Ethernet header to the end of the transport header, when `gso` is not `Gso::None`.
    pub header_len: u16,
}

/// The state of a frame's transport checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// Nobody vouches for it: verify it (neither NEEDS_CSUM nor DATA_VALID).
    #[default]
    Unverified,
    /// Only the pseudo-header is summed (VIRTIO_NET_HDR_F_NEEDS_CSUM): the packet never crossed a wire, nothing to verify.
    Partial {
        /// Byte of the frame where summing starts.
        start: u16,
        /// Byte after `start` where the sum belongs.
        offset: u16,
    },
    /// Verified by the device (VIRTIO_NET_HDR_F_DATA_VALID).
    Valid,
}

/// Kinds of segmentation that a frame may still need (VIRTIO_NET_HDR_GSO_*).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gso {
    /// The frame is one packet.
    #[default]
    None,
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP datagrams of equal size (VIRTIO_NET_HDR_GSO_UDP_L4).
    Udp,
}

/// What a frame carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// An ARP request or reply for IPv4 over Ethernet (RFC 826).
    Arp(ArpPacket),
    /// An IP packet, whole or a fragment.
    Ip(IpPacket<'a>),
}

/// An ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpPacket {
    /// Whether this is a request (operation 1) or a reply (operation 2).
    pub operation: ArpOperation,
    /// Sender hardware address.
    pub sender_mac: MacAddr,
    /// Sender protocol address.
    pub sender_ip: std::net::Ipv4Addr,
    /// Target protocol address.
    pub target_ip: std::net::Ipv4Addr,
}

/// The operations of ARP that are spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArpOperation {
    /// Who has this address?
    Request,
    /// This address is mine.
    Reply,
}

/// An IP packet of either version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpPacket<'a> {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// DSCP and ECN, the former type of service octet.
    pub tos: u8,
    /// The whole packet from its IP header on, trimmed to the length that the header states.
    pub bytes: &'a [u8],
    /// Bytes of `bytes` before the transport header: the IP header, with IPv4 options or IPv6 extension headers.
    pub header_len: usize,
    /// Whether there are IPv4 options or IPv6 extension headers.
    pub has_options: bool,
    /// The transport.
    pub transport: Transport<'a>,
}

/// The transport inside an IP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport<'a> {
    /// A TCP segment (RFC 9293).
    Tcp(TcpSegment<'a>),
    /// A UDP datagram, or several of equal size when the frame's `Offload` says `Gso::Udp` (RFC 768).
    Udp(UdpDatagram<'a>),
    /// An ICMP message over IPv4 (RFC 792).
    Icmpv4(IcmpMessage<'a>),
    /// An ICMPv6 message (RFC 4443).
    Icmpv6(IcmpMessage<'a>),
    /// A fragment of a packet; its transport is known when the whole is there.
    Fragment(Fragment<'a>),
    /// Any other protocol, by its IANA number.
    Other(u8),
}

/// A TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpSegment<'a> {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number, meaningless without `TcpFlags::ACK`.
    pub ack: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window, unscaled.
    pub window: u16,
    /// Bytes of the header with options.
    pub header_len: usize,
    /// Payload.
    pub payload: &'a [u8],
}

/// TCP control bits (RFC 9293 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: TcpFlags = TcpFlags(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: TcpFlags = TcpFlags(0x02);
    /// Reset the connection.
    pub const RST: TcpFlags = TcpFlags(0x04);
    /// Push.
    pub const PSH: TcpFlags = TcpFlags(0x08);
    /// The acknowledgement number is meaningful.
    pub const ACK: TcpFlags = TcpFlags(0x10);
    /// The urgent pointer is meaningful.
    pub const URG: TcpFlags = TcpFlags(0x20);

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: TcpFlags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A UDP datagram, or a super-datagram with `Gso::Udp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpDatagram<'a> {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Payload.
    pub payload: &'a [u8],
}

/// An ICMP or ICMPv6 message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpMessage<'a> {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// The four bytes after the checksum: identifier and sequence number of an echo, MTU of a packet-too-big.
    pub rest: [u8; 4],
    /// What follows the first eight bytes.
    pub body: &'a [u8],
}

/// A fragment of an IP packet (RFC 791, RFC 8200 section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// Offset of `payload` in the original packet's payload, bytes.
    pub offset: usize,
    /// Whether more fragments follow.
    pub more: bool,
    /// Protocol (IPv4) or next header (IPv6) of the whole.
    pub protocol: u8,
    /// The fragment's piece.
    pub payload: &'a [u8],
}

#[cfg(test)]
mod tests;
