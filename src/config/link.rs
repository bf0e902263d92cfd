//! What a network may have otherwise than rnet's own does: what other programs' command lines ask for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use netlink_packet_route::route::RouteMessage;
use rnet_stack::frame::MacAddr;
pub use rnet_stack::neighbour::{ClientName, Offers};
pub use rnet_stack::{Mapping, Transports};

/// The link, beyond its subnets. By default it is rnet's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The Ethernet address of its other end; `None` for the usual one.
    pub mac: Option<MacAddr>,
    /// The link-local address of its other end; `None` for the usual one.
    pub link_local: Option<Ipv6Addr>,
    /// How the container's device is set up.
    pub setup: Setup,
    /// Whether a device of this name that is there already is taken, instead of refused.
    pub found: bool,
    /// The address that DHCP gives, where that is not the container's.
    pub lease: Option<Ipv4Addr>,
    /// Addresses that stand for the host, in a container that has the host's own.
    pub mapping: Option<Mapping>,
    /// What is carried.
    pub transports: Transports,
    /// What is answered by the link itself.
    pub offers: Offers,
    /// DNS servers that are handed out besides the link's own.
    pub resolvers: Vec<IpAddr>,
    /// What DHCP clients are to be called.
    pub client_name: ClientName,
    /// A file that gets every frame, in the format of libpcap.
    pub capture: Option<PathBuf>,
    /// Whether connections from the host's loopback go past the TCP/IP stack.
    pub splice: Splice,
}

/// Whether connections from the host's loopback go past the TCP/IP stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Splice {
    /// Where that is possible.
    #[default]
    On,
    /// Never.
    Off,
}

/// How the container's device is set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Setup {
    /// With the subnets' addresses, and default routes by their gateways.
    #[default]
    Subnets,
    /// Not at all: the container asks for its addresses.
    Bare,
    /// With these.
    Copied(Copied),
}

/// Addresses and routes of the host's for the container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Whether the device gets the network's MTU.
    pub sets_mtu: bool,
    /// Addresses with the lengths of their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Routes, which name the container's device by [`Copied::DEVICE`]. Some may depend on others behind them.
    pub routes: Vec<RouteMessage>,
}

impl Copied {
    /// What stands for the index of the container's device in a route.
    pub const DEVICE: u32 = u32::MAX;
}
