//! The start of a flow that a client of the host's has opened: our SYN and the container's answer to it.

use smoltcp::socket::tcp::State;

use super::{OpenFlow, Readiness};
use crate::Instant;
use crate::edge::Close;
use crate::flow::FlowKey;
use crate::frame::{IPV4_HEADER_LEN, IPV6_HEADER_LEN, TcpFlags, TcpSegment};
use crate::tcp::endpoint::Endpoint;
use crate::tcp::engine::Engine;
use crate::tcp::nudge::{LastSeen, key};
use crate::tcp::syn::{HeldSyn, Peer};

/// How often the container may call for another SYN: once is what a connection in TIME-WAIT takes.
const ATTEMPTS: u8 = 3;

impl OpenFlow {
    /// A flow that waits for the container. The host side is connected already; what its peer sends meanwhile stays in the
    /// host socket.
    pub(crate) fn inbound(endpoint: Box<Endpoint>, now: Instant) -> OpenFlow {
        let ready = Readiness { writable: true, ..Readiness::default() };
        OpenFlow::new(endpoint, Peer::UNKNOWN, ready, now)
    }

    /// Whether our SYN has not been answered yet.
    pub(super) fn is_unanswered(&self) -> bool {
        self.endpoint.state() == State::SynSent
    }

    /// Takes the container's answer to our SYN. Returns the length of the packet that answers it at once.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        engine: &mut Engine,
        packet: &[u8],
        segment: &TcpSegment<'_>,
    ) -> Option<usize> {
        let TcpFlags(flags) = segment.flags;
        let controls = flags & (TcpFlags::SYN.0 | TcpFlags::RST.0 | TcpFlags::FIN.0 | TcpFlags::ACK.0);
        if controls == TcpFlags::SYN.0 | TcpFlags::ACK.0 {
            return self.syn_ack(now, engine, packet, segment);
        }
        if segment.flags.contains(TcpFlags::RST) {
            engine.feed(now, &mut self.endpoint.set, packet);
            if !self.is_unanswered() {
                self.gone(Close::Reset);
            }
            return None;
        }
        // A SYN of the container's own from the same port (a simultaneous open) has no place in a flow that a client began.
        if controls != TcpFlags::ACK.0 {
            return None;
        }
        // An acknowledgement of something else comes from a connection that the container still remembers. The reset makes it
        // forget (RFC 9293 section 3.10.7.3), and then there is no need to wait for the retransmission timer.
        let key = key(&mut self.endpoint);
        let reset = engine.feed(now, &mut self.endpoint.set, packet);
        if reset.is_some() {
            self.open_again(engine, key);
        }
        reset
    }

    fn syn_ack(&mut self, now: Instant, engine: &mut Engine, packet: &[u8], segment: &TcpSegment<'_>) -> Option<usize> {
        let ip_len =
            if packet.first().is_some_and(|first| first >> 4 == 4) { IPV4_HEADER_LEN } else { IPV6_HEADER_LEN };
        let syn = HeldSyn::new(packet, ip_len, segment);
        let key = key(&mut self.endpoint);
        let reset = engine.feed(now, &mut self.endpoint.set, &syn.packet);
        if self.endpoint.state() == State::Established {
            self.mss = syn.peer.mss;
            self.taken = syn.peer.seq.wrapping_add(1);
            self.beyond = self.taken;
            self.offered.answered(self.taken, syn.peer.window_shift.is_some());
            self.last_seen = LastSeen::new(syn.peer.window_shift.unwrap_or(0));
            self.last_seen.note(&TcpSegment { payload: &[], ..*segment });
            self.limit = None;
        } else if reset.is_some() {
            self.open_again(engine, key);
        }
        reset
    }

    /// Sends another SYN, with a sequence number of its own, as long as the container does not ask for that over and over.
    fn open_again(&mut self, engine: &mut Engine, key: Option<FlowKey>) {
        let Some(key) = key.filter(|_| self.attempts < ATTEMPTS) else { return };
        self.attempts += 1;
        if !self.endpoint.connect(engine, &key) {
            self.gone(Close::Reset);
        }
    }
}
