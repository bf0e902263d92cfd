//! One container network as the rootless backend provides it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use rnet_stack::Family;
pub use rnet_stack::Limits;
use rnet_stack::frame::MacAddr;

use super::{Auto, AutoExpose, Dns, Expose, Link, Publish};

/// More threads than this have nothing to do: one carries several gigabits a second.
pub const THREADS_MAX: usize = 16;

/// Who waits for longer than this can wait for a wake-up too.
pub const BUSY_POLL_MAX: Duration = Duration::from_millis(100);

/// A container's network: the tap device in its namespace and what answers behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Name of the tap device in the container's namespace.
    pub ifname: String,
    /// MTU of the tap device in bytes, 1280 (576 without IPv6) to 65520.
    pub mtu: u16,
    /// The tap device's own address; `None` lets the kernel choose.
    pub mac: Option<MacAddr>,
    /// IPv4, unless switched off.
    pub ipv4: Option<Subnet<Ipv4Addr>>,
    /// IPv6, unless switched off.
    pub ipv6: Option<Subnet<Ipv6Addr>>,
    /// What is otherwise than rnet has it.
    pub link: Link,
    /// Whether the gateway's address stands for the host's loopback.
    pub host_loopback: bool,
    /// Where the host's sockets are bound to.
    pub outbound: Outbound,
    /// How names are resolved.
    pub dns: Dns,
    /// The container's ports that are reached at the host's.
    pub publish: Vec<Publish>,
    /// The container's ports that are reached at the host's as long as something listens there.
    pub auto: Auto,
    /// The host's loopback ports that are reached at the container's loopback.
    pub expose: Vec<Expose>,
    /// Those of the host's loopback that are reached there as long as something listens at them.
    pub auto_expose: AutoExpose,
    /// Whom clients of published TCP ports on the host's loopback appear as.
    pub loopback_source: LoopbackSource,
    /// Bounds on what the container can make rnet hold.
    pub limits: Limits,
    /// Threads that carry packets, each with a queue of the tap device and an equal part of the limits; from 1 to
    /// [`THREADS_MAX`].
    pub threads: usize,
    /// Whether the next packet is looked for without sleeping.
    pub busy_poll: BusyPoll,
}

/// How long after a packet the next one is looked for without sleeping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BusyPoll {
    /// For some 50 µs while messages go to and fro that quickly.
    #[default]
    Auto,
    /// For this long after any packet; zero to [`BUSY_POLL_MAX`].
    For(Duration),
}

impl Network {
    /// Whom clients of published TCP ports on the host's loopback appear as, where their connections are spliced.
    pub fn loopback_name(&self, family: Family) -> Option<IpAddr> {
        use LoopbackSource::{Container, Gateway, Loopback};
        match (family, self.loopback_source) {
            (Family::V4, Gateway) => self.ipv4.map(|subnet| subnet.gateway.into()),
            (Family::V4, Container) => self.ipv4.map(|subnet| subnet.address.into()),
            (Family::V6, Gateway) => self.ipv6.map(|subnet| subnet.gateway.into()),
            (Family::V6, Container) => self.ipv6.map(|subnet| subnet.address.into()),
            (Family::V4, Loopback) => self.ipv4.map(|_| Ipv4Addr::LOCALHOST.into()),
            (Family::V6, Loopback) => self.ipv6.map(|_| Ipv6Addr::LOCALHOST.into()),
        }
    }
}

/// Whom clients on the host's loopback appear as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoopbackSource {
    /// The gateway, as all that is beyond it.
    #[default]
    Gateway,
    /// The container itself, where their connections need not pass the TCP/IP stack.
    Container,
    /// The container's loopback, where they arrive too.
    Loopback,
}

/// The container's subnet in one address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet<A> {
    /// The container's address.
    pub address: A,
    /// Prefix length of the subnet in bits.
    pub prefix: u8,
    /// The default gateway: rnet itself.
    pub gateway: A,
    /// The address at which rnet answers DNS queries, if there is one.
    pub dns: Option<A>,
}

/// What outgoing host sockets are bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbound {
    /// Source address of IPv4 sockets.
    pub ipv4: Option<Ipv4Addr>,
    /// Source address of IPv6 sockets.
    pub ipv6: Option<Ipv6Addr>,
    /// The interface that sockets are bound to (SO_BINDTODEVICE).
    pub interface: Option<String>,
    /// The same for IPv4 sockets alone.
    pub interface4: Option<String>,
    /// The same for IPv6 sockets alone.
    pub interface6: Option<String>,
    /// Whether the source addresses are also for what goes to the host's own loopback. The interfaces never are.
    pub to_loopback: bool,
}

impl Outbound {
    /// The interface that a family's sockets are bound to.
    pub fn interface(&self, family: Family) -> Option<&str> {
        let own = match family {
            Family::V4 => &self.interface4,
            Family::V6 => &self.interface6,
        };
        own.as_deref().or(self.interface.as_deref())
    }
}
