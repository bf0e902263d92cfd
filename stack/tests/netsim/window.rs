//! Back-pressure: a full end stops its own flow, nobody else's, and the flow recovers.

use rnet_stack::{Duration, Limits, RingClass};
use smoltcp::socket::tcp::Socket;

use super::raw::{End, Raw, SHIFT};
use super::world::{Step, World};
use crate::support::config::REMOTE4;
use crate::support::random::bytes;
use crate::support::segment::ACK;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_slow_reader_stalls_nobody_else() {
    let mut world = World::perfect();
    let slow = world.guest.connect(40000, (REMOTE4, 80).into(), 64 << 10);
    let fast = world.guest.connect(40001, (REMOTE4, 81).into(), 64 << 10);
    const TOTAL: usize = 4 << 20;
    let (mut sent, mut got) = ([0; 2], [0; 2]);
    let mut pump = move |world: &mut World, reads_slow: bool| {
        let mut moved = false;
        for (at, conn) in world.host.conns.iter_mut().enumerate() {
            let went = conn.peer_write(bytes(sent[at], (TOTAL - sent[at]).min(65536)));
            sent[at] += went;
            moved |= went > 0;
        }
        for (at, handle) in [slow, fast].into_iter().enumerate() {
            let socket = world.guest.sockets.get_mut::<Socket>(handle);
            while (at == 1 || reads_slow) && socket.can_recv() {
                let read = socket.recv(|piece| (piece.len(), piece.to_vec())).unwrap();
                assert_eq!(read, bytes(got[at], read.len()));
                got[at] += read.len();
                moved = true;
            }
        }
        (moved, got)
    };
    world.run(SECOND, |world| match pump(world, false) {
        (_, [_, TOTAL]) => Step::Done,
        (moved, _) => Step::moved(moved),
    });
    world.pass(SECOND * 30);
    let before = world.now;
    world.run(SECOND, |world| match pump(world, true) {
        (_, [TOTAL, TOTAL]) => Step::Done,
        (moved, _) => Step::moved(moved),
    });
    assert!(world.now - before < MS * 100, "it took {} to recover", world.now - before);
}

#[test]
fn a_host_that_reads_nothing_closes_the_window_and_opens_it_again() {
    let mut world = World::perfect();
    let handle = world.guest.connect(40000, (REMOTE4, 80).into(), 64 << 10);
    let mut sent = 0;
    let mut write = move |world: &mut World| {
        let socket = world.guest.sockets.get_mut::<Socket>(handle);
        let went = if socket.can_send() { socket.send_slice(bytes(sent, 4096)).unwrap() } else { 0 };
        sent += went;
        (went > 0, sent)
    };
    world.run(SECOND, |world| {
        let (moved, sent) = write(world);
        // What the host's socket, the stack's ring and the container's buffer hold.
        let full = super::host::CAPACITY + RingClass::Large.receive_bytes() + (64 << 10);
        assert!(sent <= full);
        if sent == full { Step::Done } else { Step::moved(moved) }
    });
    world.pass(SECOND * 10);
    let mut got = 0;
    world.run(SECOND * 10, |world| {
        let read = world.host.conns[0].peer_read(usize::MAX);
        assert_eq!(read, bytes(got, read.len()));
        got += read.len();
        let (moved, _) = write(world);
        if got > 4 << 20 { Step::Done } else { Step::moved(moved || !read.is_empty()) }
    });
}

/// The container closes its window while data is in flight and throws that away (Linux without memory does), then opens
/// it: smoltcp's retransmission timer is gone by then.
#[test]
fn data_thrown_away_at_a_closed_window_is_sent_again_soon_after_it_opens() {
    for pause in [Duration::ZERO, MS * 100, SECOND * 10, SECOND * 100] {
        for kept in [0, 1460, 40_000] {
            let mut raw = Raw::new(Limits::default());
            let mut end = End::open(40000, 80, &mut raw);
            raw.host.conns[0].peer_write(bytes(0, 200_000));
            let sent: usize = raw.turn().iter().map(|seen| seen.tcp().3.len()).sum();
            assert!((59_000..=60_000).contains(&sent));
            end.ack = end.ack.wrapping_add(kept as u32);
            end.window = 0;
            end.write(ACK, &[], &mut raw);
            raw.pass(pause);
            end.window = (60_000u32 >> SHIFT) as u16;
            let opened = raw.now;
            let mut seen = end.write(ACK, &[], &mut raw);
            let mut got = kept;
            while got < 200_000 {
                assert!(raw.now - opened < SECOND * 2, "{got} bytes after a pause of {pause}, {kept} kept");
                let (read, _) = end.take(&seen);
                assert_eq!(read, bytes(got, read.len()));
                got += read.len();
                seen = if read.is_empty() { raw.pass(MS) } else { end.write(ACK, &[], &mut raw) };
            }
        }
    }
}

#[test]
fn a_small_segment_beside_bulk_does_not_hold_up_the_acknowledgement() {
    for sizes in [[100, 8000], [8000, 100]] {
        let mut raw = Raw::new(Limits::default());
        let mut end = End::open(40000, 80, &mut raw);
        let mut acknowledged = 0;
        for size in sizes {
            for seen in end.write(ACK, &vec![0; size], &mut raw) {
                acknowledged = seen.tcp().2;
            }
        }
        let last: u32 = if sizes[0] == 100 { end.seq } else { end.seq - 100 };
        assert_eq!(acknowledged, last);
        raw.pass(MS * 11);
    }
    // On its own it waits for data to ride on, but not for long.
    let mut raw = Raw::new(Limits::default());
    let mut end = End::open(40000, 80, &mut raw);
    assert_eq!(end.write(ACK, b"request", &mut raw), []);
    assert_eq!(raw.pass(MS * 10)[0].tcp().2, end.seq);
}

#[test]
fn a_container_that_never_answers_is_given_up_after_a_quarter_of_an_hour() {
    let mut raw = Raw::new(Limits::default());
    End::open(40000, 80, &mut raw);
    raw.host.conns[0].peer_write(b"is anybody there?");
    raw.pass(SECOND * 900);
    assert_eq!(raw.host.conns[0].closed, None);
    raw.pass(SECOND * 100);
    assert_eq!(raw.host.conns[0].closed, Some(rnet_stack::Close::Reset));
    assert_eq!(raw.stack.holdings().tcp_flows, 0);
    // One that has nothing to answer may be silent for ever.
    End::open(40001, 80, &mut raw);
    raw.pass(SECOND * 100_000);
    assert_eq!(raw.stack.holdings().tcp_flows, 1);
}

/// smoltcp takes the window of its SYN-ACK for more than the ring holds.
#[test]
fn nothing_is_taken_that_the_ring_has_no_room_for() {
    for gap_first in [true, false] {
        let mut raw = Raw::new(Limits::default());
        let end = End::open(40000, 80, &mut raw);
        let at = |from: usize| End { seq: end.seq + from as u32, ..end };
        const PIECE: usize = 50_000;
        let total = 1_000_000 / PIECE;
        let mut order: Vec<usize> = (0..total).collect();
        if gap_first {
            order.rotate_left(1);
        }
        // All before the stack's first packet.
        for piece in order {
            raw.feed(&at(piece * PIECE).segment(ACK, bytes(piece * PIECE, PIECE)));
        }
        raw.turn();
        for _ in 0..10 {
            raw.pass(MS * 100);
        }
        let got = raw.host.conns[0].peer_read(usize::MAX);
        assert!(!got.is_empty() && got == bytes(0, got.len()));
    }
}

/// Both directions full, and the container has sent a little beyond the closed window: what it acknowledges must count all
/// the same, or neither side ever moves again.
#[test]
fn an_acknowledgement_from_beyond_a_closed_window_counts() {
    for (beyond, payload) in [(48, 0), (48, 48), (0, 48)] {
        let mut raw = Raw::new(Limits::default());
        let mut end = End::open(40000, 80, &mut raw);
        // The host takes nothing more, and its ring fills.
        let full = super::host::CAPACITY + RingClass::Large.receive_bytes();
        let mut sent = 0;
        while sent < full {
            let piece = (full - sent).min(16_384);
            let seen = end.write(ACK, bytes(sent, piece), &mut raw);
            end.take(&seen);
            sent += piece;
        }
        raw.pass(MS * 20);
        raw.host.conns[0].peer_write(bytes(0, 200_000));
        let seen = raw.turn();
        let (first, _) = end.take(&seen);
        assert!((59_000..=60_000).contains(&first.len()), "a window full: {}", first.len());
        // Beyond the window, as after one that shrank by rounding.
        end.seq = end.seq.wrapping_add(beyond);
        let mut got = first.len();
        let mut seen = raw.send(&end.segment(ACK, bytes(0, payload)));
        for _ in 0..200 {
            let (read, _) = end.take(&seen);
            assert_eq!(read, bytes(got, read.len()));
            got += read.len();
            if got == 200_000 {
                break;
            }
            seen = raw.send(&end.segment(ACK, bytes(0, payload)));
        }
        assert_eq!(got, 200_000, "with {payload} bytes, {beyond} beyond the window");
    }
}
