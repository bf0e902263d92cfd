//! How the end of either side reaches the other: in order, half, or by reset, with whatever was underway delivered.

use rnet_stack::{Close, Duration, Limits};

use super::host::CAPACITY;
use super::raw::{End, Raw, SHIFT};
use crate::support::random::bytes;
use crate::support::segment::{ACK, FIN, RST};

const SECOND: Duration = Duration::from_secs(1);

fn open() -> (Raw, End) {
    let mut raw = Raw::new(Limits::default());
    let end = End::open(40000, 80, &mut raw);
    (raw, end)
}

fn assert_over(raw: &Raw, how: Close) {
    assert_eq!(raw.host.conns[0].closed, Some(how));
    let holdings = raw.stack.holdings();
    assert_eq!((holdings.tcp_flows, holdings.tcp_half_open, holdings.buffer_bytes), (0, 0, 0));
}

#[test]
fn the_container_ends_first() {
    let (mut raw, mut end) = open();
    end.write(ACK | FIN, b"request", &mut raw);
    assert_eq!(raw.host.conns[0].peer_read(100), b"request");
    assert!(raw.host.conns[0].shut_down);
    raw.host.conns[0].peer_write(b"response");
    let seen = raw.turn();
    assert_eq!(end.take(&seen).0, b"response");
    assert_eq!(end.write(ACK, &[], &mut raw), []);
    raw.host.conns[0].peer_close();
    let seen = raw.turn();
    assert_eq!(end.take(&seen), (vec![], true));
    end.write(ACK, &[], &mut raw);
    assert_over(&raw, Close::Orderly);
}

#[test]
fn the_host_ends_first() {
    let (mut raw, mut end) = open();
    raw.host.conns[0].peer_write(b"greeting");
    raw.host.conns[0].peer_close();
    let seen = raw.turn();
    assert_eq!(end.take(&seen), (b"greeting".to_vec(), true));
    assert_eq!(end.write(ACK, b"still here", &mut raw).len(), 0);
    assert_eq!(raw.host.conns[0].peer_read(100), b"still here");
    assert_eq!(raw.host.conns[0].closed, None);
    end.write(ACK | FIN, b"bye", &mut raw);
    assert_eq!(raw.host.conns[0].peer_read(100), b"bye");
    assert_over(&raw, Close::Orderly);
}

#[test]
fn both_end_at_once() {
    let (mut raw, mut end) = open();
    raw.host.conns[0].peer_close();
    raw.feed(&end.segment(ACK | FIN, &[]));
    end.seq += 1;
    let seen = raw.turn();
    assert!(end.take(&seen).1);
    end.write(ACK, &[], &mut raw);
    assert_over(&raw, Close::Orderly);
}

#[test]
fn what_the_container_sent_before_its_reset_arrives() {
    let (mut raw, mut end) = open();
    // The host takes nothing until its peer reads.
    raw.host.conns[0].capacity = 10;
    end.write(ACK, bytes(0, 5000), &mut raw);
    end.write(RST, &[], &mut raw);
    assert_eq!(raw.host.conns[0].closed, None);
    let mut got = Vec::new();
    while raw.host.conns[0].closed.is_none() {
        got.extend(raw.host.conns[0].peer_read(1000));
        raw.turn();
    }
    got.extend(raw.host.conns[0].peer_read(1000));
    assert_eq!(got, bytes(0, 5000));
    assert_over(&raw, Close::Reset);
}

#[test]
fn what_the_host_sent_before_its_reset_arrives() {
    let (mut raw, mut end) = open();
    raw.host.conns[0].peer_write(bytes(0, 100_000));
    raw.turn();
    raw.host.conns[0].peer_reset();
    raw.turn();
    let mut got = 60_000;
    end.ack = end.ack.wrapping_add(60_000);
    let mut reset = false;
    while !reset {
        let seen = end.write(ACK, &[], &mut raw);
        reset = seen.iter().any(|seen| seen.flags() & RST != 0);
        let data: Vec<_> = seen.into_iter().filter(|seen| seen.flags() & RST == 0).collect();
        got += end.take(&data).0.len();
        raw.now += SECOND / 10;
    }
    assert_eq!(got, 100_000);
    assert_over(&raw, Close::Orderly);
}

#[test]
fn a_reset_does_not_wait_for_ever_for_a_container_that_takes_nothing() {
    let (mut raw, end) = open();
    raw.host.conns[0].peer_write(bytes(0, 100_000));
    raw.host.conns[0].peer_reset();
    let seen = raw.pass(SECOND * 6);
    assert_eq!(seen.last().unwrap().flags() & RST, RST);
    assert_over(&raw, Close::Orderly);
    assert_eq!(raw.send(&end.segment(ACK, &[]))[0].flags() & RST, RST);
}

/// A server that refuses an upload answers and closes without having read it all; the answer must not get lost.
#[test]
fn an_answer_survives_a_host_that_stops_listening() {
    let (mut raw, mut end) = open();
    raw.host.conns[0].peer_write(b"413 too large");
    raw.host.conns[0].peer_reset();
    // The upload is what runs into the reset first.
    raw.feed(&end.segment(ACK, &[1; 1000]));
    end.seq += 1000;
    let mut seen = raw.turn();
    seen.retain(|seen| seen.flags() & RST == 0);
    assert_eq!(end.take(&seen).0, b"413 too large");
    let seen = end.write(ACK, &[], &mut raw);
    assert_eq!(seen.last().unwrap().flags() & RST, RST);
    assert_over(&raw, Close::Orderly);
}

#[test]
fn a_lost_fin_is_sent_again_whatever_is_repeated_meanwhile() {
    let (mut raw, mut end) = open();
    raw.host.conns[0].peer_write(b"x");
    raw.host.conns[0].peer_close();
    let seen = raw.turn();
    assert!(seen.iter().any(|seen| seen.flags() & FIN != 0));
    // The container has the byte and not the FIN, and says so four times.
    end.ack = end.ack.wrapping_add(1);
    for _ in 0..4 {
        raw.send(&end.segment(ACK, &[]));
    }
    let seen = raw.pass(SECOND * 3);
    assert!(seen.iter().any(|seen| seen.flags() & FIN != 0), "{seen:?}");
}

/// smoltcp hears no window update in LAST-ACK.
#[test]
fn a_container_that_ended_and_reads_slowly_gets_everything() {
    let (mut raw, mut end) = open();
    end.write(ACK | FIN, b"request", &mut raw);
    raw.host.conns[0].peer_write(bytes(0, CAPACITY));
    raw.turn();
    raw.host.conns[0].peer_close();
    raw.turn();
    let mut got = Vec::new();
    let mut seen = Vec::new();
    for _ in 0..20 {
        // A full buffer, with the last of the flight thrown away; then all is read.
        end.ack = end.ack.wrapping_add(20_000);
        got.resize(got.len() + 20_000, 0);
        end.window = 0;
        seen = end.write(ACK, &[], &mut raw);
        seen.extend(raw.pass(SECOND * 5));
        end.window = (60_000u32 >> SHIFT) as u16;
        let opened = raw.now;
        seen = end.write(ACK, &[], &mut raw);
        seen.extend(raw.pass(SECOND / 10));
        let soon = |seen: &super::raw::Seen| !seen.tcp().3.is_empty() && seen.at - opened < SECOND / 100;
        assert!(seen.iter().any(soon), "nothing comes when the window opens");
        if got.len() + 60_000 > CAPACITY {
            break;
        }
    }
    let mut rest = Vec::new();
    for _ in 0..50 {
        let (bytes, fin) = end.take(&seen);
        rest.extend(bytes);
        if fin {
            break;
        }
        seen = end.write(ACK, &[], &mut raw);
        seen.extend(raw.pass(SECOND));
    }
    assert_eq!(got.len() + rest.len(), CAPACITY);
    assert_eq!(rest, bytes(got.len(), rest.len()));
    end.write(ACK, &[], &mut raw);
    assert_over(&raw, Close::Orderly);
}

#[test]
fn a_slow_peer_gets_all_that_a_container_left_behind() {
    let (mut raw, mut end) = open();
    raw.host.conns[0].capacity = 10_000;
    end.write(ACK, bytes(0, 50_000), &mut raw);
    end.write(ACK | FIN, &[], &mut raw);
    raw.host.conns[0].peer_close();
    let seen = raw.turn();
    assert!(end.take(&seen).1);
    end.write(ACK, &[], &mut raw);
    let mut got = Vec::new();
    for _ in 0..12 {
        raw.pass(SECOND * 40);
        got.extend(raw.host.conns[0].peer_read(5000));
    }
    assert_eq!(got, bytes(0, 50_000));
    assert_over(&raw, Close::Orderly);
}

#[test]
fn a_peer_that_reads_nothing_is_reset_in_the_end() {
    let (mut raw, mut end) = open();
    raw.host.conns[0].capacity = 10_000;
    end.write(ACK | FIN, bytes(0, 50_000), &mut raw);
    raw.host.conns[0].peer_close();
    let seen = raw.turn();
    assert!(end.take(&seen).1);
    end.write(ACK, &[], &mut raw);
    raw.pass(SECOND * 61);
    assert_over(&raw, Close::Reset);
}

#[test]
fn a_port_may_be_used_again_at_once() {
    let (mut raw, mut end) = open();
    for round in 0..5 {
        end.write(ACK | FIN, &[], &mut raw);
        raw.host.conns[round].peer_close();
        let seen = raw.turn();
        assert!(end.take(&seen).1);
        end.write(ACK, &[], &mut raw);
        assert_eq!(raw.host.conns[round].closed, Some(Close::Orderly));
        end = End::open(40000, 80, &mut raw);
    }
    assert_eq!((raw.host.conns.len(), raw.stack.holdings().tcp_flows), (6, 1));
    assert_eq!(raw.rings.lent.get(), 1, "the rings are used again too");
}

/// Also while what the former connection sent is still being delivered.
#[test]
fn a_port_may_be_used_again_while_its_former_flow_drains() {
    let (mut raw, mut end) = open();
    raw.host.conns[0].capacity = 10;
    end.write(ACK, bytes(0, 100), &mut raw);
    end.write(RST, &[], &mut raw);
    let mut second = End::open(40000, 80, &mut raw);
    second.write(ACK, b"second", &mut raw);
    assert_eq!(raw.host.conns[1].peer_read(100), b"second");
    let mut got = raw.host.conns[0].peer_read(100);
    while raw.host.conns[0].closed.is_none() {
        raw.turn();
        got.extend(raw.host.conns[0].peer_read(100));
    }
    assert_eq!((got, raw.stack.holdings().tcp_flows), (bytes(0, 100).to_vec(), 1));
}
