//! Connect first: the container learns what became of the host's connect, and a flow is nothing but its SYN until then.

use std::net::SocketAddr;

use rnet_stack::event::{Counter, DropReason};
use rnet_stack::{Close, Duration, HostError, Limits};

use super::host::Connect;
use super::raw::{End, Raw, What};
use crate::support::config::{GUEST6, REMOTE6};
use crate::support::segment::{ACK, FIN, RST, SYN};

const SECOND: Duration = Duration::from_secs(1);

fn raw(plan: Connect) -> (Raw, End) {
    let mut raw = Raw::new(Limits::default());
    raw.plan(80, plan);
    (raw, End::new(40000, 80))
}

#[test]
fn a_refusal_is_a_reset() {
    let (mut raw, end) = raw(Connect::After(Duration::from_millis(30), Err(HostError::Refused)));
    assert_eq!(raw.send(&end.syn()), []);
    let seen = raw.pass(SECOND);
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].at.total_millis(), 30);
    let (flags, _, ack, _) = seen[0].tcp();
    assert_eq!((flags, ack), (RST | ACK, end.seq + 1));
    assert_eq!(raw.stack.holdings().tcp_flows, 0);
    assert_eq!(raw.rings.lent.get(), 0, "no rings for a connection that never was");
}

#[test]
fn unreachable_is_told_by_icmp_in_both_families() {
    let cases = [
        (HostError::NetUnreachable, (3, 0), (1, 0)),
        (HostError::HostUnreachable, (3, 1), (1, 3)),
        (HostError::Prohibited, (3, 13), (1, 1)),
    ];
    for (error, v4, v6) in cases {
        for plan in [Connect::AtOnce(error), Connect::After(SECOND, Err(error))] {
            let (mut raw, mut end) = raw(plan);
            let mut seen = raw.send(&end.syn());
            seen.extend(raw.pass(SECOND));
            assert_eq!(seen.iter().map(|seen| &seen.what).collect::<Vec<_>>(), [&What::Icmp(v4.0, v4.1)]);
            (end.local, end.remote) = (SocketAddr::new(GUEST6, 1), SocketAddr::new(REMOTE6, 80));
            let mut seen = raw.send(&end.syn());
            seen.extend(raw.pass(SECOND));
            assert_eq!(seen.iter().map(|seen| &seen.what).collect::<Vec<_>>(), [&What::Icmp(v6.0, v6.1)]);
            assert_eq!(raw.stack.holdings().tcp_flows, 0);
        }
    }
}

#[test]
fn silence_stays_silence() {
    let (mut raw, end) = raw(Connect::After(Duration::from_secs(130), Err(HostError::TimedOut)));
    assert_eq!(raw.send(&end.syn()), []);
    assert_eq!(raw.pass(Duration::from_secs(200)), []);
    assert_eq!(raw.stack.holdings().tcp_flows, 0);
}

#[test]
fn a_syn_sent_again_makes_no_second_flow() {
    let (mut raw, end) = raw(Connect::After(Duration::from_secs(4), Ok(())));
    for _ in 0..3 {
        assert_eq!(raw.send(&end.syn()), []);
        assert_eq!(raw.pass(SECOND), []);
    }
    assert_eq!((raw.host.conns.len(), raw.stack.drops().get(DropReason::SynRetransmission)), (1, 2));
    let seen = raw.pass(SECOND);
    assert_eq!(seen.iter().map(super::raw::Seen::flags).collect::<Vec<_>>(), [SYN | ACK]);
    // And one that crosses the answer changes nothing.
    raw.send(&end.syn());
    assert_eq!((raw.host.conns.len(), raw.stack.holdings().tcp_flows), (1, 1));
}

#[test]
fn a_reset_ends_the_attempt() {
    let (mut raw, mut end) = raw(Connect::Never);
    raw.send(&end.syn());
    end.seq += 1;
    assert_eq!(raw.send(&end.segment(RST, &[])), []);
    assert_eq!((raw.stack.holdings().tcp_flows, raw.host.open()), (0, 0));
}

#[test]
fn a_handshake_left_unfinished_is_given_up() {
    let (mut raw, end) = raw(Connect::After(Duration::ZERO, Ok(())));
    raw.send(&end.syn());
    assert_eq!(raw.stack.holdings().tcp_half_open, 1);
    let seen = raw.pass(Duration::from_secs(11));
    assert_eq!(seen.last().map(super::raw::Seen::flags), Some(RST | ACK));
    assert_eq!(raw.stack.holdings().tcp_flows, 0);
    assert_eq!(raw.host.conns[0].closed, Some(Close::Reset));
}

#[test]
fn a_reset_within_the_handshake_ends_it() {
    let (mut raw, mut end) = raw(Connect::After(Duration::ZERO, Ok(())));
    raw.send(&end.syn());
    end.seq += 1;
    raw.send(&end.segment(RST, &[]));
    assert_eq!((raw.stack.holdings().tcp_flows, raw.stack.holdings().tcp_half_open), (0, 0));
    assert_eq!(raw.host.conns[0].closed, Some(Close::Reset));
}

#[test]
fn data_and_an_end_may_come_with_the_handshake() {
    let (mut raw, mut end) = raw(Connect::After(Duration::ZERO, Ok(())));
    let seen = raw.send(&end.syn());
    end.seq += 1;
    end.ack = seen[0].tcp().1.wrapping_add(1);
    end.write(ACK | FIN, b"all at once", &mut raw);
    assert_eq!(raw.host.conns[0].peer_read(100), b"all at once");
    assert!(raw.host.conns[0].shut_down);
    assert_eq!(raw.stack.holdings().tcp_half_open, 0);
}

#[test]
fn segments_of_no_flow_are_answered_by_a_reset() {
    let mut raw = Raw::new(Limits::default());
    let mut end = End::new(40000, 80);
    end.ack = 777;
    for (flags, payload) in [(ACK, &b""[..]), (ACK | FIN, b""), (ACK, b"data"), (SYN | ACK, b"")] {
        let seen = raw.send(&end.segment(flags, payload));
        let (flags, seq, _, _) = seen[0].tcp();
        assert_eq!((flags & RST, seq), (RST, 777));
    }
    assert_eq!(raw.send(&end.segment(RST, &[])), []);
    assert_eq!(raw.stack.counters().get(Counter::TcpNoFlow), 5);
    assert_eq!(raw.stack.holdings().tcp_flows, 0);
}
