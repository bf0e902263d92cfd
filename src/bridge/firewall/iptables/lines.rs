//! The rules in iptables' words, in the chains that netavark 1.x made.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::{Changes, Present, socket};
use crate::bridge::error::Result;
use crate::bridge::firewall::{ContainerRules, Isolation, NetworkRules};
use crate::bridge::protocol::PortMapping;

const FORWARD: &str = "NETAVARK_FORWARD";
const INPUT: &str = "NETAVARK_INPUT";
const ISOLATION: [&str; 3] = ["NETAVARK_ISOLATION_1", "NETAVARK_ISOLATION_2", "NETAVARK_ISOLATION_3"];
const DNAT: &str = "NETAVARK-HOSTPORT-DNAT";
const MASQ: &str = "NETAVARK-HOSTPORT-MASQ";
const SETMARK: &str = "NETAVARK-HOSTPORT-SETMARK";
const DNS: u16 = 53;

/// Rules with one comment.
pub struct Lines {
    tag: String,
    chains: Vec<String>,
    rules: Vec<(&'static str, String, String)>,
}

/// The chains that are always there, and the rules that lead to them. A rule is known by its comment.
pub fn base(changes: &mut Changes, present: &Present) {
    for chain in [INPUT, FORWARD].into_iter().chain(ISOLATION) {
        changes.chain(present, "filter", chain);
    }
    for chain in [DNAT, MASQ, SETMARK] {
        changes.chain(present, "nat", chain);
    }
    let local = "-m addrtype --dst-type LOCAL";
    let mut at = 0;
    // Rules that must come first are inserted in reverse order.
    for (table, how, rule) in [
        ("filter", "-I INPUT", format!("-j {INPUT}")),
        ("filter", "-I FORWARD", format!("-j {FORWARD}")),
        ("filter", &*format!("-I {FORWARD}"), format!("-j {}", ISOLATION[0])),
        ("filter", &*format!("-I {FORWARD}"), "-m connmark --mark 0x1000/0x1000 -j ACCEPT".into()),
        ("filter", &*format!("-I {FORWARD}"), "-m conntrack --ctstate INVALID -j DROP".into()),
        ("filter", &*format!("-A {}", ISOLATION[2]), format!("-j {}", ISOLATION[1])),
        ("nat", "-I POSTROUTING", format!("-j {MASQ}")),
        ("nat", "-I PREROUTING", format!("{local} -j {DNAT}")),
        ("nat", "-I OUTPUT", format!("{local} -j {DNAT}")),
        ("nat", &*format!("-A {MASQ}"), "-m mark --mark 0x2000/0x2000 -j MASQUERADE".into()),
        ("nat", &*format!("-A {SETMARK}"), "-j MARK --set-xmark 0x2000/0x2000".into()),
    ] {
        at += 1;
        let tag = format!("netavark:base:{at:02}");
        if !present.any(|line| line.contains(&tag)) {
            changes.rule(table, format!("{how} -m comment --comment {tag} {rule}"));
        }
    }
}

impl Lines {
    fn new(tag: &str) -> Lines {
        Lines { tag: tag.into(), chains: Vec::new(), rules: Vec::new() }
    }

    fn push(&mut self, table: &'static str, how: impl Into<String>, rule: String) {
        self.rules.push((table, how.into(), rule));
    }

    /// Adds them to what is to be done.
    pub fn add_to(self, changes: &mut Changes, present: &Present) {
        self.chains.iter().for_each(|chain| changes.chain(present, "nat", chain));
        for (table, how, rule) in self.rules {
            changes.rule(table, format!("{how} -m comment --comment {} {rule}", self.tag));
        }
    }

    /// The chains of a network's own.
    pub fn chains(network: &NetworkRules) -> [String; 2] {
        [subnet_chain(&network.network_hash_name), dnat_chain(&network.network_hash_name)]
    }

    /// The rules of a network.
    pub fn of_network(network: &NetworkRules, tag: &str, v4: bool) -> Lines {
        let mut lines = Lines::new(tag);
        let subnets: Vec<&IpNet> = network.subnets.iter().filter(|net| matches!(net, IpNet::V4(_)) == v4).collect();
        let chain = subnet_chain(&network.network_hash_name);
        lines.chains.push(chain.clone());
        for subnet in &subnets {
            for protocol in ["udp", "tcp"] {
                lines.push(
                    "filter",
                    format!("-A {INPUT}"),
                    format!("-s {subnet} -p {protocol} --dport {DNS} -j ACCEPT"),
                );
            }
            if network.internal {
                continue;
            }
            let answers = "-m conntrack --ctstate RELATED,ESTABLISHED";
            lines.push("filter", format!("-A {FORWARD}"), format!("-d {subnet} {answers} -j ACCEPT"));
            lines.push("filter", format!("-A {FORWARD}"), format!("-s {subnet} -j ACCEPT"));
            lines.push("nat", "-A POSTROUTING", format!("-s {subnet} -j {chain}"));
            lines.push("nat", format!("-A {chain}"), format!("-d {subnet} -j ACCEPT"));
        }
        if !network.internal && !subnets.is_empty() {
            let outbound = match v4 {
                true => network.outbound_addr4.map(IpAddr::from),
                false => network.outbound_addr6.map(IpAddr::from),
            };
            let how = outbound.map_or("MASQUERADE".into(), |address| format!("SNAT --to-source {address}"));
            let multicast = if v4 { "224.0.0.0/4" } else { "ff00::/8" };
            lines.push("nat", format!("-A {chain}"), format!("! -d {multicast} -j {how}"));
        }
        lines.isolation(network);
        lines
    }

    fn isolation(&mut self, network: &NetworkRules) {
        let bridge = &network.bridge_name;
        let drop = || format!("-o {bridge} -j DROP");
        let leaves = |next: &str| format!("-i {bridge} ! -o {bridge} -j {next}");
        match network.isolation {
            Isolation::Strict => self.push("filter", format!("-A {}", ISOLATION[0]), leaves(ISOLATION[2])),
            Isolation::Normal => self.push("filter", format!("-A {}", ISOLATION[0]), leaves(ISOLATION[1])),
            // Before the rule that leads on.
            Isolation::Never => return self.push("filter", format!("-I {}", ISOLATION[2]), drop()),
        }
        self.push("filter", format!("-A {}", ISOLATION[1]), drop());
    }

    /// The rules of a container.
    pub fn of_container(container: &ContainerRules, tag: &str, v4: bool) -> Result<Lines> {
        let mut lines = Lines::new(tag);
        let chain = dnat_chain(&container.network_hash_name);
        let Some((address, subnet)) = container.addresses().find(|(address, _)| address.is_ipv4() == v4) else {
            return Ok(lines);
        };
        if container.dns_port != DNS {
            let servers = container.dns_server_ips.iter().filter(|server| server.is_ipv4() == v4);
            for server in servers {
                let to = socket(*server, &container.dns_port.to_string());
                for protocol in ["udp", "tcp"] {
                    let rule = format!("-d {server} -p {protocol} --dport {DNS} -j DNAT --to-destination {to}");
                    lines.push("nat", format!("-I {DNAT}"), rule);
                }
            }
        }
        if container.internal {
            return Ok(lines);
        }
        for port in container.port_mappings.iter().flatten() {
            let host = port.address()?;
            if host.is_none_or(|host| host.is_ipv4() == v4) {
                lines.port(port, host.filter(|host| !host.is_unspecified()), (address, subnet), &chain);
            }
        }
        Ok(lines)
    }

    fn port(&mut self, port: &PortMapping, host: Option<IpAddr>, (address, subnet): (IpAddr, IpNet), chain: &str) {
        self.chains.push(chain.into());
        let (first, last) = (port.host_port, port.host_end());
        let ports = if first == last { first.to_string() } else { format!("{first}:{last}") };
        let to_host = host.map_or(String::new(), |host| format!("-d {host} "));
        let wanted = format!("{to_host}-p {} --dport {ports}", port.protocol);
        self.push("nat", format!("-A {DNAT}"), format!("{wanted} -j {chain}"));
        self.push("nat", format!("-A {chain}"), format!("-s {subnet} {wanted} -j {SETMARK}"));
        if address.is_ipv4() {
            let loopback = Ipv4Addr::LOCALHOST;
            self.push("nat", format!("-A {chain}"), format!("-s {loopback} {wanted} -j {SETMARK}"));
        }
        self.push("nat", format!("-A {chain}"), format!("{wanted} -j CONNMARK --set-xmark 0x1000/0x1000"));
        let to = match port.count() {
            1 => port.container_port.to_string(),
            _ if port.container_port == port.host_port => String::new(),
            count => format!("{}-{}/{first}", port.container_port, port.container_port + (count - 1)),
        };
        self.push("nat", format!("-A {chain}"), format!("{wanted} -j DNAT --to-destination {}", socket(address, &to)));
    }
}

fn subnet_chain(hash: &str) -> String {
    format!("NETAVARK-{hash}")
}

fn dnat_chain(hash: &str) -> String {
    format!("NETAVARK-DN-{hash}")
}
