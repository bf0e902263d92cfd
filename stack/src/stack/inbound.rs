//! What clients of published ports begin.

use std::net::SocketAddr;

use super::Stack;
use crate::Instant;
use crate::edge::{Edge, FlowId, RingMemory, UdpId};
use crate::flow::FlowKey;
use crate::policy;

impl<M: RingMemory> Stack<M> {
    /// Begins a flow for a connection that the host has accepted: from `client` to the container's end `to`. The container sees
    /// the client's own address where it can answer that, else the gateway's; and the client's own port where that is free.
    ///
    /// From here on the edge is asked for this flow's bytes, and its socket's readiness is told by [`Stack::tcp_ready`]. A
    /// refusal by the container is told to the edge as [`crate::Close::Reset`]. `None` when a bound forbids one more flow: the
    /// host's connection is to be reset.
    pub fn tcp_accepted<E: Edge>(
        &mut self,
        now: Instant,
        client: SocketAddr,
        to: SocketAddr,
        edge: &mut E,
    ) -> Option<FlowId> {
        let client = policy::client(&self.config, client, to.ip())?;
        let guest = self.wire.guest_for(client.ip(), to.ip());
        let key = FlowKey { guest, guest_port: to.port(), remote: client.ip(), remote_port: client.port() };
        self.tcp.accept(now, key, &mut self.counters, edge)
    }

    /// Makes the mapping of a UDP socket of the host's that is published to the container's end `to`. It never expires; what
    /// the container sends from that end leaves from the first socket that was published to it, but answers to the clients
    /// of another leave from where those came. A mapping that the container has made for that end itself is closed.
    pub fn udp_publish<E: Edge>(&mut self, to: SocketAddr, edge: &mut E) -> UdpId {
        self.udp.publish(to, edge)
    }

    /// Takes away mappings that [`Stack::udp_publish`] has made, with all that their clients were known by. The edge is told to
    /// close those sockets that it still has.
    pub fn udp_unpublish<E: Edge>(&mut self, mappings: &[UdpId], edge: &mut E) {
        self.udp.unpublish(mappings, edge);
    }

    /// Closes the mapping that the container's end `guest` has made for itself, because another stack of the container is about
    /// to publish a port to it.
    pub fn udp_give_way<E: Edge>(&mut self, guest: SocketAddr, edge: &mut E) {
        self.udp.give_way(guest, edge);
    }

    /// Closes a mapping that the container has made for itself: its host port is needed. If the container sends again it gets
    /// another one.
    pub fn udp_close<E: Edge>(&mut self, mapping: UdpId, edge: &mut E) {
        self.udp.close(mapping, edge);
    }
}
