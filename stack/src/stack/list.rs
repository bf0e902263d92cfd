//! What flows there are just now, for people who look.

use std::net::SocketAddr;

use super::Stack;
use crate::edge::{FlowId, RingMemory, UdpId};
use crate::flow::FlowKey;

/// A TCP flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpFlow {
    /// Its number.
    pub id: FlowId,
    /// Both ends as the container sees them.
    pub key: FlowKey,
    /// How far it is.
    pub state: TcpState,
}

/// How far a TCP flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpState {
    /// The host side has yet to connect.
    Connecting,
    /// The container has yet to finish its handshake.
    Opening,
    /// Both sides are connected.
    Open,
    /// The container's side is over; the host is still given what was sent.
    Draining,
}

/// A UDP mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpMapping {
    /// Its number.
    pub id: UdpId,
    /// The container's end.
    pub guest: SocketAddr,
    /// Whom the container has sent to, if that is only one.
    pub peer: Option<SocketAddr>,
    /// Whether it stands for a published port.
    pub published: bool,
}

impl<M: RingMemory> Stack<M> {
    /// The TCP flows whose numbers are `first` or more, in the order of their numbers.
    pub fn tcp_flows(&self, first: u32) -> impl Iterator<Item = TcpFlow> {
        self.tcp.list(first)
    }

    /// The UDP mappings whose numbers are `first` or more, in the order of their numbers.
    pub fn udp_mappings(&self, first: u32) -> impl Iterator<Item = UdpMapping> {
        self.udp.list(first)
    }
}
