//! What is published, in firewalld's words: forwards of policies, and rich rules (firewalld.richlanguage(5)).

use std::net::{IpAddr, Ipv4Addr};

use crate::bridge::error::Result;
use crate::bridge::firewall::ContainerRules;
use crate::bridge::protocol::PortMapping;

/// A forward: port, protocol, the container's port and address.
pub type Forward = (String, String, String, String);
const DNS: u16 = 53;

/// What two policies hold for containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Forwards of connections from anywhere but the host.
    pub forwards: Vec<Forward>,
    /// The same where one address of the host is named.
    pub rich: Vec<String>,
    /// Forwards of the host's own connections.
    pub host: Vec<String>,
}

impl Rules {
    /// What a container needs.
    pub fn of(container: &ContainerRules) -> Result<Rules> {
        let mut rules = Rules::default();
        for port in container.port_mappings.iter().flatten() {
            let host = port.address()?;
            for (address, _) in container.addresses() {
                if host.is_none_or(|host| host.is_ipv4() == address.is_ipv4()) {
                    rules.publish(port, host, address);
                }
            }
        }
        if container.dns_port != DNS {
            for &server in &container.dns_server_ips {
                for protocol in ["udp", "tcp"] {
                    let forward = forward(DNS.to_string(), protocol, container.dns_port.to_string(), server);
                    rules.rich.push(rich(server, &forward));
                }
            }
        }
        Ok(rules)
    }

    fn publish(&mut self, port: &PortMapping, host: Option<IpAddr>, address: IpAddr) {
        let range = |first: u16, count: u16| match count {
            1 => first.to_string(),
            count => format!("{first}-{}", first.saturating_add(count - 1)),
        };
        // firewalld leaves it to the kernel which port of a range is taken, and that keeps a port only when it can.
        let whole = port.host_port == port.container_port;
        let (count, steps) = if whole { (port.count(), 1) } else { (1, port.count()) };
        for step in 0..steps {
            let (from, to) = (port.host_port.saturating_add(step), port.container_port.saturating_add(step));
            self.publish_one(host, forward(range(from, count), &port.protocol, range(to, count), address));
        }
    }

    fn publish_one(&mut self, host: Option<IpAddr>, forward: Forward) {
        match host.filter(|host| !host.is_unspecified()) {
            None => {
                if forward.3.parse::<Ipv4Addr>().is_ok() {
                    self.host.push(rich(Ipv4Addr::LOCALHOST.into(), &forward));
                }
                self.forwards.push(forward);
            }
            // The kernel routes nothing from ::1 to elsewhere.
            Some(host) if host.is_loopback() => self.host.extend(host.is_ipv4().then(|| rich(host, &forward))),
            Some(host) => {
                let rule = rich(host, &forward);
                self.host.push(rule.clone());
                self.rich.push(rule);
            }
        }
    }

    /// Adds what is not there yet.
    pub fn add(&mut self, other: Rules) {
        add(&mut self.forwards, other.forwards);
        add(&mut self.rich, other.rich);
        add(&mut self.host, other.host);
    }

    /// Removes all that leads to one of these addresses.
    pub fn remove(&mut self, addresses: &[IpAddr]) {
        let stays = |to: &str| to.parse().map_or(true, |to: IpAddr| !addresses.contains(&to));
        self.forwards.retain(|(_, _, _, to)| stays(to));
        for list in [&mut self.rich, &mut self.host] {
            list.retain(|rule| target(rule).is_none_or(stays));
        }
    }
}

fn add<T: PartialEq>(list: &mut Vec<T>, new: Vec<T>) {
    for each in new {
        if !list.contains(&each) {
            list.push(each);
        }
    }
}

fn forward(port: String, protocol: &str, to_port: String, to: IpAddr) -> Forward {
    (port, protocol.to_owned(), to_port, to.to_string())
}

/// As firewalld itself writes the rule, by which it is found again.
fn rich(host: IpAddr, (port, protocol, to_port, to): &Forward) -> String {
    let family = if host.is_ipv4() { "ipv4" } else { "ipv6" };
    format!(
        "rule family=\"{family}\" destination address=\"{host}\" \
         forward-port port=\"{port}\" protocol=\"{protocol}\" to-port=\"{to_port}\" to-addr=\"{to}\""
    )
}

/// Where a rich rule leads.
fn target(rule: &str) -> Option<&str> {
    rule.split_once("to-addr=\"")?.1.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(ports: serde_json::Value) -> ContainerRules {
        serde_json::from_value(serde_json::json!({
            "container_id": "1", "port_mappings": ports, "network_name": "n", "network_hash_name": "",
            "container_ip_v4": "10.88.0.2", "subnet_v4": "10.88.0.0/16", "container_ip_v6": "fd00::2",
            "subnet_v6": "fd00::/64", "dns_port": 1053, "dns_server_ips": ["10.88.0.1"],
        }))
        .unwrap()
    }

    #[test]
    fn what_is_published_is_found_again() {
        let port = |host: &str, to: u16, range: u16| serde_json::json!({"host_ip": host, "host_port": 80, "container_port": to, "protocol": "tcp", "range": range});
        let rules = Rules::of(&container(serde_json::json!([
            port("", 80, 3),
            port("127.0.0.1", 90, 1),
            port("::1", 90, 1),
            port("192.0.2.1", 90, 2)
        ])));
        let rules = rules.unwrap();
        let forward = |to: &str| ("80-82".to_owned(), "tcp".to_owned(), "80-82".to_owned(), to.to_owned());
        assert_eq!(rules.forwards, [forward("10.88.0.2"), forward("fd00::2")]);
        let rule = |host: &str, port: &str, to: &str| {
            format!(
                "rule family=\"ipv4\" destination address=\"{host}\" forward-port port=\"{port}\" protocol=\"tcp\" to-port=\"{to}\" to-addr=\"10.88.0.2\""
            )
        };
        let (first, second) = (rule("192.0.2.1", "80", "90"), rule("192.0.2.1", "81", "91"));
        assert_eq!(rules.rich[..2], [first.clone(), second.clone()], "a range that is moved");
        assert_eq!(rules.host, [rule("127.0.0.1", "80-82", "80-82"), rule("127.0.0.1", "80", "90"), first, second]);
        assert_eq!(rules.rich.len(), 4, "and the name server's two protocols: {:?}", rules.rich);
        let mut kept = rules.clone();
        kept.add(rules.clone());
        assert_eq!(kept, rules, "nothing twice");
        kept.remove(&["10.88.0.2".parse().unwrap(), "fd00::2".parse().unwrap()]);
        assert_eq!((kept.forwards.len(), kept.rich.len(), kept.host.len()), (0, 2, 0), "{kept:?}");
    }
}
