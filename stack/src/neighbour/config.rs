//! What the link hands out and which addresses it answers for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
    /// Whether the link's own DNS servers are handed out.
    pub hands_out_dns: bool,
    /// Further DNS servers that are handed out, in order.
    pub resolvers: Vec<IpAddr>,
    /// Domains that the container's resolver searches; a name that isn't a legal domain is left out.
    pub search: Vec<String>,
    /// The addresses that ARP and neighbour discovery answer for.
    pub answer: Answer,
    /// The IPv4 address that DHCP gives, where that is not the container's.
    pub lease: Option<Ipv4Addr>,
    /// What is answered besides.
    pub offers: Offers,
    /// What DHCP clients are to be called.
    pub client_name: ClientName,
}

/// What the link answers and hands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offers {
    /// DHCPv4.
    pub dhcpv4: bool,
    /// DHCPv6.
    pub dhcpv6: bool,
    /// Neighbour discovery, router advertisements included.
    pub ndp: bool,
    /// Router advertisements.
    pub advertisements: bool,
    /// The MTU.
    pub mtu: bool,
}

impl Default for Offers {
    fn default() -> Offers {
        Offers { dhcpv4: true, dhcpv6: true, ndp: true, advertisements: true, mtu: true }
    }
}

/// Names that DHCP hands out to the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientName {
    /// The host name (DHCPv4 option 12), at most 255 bytes.
    pub host: Option<String>,
    /// The fully qualified domain name (RFC 4702, RFC 4704).
    pub domain: Option<String>,
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
    /// The DNS server, if the link has one.
    pub dns: Option<Ipv4Addr>,
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
    /// The DNS server, if the link has one.
    pub dns: Option<Ipv6Addr>,
    /// The link-local address of the link's other end.
    pub link_local: Ipv6Addr,
}

/// The addresses for which ARP and neighbour discovery answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The gateway, the DNS server, and our link-local address.
    Own,
    /// Every address but the container's, for a container that thinks all the world is on its link.
    All,
}

impl LinkConfig {
    /// The IPv4 DNS servers that are handed out.
    pub fn dns4(&self) -> impl Iterator<Item = Ipv4Addr> {
        let own = self.ipv4.as_ref().and_then(|v4| v4.dns).filter(|_| self.hands_out_dns);
        own.into_iter()
            .chain(self.resolvers.iter().filter_map(|ip| if let IpAddr::V4(ip) = ip { Some(*ip) } else { None }))
    }

    /// The IPv6 DNS servers that are handed out.
    pub fn dns6(&self) -> impl Iterator<Item = Ipv6Addr> {
        let own = self.ipv6.as_ref().and_then(|v6| v6.dns).filter(|_| self.hands_out_dns);
        own.into_iter()
            .chain(self.resolvers.iter().filter_map(|ip| if let IpAddr::V6(ip) = ip { Some(*ip) } else { None }))
    }
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
