//! What tells one TCP flow from another.

use std::net::{IpAddr, SocketAddr};

use crate::frame::{IpPacket, TcpSegment};

/// The two ends of a TCP flow as the container sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// The container's address.
    pub guest: IpAddr,
    /// The container's port.
    pub guest_port: u16,
    /// The other end's address.
    pub remote: IpAddr,
    /// The other end's port.
    pub remote_port: u16,
}

impl FlowKey {
    /// The flow that a segment from the container belongs to.
    pub fn of(packet: &IpPacket<'_>, segment: &TcpSegment<'_>) -> FlowKey {
        FlowKey { guest: packet.src, guest_port: segment.src_port, remote: packet.dst, remote_port: segment.dst_port }
    }

    /// The other end as a socket address.
    pub fn remote(&self) -> SocketAddr {
        SocketAddr::new(self.remote, self.remote_port)
    }
}
