//! Flows that the container begins: the host connects first, and its outcome is the container's.

use std::net::SocketAddr;

use super::syn::HeldSyn;
use super::{Flow, Framing, OpenFlow, Phase, Readiness, TcpFlows};
use crate::Instant;
use crate::edge::{Close, Edge, FlowId, HostError, RingMemory};
use crate::event::{Counter, Counters};
use crate::flow::FlowKey;
use crate::frame::{IpPacket, TcpSegment};
use crate::share::Claim;

/// Why the host side of a flow did not come about, and the container's SYN to say so with.
pub(crate) struct Unreachable {
    /// The IP packet that cannot be delivered.
    pub(crate) packet: Box<[u8]>,
    /// Why.
    pub(crate) error: HostError,
}

/// Whom the edge is to connect a flow to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dial {
    /// This address, from the host.
    Host(SocketAddr),
    /// The link's name server.
    NameServer,
}

impl<M: RingMemory> TcpFlows<M> {
    /// Starts a flow from the container's SYN, which was claimed: the edge connects it.
    ///
    /// # Errors
    /// When the outcome is known at once and the container is to hear of it by ICMP.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn open<E: Edge>(
        &mut self,
        now: Instant,
        packet: &IpPacket<'_>,
        segment: &TcpSegment<'_>,
        dial: Dial,
        framing: &Framing,
        counters: &mut Counters,
        edge: &mut E,
    ) -> Result<(), Unreachable> {
        let key = FlowKey::of(packet, segment);
        if let Some(bound) = self.bound() {
            counters.count(bound);
            edge.release(&Claim::Tcp(key));
            self.refuse(packet.bytes, framing, edge);
            return Ok(());
        }
        let syn = HeldSyn::new(packet.bytes, packet.header_len, segment);
        let id = self.add(key, Phase::Connecting(syn));
        counters.count(Counter::TcpFlowsOpened);
        let dialled = match dial {
            Dial::Host(to) => edge.tcp_connect(id, to),
            Dial::NameServer => edge.dns_connect(id),
        };
        match dialled {
            Ok(()) => Ok(()),
            Err(error) => self.fail(now, id, error, framing, counters, edge),
        }
    }

    /// Tells that the host side of a flow is connected.
    pub(crate) fn connected<E: Edge>(
        &mut self,
        now: Instant,
        id: FlowId,
        ready: Readiness,
        framing: &Framing,
        counters: &mut Counters,
        edge: &mut E,
    ) {
        let Some(flow) = self.flows.get_mut(id.0 as usize) else { return };
        let Phase::Connecting(syn) = &flow.phase else { return };
        let Some(mut endpoint) = self.stock.take() else {
            counters.count(Counter::TcpBufferLimit);
            let packet = syn.packet.clone();
            edge.tcp_close(id, Close::Reset);
            self.remove(now, id, edge);
            return self.refuse(&packet, framing, edge);
        };
        if endpoint.listen(&flow.key) {
            // The answer to a SYN is never immediate: it comes with the flow's turn.
            self.engine.feed(now, &mut endpoint.set, &syn.packet);
        }
        let open = OpenFlow::new(endpoint, syn.peer, ready, now);
        flow.phase = Phase::Open(Box::new(open));
        self.mark(id);
    }

    /// Tells that the host side of a flow could not connect.
    ///
    /// # Errors
    /// When the container is to hear of it by ICMP.
    pub(crate) fn fail<E: Edge>(
        &mut self,
        now: Instant,
        id: FlowId,
        error: HostError,
        framing: &Framing,
        counters: &mut Counters,
        edge: &mut E,
    ) -> Result<(), Unreachable> {
        let Some(Phase::Connecting(syn)) = self.remove(now, id, edge) else { return Ok(()) };
        match error {
            HostError::NetUnreachable | HostError::HostUnreachable | HostError::Prohibited => {
                Err(Unreachable { packet: syn.packet, error })
            }
            // What the container would have got from the wire: nothing.
            HostError::TimedOut => Ok(()),
            _ => {
                if error == HostError::Exhausted {
                    counters.count(Counter::HostExhausted);
                }
                self.refuse(&syn.packet, framing, edge);
                Ok(())
            }
        }
    }

    /// Whether a flow's host side is still connecting.
    pub(crate) fn connecting(&self, id: FlowId) -> bool {
        matches!(self.flows.get(id.0 as usize), Some(Flow { phase: Phase::Connecting(_), .. }))
    }
}
