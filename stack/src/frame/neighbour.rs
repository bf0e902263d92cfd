//! The frames with which a link answers for an address: ARP replies, neighbour and router advertisements.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{
    ArpPacket, ETHERNET_HEADER_LEN, ETHERTYPE_ARP, MacAddr,
    header::{BuildError, Ethernet, Ipv6Header, write_ethernet},
    icmp::{IcmpHeader, icmpv6},
};

const ARP_LEN: usize = 28;

const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// The hop limit without which neighbour discovery is ignored (RFC 4861 section 7.1).
pub const NDP_HOP_LIMIT: u8 = 255;

const OPTION_SOURCE_LINK_LAYER: u8 = 1;
const OPTION_TARGET_LINK_LAYER: u8 = 2;
const OPTION_PREFIX: u8 = 3;
const OPTION_MTU: u8 = 5;
const OPTION_RDNSS: u8 = 25;
const OPTION_DNSSL: u8 = 31;

/// Router flag of a neighbour advertisement.
const NA_ROUTER: u8 = 0x80;
const NA_SOLICITED: u8 = 0x40;
const NA_OVERRIDE: u8 = 0x20;

const RA_MANAGED: u8 = 0x80;
const RA_OTHER: u8 = 0x40;

const PREFIX_ON_LINK: u8 = 0x80;
const PREFIX_AUTONOMOUS: u8 = 0x40;
/// The only prefix length from which an Ethernet interface makes addresses (RFC 4862 section 5.5.3 d, RFC 2464).
const SLAAC_PREFIX_LEN: u8 = 64;

/// DNS servers for which the option has room (RFC 8106 section 5.1): its length is a byte of eight bytes.
const SERVERS_MAX: usize = 127;

/// Whether a neighbour advertisement answers somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Solicited {
    /// It answers a solicitation that had a source address.
    Yes,
    /// It goes to all nodes, in answer to duplicate address detection.
    No,
}

/// What a router advertisement says (RFC 4861 section 4.2, RFC 8106).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterAdvertisement<'a> {
    /// The router's Ethernet address.
    pub mac: MacAddr,
    /// How long this is a default router, seconds.
    pub router_lifetime: u16,
    /// The link's MTU, bytes, if it is told.
    pub mtu: Option<u32>,
    /// The prefix on the link; bits behind `prefix_len` are zero.
    pub prefix: Ipv6Addr,
    /// Length of the prefix, bits.
    pub prefix_len: u8,
    /// How long the prefix is valid, seconds.
    pub valid_lifetime: u32,
    /// How long addresses made from it are preferred, seconds.
    pub preferred_lifetime: u32,
    /// The recursive DNS servers; those that their option has room for are told.
    pub dns: &'a [Ipv6Addr],
    /// Domains to search, in wire format (RFC 1035 section 3.1), may be empty.
    pub search: &'a [u8],
    /// How long `dns` and `search` are valid, seconds.
    pub dns_lifetime: u32,
}

/// The reply to `request`: `address` is at `mac`.
pub fn arp_reply(mac: MacAddr, address: Ipv4Addr, request: &ArpPacket) -> Result<Vec<u8>, BuildError> {
    let mut frame = vec![0; ETHERNET_HEADER_LEN];
    write_ethernet(&mut frame, Ethernet { src: mac, dst: request.sender_mac }, ETHERTYPE_ARP)?;
    frame.reserve_exact(ARP_LEN);
    frame.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, 2]);
    frame.extend_from_slice(&mac.0);
    frame.extend_from_slice(&address.octets());
    frame.extend_from_slice(&request.sender_mac.0);
    frame.extend_from_slice(&request.sender_ip.octets());
    Ok(frame)
}

/// A neighbour advertisement (RFC 4861 section 4.4) from `src`, a router: `target` is at `ethernet.src`.
pub fn neighbour_advertisement(
    ethernet: Ethernet,
    src: Ipv6Addr,
    dst: Ipv6Addr,
    target: Ipv6Addr,
    solicited: Solicited,
) -> Result<Vec<u8>, BuildError> {
    let flags = match solicited {
        Solicited::Yes => NA_ROUTER | NA_OVERRIDE | NA_SOLICITED,
        Solicited::No => NA_ROUTER | NA_OVERRIDE,
    };
    let mut body = target.octets().to_vec();
    link_layer_option(&mut body, OPTION_TARGET_LINK_LAYER, ethernet.src);
    let icmp = IcmpHeader { kind: NEIGHBOUR_ADVERTISEMENT, code: 0, rest: [flags, 0, 0, 0] };
    icmpv6(ethernet, discovery(src, dst), icmp, &body)
}

/// A router advertisement that sends hosts to DHCPv6 as well (the M and O flags of RFC 4861 section 4.2).
pub fn router_advertisement(
    ethernet: Ethernet,
    src: Ipv6Addr,
    dst: Ipv6Addr,
    says: &RouterAdvertisement<'_>,
) -> Result<Vec<u8>, BuildError> {
    // Reachable time and retransmission timer: unspecified.
    let mut body = vec![0; 8];
    link_layer_option(&mut body, OPTION_SOURCE_LINK_LAYER, says.mac);
    if let Some(mtu) = says.mtu {
        body.extend_from_slice(&[OPTION_MTU, 1, 0, 0]);
        body.extend_from_slice(&mtu.to_be_bytes());
    }

    let autonomous = if says.prefix_len == SLAAC_PREFIX_LEN { PREFIX_AUTONOMOUS } else { 0 };
    body.extend_from_slice(&[OPTION_PREFIX, 4, says.prefix_len, PREFIX_ON_LINK | autonomous]);
    body.extend_from_slice(&says.valid_lifetime.to_be_bytes());
    body.extend_from_slice(&says.preferred_lifetime.to_be_bytes());
    body.extend_from_slice(&[0; 4]);
    body.extend_from_slice(&says.prefix.octets());

    let servers = says.dns.get(..says.dns.len().min(SERVERS_MAX)).unwrap_or_default();
    if !servers.is_empty() {
        body.extend_from_slice(&[OPTION_RDNSS, 1 + 2 * servers.len() as u8, 0, 0]);
        body.extend_from_slice(&says.dns_lifetime.to_be_bytes());
        servers.iter().for_each(|server| body.extend_from_slice(&server.octets()));
    }
    search_option(&mut body, says);

    let [high, low] = says.router_lifetime.to_be_bytes();
    // Current hop limit 64.
    let rest = [64, RA_MANAGED | RA_OTHER, high, low];
    icmpv6(ethernet, discovery(src, dst), IcmpHeader { kind: ROUTER_ADVERTISEMENT, code: 0, rest }, &body)
}

/// The DNS search list (RFC 8106 section 5.2), padded to eight bytes; none when it is empty or its length cannot be stated.
fn search_option(body: &mut Vec<u8>, says: &RouterAdvertisement<'_>) {
    let units = 1 + says.search.len().div_ceil(8);
    let Ok(len) = u8::try_from(units) else { return };
    if says.search.is_empty() {
        return;
    }
    let end = body.len() + units * 8;
    body.extend_from_slice(&[OPTION_DNSSL, len, 0, 0]);
    body.extend_from_slice(&says.dns_lifetime.to_be_bytes());
    body.extend_from_slice(says.search);
    body.resize(end, 0);
}

fn link_layer_option(body: &mut Vec<u8>, kind: u8, mac: MacAddr) {
    body.extend_from_slice(&[kind, 1]);
    body.extend_from_slice(&mac.0);
}

fn discovery(src: Ipv6Addr, dst: Ipv6Addr) -> Ipv6Header {
    Ipv6Header { src, dst, hop_limit: NDP_HOP_LIMIT, traffic_class: 0 }
}
