//! What a stack is told when it is made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::edge::Family;
use crate::frame::MacAddr;
use crate::neighbour::LinkConfig;
use crate::tcp::TimestampClock;

/// Everything a stack needs to know. It never changes afterwards.
#[derive(Clone, Debug)]
pub struct Config {
    /// The link's own addresses and what it hands out.
    pub link: LinkConfig,
    /// The container's hardware address until it is learned from a frame.
    pub guest_mac: MacAddr,
    /// Whether the gateway's address stands for the host's loopback.
    pub host_loopback: bool,
    /// What becomes of queries to the link's DNS addresses.
    pub dns: DnsService,
    /// What stands for the host in a container that has the host's own addresses; `None` where the link has a subnet of its own.
    pub mapping: Option<Mapping>,
    /// What is carried.
    pub transports: Transports,
    /// Bounds on what the container can make the stack hold.
    pub limits: Limits,
    /// The clock of TCP timestamps; stacks that serve the same container share it.
    pub timestamps: TimestampClock,
    /// Seed of initial sequence numbers and hashes. Must be unpredictable outside tests.
    pub seed: u64,
}

impl Config {
    /// The gateway's IPv4 address.
    pub fn gateway4(&self) -> Option<Ipv4Addr> {
        self.link.ipv4.as_ref().map(|v4| v4.gateway)
    }

    /// The gateway's IPv6 address.
    pub fn gateway6(&self) -> Option<Ipv6Addr> {
        self.link.ipv6.as_ref().map(|v6| v6.gateway)
    }
}

/// Addresses that stand for the host in a container that has the host's own addresses and routes. Every other address means
/// the same inside and outside, the gateway's too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// Stands for 127.0.0.1.
    pub loopback4: Option<Ipv4Addr>,
    /// Stands for ::1.
    pub loopback6: Option<Ipv6Addr>,
    /// Stands for the host's IPv4 address that the container has too.
    pub shadowed4: Option<Ipv4Addr>,
    /// Stands for the host's IPv6 address that the container has too.
    pub shadowed6: Option<Ipv6Addr>,
    /// Who is asked by DNS over TLS and the like at the link's IPv4 DNS address.
    pub resolver4: Option<Ipv4Addr>,
    /// Who is asked by DNS over TLS and the like at the link's IPv6 DNS address.
    pub resolver6: Option<Ipv6Addr>,
    /// The index of the host's interface on which the container's link-local destinations are; 0 for none.
    pub scope: u32,
}

impl Mapping {
    /// What stands for the host's loopback.
    pub fn loopback(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.loopback4.map(IpAddr::V4),
            Family::V6 => self.loopback6.map(IpAddr::V6),
        }
    }

    /// What stands for the host's address that the container has too.
    pub fn shadowed(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.shadowed4.map(IpAddr::V4),
            Family::V6 => self.shadowed6.map(IpAddr::V6),
        }
    }

    /// Who is asked by DNS over TLS and the like.
    pub fn resolver(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.resolver4.map(IpAddr::V4),
            Family::V6 => self.resolver6.map(IpAddr::V6),
        }
    }
}

/// Which protocols are carried; packets of the others are dropped without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transports {
    /// TCP.
    pub tcp: bool,
    /// UDP.
    pub udp: bool,
    /// ICMP and ICMPv6 echo.
    pub icmp: bool,
}

impl Default for Transports {
    fn default() -> Transports {
        Transports { tcp: true, udp: true, icmp: true }
    }
}

/// What becomes of queries to the link's DNS addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsService {
    /// The edge has them answered.
    Edge,
    /// Nothing: whoever asks waits in vain.
    Silent,
}

/// Bounds on what one container can make the stack hold. At a bound the newest is refused and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// TCP flows, half-open ones included.
    pub tcp_flows: usize,
    /// TCP flows whose host side is connecting or whose container side has not finished its handshake.
    pub tcp_half_open: usize,
    /// Bytes of the rings of all TCP flows together.
    pub buffer_bytes: usize,
    /// UDP mappings.
    pub udp_mappings: usize,
    /// ICMP echo mappings.
    pub icmp_mappings: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            tcp_flows: 16384,
            tcp_half_open: 1024,
            buffer_bytes: 768 << 20,
            udp_mappings: 4096,
            icmp_mappings: 256,
        }
    }
}
