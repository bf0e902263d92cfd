//! What the backend asks of the kernel by netlink: links, addresses and routes.

mod address;
pub mod attribute;
mod link;
mod route;
mod socket;

pub use address::Lifetime;
pub use link::{Change, Link, bridge, ipvlan, macvlan, veth, veth_vlan};
pub use route::{MAIN_TABLE, RouteKind, RouteSpec};
pub use socket::{APPEND, Answer, Batch, CREATE, NetlinkSocket, body};

use netlink_packet_core::Emitable;

/// A connection to the routing family (rtnetlink(7)) of one network namespace.
pub struct Route(NetlinkSocket);

impl Route {
    /// Connects to the caller's network namespace.
    pub fn open() -> std::io::Result<Route> {
        NetlinkSocket::open(netlink_sys::protocols::NETLINK_ROUTE).map(Route)
    }
}

fn emitted(message: &impl Emitable) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}
