//! What a worker tells of its flows and counters.

use std::iter;
use std::net::SocketAddr;

use rnet_stack::{TcpFlow, TcpState, UdpMapping};

use super::{Gone, Handle};
use crate::config::Protocol;
use crate::rootless::listen::RuleId;
use crate::rootless::report::Report;
use crate::rootless::worker::Worker;

/// A flow as people want to see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// What carries it.
    pub protocol: Protocol,
    /// The container's end.
    pub guest: SocketAddr,
    /// The other end as the container sees it; `None` for a UDP mapping that has several.
    pub remote: Option<SocketAddr>,
    /// The host socket's own end.
    pub host: Option<SocketAddr>,
    /// The host socket's other end.
    pub peer: Option<SocketAddr>,
    /// How far it is.
    pub state: FlowState,
    /// The rule by which a client came, or that published the port.
    pub rule: Option<RuleId>,
}

/// How far a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowState {
    /// TCP.
    Tcp(TcpState),
    /// A UDP mapping of the container's own.
    Mapped,
    /// A published UDP port.
    Published,
}

/// Where a list of flows goes on: the worker, the protocol, and the least number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowPlace {
    /// The worker.
    pub worker: usize,
    /// TCP comes before UDP.
    pub protocol: Protocol,
    /// The number of the flow.
    pub first: u32,
}

/// A part of the list of all flows.
#[derive(Clone, Debug)]
pub struct FlowPage {
    /// Flows.
    pub flows: Vec<Flow>,
    /// Where the list goes on; `None` at its end.
    pub next: Option<FlowPlace>,
}

impl FlowPlace {
    /// Where the list begins.
    pub const START: FlowPlace = FlowPlace { worker: 0, protocol: Protocol::Tcp, first: 0 };

    /// Behind the last flow of this worker and protocol.
    fn behind(self, workers: usize) -> Option<FlowPlace> {
        match self.protocol {
            Protocol::Tcp => Some(FlowPlace { protocol: Protocol::Udp, first: 0, ..self }),
            Protocol::Udp => {
                let worker = self.worker + 1;
                (worker < workers).then_some(FlowPlace { worker, ..FlowPlace::START })
            }
        }
    }
}

impl Handle {
    /// Flows from a place on, `most` of them at the most; fewer do not mean that the list ends.
    ///
    /// # Errors
    /// When the network has ended, or there is no such worker.
    pub fn flows(&self, from: FlowPlace, most: usize) -> Result<FlowPage, Gone> {
        let (flows, next) = self.ask(from.worker, (from, most), Worker::flows)?;
        let next = match next {
            Some(first) => Some(FlowPlace { first, ..from }),
            None => from.behind(self.workers()),
        };
        Ok(FlowPage { flows, next })
    }

    /// What all workers hold and have counted.
    ///
    /// # Errors
    /// When the network has ended.
    pub fn report(&self) -> Result<Report, Gone> {
        let reports = self.ask_each(iter::repeat(()), |worker, ()| worker.report())?;
        let mut sum = Report::default();
        reports.iter().for_each(|report| sum.add(report));
        Ok(sum)
    }
}

impl Worker {
    /// Flows from a place on, and the number at which they go on.
    fn flows(&mut self, (from, most): (FlowPlace, usize)) -> (Vec<Flow>, Option<u32>) {
        match from.protocol {
            Protocol::Tcp => {
                let mut flows = self.stack.tcp_flows(from.first);
                let page = flows.by_ref().take(most).map(|flow| self.tcp_flow(&flow)).collect();
                (page, flows.next().map(|flow| flow.id.0))
            }
            Protocol::Udp => {
                let mut mappings = self.stack.udp_mappings(from.first);
                let page = mappings.by_ref().take(most).map(|mapping| self.udp_flow(&mapping)).collect();
                (page, mappings.next().map(|mapping| mapping.id.0))
            }
        }
    }

    fn tcp_flow(&self, flow: &TcpFlow) -> Flow {
        let stream = self.edge.tcp.stream(flow.id);
        Flow {
            protocol: Protocol::Tcp,
            guest: SocketAddr::new(flow.key.guest, flow.key.guest_port),
            remote: Some(flow.key.remote()),
            host: stream.and_then(|(socket, _)| socket.local_addr().ok()),
            peer: stream.and_then(|(socket, _)| socket.peer_addr().ok()),
            state: FlowState::Tcp(flow.state),
            rule: stream.and_then(|(_, rule)| rule),
        }
    }

    fn udp_flow(&self, mapping: &UdpMapping) -> Flow {
        Flow {
            protocol: Protocol::Udp,
            guest: mapping.guest,
            remote: mapping.peer,
            host: self.edge.udp.local_addr(mapping.id),
            peer: None,
            state: if mapping.published { FlowState::Published } else { FlowState::Mapped },
            rule: self.edge.udp.rule(mapping.id),
        }
    }
}
