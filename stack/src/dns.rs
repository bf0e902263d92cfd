//! Queries to the link's name server. Nothing is remembered of them: each goes to the edge with the end that it came from,
//! and whatever the edge has to say to that end goes back.

use std::net::SocketAddr;

use crate::config::{Config, DnsService};
use crate::edge::{Edge, Family, HEADROOM};
use crate::event::{Counter, Counters};
use crate::frame::{Ports, UDP_HEADER_LEN, udp, udp_headroom, write_udp_frame};
use crate::link::Wire;
use crate::policy;
use crate::udp::DATAGRAM_HEADROOM;

/// Hands what a datagram of the container's carries to the edge: one query, or several of `segment` bytes each but the last.
pub(crate) fn query<E: Edge>(
    guest: SocketAddr,
    payload: &[u8],
    segment: Option<u16>,
    counters: &mut Counters,
    edge: &mut E,
) {
    let size = segment.map_or(payload.len(), usize::from).max(1);
    for query in payload.chunks(size) {
        let outcome = edge.dns_query(guest, query);
        counters.count(if outcome.is_ok() { Counter::DnsQueries } else { Counter::DnsQueriesLost });
    }
}

/// Carries an answer, which stands in `buffer` from [`DATAGRAM_HEADROOM`] on, to the end of the container's that asked.
pub(crate) fn answer<E: Edge>(config: &Config, guest: SocketAddr, buffer: &mut [u8], wire: &mut Wire, edge: &mut E) {
    let Some(len) = buffer.len().checked_sub(DATAGRAM_HEADROOM) else { return };
    let Some(from) = policy::dns_server(config, Family::of(guest.ip())) else { return };
    if config.dns != DnsService::Edge {
        return;
    }
    let Some(ip) = wire.ip_header(from.ip(), guest.ip(), UDP_HEADER_LEN + len) else { return };
    let ports = Ports { src: from.port(), dst: guest.port() };
    if !wire.fits(ip.header_len() + UDP_HEADER_LEN + len) {
        let payload = buffer.get(DATAGRAM_HEADROOM..).unwrap_or_default();
        if let Ok(frame) = udp(wire.ethernet(), ip, ports, payload) {
            wire.send(frame, edge);
        }
        return;
    }
    let start = DATAGRAM_HEADROOM - udp_headroom(&ip);
    if let Some(frame) = buffer.get_mut(start..)
        && let Ok(offload) = write_udp_frame(frame, wire.ethernet(), &ip, ports, None)
    {
        edge.transmit(&mut buffer[start - HEADROOM..], offload);
    }
}
