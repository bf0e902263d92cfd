//! Several stacks that serve one container: each frame may reach any of them, each flow is one stack's.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use rnet_stack::event::{Counter, DropReason};
use rnet_stack::frame::{MacAddr, Offload, fragment};
use rnet_stack::{Claim, Close, DATAGRAM_HEADROOM, Diverted, Duration, HostError, Limits, Peer, PingId, UdpId};

use super::host::Connect;
use super::raw::{End, Raw, Seen, What};
use crate::support::config::{GUEST4, GUEST6, REMOTE4};
use crate::support::segment::{ACK, FIN, PSH, RST, SYN, ip_frame};

const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9));

/// What a simulated host knows of the other stacks.
#[derive(Clone, Debug)]
pub struct Share {
    number: u32,
    common: Rc<RefCell<Common>>,
}

#[derive(Debug, Default)]
struct Common {
    claims: HashMap<Claim, u32>,
    boxes: Vec<Vec<(MacAddr, Vec<u8>, Offload)>>,
    learned: Vec<MacAddr>,
    is_full: bool,
}

impl Share {
    pub fn claim(&self, what: &Claim) -> Result<(), Peer> {
        let owner = *self.common.borrow_mut().claims.entry(*what).or_insert(self.number);
        if owner == self.number { Ok(()) } else { Err(Peer(owner)) }
    }

    /// As strict as the rest of the host: only what was claimed can be released.
    pub fn release(&self, what: &Claim) {
        assert_eq!(self.common.borrow_mut().claims.remove(what), Some(self.number), "{what:?}");
    }

    pub fn owner(&self, what: &Claim) -> Option<Peer> {
        let owner = self.common.borrow().claims.get(what).copied()?;
        (owner != self.number).then_some(Peer(owner))
    }

    pub fn lead(&self) -> Option<Peer> {
        (self.number != 0).then_some(Peer(0))
    }

    pub fn divert(&self, to: Peer, packet: &Diverted<'_>) -> Result<(), HostError> {
        assert_ne!(to.0, self.number, "diverted to itself");
        let mut common = self.common.borrow_mut();
        if common.is_full {
            return Err(HostError::WouldBlock);
        }
        common.boxes[to.0 as usize].push((packet.mac, packet.packet.to_vec(), packet.offload));
        Ok(())
    }

    pub fn learned(&self, mac: MacAddr) {
        self.common.borrow_mut().learned.push(mac);
    }
}

/// Two stacks of one container.
struct Pair {
    stacks: [Raw; 2],
    common: Rc<RefCell<Common>>,
}

impl Pair {
    fn new(limits: Limits) -> Pair {
        let common = Rc::new(RefCell::new(Common { boxes: vec![Vec::new(); 2], ..Common::default() }));
        let stacks = [0, 1].map(|number| {
            let mut raw = Raw::new(limits);
            raw.host.share = Some(Share { number, common: Rc::clone(&common) });
            raw
        });
        Pair { stacks, common }
    }

    /// Hands a frame to one of the stacks; what each of them sends to the container then.
    fn send(&mut self, at: usize, frame: &[u8]) -> [Vec<Seen>; 2] {
        self.stacks[at].feed(frame);
        self.deliver();
        self.turn()
    }

    /// Delivers what was diverted, until nothing is.
    fn deliver(&mut self) {
        while self.common.borrow().boxes.iter().any(|mail| !mail.is_empty()) {
            for (number, raw) in self.stacks.iter_mut().enumerate() {
                let mail = std::mem::take(&mut self.common.borrow_mut().boxes[number]);
                for (mac, packet, offload) in mail {
                    let diverted = Diverted { mac, packet: &packet, offload };
                    raw.stack.handle_diverted(raw.now, &diverted, &mut raw.host);
                }
            }
        }
    }

    fn turn(&mut self) -> [Vec<Seen>; 2] {
        self.stacks.each_mut().map(Raw::turn)
    }

    fn pass(&mut self, time: Duration) -> [Vec<Seen>; 2] {
        self.stacks.each_mut().map(|raw| raw.pass(time))
    }

    fn claims(&self) -> usize {
        self.common.borrow().claims.len()
    }

    fn diverted(&self) -> [u64; 2] {
        self.stacks.each_ref().map(|raw| raw.stack.counters().get(Counter::Diverted))
    }

    fn astray(&self) -> [u64; 2] {
        self.stacks.each_ref().map(|raw| raw.stack.drops().get(DropReason::Astray))
    }

    /// A connection whose SYN reached one of the stacks and all the rest the other.
    fn open(&mut self, port: u16, at: usize) -> End {
        let mut end = End::new(port, 80);
        let mut answers = self.send(at, &end.syn());
        let [answer] = &answers[at][..] else { panic!("one SYN-ACK, not {answers:?}") };
        let (flags, seq, ack, _) = answer.tcp();
        assert_eq!((flags, ack), (SYN | ACK, end.seq + 1));
        end.seq += 1;
        end.ack = seq.wrapping_add(1);
        answers = self.send(1 - at, &end.segment(ACK, &[]));
        assert!(answers.iter().all(Vec::is_empty), "{answers:?}");
        end
    }
}

fn datagram(port: u16, to: IpAddr, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::new();
    datagram.extend_from_slice(&port.to_be_bytes());
    datagram.extend_from_slice(&9u16.to_be_bytes());
    datagram.extend_from_slice(&(8 + payload.len() as u16).to_be_bytes());
    datagram.extend_from_slice(&[0, 0]);
    datagram.extend_from_slice(payload);
    ip_frame(GUEST4, to, 17, 64, datagram, Some(6))
}

#[test]
fn a_flow_stays_with_the_stack_that_its_syn_reached() {
    for at in [0, 1] {
        let mut pair = Pair::new(Limits::default());
        let mut end = pair.open(4000, at);
        let data = end.segment(ACK | PSH, b"hello");
        end.seq += 5;
        let answers = pair.send(1 - at, &data);
        assert!(answers[1 - at].is_empty(), "{answers:?}");
        let conn = &mut pair.stacks[at].host.conns[0];
        assert_eq!(conn.peer_read(100), b"hello");
        conn.peer_write(b"back");
        let answers = pair.turn();
        assert_eq!(end.take(&answers[at]), (b"back".to_vec(), false));
        // The end comes half by one stack and half by the other.
        pair.stacks[at].host.conns[0].peer_close();
        let answers = pair.turn();
        assert!(end.take(&answers[at]).1);
        pair.send(at, &end.segment(ACK, &[]));
        pair.send(1 - at, &end.segment(FIN | ACK, &[]));
        pair.turn();
        assert_eq!(pair.stacks[at].host.conns[0].closed, Some(Close::Orderly));
        assert_eq!(pair.claims(), 0);
        let [mine, other] = [at, 1 - at].map(|number| &pair.stacks[number].stack);
        assert_eq!((mine.holdings().tcp_flows, other.counters().get(Counter::TcpNoFlow)), (0, 0));
        assert_eq!((pair.diverted()[1 - at], pair.diverted()[at], pair.astray()), (3, 0, [0, 0]));
    }
}

#[test]
fn a_port_can_be_used_again_by_way_of_the_other_stack() {
    let mut pair = Pair::new(Limits::default());
    let end = pair.open(4000, 0);
    pair.send(1, &end.segment(RST, &[]));
    assert_eq!((pair.claims(), pair.stacks[0].stack.holdings().tcp_flows), (0, 0));
    pair.open(4000, 1);
    assert_eq!((pair.claims(), pair.stacks[1].stack.holdings().tcp_flows), (1, 1));
}

#[test]
fn what_could_not_be_opened_is_nobodys() {
    let mut pair = Pair::new(Limits { tcp_flows: 1, udp_mappings: 1, icmp_mappings: 0, ..Limits::default() });
    pair.open(4000, 0);
    let answers = pair.send(0, &End::new(4001, 80).syn());
    assert_eq!(answers[0][0].flags(), RST | ACK);
    // The other stack has room.
    pair.open(4001, 1);
    for (port, answer) in [(1, None), (2, Some(What::Icmp(3, 13)))] {
        assert_eq!(pair.send(0, &datagram(port, REMOTE4, b"x"))[0].first().map(|seen| &seen.what), answer.as_ref());
    }
    let echo = ip_frame(GUEST4, REMOTE4, 1, 64, vec![8, 0, 0, 0, 0, 1, 0, 1, 0xaa], Some(2));
    assert_eq!(pair.send(0, &echo)[0][0].what, What::Icmp(3, 13));
    assert_eq!(pair.claims(), 3);
    // Nor what the host refused.
    let mut pair = Pair::new(Limits::default());
    pair.stacks[0].plan(81, Connect::AtOnce(HostError::Refused));
    pair.stacks[0].plan(82, Connect::After(Duration::ZERO, Err(HostError::Refused)));
    for port in [81, 82] {
        assert_eq!(pair.send(0, &End::new(4000, port).syn())[0][0].flags(), RST | ACK);
        assert_eq!(pair.claims(), 0);
    }
}

#[test]
fn a_syn_sent_again_by_another_way_waits_too() {
    let mut pair = Pair::new(Limits::default());
    pair.stacks[0].plan(80, Connect::Never);
    let end = End::new(4000, 80);
    for at in [0, 1, 1] {
        assert!(pair.send(at, &end.syn()).iter().all(Vec::is_empty));
    }
    assert_eq!(pair.stacks[0].stack.drops().get(DropReason::SynRetransmission), 2);
    assert_eq!(pair.stacks[1].host.conns.len(), 0);
}

#[test]
fn a_segment_of_no_flow_is_refused_at_once() {
    let mut pair = Pair::new(Limits::default());
    let answers = pair.send(1, &End::new(4000, 80).segment(ACK, b"late"));
    assert_eq!((answers[1][0].flags(), pair.diverted()), (RST, [0, 0]));
}

#[test]
fn one_mapping_serves_all_peers_by_whatever_way() {
    let mut pair = Pair::new(Limits::default());
    pair.send(1, &datagram(5000, REMOTE4, b"one"));
    pair.send(0, &datagram(5000, OTHER, b"two"));
    pair.send(1, &datagram(5000, OTHER, b"three"));
    let [lead, owner] = &pair.stacks;
    let sent: Vec<&[u8]> = owner.host.udp_sent.iter().map(|sent| &sent.2[..]).collect();
    assert_eq!((sent, lead.host.udp.len()), (vec![&b"one"[..], b"two", b"three"], 0));
    // It ends by itself, and another stack may have the next.
    pair.pass(Duration::from_secs(31));
    assert_eq!((pair.claims(), pair.stacks[1].host.udp.len()), (0, 0));
    pair.send(0, &datagram(5000, OTHER, b"four"));
    assert_eq!((pair.claims(), pair.stacks[0].host.udp.len()), (1, 1));
}

#[test]
fn a_closed_port_is_told_to_the_mapping_that_the_packet_quotes() {
    let mut pair = Pair::new(Limits::default());
    pair.send(1, &datagram(5000, REMOTE4, b"one"));
    let mut buffer = vec![0; DATAGRAM_HEADROOM];
    buffer.extend_from_slice(b"answer");
    let owner = &mut pair.stacks[1];
    owner.stack.udp_received(owner.now, UdpId(0), (REMOTE4, 9).into(), &mut buffer, None, &mut owner.host);
    let (delivered, _) = owner.host.frames.pop().unwrap();
    let mut message = vec![3, 3, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&delivered[14..]);
    pair.send(0, &ip_frame(GUEST4, REMOTE4, 1, 64, message, Some(2)));
    assert_eq!((pair.stacks[1].host.udp.len(), pair.claims(), pair.diverted()), (0, 0, [1, 0]));
}

#[test]
fn echoes_of_one_identifier_leave_by_one_socket() {
    let mut pair = Pair::new(Limits::default());
    for (at, to) in [(1, REMOTE4), (0, OTHER)] {
        pair.send(at, &ip_frame(GUEST4, to, 1, 64, vec![8, 0, 0, 0, 0, 7, 0, at as u8, 0xaa], Some(2)));
    }
    assert_eq!(pair.stacks[1].host.pings_sent, [(PingId(0), 1, vec![0xaa]), (PingId(0), 0, vec![0xaa])]);
    assert!(pair.stacks[0].host.ping.is_empty());
    pair.pass(Duration::from_secs(61));
    assert_eq!(pair.claims(), 0);
}

#[test]
fn fragments_come_together_wherever_they_arrive() {
    let mut pair = Pair::new(Limits::default());
    pair.send(1, &datagram(5000, REMOTE4, b"first"));
    let payload: Vec<u8> = (0..4000).map(|at| at as u8).collect();
    let fragments = fragment(datagram(5000, REMOTE4, &payload), 1500, 1).unwrap();
    assert_eq!(fragments.len(), 3);
    for (at, fragment) in [1, 0, 1].into_iter().zip(fragments) {
        pair.send(at, &fragment);
    }
    // From there the whole has gone to its owner.
    assert_eq!(pair.stacks[1].host.udp_sent[1].2, payload);
    assert_eq!((pair.diverted(), pair.astray()), ([1, 2], [0, 0]));
}

#[test]
fn a_packet_is_diverted_once_at_most() {
    let mut pair = Pair::new(Limits::default());
    let end = pair.open(4000, 0);
    let claim = *pair.common.borrow().claims.keys().next().unwrap();
    // While the packet is on its way the flow ends, and the other stack has a new one of the same name.
    pair.stacks[1].feed(&end.segment(ACK, b"late"));
    pair.send(0, &end.segment(RST, &[]));
    pair.stacks[0].feed(&end.segment(ACK, b"late"));
    assert_eq!(pair.common.borrow_mut().claims.insert(claim, 1), None);
    pair.stacks[0].feed(&end.segment(ACK, b"later"));
    pair.common.borrow_mut().claims.insert(claim, 0);
    pair.deliver();
    assert_eq!((pair.astray(), pair.diverted()), ([0, 1], [1, 2]));
}

#[test]
fn what_finds_no_room_is_dropped_and_counted() {
    let mut pair = Pair::new(Limits::default());
    let end = pair.open(4000, 0);
    pair.common.borrow_mut().is_full = true;
    assert!(pair.send(1, &end.segment(ACK, b"data")).iter().all(Vec::is_empty));
    assert_eq!(pair.astray(), [0, 1]);
    pair.common.borrow_mut().is_full = false;
    pair.send(1, &end.segment(ACK, b"data"));
    assert_eq!(pair.stacks[0].host.conns[0].peer_read(10), b"data");
}

#[test]
fn one_stack_alone_advertises() {
    let mut pair = Pair::new(Limits::default());
    let all_routers: IpAddr = "ff02::2".parse().unwrap();
    let mut solicitation = ip_frame(GUEST6, all_routers, 58, 255, vec![133, 0, 0, 0, 0, 0, 0, 0], Some(2));
    solicitation[21] = 255;
    let answers = pair.send(1, &solicitation);
    assert_eq!((answers[0].len(), answers[1].len()), (1, 0), "{answers:?}");
    assert_eq!(answers[0][0].what, What::Icmp(134, 0));
    let later = pair.pass(Duration::from_secs(3600));
    assert!(!later[0].is_empty() && later[1].is_empty());
}

#[test]
fn the_hardware_address_is_told_when_it_is_news() {
    let mut pair = Pair::new(Limits::default());
    let moved = MacAddr([2, 0, 0, 0, 0, 9]);
    let mut frame = datagram(5000, REMOTE4, b"x");
    pair.send(0, &frame);
    assert_eq!(pair.common.borrow().learned, [], "it was configured");
    frame[6..12].copy_from_slice(&moved.0);
    pair.send(0, &frame);
    pair.send(0, &frame);
    assert_eq!(pair.common.borrow().learned, [moved]);
    // The other stack has seen no frame, and what it sends goes to the right place all the same.
    let other = &mut pair.stacks[1];
    let mut buffer = vec![0; DATAGRAM_HEADROOM + 1];
    other.feed(&datagram(5001, REMOTE4, b"x"));
    other.stack.learn(moved);
    other.stack.udp_received(other.now, UdpId(0), (REMOTE4, 9).into(), &mut buffer, None, &mut other.host);
    assert_eq!(other.host.frames[0].0[..6], moved.0);
}
