//! TCP: one smoltcp endpoint for each flow, made only when the host side has connected.
//!
//! While the host connects, a flow is no more than the container's SYN, so that the container learns the true outcome and
//! a flood of SYNs costs no buffers. A flow that a client of a published port began has its endpoint at once (`accept.rs`).

mod accept;
mod connect;
mod detour;
mod emit;
mod endpoint;
mod engine;
mod flow;
mod nudge;
mod pace;
mod reset;
mod sweep;
mod syn;
mod timestamps;

use std::collections::HashMap;

use foldhash::fast::FixedState;
use slab::Slab;

use crate::Instant;
use crate::config::Limits;
use crate::edge::{Close, Edge, FlowId, HEADROOM, RingMemory};
use crate::event::{Counter, DropReason};
use crate::flow::{Armed, FlowKey, Timers};
use crate::frame::{ETHERNET_HEADER_LEN, IpPacket, TcpFlags, TcpSegment};
use crate::share::Claim;
use crate::stack::{TcpFlow, TcpState};

pub(crate) use connect::{Dial, Unreachable};
pub(crate) use emit::Framing;
pub use flow::Readiness;
pub(crate) use flow::direct::{Run, STRAIGHT, end, is_plain};
pub use timestamps::TimestampClock;

use emit::finish;
use endpoint::Stock;
use engine::{Engine, IP_START};
use flow::{OpenFlow, Outcome};
use pace::{Manner, Pace};
use sweep::SWEEP;
use syn::HeldSyn;

/// The size that a segment is refused with does not matter; a reset has no payload.
const ANY_MSS: u16 = u16::MAX;

/// Whether flows have been left with something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Flushed {
    /// Every flow has done what it can.
    All,
    /// Some have had their share and wait for the next turn: flush again after the next batch of events, without waiting.
    Some,
}

/// All TCP flows of a container.
pub(crate) struct TcpFlows<M> {
    by_key: HashMap<FlowKey, FlowId, FixedState>,
    flows: Slab<Flow>,
    engine: Engine,
    stock: Stock<M>,
    timers: Timers,
    /// Flows whose turn it is.
    pace: Pace,
    half_open: usize,
    limits: Limits,
    /// Flows whose rings were written since their pages were given back.
    touched: Vec<FlowId>,
    sweep_at: Option<Instant>,
    /// Where the next search for a free port of a client begins.
    next_port: u16,
}

struct Flow {
    key: FlowKey,
    phase: Phase,
    /// Whether it waits for its turn.
    due: bool,
    manner: Manner,
    /// Whether it is in `touched`.
    touched: bool,
    /// Whether it counts as half open.
    half_open: bool,
    /// Whether `by_key` leads to it.
    named: bool,
    armed: Armed,
}

enum Phase {
    Connecting(HeldSyn),
    Open(Box<OpenFlow>),
}

impl<M: RingMemory> TcpFlows<M> {
    pub(crate) fn new(limits: Limits, memory: M, seed: u64, timestamps: TimestampClock, now: Instant) -> Self {
        TcpFlows {
            by_key: HashMap::with_hasher(FixedState::with_seed(seed)),
            flows: Slab::new(),
            engine: Engine::new(seed, timestamps, now),
            stock: Stock::new(memory, limits.buffer_bytes, limits.tcp_flows),
            timers: Timers::default(),
            pace: Pace::default(),
            half_open: 0,
            limits,
            touched: Vec::new(),
            sweep_at: None,
            next_port: seed as u16,
        }
    }

    /// The flow that a segment belongs to.
    pub(crate) fn find(&self, key: &FlowKey) -> Option<FlowId> {
        self.by_key.get(key).copied()
    }

    /// Hands a segment to the flow that it belongs to.
    pub(crate) fn segment<E: Edge>(
        &mut self,
        now: Instant,
        id: FlowId,
        packet: &IpPacket<'_>,
        segment: &TcpSegment<'_>,
        framing: &Framing,
        edge: &mut E,
    ) -> Result<(), DropReason> {
        let Some(flow) = self.flows.get_mut(id.0 as usize) else { return Ok(()) };
        match &mut flow.phase {
            Phase::Connecting(_) if segment.flags.contains(TcpFlags::RST) => {
                edge.tcp_close(id, Close::Reset);
                self.remove(now, id, edge);
                Ok(())
            }
            Phase::Connecting(syn) => {
                if segment.flags.contains(TcpFlags::SYN) && segment.seq != syn.peer.seq {
                    // The container gave up and tries again from the same port: only the new SYN can be answered.
                    *syn = HeldSyn::new(packet.bytes, packet.header_len, segment);
                }
                Err(DropReason::SynRetransmission)
            }
            Phase::Open(open) => {
                let reply = open.segment(now, id, &mut self.engine, packet, segment, edge);
                if !open.half_open() && flow.half_open {
                    flow.half_open = false;
                    self.half_open -= 1;
                }
                if open.is_gone() && std::mem::take(&mut flow.named) {
                    // A SYN from the same port may be the very next frame.
                    self.by_key.remove(&flow.key);
                    edge.release(&Claim::Tcp(flow.key));
                }
                if let Some(len) = reply {
                    transmit(&mut self.engine, len, framing, edge);
                }
                self.mark(id);
                Ok(())
            }
        }
    }

    /// Hands segments that follow each other to the flow that they belong to, if their bytes may go to the host as they are;
    /// otherwise does nothing and says so.
    pub(crate) fn straight<E: Edge>(
        &mut self,
        now: Instant,
        id: FlowId,
        run: Run<'_, '_>,
        framing: &Framing,
        edge: &mut E,
    ) -> bool {
        let Some(Flow { phase: Phase::Open(open), .. }) = self.flows.get_mut(id.0 as usize) else { return false };
        if !run.first().is_some_and(|(_, first)| open.may_go_straight(first)) {
            return false;
        }
        if let Some(len) = open.go_straight(now, id, &mut self.engine, run, edge) {
            transmit(&mut self.engine, len, framing, edge);
        }
        self.mark(id);
        true
    }

    /// The bound that forbids one more flow, if any.
    fn bound(&self) -> Option<Counter> {
        if self.flows.len() >= self.limits.tcp_flows {
            Some(Counter::TcpFlowLimit)
        } else if self.half_open >= self.limits.tcp_half_open {
            Some(Counter::TcpHalfOpenLimit)
        } else {
            None
        }
    }

    /// Answers a segment for which there is no flow with the reset that it calls for.
    pub(crate) fn refuse<E: Edge>(&mut self, packet: &[u8], framing: &Framing, edge: &mut E) {
        if let Some(len) = self.engine.refuse(packet) {
            transmit(&mut self.engine, len, framing, edge);
        }
    }

    /// Tells what the host's events said about an open flow.
    pub(crate) fn host_ready(&mut self, id: FlowId, ready: Readiness) {
        if let Some(Flow { phase: Phase::Open(open), .. }) = self.flows.get_mut(id.0 as usize) {
            open.host_ready(ready);
            self.mark(id);
        }
    }

    /// Whether every open flow has passed on all that the container sent, its end included.
    pub(crate) fn settled(&mut self) -> bool {
        self.flows.iter_mut().all(|(_, flow)| match &mut flow.phase {
            Phase::Open(open) => open.is_settled(),
            Phase::Connecting(_) => true,
        })
    }

    /// Adds a flow that is half open.
    fn add(&mut self, key: FlowKey, phase: Phase) -> FlowId {
        let id = FlowId(self.flows.insert(Flow {
            key,
            phase,
            due: false,
            manner: Manner::default(),
            touched: false,
            half_open: true,
            named: true,
            armed: Armed::default(),
        }) as u32);
        self.half_open += 1;
        self.by_key.insert(key, id);
        id
    }

    fn mark(&mut self, id: FlowId) {
        if let Some(flow) = self.flows.get_mut(id.0 as usize)
            && !flow.due
        {
            flow.due = true;
            self.pace.push(id, flow.manner);
        }
    }

    /// Gives every flow that something happened to its turn; says whether some need another one at once.
    pub(crate) fn flush<E: Edge>(&mut self, now: Instant, framing: &Framing, edge: &mut E) -> Flushed {
        let framing = Framing { window: self.pace.window(), ..*framing };
        let mut quick = std::mem::take(&mut self.pace.quick);
        for id in quick.drain(..) {
            self.turn(now, id, &framing, edge);
        }
        if self.pace.quick.is_empty() {
            // Its room is worth keeping.
            self.pace.quick = quick;
        }
        let mut left = self.pace.share(now).all;
        for _ in 0..self.pace.bulk.len() {
            if left == 0 {
                break;
            }
            let Some(id) = self.pace.bulk.pop_front() else { break };
            left = left.saturating_sub(self.turn(now, id, &framing, edge));
        }
        if self.pace.is_empty() { Flushed::All } else { Flushed::Some }
    }

    /// Gives a flow its turn; returns how many bytes it moved.
    fn turn<E: Edge>(&mut self, now: Instant, id: FlowId, framing: &Framing, edge: &mut E) -> usize {
        let Some(flow) = self.flows.get_mut(id.0 as usize) else { return 0 };
        flow.due = false;
        let Phase::Open(open) = &mut flow.phase else { return 0 };
        let outcome = open.turn(now, id, self.pace.share(now).flow, &mut self.engine, framing, edge);
        let moved = open.take_moved();
        self.pace.note(now, &mut flow.manner, moved);
        if open.is_unfinished() {
            flow.due = true;
            self.pace.push(id, flow.manner);
        }
        if !flow.touched {
            flow.touched = true;
            self.touched.push(id);
            self.sweep_at.get_or_insert(now + SWEEP);
        }
        match outcome {
            Outcome::Open(None) => {}
            Outcome::Open(Some(deadline)) => self.timers.arm(id.0, &mut flow.armed, deadline),
            Outcome::Draining(deadline) => {
                self.timers.arm(id.0, &mut flow.armed, deadline);
                if std::mem::take(&mut flow.named) {
                    self.by_key.remove(&flow.key);
                    edge.release(&Claim::Tcp(flow.key));
                }
            }
            Outcome::Over => drop(self.remove(now, id, edge)),
        }
        moved
    }

    fn remove<E: Edge>(&mut self, now: Instant, id: FlowId, edge: &mut E) -> Option<Phase> {
        let mut flow = self.flows.try_remove(id.0 as usize)?;
        self.pace.forget(flow.manner);
        self.timers.disarm(id.0, &mut flow.armed);
        if flow.half_open {
            self.half_open -= 1;
        }
        if flow.named {
            self.by_key.remove(&flow.key);
            edge.release(&Claim::Tcp(flow.key));
        }
        match flow.phase {
            Phase::Open(open) => {
                self.stock.put(now, open.endpoint);
                self.sweep_at.get_or_insert(now + SWEEP);
                None
            }
            connecting => Some(connecting),
        }
    }

    /// The flows whose numbers are `first` or more.
    pub(crate) fn list(&self, first: u32) -> impl Iterator<Item = TcpFlow> {
        let flows = self.flows.iter().skip_while(move |(id, _)| *id < first as usize);
        flows.map(|(id, flow)| {
            let state = match &flow.phase {
                Phase::Connecting(_) => TcpState::Connecting,
                Phase::Open(open) if open.is_gone() => TcpState::Draining,
                Phase::Open(_) if flow.half_open => TcpState::Opening,
                Phase::Open(_) => TcpState::Open,
            };
            TcpFlow { id: FlowId(id as u32), key: flow.key, state }
        })
    }

    /// Open flows, half-open ones included.
    pub(crate) fn len(&self) -> usize {
        self.flows.len()
    }

    /// Half-open flows.
    pub(crate) fn half_open(&self) -> usize {
        self.half_open
    }

    /// Bytes of the rings in use.
    pub(crate) fn committed(&self) -> usize {
        self.stock.committed()
    }
}

fn transmit<E: Edge>(engine: &mut Engine, len: usize, framing: &Framing, edge: &mut E) {
    let buffer = engine.buffer(len);
    if let Some(offload) = finish(buffer, framing, ANY_MSS) {
        edge.transmit(buffer, offload);
    }
}

const _: () = assert!(IP_START == HEADROOM + ETHERNET_HEADER_LEN);
