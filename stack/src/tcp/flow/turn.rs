//! A flow's turn: bytes to and from the host, packets to the container, and what they have led to.

use smoltcp::socket::tcp::State;

use super::super::emit::{Framing, finish};
use super::super::endpoint::BULK;
use super::super::engine::Engine;
use super::{GuestSide, HostSide, OpenFlow, RESET_GRACE};
use crate::edge::{Close, Edge, FlowId};
use crate::{Duration, Instant};

/// How long a host peer may take nothing of what is left of a flow that the container has finished with before it is
/// given up.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);

/// How long a container may leave what it was sent without any answer, counted from its last segment or the host's last
/// bytes: as long as Linux does (tcp(7), tcp_retries2).
const SILENCE_LIMIT: Duration = Duration::from_secs(924);

/// What is to become of a flow after it had its turn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It goes on; due again at this time at the latest, if any.
    Open(Option<Instant>),
    /// The container's side has ended: its name may be used anew while the host is still given what was sent.
    Draining(Instant),
    /// It is over.
    Over,
}

impl OpenFlow {
    /// Gives the flow its turn: bytes to the host, `share` bytes or so from the host, packets to the container.
    pub(crate) fn turn<E: Edge>(
        &mut self,
        now: Instant,
        id: FlowId,
        share: usize,
        engine: &mut Engine,
        framing: &Framing,
        edge: &mut E,
    ) -> Outcome {
        self.unfinished = false;
        self.send_to_host(now, id, edge);
        if !matches!(self.guest, GuestSide::Gone(_)) {
            self.receive_from_host(now, id, share, edge);
            self.pass_end_on();
            self.carry_reset(now, id, edge);
            self.emit_all(now, engine, framing, edge);
            self.judge(now, engine, framing, edge);
        }
        self.outcome(now, id, engine, edge)
    }

    fn emit_all<E: Edge>(&mut self, now: Instant, engine: &mut Engine, framing: &Framing, edge: &mut E) {
        while self.emit(now, engine, framing, edge) {}
        // An acknowledgement that smoltcp would delay is emitted as it would be when the delay is over.
        while self.unacknowledged >= BULK && self.emit_delayed(now, engine, framing, edge) {}
    }

    fn emit<E: Edge>(&mut self, now: Instant, engine: &mut Engine, framing: &Framing, edge: &mut E) -> bool {
        let emitted = engine.emit(now, &mut self.endpoint.set);
        self.transmit(emitted, engine, framing, edge)
    }

    fn emit_delayed<E: Edge>(&mut self, now: Instant, engine: &mut Engine, framing: &Framing, edge: &mut E) -> bool {
        let emitted = engine.emit_delayed(now, &mut self.endpoint.set);
        self.transmit(emitted, engine, framing, edge)
    }

    fn transmit<E: Edge>(
        &mut self,
        emitted: Option<usize>,
        engine: &mut Engine,
        framing: &Framing,
        edge: &mut E,
    ) -> bool {
        let Some(len) = emitted else { return false };
        self.detour.outward(engine.segment(len));
        self.offered.limit(engine.segment(len), framing.window);
        self.unacknowledged = 0;
        self.window_known = !self.half_open();
        let buffer = engine.buffer(len);
        if let Some(offload) = finish(buffer, framing, self.mss) {
            edge.transmit(buffer, offload);
        }
        true
    }

    /// Looks at the state that the turn has led to.
    fn judge<E: Edge>(&mut self, now: Instant, engine: &mut Engine, framing: &Framing, edge: &mut E) {
        match self.endpoint.state() {
            // Both ends are done; only our last acknowledgement may still be delayed. TIME-WAIT is for links that lose
            // and reorder; here a late segment gets a reset, as it would after TIME-WAIT.
            State::TimeWait => {
                while self.emit_delayed(now, engine, framing, edge) {}
                self.gone(Close::Orderly);
            }
            State::Closed => self.gone(if self.host == HostSide::Broken { Close::Orderly } else { Close::Reset }),
            State::Listen | State::SynReceived | State::SynSent if self.limit.is_some_and(|limit| limit <= now) => {
                self.endpoint.socket().abort();
                self.emit_all(now, engine, framing, edge);
                self.gone(Close::Reset);
            }
            _ if self.silent(now) => {
                self.endpoint.socket().abort();
                self.emit_all(now, engine, framing, edge);
                self.gone(Close::Reset);
            }
            _ => {}
        }
    }

    /// Whether the container has not answered for too long. Its retransmission timer sees to it that this is asked.
    fn silent(&mut self, now: Instant) -> bool {
        let underway = self.endpoint.socket().send_queue() > 0
            || matches!(self.endpoint.state(), State::FinWait1 | State::Closing | State::LastAck);
        underway && now - self.heard.max(self.active).min(now) > SILENCE_LIMIT
    }

    fn outcome<E: Edge>(&mut self, now: Instant, id: FlowId, engine: &mut Engine, edge: &mut E) -> Outcome {
        if let GuestSide::Gone(how) = self.guest {
            let undelivered = self.endpoint.socket().recv_queue() > 0 && self.host_open();
            let limit = match how {
                Close::Reset => *self.limit.get_or_insert(now + RESET_GRACE),
                Close::Orderly => (*self.limit.get_or_insert(now + DRAIN_LIMIT)).max(self.active + DRAIN_LIMIT),
            };
            if undelivered && now < limit {
                return Outcome::Draining(limit);
            }
            if self.host_open() {
                // An orderly end would make the peer take what it has for all there is.
                edge.tcp_close(id, if undelivered { Close::Reset } else { how });
                self.host = HostSide::Broken;
            }
            return Outcome::Over;
        }
        let mut deadline = engine.deadline(now, &self.endpoint.set);
        if deadline.is_none() && self.endpoint.socket().send_queue() > 0 {
            deadline = self.last_seen.nudge(now, self.detour, engine, &mut self.endpoint);
        }
        let limit = self.limit.filter(|limit| *limit > now);
        Outcome::Open(match (deadline, limit) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        })
    }
}
