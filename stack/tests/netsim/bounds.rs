//! At a bound the newest is refused and counted, and nobody else suffers.

use rnet_stack::event::Counter;
use rnet_stack::{Duration, Limits, RingClass};

use super::host::Connect;
use super::raw::{End, Raw};
use crate::support::segment::{ACK, RST};

fn refused(raw: &mut Raw, end: &End) {
    let seen = raw.send(&end.syn());
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].flags() & RST, RST);
}

/// The first flow goes on whatever the others met.
fn assert_works(raw: &mut Raw, end: &mut End) {
    end.write(ACK, b"ping", raw);
    assert_eq!(raw.host.conns[0].peer_read(100), b"ping");
    raw.host.conns[0].peer_write(b"pong");
    let seen = raw.turn();
    assert_eq!(end.take(&seen).0, b"pong");
}

#[test]
fn flows() {
    let mut raw = Raw::new(Limits { tcp_flows: 3, ..Limits::default() });
    let mut first = End::open(1, 80, &mut raw);
    End::open(2, 80, &mut raw);
    let mut third = End::open(3, 80, &mut raw);
    for port in 4..10 {
        refused(&mut raw, &End::new(port, 80));
    }
    assert_eq!((raw.stack.counters().get(Counter::TcpFlowLimit), raw.stack.holdings().tcp_flows), (6, 3));
    assert_works(&mut raw, &mut first);
    third.write(RST, &[], &mut raw);
    End::open(4, 80, &mut raw);
}

#[test]
fn half_open_flows() {
    let mut raw = Raw::new(Limits { tcp_half_open: 2, ..Limits::default() });
    let mut first = End::open(1, 80, &mut raw);
    raw.plan(81, Connect::Never);
    raw.send(&End::new(2, 81).syn());
    raw.send(&End::new(3, 81).syn());
    refused(&mut raw, &End::new(4, 81));
    refused(&mut raw, &End::new(5, 80));
    assert_eq!((raw.stack.counters().get(Counter::TcpHalfOpenLimit), raw.stack.holdings().tcp_half_open), (2, 2));
    assert_works(&mut raw, &mut first);
    assert_eq!(raw.rings.lent.get(), 1, "a flood of SYNs costs no rings");
}

#[test]
fn buffer_bytes() {
    let bytes = RingClass::Small.bytes() * 2;
    let mut raw = Raw::new(Limits { buffer_bytes: bytes, ..Limits::default() });
    let mut first = End::open(1, 80, &mut raw);
    let mut second = End::open(2, 80, &mut raw);
    refused(&mut raw, &End::new(3, 80));
    assert_eq!((raw.stack.counters().get(Counter::TcpBufferLimit), raw.stack.holdings().buffer_bytes), (1, bytes));
    assert_eq!((raw.stack.holdings().tcp_flows, raw.host.open()), (2, 2));
    assert_works(&mut raw, &mut first);
    second.write(RST, &[], &mut raw);
    End::open(3, 80, &mut raw);
}

/// However many flows there are, the last one still finds a buffer, if a small one.
#[test]
fn early_flows_leave_room_for_late_ones() {
    let limits = Limits { tcp_flows: 200, tcp_half_open: 10, buffer_bytes: 12 << 20, ..Limits::default() };
    let mut raw = Raw::new(limits);
    for port in 1..=200 {
        End::open(port, 80, &mut raw);
        assert!(raw.stack.holdings().buffer_bytes <= limits.buffer_bytes);
    }
    assert_eq!(raw.stack.counters().get(Counter::TcpBufferLimit), 0);
}

#[test]
fn idle_flows_give_their_pages_back_and_stop_asking_for_turns() {
    let mut raw = Raw::new(Limits::default());
    let mut end = End::open(1, 80, &mut raw);
    assert_works(&mut raw, &mut end);
    end.write(ACK, &[], &mut raw);
    assert_eq!(raw.rings.released.get(), 0);
    raw.pass(Duration::from_secs(6));
    assert_eq!((raw.rings.released.get(), raw.stack.poll_timeout()), (1, None));
    assert_works(&mut raw, &mut end);
    end.write(ACK, &[], &mut raw);
    raw.pass(Duration::from_secs(6));
    assert_eq!((raw.rings.released.get(), raw.stack.poll_timeout()), (2, None));
    // Those of ended flows too, even when none follows.
    assert_works(&mut raw, &mut end);
    end.write(RST, &[], &mut raw);
    raw.pass(Duration::from_secs(6));
    assert_eq!((raw.rings.released.get(), raw.stack.poll_timeout()), (3, None));
}

/// What has come before the bytes that it follows is in the ring, although nothing is queued.
#[test]
fn pages_with_bytes_behind_a_gap_are_kept() {
    let mut raw = Raw::new(Limits::default());
    let mut end = End::open(1, 80, &mut raw);
    end.seq += 5;
    raw.send(&end.segment(ACK, b"later"));
    raw.pass(Duration::from_secs(6));
    assert_eq!(raw.rings.released.get(), 0);
    end.seq -= 5;
    raw.send(&end.segment(ACK, b"first"));
    assert_eq!(raw.host.conns[0].peer_read(100), b"firstlater");
    raw.pass(Duration::from_secs(6));
    assert_eq!((raw.rings.released.get(), raw.stack.poll_timeout()), (1, None));
}
