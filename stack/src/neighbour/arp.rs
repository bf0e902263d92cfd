//! Who has this IPv4 address: the link does (RFC 826, RFC 5227).

use std::net::Ipv4Addr;

use super::{Answer, LinkConfig};
use crate::frame::{ArpOperation, ArpPacket, arp_reply};

/// The reply to a request for an address that the link answers for.
pub(super) fn answer(config: &LinkConfig, packet: &ArpPacket) -> Option<Vec<u8>> {
    let v4 = config.ipv4.as_ref()?;
    if packet.operation != ArpOperation::Request {
        return None;
    }
    let target = packet.target_ip;
    let own = target == v4.gateway || Some(target) == v4.dns;
    let answers = match config.answer {
        Answer::Own => own,
        // An announcement tells and doesn't ask. A probe (its sender is unspecified) asks whether the address is free, and
        // to the container all are but ours.
        Answer::All => own || (anyone(target) && packet.sender_ip != target && !packet.sender_ip.is_unspecified()),
    };
    if !answers || target == v4.address {
        return None;
    }
    arp_reply(config.mac, target, packet).ok()
}

fn anyone(address: Ipv4Addr) -> bool {
    !(address.is_unspecified() || address.is_multicast() || address.is_broadcast() || address.is_loopback())
}
