//! Subnets: those that are given are judged, those that are missing found.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Draft;
use crate::bridge::ipam::{intersect, overlaps};
use crate::bridge::protocol::{LeaseRange, Subnet};

/// So many random IPv6 subnets are tried.
const ATTEMPTS: usize = 1000;

impl Draft {
    /// Finds the subnets that a bridge network lacks.
    pub(super) fn fill_subnets(&mut self) {
        let has = |draft: &Draft, v4: bool| {
            draft.network.subnets.iter().flatten().any(|subnet| matches!(subnet.subnet, IpNet::V4(_)) == v4)
        };
        let (v4, v6, wants_v6) = (has(self, true), has(self, false), self.network.ipv6_enabled);
        if !v4 && (!v6 || wants_v6) {
            match self.free_ipv4() {
                Some(subnet) => self.add_subnet(subnet),
                None => self.fault("could not find free subnet from subnet pools"),
            }
        }
        if !v6 && wants_v6 {
            match self.free_ipv6() {
                Some(subnet) => self.add_subnet(subnet),
                None => self.fault("could not find a free IPv6 subnet"),
            }
        }
    }

    fn add_subnet(&mut self, subnet: IpNet) {
        self.network.subnets.get_or_insert_default().push(Subnet { subnet, gateway: None, lease_range: None });
    }

    fn is_free(&self, subnet: &IpNet) -> bool {
        let own = self.network.subnets.iter().flatten().map(|own| &own.subnet);
        let used = self.used.subnets.iter().filter(|_| self.check_subnets);
        !used.chain(own).any(|used| intersect(used, subnet))
    }

    fn free_ipv4(&self) -> Option<IpNet> {
        let pools = self.options.subnet_pools.iter();
        pools
            .filter_map(|pool| match (pool.base.trunc(), u8::try_from(pool.size)) {
                (IpNet::V4(base), Ok(size @ 0..=32)) if size >= base.prefix_len() => base.subnets(size).ok(),
                _ => None,
            })
            .flatten()
            .map(IpNet::V4)
            .find(|subnet| self.is_free(subnet))
    }

    /// fdXX:XXXX:XXXX:XXXX::/64 (RFC 4193)
    fn free_ipv6(&self) -> Option<IpNet> {
        (0..ATTEMPTS).find_map(|_| {
            let mut bytes = [0; 16];
            getrandom::fill(&mut bytes[1..8]).ok()?;
            bytes[0] = 0xfd;
            let subnet = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from(bytes), 64));
            self.is_free(&subnet).then_some(subnet)
        })
    }

    /// Judges all subnets and fills in their gateways.
    pub(super) fn subnets(&mut self) {
        let Some(mut subnets) = self.network.subnets.take() else { return };
        let nets: Vec<IpNet> = subnets.iter().map(|subnet| subnet.subnet.trunc()).collect();
        self.faults.extend(overlaps(&nets));
        let wants_gateway = !self.network.internal || self.network.dns_enabled;
        for subnet in &mut subnets {
            // 10.0.0.5/24 is taken for 10.0.0.0/24.
            subnet.subnet = subnet.subnet.trunc();
            let net = subnet.subnet;
            if self.check_subnets && self.used.subnets.iter().any(|used| intersect(used, &net)) {
                self.fault(format!("subnet {net} is already used on the host or by another config"));
            }
            match subnet.gateway {
                Some(gateway) if !net.contains(&gateway) => {
                    self.fault(format!("gateway {gateway} not in subnet {net}"))
                }
                None if wants_gateway => match first_address(&net) {
                    Ok(gateway) => subnet.gateway = Some(gateway),
                    Err(prefix) => self.fault(format!(
                        "could not create gateway for subnet {net} because it has a {prefix} or greater subnet prefix"
                    )),
                },
                _ => {}
            }
            if let Some(range) = &subnet.lease_range {
                self.lease_range(range, &net);
            }
            self.network.ipv6_enabled |= matches!(net, IpNet::V6(_));
        }
        self.network.subnets = Some(subnets);
    }

    fn lease_range(&mut self, range: &LeaseRange, net: &IpNet) {
        let mut ends = Vec::new();
        for (name, text) in [("start_ip", &range.start_ip), ("end_ip", &range.end_ip)] {
            let Some(text) = text else { continue };
            match text.parse::<IpAddr>() {
                Err(error) => self.fault(format!("invalid {name}: {text}: {error}")),
                Ok(ip) if !net.contains(&ip) => self.fault(format!("lease range {name} {ip} not in subnet {net}")),
                Ok(ip) => ends.push(ip),
            }
        }
        if let [start, end] = ends[..]
            && start > end
        {
            self.fault(format!("lease range start_ip {start} is greater than end_ip {end}"));
        }
    }
}

/// The first address after the network's own, or the prefix from which on there is none.
fn first_address(net: &IpNet) -> Result<IpAddr, u8> {
    match net {
        IpNet::V4(net) if net.prefix_len() >= 31 => Err(31),
        IpNet::V6(net) if net.prefix_len() >= 128 => Err(128),
        IpNet::V4(net) => Ok(Ipv4Addr::from_bits(Ipv4Net::network(net).to_bits() + 1).into()),
        IpNet::V6(net) => Ok(Ipv6Addr::from_bits(Ipv6Net::network(net).to_bits() + 1).into()),
    }
}
