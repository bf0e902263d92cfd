//! What a container asks its link: ARP, neighbour discovery, router advertisements, DHCPv4 and DHCPv6.
//!
//! There is one container on the link, so nothing is remembered: every answer follows from the question and from
//! [`LinkConfig`]. Questions that are malformed or meant for somebody else get no answer.

mod arp;
mod config;
mod dhcpv4;
mod dhcpv6;
mod domain;
mod ndp;

use std::net::IpAddr;

pub use config::{Answer, ClientName, LinkConfig, LinkV4, LinkV6, Offers};
pub use ndp::{ADVERTISE_INTERVAL, LINK_LOCAL};

use crate::frame::{ArpPacket, IcmpMessage, IpPacket, MacAddr, Transport, UdpDatagram};

/// UDP port of a DHCPv4 server (RFC 2131 section 4.1).
const DHCPV4_SERVER_PORT: u16 = 67;
/// UDP port of a DHCPv6 server (RFC 8415 section 7.2).
const DHCPV6_SERVER_PORT: u16 = 547;

/// The other end of the container's link.
#[derive(Clone, Debug)]
pub struct Link {
    config: LinkConfig,
    /// The search list in wire format.
    search: Vec<u8>,
}

impl Link {
    /// A link that answers as `config` says.
    pub fn new(config: LinkConfig) -> Link {
        let search = domain::encode(&config.search);
        Link { config, search }
    }

    /// What the link was made with.
    pub fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// The frame that answers an ARP packet.
    pub fn handle_arp(&self, packet: &ArpPacket) -> Option<Vec<u8>> {
        arp::answer(&self.config, packet)
    }

    /// Whether a datagram is for the link's DHCP servers, and so for [`Link::handle_udp`] alone.
    ///
    /// One that a DHCP relay in the container sends to a server elsewhere is not.
    pub fn is_link_service(&self, packet: &IpPacket<'_>, datagram: &UdpDatagram<'_>) -> bool {
        match (packet.dst, datagram.dst_port) {
            (IpAddr::V4(dst), DHCPV4_SERVER_PORT) => {
                dst.is_broadcast()
                    || self.config.ipv4.as_ref().is_some_and(|v4| dst == v4.gateway || dst == v4.broadcast())
            }
            (IpAddr::V6(dst), DHCPV6_SERVER_PORT) => {
                dst.is_multicast()
                    || self.config.ipv6.as_ref().is_some_and(|v6| dst == v6.gateway || dst == v6.link_local)
            }
            _ => false,
        }
    }

    /// The frame that answers a datagram for which [`Link::is_link_service`] holds; `src_mac` is the source in its
    /// Ethernet header.
    pub fn handle_udp(&self, src_mac: MacAddr, packet: &IpPacket<'_>, datagram: &UdpDatagram<'_>) -> Option<Vec<u8>> {
        if !self.is_link_service(packet, datagram) {
            return None;
        }
        match packet.src {
            IpAddr::V4(_) if !self.config.offers.dhcpv4 => None,
            IpAddr::V6(_) if !self.config.offers.dhcpv6 => None,
            IpAddr::V4(src) => dhcpv4::answer(&self.config, &self.search, src, datagram),
            IpAddr::V6(src) => dhcpv6::answer(&self.config, &self.search, src_mac, src, datagram),
        }
    }

    /// The frame that answers a neighbour or router solicitation; `None` for every other ICMPv6 message.
    pub fn handle_icmpv6(&self, src_mac: MacAddr, packet: &IpPacket<'_>, message: &IcmpMessage<'_>) -> Option<Vec<u8>> {
        let (IpAddr::V6(src), IpAddr::V6(dst)) = (packet.src, packet.dst) else { return None };
        ndp::answer(&self.config, &self.search, &ndp::Question { src_mac, src, dst, hop_limit: packet.ttl, message })
    }

    /// A router advertisement that nobody asked for, `None` without IPv6. To be sent when the link comes up and every
    /// [`ADVERTISE_INTERVAL`], or the container's default route expires.
    pub fn advertise(&self) -> Option<Vec<u8>> {
        ndp::advertise(&self.config, &self.search)
    }

    /// The frame that answers any IP packet that is for the link itself: [`Link::handle_udp`] and
    /// [`Link::handle_icmpv6`] in one.
    pub fn handle_ip(&self, src_mac: MacAddr, packet: &IpPacket<'_>) -> Option<Vec<u8>> {
        match &packet.transport {
            Transport::Udp(datagram) => self.handle_udp(src_mac, packet, datagram),
            Transport::Icmpv6(message) => self.handle_icmpv6(src_mac, packet, message),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
