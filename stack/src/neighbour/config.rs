//! What the link hands out and which addresses it answers for.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::frame::MacAddr;

/// The link as the container is to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkConfig {
    /// The Ethernet address of everything that isn't the container.
    pub mac: MacAddr,
    /// MTU, bytes of an IP packet.
    pub mtu: u16,
    /// IPv4, if the container has it.
    pub ipv4: Option<LinkV4>,
    /// IPv6, if the container has it.
    pub ipv6: Option<LinkV6>,
    /// Whether the DNS servers are handed out.
    pub hands_out_dns: bool,
    /// Domains that the container's resolver searches; a name that isn't a legal domain is left out.
    pub search: Vec<String>,
    /// The addresses that ARP and neighbour discovery answer for.
    pub answer: Answer,
    /// The IPv4 address that DHCP gives, where that is not the container's.
    pub lease: Option<Ipv4Addr>,
}

/// IPv4 on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkV4 {
    /// The container's address.
    pub address: Ipv4Addr,
    /// Length of the subnet's prefix, bits.
    pub prefix: u8,
    /// The default router, which is the DHCP server too.
    pub gateway: Ipv4Addr,
    /// The DNS server.
    pub dns: Ipv4Addr,
}

/// IPv6 on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkV6 {
    /// The container's address.
    pub address: Ipv6Addr,
    /// Length of the subnet's prefix, bits.
    pub prefix: u8,
    /// A global address of the default router.
    pub gateway: Ipv6Addr,
    /// The DNS server.
    pub dns: Ipv6Addr,
}

/// The addresses for which ARP and neighbour discovery answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The gateway, the DNS server, and our link-local address.
    Own,
    /// Every address but the container's, for a container that thinks all the world is on its link.
    All,
}

impl LinkV4 {
    /// The subnet mask.
    pub fn mask(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0))
    }

    /// The subnet's broadcast address; the limited one for a subnet that has none (RFC 3021).
    pub fn broadcast(&self) -> Ipv4Addr {
        if self.prefix >= 31 { Ipv4Addr::BROADCAST } else { self.address | !self.mask() }
    }

    /// Whether `address` is in the subnet.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        address & self.mask() == self.address & self.mask()
    }
}

impl LinkV6 {
    /// The subnet's mask.
    pub fn mask(&self) -> Ipv6Addr {
        Ipv6Addr::from_bits(u128::MAX.checked_shl(128 - u32::from(self.prefix.min(128))).unwrap_or(0))
    }

    /// The subnet's prefix, its other bits zero.
    pub fn subnet(&self) -> Ipv6Addr {
        self.address & self.mask()
    }

    /// Whether `address` is in the subnet.
    pub fn contains(&self, address: Ipv6Addr) -> bool {
        address & self.mask() == self.subnet()
    }
}
