//! UDP and echo mappings: bounded, expiring, independent of whom they talk to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rnet_stack::event::Counter;
use rnet_stack::{DATAGRAM_HEADROOM, Duration, Limits, PingId, UdpId};

use super::raw::{Raw, Seen, What};
use crate::support::config::{GUEST4, REMOTE4};
use crate::support::segment::ip_frame;

const SECOND: Duration = Duration::from_secs(1);
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9));

fn datagram(port: u16, to: IpAddr, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::new();
    datagram.extend_from_slice(&port.to_be_bytes());
    datagram.extend_from_slice(&9u16.to_be_bytes());
    datagram.extend_from_slice(&(8 + payload.len() as u16).to_be_bytes());
    datagram.extend_from_slice(&[0, 0]);
    datagram.extend_from_slice(payload);
    ip_frame(GUEST4, to, 17, 64, datagram, Some(6))
}

fn echo(identifier: u8) -> Vec<u8> {
    ip_frame(GUEST4, REMOTE4, 1, 64, vec![8, 0, 0, 0, 0, identifier, 0, 1, 0xaa], Some(2))
}

fn answer(raw: &mut Raw, mapping: UdpId, from: IpAddr, payload: &[u8]) -> Vec<Seen> {
    let mut buffer = vec![0; DATAGRAM_HEADROOM];
    buffer.extend_from_slice(payload);
    raw.stack.udp_received(raw.now, mapping, SocketAddr::new(from, 9), &mut buffer, None, &mut raw.host);
    raw.turn()
}

#[test]
fn one_mapping_serves_all_peers() {
    let mut raw = Raw::new(Limits::default());
    raw.send(&datagram(5000, REMOTE4, b"one"));
    raw.send(&datagram(5000, OTHER, b"two"));
    assert_eq!(raw.host.udp.len(), 1);
    let to: Vec<_> = raw.host.udp_sent.iter().map(|sent| (sent.1.ip(), &sent.2[..])).collect();
    assert_eq!(to, [(REMOTE4, &b"one"[..]), (OTHER, b"two")]);
    // Somebody it never sent to may write too.
    let stranger = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
    let seen = answer(&mut raw, UdpId(0), stranger, b"three");
    let what = What::Udp { src_port: 9, dst_port: 5000, payload: b"three".to_vec() };
    assert_eq!((seen[0].src, &seen[0].what), (stranger, &what));
}

#[test]
fn the_newest_mapping_is_refused_at_the_bound() {
    let mut raw = Raw::new(Limits { udp_mappings: 2, ..Limits::default() });
    assert_eq!(raw.send(&datagram(1, REMOTE4, b"a")), []);
    assert_eq!(raw.send(&datagram(2, REMOTE4, b"b")), []);
    assert_eq!(raw.send(&datagram(3, REMOTE4, b"c"))[0].what, What::Icmp(3, 13));
    assert_eq!(raw.stack.counters().get(Counter::UdpMappingLimit), 1);
    assert_eq!(raw.send(&datagram(1, REMOTE4, b"d")), []);
    assert_eq!(answer(&mut raw, UdpId(1), REMOTE4, b"e").len(), 1);
    assert_eq!((raw.host.udp_sent.len(), raw.stack.holdings().udp_mappings), (3, 2));
}

#[test]
fn mappings_end_when_idle() {
    let mut raw = Raw::new(Limits::default());
    raw.send(&datagram(1, REMOTE4, b"a"));
    raw.send(&datagram(2, REMOTE4, b"b"));
    raw.pass(SECOND * 20);
    answer(&mut raw, UdpId(1), REMOTE4, b"answer");
    raw.pass(SECOND * 11);
    assert_eq!(raw.stack.holdings().udp_mappings, 1, "30 s without an answer");
    raw.pass(SECOND * 280);
    assert_eq!(raw.stack.holdings().udp_mappings, 1);
    raw.pass(SECOND * 10);
    assert_eq!((raw.stack.holdings().udp_mappings, raw.host.udp.len()), (0, 0), "300 s with one");
    assert_eq!(raw.stack.poll_timeout(), None);
    // What comes for a mapping that is gone is nobody's.
    assert_eq!(answer(&mut raw, UdpId(1), REMOTE4, b"late"), []);
}

#[test]
fn echo_mappings_are_bounded_and_end_when_idle() {
    let mut raw = Raw::new(Limits { icmp_mappings: 1, ..Limits::default() });
    assert_eq!(raw.send(&echo(1)), []);
    assert_eq!(raw.send(&echo(2))[0].what, What::Icmp(3, 13));
    assert_eq!(raw.stack.counters().get(Counter::EchoMappingLimit), 1);
    raw.stack.ping_received(raw.now, PingId(0), REMOTE4, 1, &[0xaa], &mut raw.host);
    assert_eq!(raw.turn()[0].what, What::Icmp(0, 0));
    assert_eq!(raw.host.pings_sent, [(PingId(0), 1, vec![0xaa])]);
    raw.pass(SECOND * 61);
    assert_eq!((raw.stack.holdings().icmp_mappings, raw.host.ping.len(), raw.stack.poll_timeout()), (0, 0, None));
    assert_eq!(raw.send(&echo(2)), []);
}

/// Each header would be a level of recursion, if the whole of one fragment were taken for a packet of its own again.
#[test]
fn fragments_within_fragments_are_bounded() {
    use crate::support::config::{GUEST6, REMOTE6};
    const HEADERS: usize = 8000;
    let mut packet = Vec::new();
    for at in 0..HEADERS {
        let next = if at + 1 == HEADERS { 17 } else { 44 };
        packet.extend_from_slice(&[next, 0, 0, 0, 0, 0, 0, at as u8]);
    }
    packet.extend_from_slice(&[0x13, 0x88, 0, 9, 0, 8, 0, 0]);
    let mut raw = Raw::new(Limits::default());
    raw.send(&ip_frame(GUEST6, REMOTE6, 44, 64, packet, None));
    assert_eq!(raw.stack.holdings().reassembly_bytes, 0);
}
