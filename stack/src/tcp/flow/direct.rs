//! From the container's frame to smoltcp, or straight to the host.

use smoltcp::socket::tcp::State;

use super::{GuestSide, HostSide, OpenFlow};
use crate::Instant;
use crate::edge::{Edge, FlowId, HostError};
use crate::frame::{IpPacket, TcpFlags, TcpSegment};
use crate::tcp::engine::Engine;

/// Payload below this size is worth collecting in the ring: one write for many small segments.
const STRAIGHT: usize = 8 << 10;

impl OpenFlow {
    /// Whether a segment that is due at `expected` may go to the host without passing the ring: it is bulk, nothing is
    /// before it, and nothing behind it has come already.
    pub(super) fn may_go_straight(&mut self, segment: &TcpSegment<'_>, expected: u32) -> bool {
        if segment.payload.len() < STRAIGHT || !self.ready.writable || segment.seq != expected {
            return false;
        }
        let plain = TcpFlags(segment.flags.0 & !TcpFlags::PSH.0) == TcpFlags::ACK;
        let open = matches!(self.endpoint.state(), State::Established | State::FinWait1 | State::FinWait2)
            && matches!(self.host, HostSide::Open | HostSide::Ended)
            && self.guest == GuestSide::Open;
        plain && open && !self.has_gap() && self.window_known && self.endpoint.socket().recv_queue() == 0
    }

    /// Sends a segment's payload to the host as it lies in the frame, and the rest that the host does not take to the ring.
    ///
    /// smoltcp judges the segment by its first byte, and acknowledges that in the place of all.
    pub(super) fn feed_straight<E: Edge>(
        &mut self,
        now: Instant,
        id: FlowId,
        engine: &mut Engine,
        packet: &IpPacket<'_>,
        segment: &TcpSegment<'_>,
        edge: &mut E,
    ) -> Option<usize> {
        self.detour.shown(packet, segment, 0, 1, &mut engine.shown);
        let reply = engine.feed_shown(now, &mut self.endpoint.set);
        if self.endpoint.socket().recv_queue() != 1 {
            return reply;
        }
        self.beyond = segment.seq.wrapping_add(segment.payload.len() as u32);
        let sent = match edge.tcp_send(id, segment.payload) {
            Ok(sent) => sent.min(segment.payload.len()),
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
        if sent == segment.payload.len() {
            return reply;
        }
        if sent > 0 {
            self.ready.writable = false;
        }
        self.detour.shown(packet, segment, sent.max(1), usize::MAX, &mut engine.shown);
        engine.feed_shown(now, &mut self.endpoint.set).or(reply)
    }

    /// Feeds a segment to smoltcp.
    pub(super) fn feed(
        &mut self,
        now: Instant,
        engine: &mut Engine,
        packet: &IpPacket<'_>,
        segment: &TcpSegment<'_>,
    ) -> Option<usize> {
        let end = segment.seq.wrapping_add(segment.payload.len() as u32);
        if !segment.payload.is_empty() && (end.wrapping_sub(self.beyond) as i32) > 0 {
            self.beyond = end;
        }
        if self.detour.is_none() {
            return engine.feed(now, &mut self.endpoint.set, packet.bytes);
        }
        self.detour.shown(packet, segment, 0, usize::MAX, &mut engine.shown);
        engine.feed_shown(now, &mut self.endpoint.set)
    }
}
