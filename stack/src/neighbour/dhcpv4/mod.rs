//! A DHCPv4 server with one address to give, to whoever asks (RFC 2131).

mod message;
mod reply;

use std::net::Ipv4Addr;

use message::{Kind, Message};
use reply::{Grant, Reply};

use super::{LinkConfig, LinkV4};
use crate::frame::{Ethernet, Ipv4Header, MacAddr, Ports, UdpDatagram, udp4};

const CLIENT_PORT: u16 = 68;
const BROADCAST_MAC: MacAddr = MacAddr([0xff; 6]);

/// The answer to a client's message; `src` is the source of its IP packet.
pub(super) fn answer(config: &LinkConfig, search: &[u8], src: Ipv4Addr, datagram: &UdpDatagram<'_>) -> Option<Vec<u8>> {
    let v4 = config.ipv4.as_ref()?;
    let v4 = &LinkV4 { address: config.lease.unwrap_or(v4.address), ..*v4 };
    let message = Message::parse(datagram.payload)?;
    let grant = decide(v4, &message)?;
    let reply = Reply { config, v4, search, message: &message, grant };
    let (mac, address) = destination(v4, &message, grant, src);
    let ip = Ipv4Header { src: v4.gateway, dst: address, ttl: 64, tos: 0, id: None };
    let ports = Ports { src: super::DHCPV4_SERVER_PORT, dst: CLIENT_PORT };
    udp4(Ethernet { src: config.mac, dst: mac }, ip, ports, &reply.build()).ok()
}

/// What the client gets, if it gets an answer (RFC 2131 section 4.3).
fn decide(v4: &LinkV4, message: &Message<'_>) -> Option<Grant> {
    match message.kind {
        Kind::Discover if message.rapid_commit => Some(Grant::Lease),
        Kind::Discover => Some(Grant::Offer),
        Kind::Request => {
            // A client that chose another server's offer tells so by naming it.
            if message.server.is_some_and(|server| server != v4.gateway) {
                return None;
            }
            // Renewing and rebinding clients name their address in the header, all others in an option.
            let wanted = message.requested.unwrap_or(message.client_address);
            Some(if wanted == v4.address { Grant::Lease } else { Grant::Refusal })
        }
        Kind::Inform => Some(Grant::Parameters),
        Kind::Decline | Kind::Release => None,
    }
}

/// Where a reply goes (RFC 2131 section 4.1).
fn destination(v4: &LinkV4, message: &Message<'_>, grant: Grant, src: Ipv4Addr) -> (MacAddr, Ipv4Addr) {
    const EVERYBODY: (MacAddr, Ipv4Addr) = (BROADCAST_MAC, Ipv4Addr::BROADCAST);
    match grant {
        Grant::Refusal => EVERYBODY,
        _ if !message.client_address.is_unspecified() => (message.hardware, message.client_address),
        Grant::Parameters if src.is_unspecified() => EVERYBODY,
        Grant::Parameters => (message.hardware, src),
        _ if message.wants_broadcast => EVERYBODY,
        _ => (message.hardware, v4.address),
    }
}
