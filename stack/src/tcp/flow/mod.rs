//! One open flow: bytes between its host socket and its smoltcp socket, and how either end's close reaches the other.

pub(crate) mod direct;
mod host;
mod inbound;
mod turn;
mod window;

use smoltcp::socket::tcp::State;

use super::detour::Detour;
use super::endpoint::{BULK, Endpoint};
use super::engine::Engine;
use super::nudge::LastSeen;
use super::syn::Peer;
use crate::edge::{Close, Edge, FlowId};
use crate::frame::{IpPacket, TcpFlags, TcpSegment};
use crate::{Duration, Instant};
pub(crate) use turn::Outcome;
use window::Offered;

/// What the host's events told about a flow's socket since it was last found wanting (edge-triggered readiness).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// There may be bytes to receive.
    pub readable: bool,
    /// There may be room to send.
    pub writable: bool,
    /// The peer closed its half, the connection is broken, or urgent data came: a short read does not mean that nothing
    /// is left, so receive until the host says so.
    pub hang_up: bool,
}

impl std::ops::BitOrAssign for Readiness {
    fn bitor_assign(&mut self, more: Readiness) {
        self.readable |= more.readable;
        self.writable |= more.writable;
        self.hang_up |= more.hang_up;
    }
}

/// How long the container may take to finish its handshake: it is on the same machine.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// How long bytes that are underway towards one end may hold up a reset from the other.
const RESET_GRACE: Duration = Duration::from_secs(5);

/// A flow whose host side is connected.
pub(crate) struct OpenFlow {
    pub(crate) endpoint: Box<Endpoint>,
    /// The MSS that the container named: what the device cuts to.
    mss: u16,
    ready: Readiness,
    /// The container's last segment, to nudge the socket with.
    last_seen: LastSeen,
    /// Bytes that came from the container since a packet went to it.
    unacknowledged: usize,
    /// The sequence number of the first byte that was not yet taken from the receive ring.
    taken: u32,
    /// Bytes that went to the host without passing the receive ring.
    detour: Detour,
    /// The end of the farthest segment that came out of order; of no meaning once everything before it has come.
    beyond: u32,
    /// Whether the last turn ended with more to receive and room for it.
    unfinished: bool,
    /// Whether smoltcp knows the window that the container was told.
    window_known: bool,
    /// What the container was told that it may send.
    offered: Offered,
    /// Bytes that passed either way since the end of the last turn.
    moved: usize,
    host: HostSide,
    guest: GuestSide,
    /// How often the container's answer to our SYN has called for another one.
    attempts: u8,
    /// The end of the patience that the current state calls for.
    limit: Option<Instant>,
    /// When bytes last went into a ring.
    pub(crate) active: Instant,
    /// When the container's last segment came.
    heard: Instant,
}

/// The host side of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HostSide {
    /// Both halves work.
    Open,
    /// The host's end of stream was seen; the container may still send.
    Ended,
    /// It takes nothing more, and what it sent before is still being received.
    Failed,
    /// The connection broke; its socket is closed.
    Broken,
}

/// The container's side of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GuestSide {
    /// It may still send.
    Open,
    /// Its FIN was passed on.
    ShutDown,
    /// It is gone; what it sent is still to be delivered.
    Gone(Close),
}

impl OpenFlow {
    pub(crate) fn new(endpoint: Box<Endpoint>, peer: Peer, ready: Readiness, now: Instant) -> OpenFlow {
        OpenFlow {
            endpoint,
            mss: peer.mss,
            ready,
            last_seen: LastSeen::new(peer.window_shift.unwrap_or(0)),
            offered: Offered::new(peer.seq.wrapping_add(1), peer.window_shift.is_some()),
            moved: 0,
            unacknowledged: 0,
            unfinished: false,
            taken: peer.seq.wrapping_add(1),
            detour: Detour::default(),
            beyond: peer.seq.wrapping_add(1),
            window_known: false,
            host: HostSide::Open,
            guest: GuestSide::Open,
            attempts: 0,
            limit: Some(now + HANDSHAKE_LIMIT),
            active: now,
            heard: now,
        }
    }

    /// Adds what the host's events told.
    pub(crate) fn host_ready(&mut self, more: Readiness) {
        self.ready |= more;
    }

    /// Whether the handshake with the container is not finished yet.
    pub(crate) fn half_open(&self) -> bool {
        matches!(self.endpoint.state(), State::Listen | State::SynReceived | State::SynSent)
    }

    /// Whether the last turn ended with more to do at once; the next turn is to come soon.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.unfinished
    }

    /// Whether the container's side is over, so that its port may be used for another flow.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.guest, GuestSide::Gone(_))
    }

    /// Whether the host has all that the container sent, and its end.
    pub(crate) fn is_settled(&mut self) -> bool {
        self.is_unanswered() || self.guest != GuestSide::Open && self.endpoint.socket().recv_queue() == 0
    }

    /// Whether the host socket is still there to be closed.
    pub(crate) fn host_open(&self) -> bool {
        self.host != HostSide::Broken
    }

    /// Feeds a segment of the container's to the flow. Returns the length of the packet that answers it at once.
    pub(crate) fn segment<E: Edge>(
        &mut self,
        now: Instant,
        id: FlowId,
        engine: &mut Engine,
        packet: &IpPacket<'_>,
        segment: &TcpSegment<'_>,
        edge: &mut E,
    ) -> Option<usize> {
        self.heard = now;
        if self.is_unanswered() {
            return self.answer(now, engine, packet.bytes, segment);
        }
        if self.may_go_straight(segment) {
            return self.go_straight(now, id, engine, &[(packet, segment)], edge);
        }
        // Three repetitions make smoltcp retransmit; with only a FIN underway it then stops its timer and sends nothing.
        if self.last_seen.repeats(segment) && self.endpoint.socket().send_queue() == 0 && !self.half_open() {
            return None;
        }
        if self.exceeds_ring(segment) {
            return None;
        }
        let before = self.endpoint.state();
        let expected = self.expected();
        let astray = (segment.seq != expected || self.is_closed_to(segment))
            && self.last_seen.is_outdone_by(segment)
            && self.is_synchronized(segment);
        self.last_seen.note(segment);
        if !segment.payload.is_empty() {
            self.active = now;
            self.endpoint.touch();
        }
        // A FIN is worth as much as bulk: its sender may be waiting for nothing else.
        let fin = segment.flags.contains(TcpFlags::FIN);
        self.unacknowledged += if fin { BULK } else { segment.payload.len() };
        let reply = if astray {
            let seq = self.detour.inward(expected);
            let reply = LastSeen::acknowledge(now, engine, &mut self.endpoint, seq, segment);
            // That was all there is to a bare acknowledgement.
            if segment.payload.is_empty() && !fin { reply } else { self.feed(now, engine, packet, segment) }
        } else {
            self.feed(now, engine, packet, segment)
        };
        let reply = self.answered(engine, reply);
        let after = self.endpoint.state();
        if after != before {
            match after {
                State::Established => self.limit = None,
                // smoltcp takes a reset in SYN-RECEIVED as a call to listen on.
                State::Closed | State::Listen if segment.flags.contains(TcpFlags::RST) => self.gone(Close::Reset),
                State::Closed => self.gone(Close::Orderly),
                _ => {}
            }
        }
        reply
    }

    /// The sequence number that the container's next byte in order has.
    fn expected(&mut self) -> u32 {
        let finished =
            matches!(self.endpoint.state(), State::CloseWait | State::LastAck | State::Closing | State::TimeWait);
        let queued = self.endpoint.socket().recv_queue() as u32;
        self.taken.wrapping_add(queued).wrapping_add(u32::from(finished))
    }

    /// Whether the receive ring may hold bytes behind a gap, which smoltcp does not count as queued.
    pub(crate) fn has_gap(&mut self) -> bool {
        let expected = self.expected();
        self.beyond.wrapping_sub(expected) as i32 > 0
    }

    /// Whether the receive window is, or by rounding may be, closed to a segment with data.
    fn is_closed_to(&mut self, segment: &TcpSegment<'_>) -> bool {
        const ROUNDING: usize = 1 << 10;
        let socket = self.endpoint.socket();
        !segment.payload.is_empty() && socket.recv_capacity() - socket.recv_queue() < ROUNDING
    }

    /// Whether a segment is one of an open connection: no SYN, no reset.
    fn is_synchronized(&self, segment: &TcpSegment<'_>) -> bool {
        !self.half_open() && !segment.flags.contains(TcpFlags::SYN) && !segment.flags.contains(TcpFlags::RST)
    }

    /// Whether a segment reaches beyond the receive ring before smoltcp can tell.
    ///
    /// smoltcp 0.14 scales the window of its SYN-ACK, which is not scaled, when it judges what comes before its next
    /// packet goes out: up to a megabyte. It would note bytes as received for which the ring has no room, and panic when
    /// the gap before them closes.
    fn exceeds_ring(&mut self, segment: &TcpSegment<'_>) -> bool {
        if self.window_known || segment.payload.is_empty() {
            return false;
        }
        let end = segment.seq.wrapping_add(segment.payload.len() as u32);
        let reach = end.wrapping_sub(self.taken) as i32;
        usize::try_from(reach).is_ok_and(|reach| reach > self.endpoint.socket().recv_capacity())
    }

    fn gone(&mut self, how: Close) {
        if !matches!(self.guest, GuestSide::Gone(_)) {
            self.guest = GuestSide::Gone(how);
            self.limit = None;
        }
    }

    /// How many bytes passed either way since this was last asked.
    pub(crate) fn take_moved(&mut self) -> usize {
        std::mem::take(&mut self.moved)
    }
}
