//! The container's addresses on a network, and what follows from them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::error::Error;
use super::protocol::{Address, Network, PerNetworkOptions};

/// Who gives the addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The caller.
    #[default]
    HostLocal,
    /// Nobody.
    None,
    /// A DHCP server.
    Dhcp,
}

/// The container's part in a network.
#[derive(Clone, Debug, Default)]
pub struct Ipam {
    /// Who gave the addresses.
    pub source: Source,
    /// The subnets, as their network addresses.
    pub subnets: Vec<IpNet>,
    /// The host's addresses, with the prefixes of their subnets.
    pub gateways: Vec<IpNet>,
    /// The container's addresses, with the prefixes of their subnets.
    pub addresses: Vec<IpNet>,
    /// What setup tells of the addresses.
    pub status: Vec<Address>,
}

impl Ipam {
    /// Reads subnets and addresses; what is wrong is added to `faults`.
    pub fn of(network: &Network, options: &PerNetworkOptions, faults: &mut Vec<Error>) -> Ipam {
        let driver = network.ipam_options.as_ref().and_then(|options| options.get("driver"));
        let source = match driver.map(String::as_str) {
            None | Some("host-local") => Source::HostLocal,
            Some("none") => Source::None,
            Some("dhcp") => Source::Dhcp,
            Some(other) => {
                faults.push(Error::text(format!("unsupported ipam driver {other}")));
                Source::None
            }
        };
        match source {
            Source::HostLocal => host_local(network, options, faults),
            Source::None | Source::Dhcp => Ipam { source, ..Ipam::default() },
        }
    }

    /// Whether there is an IPv6 subnet.
    pub fn has_ipv6(&self) -> bool {
        self.subnets.iter().any(|subnet| matches!(subnet, IpNet::V6(_)))
    }

    /// The first gateway of each family, IPv4 before IPv6.
    pub fn default_gateways(&self) -> impl Iterator<Item = IpAddr> {
        let first = |v4: bool| self.gateways.iter().map(IpNet::addr).find(|gateway| gateway.is_ipv4() == v4);
        [first(true), first(false)].into_iter().flatten()
    }
}

fn host_local(network: &Network, options: &PerNetworkOptions, faults: &mut Vec<Error>) -> Ipam {
    let mut ipam = Ipam::default();
    let Some(ips) = &options.static_ips else {
        faults.push(Error::text("no static ips provided"));
        return ipam;
    };
    let Some(subnets) = &network.subnets else {
        return ipam;
    };
    ipam.subnets = subnets.iter().map(|subnet| subnet.subnet.trunc()).collect();
    faults.extend(overlaps(&ipam.subnets));
    for subnet in subnets {
        let with_prefix = |address: IpAddr| IpNet::new(address, subnet.subnet.prefix_len());
        if let Some(gateway) = subnet.gateway {
            match with_prefix(gateway) {
                Ok(gateway) if gateway.addr().is_ipv4() == subnet.subnet.addr().is_ipv4() => {
                    ipam.gateways.push(gateway)
                }
                _ => faults.push(Error::text(format!("gateway {gateway} not in subnet {}", subnet.subnet))),
            }
        }
        for &ip in ips.iter().filter(|ip| subnet.subnet.contains(*ip)) {
            if let Ok(address) = with_prefix(ip) {
                ipam.addresses.push(address);
                ipam.status.push(Address { gateway: subnet.gateway, ipnet: address });
            }
        }
    }
    if ipam.addresses.len() != ips.len() {
        let (expected, got) = (ips.len(), ipam.addresses.len());
        faults.push(Error::text(format!("not all static IPs matched a subnet: expected {expected}, got {got}")));
    }
    ipam
}

/// What subnets share that must not.
pub fn overlaps(subnets: &[IpNet]) -> Vec<Error> {
    let mut faults = Vec::new();
    for (index, a) in subnets.iter().enumerate() {
        for b in &subnets[..index] {
            if a == b {
                faults.push(Error::text(format!("duplicate subnet defined: {a}")));
            } else if intersect(a, b) {
                faults.push(Error::text(format!("overlapping subnets: {b} and {a}")));
            }
        }
    }
    faults
}

/// Whether two subnets have an address in common.
pub fn intersect(a: &IpNet, b: &IpNet) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}
