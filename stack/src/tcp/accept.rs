//! Flows that clients of the host's begin, at its published ports.

use super::{FlowId, OpenFlow, Phase, TcpFlows};
use crate::Instant;
use crate::edge::{Edge, RingMemory};
use crate::event::{Counter, Counters};
use crate::flow::FlowKey;
use crate::share::Claim;

/// The ports that stand for a client's own when that is taken: the ephemeral ones (Linux' net.ipv4.ip_local_port_range).
const PORTS: std::ops::RangeInclusive<u16> = 32768..=60999;

/// How many of them are tried.
const TRIES: usize = 64;

impl<M: RingMemory> TcpFlows<M> {
    /// Starts a flow to the container for a connection that the host has accepted. `wanted` names it; another port takes the
    /// place of the client's where a flow of that name exists. `None` when a bound forbids it.
    pub(crate) fn accept<E: Edge>(
        &mut self,
        now: Instant,
        wanted: FlowKey,
        counters: &mut Counters,
        edge: &mut E,
    ) -> Option<FlowId> {
        if let Some(bound) = self.bound() {
            counters.count(bound);
            return None;
        }
        let Some(key) = self.claim_name(wanted, edge) else {
            counters.count(Counter::TcpFlowLimit);
            return None;
        };
        let Some(mut endpoint) = self.stock.take() else {
            counters.count(Counter::TcpBufferLimit);
            edge.release(&Claim::Tcp(key));
            return None;
        };
        if !endpoint.connect(&mut self.engine, &key) {
            self.stock.put(now, endpoint);
            edge.release(&Claim::Tcp(key));
            return None;
        }
        let id = self.add(key, Phase::Open(Box::new(OpenFlow::inbound(endpoint, now))));
        counters.count(Counter::TcpFlowsAccepted);
        self.mark(id);
        Some(id)
    }

    /// Claims the name for a flow, or the like that is free.
    fn claim_name<E: Edge>(&mut self, mut key: FlowKey, edge: &mut E) -> Option<FlowKey> {
        for _ in 0..TRIES {
            let taken = key.remote_port == 0 || self.by_key.contains_key(&key);
            if !taken && edge.claim(&Claim::Tcp(key)).is_ok() {
                return Some(key);
            }
            self.next_port = self.next_port.wrapping_add(1);
            key.remote_port = PORTS.start() + self.next_port % (PORTS.end() - PORTS.start() + 1);
        }
        None
    }
}
