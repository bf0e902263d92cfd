//! Neighbour discovery as the only router and neighbour of one container (RFC 4861).

use std::net::Ipv6Addr;

use super::{Answer, LinkConfig, LinkV6};
use crate::{
    Duration,
    frame::{
        Ethernet, IcmpMessage, MacAddr, NDP_HOP_LIMIT, RouterAdvertisement, Solicited, neighbour_advertisement,
        router_advertisement,
    },
};

/// The usual link-local address of the link's other end; router advertisements must come from one (RFC 4861 section 6.1.2).
pub const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
/// How often a router advertisement is sent unasked, a third of its lifetime (RFC 4861 section 6.2.1).
pub const ADVERTISE_INTERVAL: Duration = Duration::from_secs(600);

const ROUTER_LIFETIME_SECS: u16 = 1800;
/// AdvValidLifetime's default (RFC 4861 section 6.2.1).
const VALID_LIFETIME_SECS: u32 = 30 * 86_400;
/// AdvPreferredLifetime's default.
const PREFERRED_LIFETIME_SECS: u32 = 7 * 86_400;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: MacAddr = MacAddr([0x33, 0x33, 0, 0, 0, 1]);

const ROUTER_SOLICITATION: u8 = 133;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const OPTION_SOURCE_LINK_LAYER: u8 = 1;

/// A solicitation and what its headers say.
pub(super) struct Question<'a> {
    pub src_mac: MacAddr,
    pub src: Ipv6Addr,
    pub dst: Ipv6Addr,
    pub hop_limit: u8,
    pub message: &'a IcmpMessage<'a>,
}

/// The answer to a neighbour or router solicitation.
pub(super) fn answer(config: &LinkConfig, search: &[u8], question: &Question<'_>) -> Option<Vec<u8>> {
    let v6 = config.ipv6.as_ref()?;
    // Nothing that crossed a router is neighbour discovery (RFC 4861 sections 6.1.1 and 7.1.1).
    if question.hop_limit != NDP_HOP_LIMIT || question.message.code != 0 {
        return None;
    }
    match question.message.kind {
        _ if !config.offers.ndp => None,
        ROUTER_SOLICITATION => solicited_router(config, v6, search, question),
        NEIGHBOUR_SOLICITATION => solicited_neighbour(config, v6, question),
        _ => None,
    }
}

/// A router advertisement to all nodes.
pub(super) fn advertise(config: &LinkConfig, search: &[u8]) -> Option<Vec<u8>> {
    let v6 = config.ipv6.as_ref().filter(|_| config.offers.ndp)?;
    advertisement(config, v6, search, ALL_NODES_MAC, ALL_NODES)
}

fn solicited_router(config: &LinkConfig, v6: &LinkV6, search: &[u8], question: &Question<'_>) -> Option<Vec<u8>> {
    let options = Options::parse(question.message.body)?;
    if question.src.is_unspecified() {
        return if options.names_source { None } else { advertise(config, search) };
    }
    advertisement(config, v6, search, question.src_mac, question.src)
}

fn solicited_neighbour(config: &LinkConfig, v6: &LinkV6, question: &Question<'_>) -> Option<Vec<u8>> {
    let (target, options) = question.message.body.split_first_chunk::<16>()?;
    let target = Ipv6Addr::from(*target);
    let options = Options::parse(options)?;
    let own = target == v6.link_local || target == v6.gateway || Some(target) == v6.dns;
    if target == v6.address || target.is_multicast() {
        return None;
    }
    if question.src.is_unspecified() {
        // Duplicate address detection: the container wants an address, and may have any but ours.
        if !own || options.names_source || !is_solicited_node(question.dst) {
            return None;
        }
        let ethernet = Ethernet { src: config.mac, dst: ALL_NODES_MAC };
        return neighbour_advertisement(ethernet, target, ALL_NODES, target, Solicited::No).ok();
    }
    let answers = match config.answer {
        Answer::Own => own,
        // Link-local addresses but ours are the container's, and some are nobody's.
        Answer::All => own || anyone(target),
    };
    if !answers {
        return None;
    }
    let ethernet = Ethernet { src: config.mac, dst: question.src_mac };
    neighbour_advertisement(ethernet, target, question.src, target, Solicited::Yes).ok()
}

/// Whether some host may have this address.
fn anyone(address: Ipv6Addr) -> bool {
    !(address.is_unicast_link_local()
        || address.is_unspecified()
        || address.is_loopback()
        || address.to_ipv4_mapped().is_some())
}

fn advertisement(config: &LinkConfig, v6: &LinkV6, search: &[u8], dst_mac: MacAddr, dst: Ipv6Addr) -> Option<Vec<u8>> {
    if !config.offers.advertisements {
        return None;
    }
    let dns: Vec<Ipv6Addr> = config.dns6().collect();
    let says = RouterAdvertisement {
        mac: config.mac,
        router_lifetime: ROUTER_LIFETIME_SECS,
        mtu: config.offers.mtu.then_some(u32::from(config.mtu)),
        prefix: v6.subnet(),
        prefix_len: v6.prefix,
        valid_lifetime: VALID_LIFETIME_SECS,
        preferred_lifetime: PREFERRED_LIFETIME_SECS,
        dns: &dns,
        search,
        dns_lifetime: u32::from(ROUTER_LIFETIME_SECS),
    };
    router_advertisement(Ethernet { src: config.mac, dst: dst_mac }, v6.link_local, dst, &says).ok()
}

/// ff02::1:ff00:0/104 (RFC 4291 section 2.7.1).
fn is_solicited_node(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [0xff02, 0, 0, 0, 0, 1, 0xff00..=0xffff, _])
}

/// What matters in the options of a solicitation.
struct Options {
    /// Whether one names the sender's Ethernet address.
    names_source: bool,
}

impl Options {
    /// `None` when an option has no length or doesn't fit (RFC 4861 section 4.6).
    fn parse(mut bytes: &[u8]) -> Option<Options> {
        let mut options = Options { names_source: false };
        while let [kind, units, ..] = bytes {
            if *units == 0 {
                return None;
            }
            options.names_source |= *kind == OPTION_SOURCE_LINK_LAYER;
            bytes = bytes.get(usize::from(*units) * 8..)?;
        }
        bytes.is_empty().then_some(options)
    }
}
