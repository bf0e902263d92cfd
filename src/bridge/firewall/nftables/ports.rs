//! The rules of a container's published ports.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use ipnet::IpNet;

use super::chains::{DNAT, PUBLISHED_MARK, SETMARK};
use super::network::dnat_chain;
use super::rule::{Rule, Side};
use crate::bridge::error::Result;
use crate::bridge::firewall::ContainerRules;
use crate::bridge::protocol::PortMapping;

/// The rules that publish a container's ports: each with its chain, in order.
pub fn port_rules(container: &ContainerRules) -> Result<Vec<(String, Rule)>> {
    let mut rules = Vec::new();
    if container.internal {
        return Ok(rules);
    }
    for port in container.port_mappings.iter().flatten() {
        let host = port.address()?;
        for (address, subnet) in container.addresses().filter(|(address, _)| concerns(host, *address)) {
            let host = host.filter(|host| !host.is_unspecified());
            one(&mut rules, port, host, address, dnat_chain(&container.network_id, subnet), subnet);
        }
    }
    Ok(rules)
}

/// Whether a host address, or all of one family, is of the container address's family.
fn concerns(host: Option<IpAddr>, address: IpAddr) -> bool {
    host.is_none_or(|host| host.is_ipv4() == address.is_ipv4())
}

fn one(
    rules: &mut Vec<(String, Rule)>,
    port: &PortMapping,
    host: Option<IpAddr>,
    address: IpAddr,
    chain: String,
    subnet: IpNet,
) {
    let Some(protocol) = port.number() else { return };
    let wanted = Wanted { host: host.map(IpNet::from), protocol, ports: port.host_port..=port.host_end() };
    rules.push((DNAT.into(), wanted.by(Rule::new()).jump(&*chain)));
    // Answers to containers of the same network, and to the host's own loopback, must come by way of the host.
    rules.push((chain.clone(), wanted.by(Rule::new().address(Side::Source, subnet)).jump(SETMARK)));
    if address.is_ipv4() {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST).into();
        rules.push((chain.clone(), wanted.by(Rule::new().address(Side::Source, loopback)).jump(SETMARK)));
    }
    let marked = wanted.by(Rule::new()).set_ct_mark(PUBLISHED_MARK);
    let pairs = || wanted.ports.clone().map(|host| (host, port.container_port + (host - port.host_port)));
    rules.push((
        chain,
        match port.count() {
            1 => marked.dnat(address, Some(port.container_port)),
            _ if port.host_port == port.container_port => marked.dnat(address, None),
            _ => marked.dnat_by_map(address, pairs().collect()),
        },
    ));
}

/// What a packet to a published port has in its headers. No closure: rustc before 1.97 hands the same `Rule::new()` to two calls of
/// one, of which the first has changed it (rust-lang/rust#155241).
struct Wanted {
    host: Option<IpNet>,
    protocol: u8,
    ports: RangeInclusive<u16>,
}

impl Wanted {
    fn by(&self, rule: Rule) -> Rule {
        let rule = match self.host {
            Some(host) => rule.address(Side::Destination, host),
            None => rule,
        };
        rule.ports(self.protocol, &self.ports)
    }
}
