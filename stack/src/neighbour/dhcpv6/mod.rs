//! A DHCPv6 server with one address to give, to whoever asks (RFC 8415).

mod message;
mod reply;

use std::net::Ipv6Addr;

use message::{Kind, Message};
use reply::{Grant, Reply};

use super::{LinkConfig, LinkV6};
use crate::frame::{Ethernet, Ipv6Header, MacAddr, Ports, UdpDatagram, udp6};

const CLIENT_PORT: u16 = 546;

/// The server's identifier: a DUID made from its Ethernet address (RFC 8415 section 11.4).
fn server_id(mac: MacAddr) -> [u8; 10] {
    let [a, b, c, d, e, f] = mac.0;
    [0, 3, 0, 1, a, b, c, d, e, f]
}

/// The answer to a client's message; `src` is the source of its IP packet.
pub(super) fn answer(
    config: &LinkConfig,
    search: &[u8],
    src_mac: MacAddr,
    src: Ipv6Addr,
    datagram: &UdpDatagram<'_>,
) -> Option<Vec<u8>> {
    let v6 = config.ipv6.as_ref()?;
    let message = Message::parse(datagram.payload)?;
    let server = server_id(config.mac);
    if !is_valid(&message, &server) {
        return None;
    }
    let grant = decide(v6, &message)?;
    let reply = Reply { config, v6, search, server: &server, message: &message, grant };
    let ip = Ipv6Header { src: v6.link_local, dst: src, hop_limit: 64, traffic_class: 0 };
    let ports = Ports { src: super::DHCPV6_SERVER_PORT, dst: CLIENT_PORT };
    udp6(Ethernet { src: config.mac, dst: src_mac }, ip, ports, &reply.build()).ok()
}

/// Who must be named in a message of each kind (RFC 8415 section 16).
fn is_valid(message: &Message<'_>, server: &[u8]) -> bool {
    let names_us = message.server == Some(server);
    match message.kind {
        Kind::Solicit | Kind::Confirm | Kind::Rebind => message.client.is_some() && message.server.is_none(),
        Kind::Request | Kind::Renew | Kind::Release | Kind::Decline => message.client.is_some() && names_us,
        Kind::InformationRequest => message.associations.is_empty() && (names_us || message.server.is_none()),
    }
}

/// What the client gets (RFC 8415 section 18.3); `None` when it gets no answer.
fn decide(v6: &LinkV6, message: &Message<'_>) -> Option<Grant> {
    match message.kind {
        Kind::Solicit if !message.rapid_commit => Some(Grant::Advertise),
        Kind::Solicit | Kind::Request | Kind::Renew | Kind::Rebind => Some(Grant::Lease),
        Kind::InformationRequest => Some(Grant::Parameters),
        Kind::Release | Kind::Decline => Some(Grant::Done),
        Kind::Confirm => {
            let mut addresses = message.addresses().peekable();
            // With nothing to confirm there is nothing to say (RFC 8415 section 18.3.3).
            addresses.peek()?;
            Some(if addresses.all(|address| v6.contains(address)) { Grant::Done } else { Grant::NotOnLink })
        }
    }
}
