//! The way to the container: what every frame for it has in common, and frames too large for the link cut to fit.

use std::net::{IpAddr, Ipv6Addr};

use crate::config::Config;
use crate::edge::{Edge, HEADROOM};
use crate::event::{Counter, Counters};
use crate::frame::{
    ETHERNET_HEADER_LEN, Ethernet, IcmpHeader, IpHeader, IpPacket, Ipv4Header, Ipv6Header, MacAddr, Offload, fragment,
    icmpv4_error, icmpv6_error, may_answer_with_error,
};
use crate::tcp::Framing;

/// Hop limit of packets that the link makes by itself.
pub(crate) const HOP_LIMIT: u8 = 64;

/// ICMP errors, by what they say rather than by their numbers, which differ between the families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IcmpError {
    NoRoute,
    HostUnreachable,
    Prohibited,
    PortUnreachable,
    TimeExceeded,
    /// The MTU of the path in bytes.
    TooBig(u32),
}

impl IcmpError {
    /// Type, code and the four bytes behind the checksum (RFC 792, RFC 1191, RFC 1812 section 5.2.7.1).
    fn v4(self) -> IcmpHeader {
        let (kind, code, rest) = match self {
            IcmpError::NoRoute => (3, 0, 0),
            IcmpError::HostUnreachable => (3, 1, 0),
            IcmpError::PortUnreachable => (3, 3, 0),
            IcmpError::TooBig(mtu) => (3, 4, mtu.min(0xffff)),
            IcmpError::Prohibited => (3, 13, 0),
            IcmpError::TimeExceeded => (11, 0, 0),
        };
        IcmpHeader { kind, code, rest: rest.to_be_bytes() }
    }

    /// Type, code and the four bytes behind the checksum (RFC 4443 section 3).
    fn v6(self) -> IcmpHeader {
        let (kind, code, rest) = match self {
            IcmpError::NoRoute => (1, 0, 0),
            IcmpError::Prohibited => (1, 1, 0),
            IcmpError::HostUnreachable => (1, 3, 0),
            IcmpError::PortUnreachable => (1, 4, 0),
            IcmpError::TooBig(mtu) => (2, 0, mtu),
            IcmpError::TimeExceeded => (3, 0, 0),
        };
        IcmpHeader { kind, code, rest: rest.to_be_bytes() }
    }
}

/// The link-local address that an Ethernet interface makes by itself (RFC 4291 appendix A).
fn link_local_of(mac: MacAddr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

/// The container's end of the link.
pub(crate) struct Wire {
    framing: Framing,
    /// Identification of the next IPv4 packet that may have to be fragmented.
    next_id: u16,
    scratch: Vec<u8>,
    /// The container's link-local address, once it was seen.
    link_local: Option<Ipv6Addr>,
}

impl Wire {
    pub(crate) fn new(config: &Config) -> Wire {
        let framing =
            Framing { guest: config.guest_mac, own: config.link.mac, mtu: config.link.mtu, window: usize::MAX };
        Wire { framing, next_id: 1, scratch: Vec::new(), link_local: None }
    }

    pub(crate) fn framing(&self) -> &Framing {
        &self.framing
    }

    /// Learns the container's hardware address; says whether that was news.
    pub(crate) fn learn(&mut self, mac: MacAddr) -> bool {
        let is_new = mac != self.framing.guest && mac.0[0] & 1 == 0 && mac.0 != [0; 6] && mac != self.framing.own;
        if is_new {
            self.framing.guest = mac;
        }
        is_new
    }

    /// Learns the container's link-local address from a packet that it has sent.
    pub(crate) fn learn_link_local(&mut self, src: Ipv6Addr) {
        if src.is_unicast_link_local() {
            self.link_local = Some(src);
        }
    }

    /// The container's end for a peer that goes by `name` inside: who has a link-local address is answered from one.
    pub(crate) fn guest_for(&self, name: IpAddr, guest: IpAddr) -> IpAddr {
        match name {
            IpAddr::V6(name) if name.is_unicast_link_local() => {
                IpAddr::V6(self.link_local.unwrap_or_else(|| link_local_of(self.framing.guest)))
            }
            _ => guest,
        }
    }

    pub(crate) fn ethernet(&self) -> Ethernet {
        Ethernet { src: self.framing.own, dst: self.framing.guest }
    }

    /// A header for a packet of `transport_len` bytes behind it; with an identification where it will be fragmented.
    pub(crate) fn ip_header(&mut self, src: IpAddr, dst: IpAddr, transport_len: usize) -> Option<IpHeader> {
        let header = IpHeader::new(src, dst, HOP_LIMIT, 0, None)?;
        if header.header_len() + transport_len <= usize::from(self.framing.mtu) || src.is_ipv6() {
            return Some(header);
        }
        self.next_id = self.next_id.wrapping_add(1);
        IpHeader::new(src, dst, HOP_LIMIT, 0, Some(self.next_id))
    }

    /// Sends a whole frame, in fragments where it exceeds the MTU.
    pub(crate) fn send<E: Edge>(&mut self, frame: Vec<u8>, edge: &mut E) {
        if self.fits(frame.len().saturating_sub(ETHERNET_HEADER_LEN)) {
            return self.send_one(&frame, edge);
        }
        self.next_id = self.next_id.wrapping_add(1);
        if let Ok(fragments) = fragment(frame, self.framing.mtu, self.next_id.into()) {
            for fragment in fragments {
                self.send_one(&fragment, edge);
            }
        }
    }

    fn send_one<E: Edge>(&mut self, frame: &[u8], edge: &mut E) {
        self.scratch.clear();
        self.scratch.resize(HEADROOM, 0);
        self.scratch.extend_from_slice(frame);
        edge.transmit(&mut self.scratch, Offload::default());
    }

    /// Whether an IP packet of this many bytes crosses the link in one piece.
    pub(crate) fn fits(&self, len: usize) -> bool {
        len <= usize::from(self.framing.mtu)
    }

    /// Answers a packet with an ICMP error from the gateway, where one may be sent.
    pub(crate) fn error<E: Edge>(
        &mut self,
        config: &Config,
        packet: &IpPacket<'_>,
        error: IcmpError,
        counters: &mut Counters,
        edge: &mut E,
    ) {
        if may_answer_with_error(packet) {
            self.error_about(config, packet.src, packet.bytes, error, None, counters, edge);
        }
    }

    /// Sends the container an ICMP error about `original`, which `guest` sent; from the gateway, or from `from`.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn error_about<E: Edge>(
        &mut self,
        config: &Config,
        guest: IpAddr,
        original: &[u8],
        error: IcmpError,
        from: Option<IpAddr>,
        counters: &mut Counters,
        edge: &mut E,
    ) {
        let ethernet = self.ethernet();
        let frame = match guest {
            IpAddr::V4(dst) => {
                let from = match from {
                    Some(IpAddr::V4(from)) => Some(from),
                    _ => config.gateway4(),
                };
                let Some(src) = from else { return };
                icmpv4_error(ethernet, Ipv4Header { src, dst, ttl: HOP_LIMIT, tos: 0, id: None }, error.v4(), original)
            }
            IpAddr::V6(dst) => {
                let from = match from {
                    Some(IpAddr::V6(from)) => Some(from),
                    _ => config.gateway6(),
                };
                let Some(src) = from else { return };
                let header = Ipv6Header { src, dst, hop_limit: HOP_LIMIT, traffic_class: 0 };
                icmpv6_error(ethernet, header, error.v6(), original)
            }
        };
        if let Ok(frame) = frame {
            counters.count(Counter::IcmpErrorsSent);
            self.send(frame, edge);
        }
    }
}
