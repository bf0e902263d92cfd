//! From the container's frames to smoltcp, or straight to the host.

use std::io::IoSlice;

use smoltcp::socket::tcp::State;

use super::{GuestSide, HostSide, OpenFlow};
use crate::Instant;
use crate::edge::{Edge, FlowId, HostError};
use crate::frame::{IpPacket, TcpFlags, TcpSegment};
use crate::tcp::engine::Engine;

/// Payload below this size is worth collecting in the ring: one write for many small segments.
pub(crate) const STRAIGHT: usize = 8 << 10;

/// Segments of one flow, each where the one before it ends.
pub(crate) type Run<'r, 'p> = &'r [(&'r IpPacket<'p>, &'r TcpSegment<'p>)];

/// Whether a segment is nothing but payload and an acknowledgement.
pub(crate) fn is_plain(segment: &TcpSegment<'_>) -> bool {
    TcpFlags(segment.flags.0 & !TcpFlags::PSH.0) == TcpFlags::ACK && !segment.payload.is_empty()
}

/// The sequence number behind a segment without SYN and FIN.
pub(crate) fn end(segment: &TcpSegment<'_>) -> u32 {
    segment.seq.wrapping_add(segment.payload.len() as u32)
}

impl OpenFlow {
    /// Whether a segment may go to the host without passing the ring: it is bulk and the next in order, the ring is empty, and
    /// nothing behind it has come already.
    pub(crate) fn may_go_straight(&mut self, segment: &TcpSegment<'_>) -> bool {
        if segment.payload.len() < STRAIGHT || !is_plain(segment) || !self.ready.writable || self.has_gap() {
            return false;
        }
        let open = matches!(self.endpoint.state(), State::Established | State::FinWait1 | State::FinWait2)
            && matches!(self.host, HostSide::Open | HostSide::Ended)
            && self.guest == GuestSide::Open;
        open && self.window_known && self.endpoint.socket().recv_queue() == 0 && segment.seq == self.taken
    }

    /// Sends the payload of a run, whose first segment may go straight, to the host as it lies in the frames, and the rest
    /// that the host does not take to the ring. Returns the length of the packet that answers it at once.
    ///
    /// smoltcp judges the run by its first byte and its last header, and acknowledges that byte in the place of all.
    pub(crate) fn go_straight<E: Edge>(
        &mut self,
        now: Instant,
        id: FlowId,
        engine: &mut Engine,
        run: Run<'_, '_>,
        edge: &mut E,
    ) -> Option<usize> {
        let (&(_, first), &(packet, last)) = (run.first()?, run.last()?);
        let pieces: Vec<IoSlice<'_>> = run.iter().map(|(_, segment)| IoSlice::new(segment.payload)).collect();
        let len = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        self.heard = now;
        self.active = now;
        self.endpoint.touch();
        self.last_seen.note(last);
        self.unacknowledged += len;

        self.detour.shown(packet, last, first.seq, first.payload.get(..1)?, &mut engine.shown);
        let mut reply = engine.feed_shown(now, &mut self.endpoint.set);
        if self.endpoint.socket().recv_queue() != 1 {
            return self.answered(engine, reply);
        }
        self.beyond = end(last);
        let sent = match edge.tcp_send_pieces(id, &pieces) {
            Ok(sent) => {
                self.ready.writable = sent >= len;
                sent.min(len)
            }
            // What fails for good fails again when the ring is emptied, and is dealt with there.
            Err(error) => {
                self.ready.writable = error != HostError::WouldBlock;
                0
            }
        };
        if sent > 0 {
            let _ = self.endpoint.socket().recv(|first| (first.len(), ()));
            self.detour.add(sent - 1);
            self.taken = self.taken.wrapping_add(sent as u32);
            self.moved += sent;
        }
        // The first byte is in the ring if nothing was sent.
        let mut skip = sent.max(1);
        for (packet, segment) in run {
            if let Some(rest) = segment.payload.get(skip..).filter(|rest| !rest.is_empty()) {
                let seq = segment.seq.wrapping_add(skip as u32);
                self.detour.shown(packet, segment, seq, rest, &mut engine.shown);
                reply = engine.feed_shown(now, &mut self.endpoint.set).or(reply);
            }
            skip = skip.saturating_sub(segment.payload.len());
        }
        self.answered(engine, reply)
    }

    /// Completes smoltcp's immediate answer to a segment.
    pub(super) fn answered(&mut self, engine: &mut Engine, reply: Option<usize>) -> Option<usize> {
        if let Some(len) = reply {
            self.detour.outward(engine.segment(len));
            self.offered.limit(engine.segment(len), usize::MAX);
        }
        reply
    }

    /// Feeds a segment to smoltcp.
    pub(super) fn feed(
        &mut self,
        now: Instant,
        engine: &mut Engine,
        packet: &IpPacket<'_>,
        segment: &TcpSegment<'_>,
    ) -> Option<usize> {
        if !segment.payload.is_empty() && (end(segment).wrapping_sub(self.beyond) as i32) > 0 {
            self.beyond = end(segment);
        }
        if self.detour.is_none() {
            return engine.feed(now, &mut self.endpoint.set, packet.bytes);
        }
        self.detour.shown(packet, segment, segment.seq, segment.payload, &mut engine.shown);
        engine.feed_shown(now, &mut self.endpoint.set)
    }
}
