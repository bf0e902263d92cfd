//! The rules of a network: what all its containers share.

use std::net::IpAddr;

use ipnet::IpNet;

use super::chains::{self, DNAT, FORWARD, INPUT, ISOLATION_1, ISOLATION_2, ISOLATION_3, POSTROUTING};
use super::expr::Verdict;
use super::rule::{Rule, Side};
use crate::bridge::firewall::{Isolation, NetworkRules};

/// How many characters of a network's id stand in its chains' names.
const ID_LEN: usize = 8;

/// The chain of a subnet: `nv_53ce4390_10_88_0_0_nm16`, `nv_ec79dd0c_fd10-88-a--_nm64`.
pub fn chain(network_id: &str, subnet: IpNet) -> String {
    let id: String = network_id.chars().take(ID_LEN).collect();
    let subnet = subnet.trunc().to_string().replace('.', "_").replace(':', "-").replace('/', "_nm");
    format!("nv_{id}_{subnet}")
}

/// The chain of a subnet's published ports.
pub fn dnat_chain(network_id: &str, subnet: IpNet) -> String {
    format!("{}_dnat", chain(network_id, subnet))
}

/// What the chain of a subnet holds.
pub fn subnet_rules(network: &NetworkRules, subnet: IpNet) -> Vec<Rule> {
    if network.internal {
        return Vec::new();
    }
    let (multicast, outbound): (IpNet, Option<IpAddr>) = match subnet {
        IpNet::V4(_) => (IpNet::V4(MULTICAST_4), network.outbound_addr4.map(IpAddr::V4)),
        IpNet::V6(_) => (IpNet::V6(MULTICAST_6), network.outbound_addr6.map(IpAddr::V6)),
    };
    let outside = Rule::new().not_address(Side::Destination, multicast);
    vec![
        Rule::new().address(Side::Destination, subnet).verdict(Verdict::Accept),
        match outbound {
            Some(address) => outside.snat(address),
            None => outside.masquerade(),
        },
    ]
}

const MULTICAST_4: ipnet::Ipv4Net = ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(224, 0, 0, 0), 4);
const MULTICAST_6: ipnet::Ipv6Net = ipnet::Ipv6Net::new_assert(std::net::Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8);

/// The rules about a subnet in the chains that all networks share, in order.
pub fn shared_rules(network: &NetworkRules, subnet: IpNet) -> Vec<(&'static str, Rule)> {
    let from = || Rule::new().address(Side::Source, subnet);
    let mut rules = vec![(INPUT, from().dns().verdict(Verdict::Accept))];
    if !network.internal {
        rules.push((FORWARD, chains::answers_to(subnet)));
        rules.push((FORWARD, from().verdict(Verdict::Accept)));
        rules.push((POSTROUTING, from().jump(chain(&network.network_id, subnet))));
    }
    rules
}

/// The rules that keep networks apart. Those of ISOLATION-3 go to its beginning, the others to their chain's end.
pub fn isolation_rules(network: &NetworkRules) -> Vec<(&'static str, Rule)> {
    let bridge = &network.bridge_name;
    let leaves = |next: &str| Rule::new().enters_by(bridge).leaves_not_by(bridge).jump(next);
    let enters = || Rule::new().leaves_by(bridge).verdict(Verdict::Drop);
    match network.isolation {
        Isolation::Strict => vec![(ISOLATION_1, leaves(ISOLATION_3)), (ISOLATION_2, enters())],
        Isolation::Normal => vec![(ISOLATION_1, leaves(ISOLATION_2)), (ISOLATION_2, enters())],
        Isolation::Never => vec![(ISOLATION_3, enters())],
    }
}

/// Queries to a gateway go to the port at which the name server listens.
pub fn dns_redirect(gateway: IpAddr, port: u16) -> (&'static str, Rule) {
    let to = Rule::new().address(Side::Destination, gateway.into());
    (DNAT, to.dns().dnat(gateway, Some(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_names() {
        let id = "53ce4390f2adb1681eb1a90ec8b48c49c015e0a8d336c197637e7f65e365fa9e";
        assert_eq!(chain(id, "10.88.0.0/16".parse().unwrap()), "nv_53ce4390_10_88_0_0_nm16");
        assert_eq!(dnat_chain(id, "fd10:88:a::/64".parse().unwrap()), "nv_53ce4390_fd10-88-a--_nm64_dnat");
    }
}
