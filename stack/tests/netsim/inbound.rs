//! Connections that clients of published ports begin: what the container sees of them, and what its answer does.

use std::net::SocketAddr;

use rnet_stack::event::Counter;
use rnet_stack::frame::{ETHERNET_HEADER_LEN, Gso};
use rnet_stack::{Close, Duration, Limits, RingClass};

use super::link::Impairment;
use super::raw::{End, Raw, SYN_OPTIONS, Seen, What};
use super::transfer::{Direction, Transfer};
use super::world::{Ip, Opener};
use crate::support::config::{GUEST4, GUEST6, REMOTE4};
use crate::support::random::bytes;
use crate::support::segment::{ACK, FIN, RST, SYN, Segment};

const SECOND: Duration = Duration::from_secs(1);

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Accepts a client's connection for port 80; gives what the container sees and the container's end of it.
fn accept_from(raw: &mut Raw, client: &str) -> (Vec<Seen>, End) {
    let client = addr(client);
    let to = SocketAddr::new(if client.is_ipv4() { GUEST4 } else { GUEST6 }, 80);
    let flow = raw.stack.tcp_accepted(raw.now, client, to, &mut raw.host).expect("no bound is reached");
    raw.host.adopt(flow);
    let seen = raw.turn();
    let mut end = End::new(80, 0);
    end.local = to;
    if let [Seen { src, what: What::Tcp { src_port, seq, .. }, .. }] = seen[..] {
        end.remote = SocketAddr::new(src, src_port);
        end.ack = seq.wrapping_add(1);
    }
    (seen, end)
}

fn accept(raw: &mut Raw) -> End {
    accept_from(raw, "192.0.2.7:40000").1
}

fn syn_ack(end: &End, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let End { local: src, remote: dst, seq, ack, .. } = *end;
    Segment { src, dst, flags: SYN | ACK, seq, ack, window: 60_000, options, payload }.frame()
}

/// Goes through the handshake.
fn open(raw: &mut Raw) -> End {
    let mut end = accept(raw);
    let seen = raw.send(&syn_ack(&end, &SYN_OPTIONS, &[]));
    end.seq += 1;
    assert_eq!(seen.iter().map(Seen::tcp).collect::<Vec<_>>(), [(ACK, end.ack, end.seq, &b""[..])]);
    assert_eq!(raw.stack.holdings().tcp_half_open, 0);
    end
}

fn assert_over(raw: &Raw, how: Close) {
    assert_eq!(raw.host.conns.last().unwrap().closed, Some(how));
    let holdings = raw.stack.holdings();
    assert_eq!((holdings.tcp_flows, holdings.tcp_half_open, holdings.buffer_bytes), (0, 0, 0));
}

/// The options of the last frame that came to the container.
fn options(raw: &Raw) -> Vec<u8> {
    let tcp = &raw.frames.last().unwrap().0[ETHERNET_HEADER_LEN + 20..];
    tcp[20..usize::from(tcp[12] >> 4) * 4].to_vec()
}

/// The value and the echo of the timestamps option.
fn timestamps(options: &[u8]) -> Option<(u32, u32)> {
    let at = options.windows(2).position(|pair| pair == [8, 10])?;
    let word = |at: usize| u32::from_be_bytes(options[at..at + 4].try_into().unwrap());
    Some((word(at + 2), word(at + 6)))
}

#[test]
fn the_container_sees_the_clients_own_address() {
    for client in ["192.0.2.7:40000", "[2001:db8::7]:40000"] {
        let mut raw = Raw::new(Limits::default());
        let (seen, end) = accept_from(&mut raw, client);
        assert_eq!((seen.len(), seen[0].flags(), end.remote), (1, SYN, addr(client)));
        assert_eq!(raw.stack.counters().get(Counter::TcpFlowsAccepted), 1);
    }
}

#[test]
fn clients_that_the_container_cannot_answer_appear_as_the_gateway() {
    let of = [
        ("127.0.0.1:5000", "10.0.2.2:5000"),
        ("127.9.9.9:5001", "10.0.2.2:5001"),
        ("10.0.2.100:5002", "10.0.2.2:5002"),
        ("10.0.2.3:5003", "10.0.2.2:5003"),
        ("10.0.2.77:5004", "10.0.2.2:5004"),
        ("[::1]:5000", "[fd00::2]:5000"),
        ("[fd00::100]:5001", "[fd00::2]:5001"),
        ("[fe80::1]:5002", "[fd00::2]:5002"),
        ("10.0.3.1:5000", "10.0.3.1:5000"),
        ("[fd00:0:0:1::1]:5000", "[fd00:0:0:1::1]:5000"),
    ];
    for (client, name) in of {
        let mut raw = Raw::new(Limits::default());
        assert_eq!(accept_from(&mut raw, client).1.remote, addr(name), "{client}");
    }
}

#[test]
fn no_two_flows_have_one_name() {
    let mut raw = Raw::new(Limits::default());
    let first = accept_from(&mut raw, "127.0.0.1:5000").1;
    let second = accept_from(&mut raw, "127.0.0.2:5000").1;
    assert_eq!(first.remote, addr("10.0.2.2:5000"));
    assert!(second.remote.ip() == first.remote.ip() && second.remote.port() > 1023 && second.remote != first.remote);
    // One that the container opened has its name for itself too.
    let mut own = End::new(80, 4711);
    own.remote = addr("192.0.2.7:4711");
    raw.send(&own.syn());
    assert_ne!(accept_from(&mut raw, "192.0.2.7:4711").1.remote, own.remote);
}

#[test]
fn bytes_and_ends_go_both_ways() {
    let mut raw = Raw::new(Limits::default());
    let mut end = open(&mut raw);
    raw.host.conns[0].peer_write(b"request");
    raw.host.conns[0].peer_close();
    let seen = raw.turn();
    assert_eq!(end.take(&seen), (b"request".to_vec(), true));
    end.write(ACK, b"response", &mut raw);
    assert_eq!(raw.host.conns[0].peer_read(100), b"response");
    assert!(!raw.host.conns[0].shut_down);
    end.write(ACK | FIN, &[], &mut raw);
    assert_over(&raw, Close::Orderly);

    let mut end = open(&mut raw);
    end.write(ACK | FIN, b"greeting", &mut raw);
    assert_eq!(raw.host.conns[1].peer_read(100), b"greeting");
    assert!(raw.host.conns[1].shut_down);
    raw.host.conns[1].peer_write(b"thanks");
    raw.host.conns[1].peer_close();
    let seen = raw.turn();
    assert_eq!(end.take(&seen), (b"thanks".to_vec(), false));
    let seen = end.write(ACK, &[], &mut raw);
    assert_eq!(end.take(&seen), (vec![], true));
    end.write(ACK, &[], &mut raw);
    assert_over(&raw, Close::Orderly);
}

#[test]
fn what_the_client_sends_before_the_answer_waits_and_rides_on_the_handshake() {
    let mut raw = Raw::new(Limits::default());
    let mut end = accept(&mut raw);
    raw.host.conns[0].peer_write(b"hello");
    assert_eq!(raw.turn(), []);
    let seen = raw.send(&syn_ack(&end, &SYN_OPTIONS, &[]));
    end.seq += 1;
    assert_eq!((seen.len(), end.take(&seen).0), (1, b"hello".to_vec()));
}

#[test]
fn a_refusal_resets_the_client() {
    let mut raw = Raw::new(Limits::default());
    let end = accept(&mut raw);
    // A blind one does not.
    for (flags, ack) in [(RST, end.ack), (RST | ACK, end.ack + 1)] {
        let wrong =
            Segment { src: end.local, dst: end.remote, flags, seq: 0, ack, window: 0, options: &[], payload: &[] };
        assert_eq!(raw.send(&wrong.frame()), []);
        assert_eq!(raw.stack.holdings().tcp_half_open, 1);
    }
    assert_eq!(raw.send(&end.segment(RST | ACK, &[])), []);
    assert_over(&raw, Close::Reset);
}

#[test]
fn a_container_that_does_not_answer_is_given_up() {
    let mut raw = Raw::new(Limits::default());
    accept(&mut raw);
    let seen = raw.pass(SECOND * 11);
    let syns = seen.iter().filter(|seen| seen.flags() == SYN).count();
    assert!((2..=6).contains(&syns), "{syns} more SYNs");
    assert_eq!(seen.last().unwrap().flags() & RST, RST);
    assert_over(&raw, Close::Reset);
}

#[test]
fn bounds_hold_for_clients_too() {
    let mut raw = Raw::new(Limits { tcp_half_open: 2, ..Limits::default() });
    let client = |port: u16| SocketAddr::new(REMOTE4, port);
    let first = accept(&mut raw);
    accept_from(&mut raw, "192.0.2.7:40001");
    assert_eq!(raw.stack.tcp_accepted(raw.now, client(40002), (GUEST4, 80).into(), &mut raw.host), None);
    assert_eq!(raw.stack.counters().get(Counter::TcpHalfOpenLimit), 1);
    raw.send(&syn_ack(&first, &SYN_OPTIONS, &[]));
    assert!(raw.stack.tcp_accepted(raw.now, client(40002), (GUEST4, 80).into(), &mut raw.host).is_some());

    let mut raw = Raw::new(Limits { tcp_flows: 1, ..Limits::default() });
    accept(&mut raw);
    assert_eq!(raw.stack.tcp_accepted(raw.now, client(40002), (GUEST4, 80).into(), &mut raw.host), None);
    assert_eq!(raw.stack.counters().get(Counter::TcpFlowLimit), 1);
}

/// A container in TIME-WAIT takes a SYN for new by its timestamp, however soon it comes.
#[test]
fn timestamps_are_later_in_each_connection() {
    let mut raw = Raw::new(Limits::default());
    let mut last = None;
    for _ in 0..100 {
        let mut end = accept(&mut raw);
        let (value, echo) = timestamps(&options(&raw)).expect("timestamps in the SYN");
        assert!(echo == 0 && last.is_none_or(|last| value > last), "{value} after {last:?}");
        let with_timestamps = [&SYN_OPTIONS[..], &[1, 1, 8, 10, 0, 0, 0, 99], &value.to_be_bytes()].concat();
        raw.send(&syn_ack(&end, &with_timestamps, &[]));
        end.seq += 1;
        let (value, echo) = timestamps(&options(&raw)).expect("timestamps afterwards");
        assert_eq!(echo, 99);
        last = Some(value);
        end.write(RST, &[], &mut raw);
        raw.host.conns.clear();
    }
}

#[test]
fn flows_that_the_container_opens_use_no_timestamps() {
    let mut raw = Raw::new(Limits::default());
    let mut end = open(&mut raw);
    end.write(RST, &[], &mut raw);
    assert_over(&raw, Close::Reset);
    // The same endpoint serves again.
    let own = End::new(40000, 80);
    let offer = [&SYN_OPTIONS[..], &[1, 1, 8, 10, 0, 0, 0, 99, 0, 0, 0, 0]].concat();
    let syn = Segment {
        src: own.local,
        dst: own.remote,
        flags: SYN,
        seq: own.seq,
        ack: 0,
        window: 9000,
        options: &offer,
        payload: &[],
    };
    assert_eq!(raw.send(&syn.frame())[0].flags(), SYN | ACK);
    assert_eq!((timestamps(&options(&raw)), raw.rings.lent.get()), (None, 1));
}

/// What a container answers that is in TIME-WAIT and does not use timestamps: the reset ends that, and the next SYN comes
/// at once.
#[test]
fn an_answer_from_a_former_connection_costs_no_wait() {
    let mut raw = Raw::new(Limits::default());
    let mut end = accept(&mut raw);
    let mut old = end;
    (old.seq, old.ack) = (77_777, end.ack.wrapping_add(1_000_000));
    let seen = raw.send(&old.segment(ACK, &[]));
    assert_eq!(seen.iter().map(Seen::flags).collect::<Vec<_>>(), [RST, SYN]);
    assert_eq!(seen[0].tcp().1, old.ack);
    end.ack = seen[1].tcp().1.wrapping_add(1);
    let seen = raw.send(&syn_ack(&end, &SYN_OPTIONS, &[]));
    assert_eq!(seen.iter().map(Seen::flags).collect::<Vec<_>>(), [ACK]);

    // But not over and over.
    let end = accept_from(&mut raw, "192.0.2.7:40001").1;
    let mut old = end;
    let mut syns = 0;
    for _ in 0..50 {
        old.ack = old.ack.wrapping_add(12_345_678);
        syns += raw.send(&old.segment(ACK, &[])).iter().filter(|seen| seen.flags() == SYN).count();
        old.ack = old.ack.wrapping_add(12_345_678);
        syns += raw.send(&syn_ack(&old, &SYN_OPTIONS, &[])).iter().filter(|seen| seen.flags() == SYN).count();
    }
    assert_eq!(syns, 3);
    raw.pass(SECOND * 11);
    assert_eq!(raw.host.conns[1].closed, Some(Close::Reset));
}

#[test]
fn nonsense_in_place_of_an_answer_changes_nothing() {
    let mut raw = Raw::new(Limits::default());
    let mut end = accept(&mut raw);
    for flags in [SYN, SYN | FIN, SYN | FIN | ACK, SYN | RST | ACK, FIN, FIN | ACK, 0, 0xff, ACK] {
        let seen = raw.send(&end.segment(flags, b"x"));
        assert!(seen.iter().all(|seen| seen.flags() & SYN == 0), "{flags:#x} is answered by {seen:?}");
        assert_eq!(raw.stack.holdings().tcp_half_open, 1, "{flags:#x}");
    }
    // Data in the answer itself need not be taken, and is sent again.
    raw.send(&syn_ack(&end, &SYN_OPTIONS, b"early"));
    end.seq += 1;
    end.write(ACK, b"early", &mut raw);
    assert_eq!(raw.host.conns[0].peer_read(100), b"early");
    // So is an answer whose acknowledgement got lost.
    end.seq = 1000;
    let seen = raw.send(&syn_ack(&end, &SYN_OPTIONS, &[]));
    assert_eq!(seen.iter().map(|seen| (seen.flags(), seen.tcp().2)).collect::<Vec<_>>(), [(ACK, 1006)]);
}

#[test]
fn the_containers_mss_is_kept() {
    // Of the answer: MSS, and what the device is to cut to in a connection without and with timestamps.
    for (mss, cut) in [(1460, 1460), (1000, 1000), (0, 48), (1, 48), (65535, 1460)] {
        for stamped in [false, true] {
            let mut raw = Raw::new(Limits::default());
            let mut end = accept(&mut raw);
            let mut options = vec![1, 3, 3, 7, 2, 4];
            options.extend(u16::to_be_bytes(mss));
            if stamped {
                options.extend([1, 1, 8, 10, 0, 0, 0, 99, 0, 0, 0, 0]);
            }
            raw.host.conns[0].peer_write(bytes(0, 20_000));
            let seen = raw.send(&syn_ack(&end, &options, &[]));
            assert_eq!(end.take(&seen).0, bytes(0, 20_000), "{mss}");
            let (frame, offload) = raw.frames.last().unwrap();
            let cut = if stamped { (cut - 12_u16).max(1) } else { cut };
            assert_eq!((offload.gso, offload.gso_size), (Gso::Tcp4, cut), "{mss} {stamped} in {} bytes", frame.len());
        }
    }
}

/// smoltcp takes the window of a SYN for a scaled one until it has sent another packet.
#[test]
fn what_exceeds_the_ring_right_after_the_answer_is_left_out() {
    let mut raw = Raw::new(Limits::default());
    let mut end = accept(&mut raw);
    raw.feed(&syn_ack(&end, &SYN_OPTIONS, &[]));
    end.seq += 1;
    let mut far = end;
    let ring = RingClass::Large.receive_bytes() as u32;
    for offset in [ring - 1000, ring, ring + 100_000, 2 * ring - 20_000] {
        far.seq = end.seq + offset;
        raw.feed(&far.segment(ACK, bytes(0, 20_000)));
    }
    let seen = raw.turn();
    assert!(seen.iter().all(|seen| seen.flags() & RST == 0));
    end.write(ACK, bytes(0, 16_000), &mut raw);
    assert_eq!(raw.host.conns[0].peer_read(100_000), bytes(0, 16_000));
}

#[test]
fn the_client_may_be_gone_before_the_answer() {
    let mut raw = Raw::new(Limits::default());
    let mut end = accept(&mut raw);
    raw.host.conns[0].peer_reset();
    assert_eq!(raw.turn(), []);
    let seen = raw.send(&syn_ack(&end, &SYN_OPTIONS, &[]));
    assert!(seen.iter().any(|seen| seen.flags() & RST != 0), "{seen:?}");
    assert_over(&raw, Close::Orderly);
    end = accept(&mut raw);
    raw.host.conns[1].peer_close();
    raw.turn();
    let seen = raw.send(&syn_ack(&end, &SYN_OPTIONS, &[]));
    assert!(seen.iter().any(|seen| seen.flags() & FIN != 0), "{seen:?}");
}

#[test]
fn bulk_over_good_and_bad_links() {
    let bad = Impairment { delay: Duration::from_millis(1), loss: 10_000, reorder: 20_000, duplicate: 20_000 };
    for ip in [Ip::V4, Ip::V6] {
        for direction in [Direction::In, Direction::Out] {
            for mtu in [1500, 65520] {
                for impairment in [Impairment::default(), bad] {
                    Transfer { direction, ip, opener: Opener::Client, mtu, impairment, bytes: 2 << 20 }.run();
                }
            }
        }
    }
}
