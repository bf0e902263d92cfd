//! What a stack is told when it is made.

use std::net::{Ipv4Addr, Ipv6Addr};

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
