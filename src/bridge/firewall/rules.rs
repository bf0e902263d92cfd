//! What the firewall is to do for a network and for a container, in the form in which it is also kept in files, for later runs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha512};

use crate::bridge::protocol::PortMapping;

/// How a network is kept apart from the others.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub enum Isolation {
    /// It can reach no other network.
    #[default]
    Strict,
    /// It can reach only networks that are not isolated.
    Normal,
    /// It is not.
    Never,
}

/// What the firewall is to do for a network.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct NetworkRules {
    /// Its subnets.
    pub subnets: Vec<IpNet>,
    /// Its bridge.
    pub bridge_name: String,
    /// Its id. The first versions of the file did not have it.
    #[serde(default)]
    pub network_id: String,
    /// What netavark 1.x named chains by.
    pub network_hash_name: String,
    /// How it is kept apart.
    pub isolation: Isolation,
    /// Where the name server listens.
    pub dns_port: u16,
    /// Whether it is cut off from the outside.
    #[serde(default)]
    pub internal: bool,
    /// Containers appear outside under this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbound_addr4: Option<Ipv4Addr>,
    /// Containers appear outside under this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbound_addr6: Option<Ipv6Addr>,
}

/// What the firewall is to do for a container on a network.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct ContainerRules {
    /// The container.
    pub container_id: String,
    /// The network.
    #[serde(default)]
    pub network_id: String,
    /// What is published.
    pub port_mappings: Option<Vec<PortMapping>>,
    /// The network's name.
    pub network_name: String,
    /// What netavark 1.x named chains by.
    pub network_hash_name: String,
    /// The container's first IPv4 address.
    pub container_ip_v4: Option<Ipv4Addr>,
    /// The subnet that it is in.
    pub subnet_v4: Option<Ipv4Net>,
    /// The container's first IPv6 address.
    pub container_ip_v6: Option<Ipv6Addr>,
    /// The subnet that it is in.
    pub subnet_v6: Option<Ipv6Net>,
    /// Where the name server listens.
    pub dns_port: u16,
    /// The name server's addresses.
    pub dns_server_ips: Vec<IpAddr>,
    /// Whether the network is cut off from the outside.
    #[serde(default)]
    pub internal: bool,
}

impl ContainerRules {
    /// The container's addresses with their subnets, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = (IpAddr, IpNet)> {
        let v4 = self.container_ip_v4.zip(self.subnet_v4).map(|(address, subnet)| (address.into(), subnet.into()));
        let v6 = self.container_ip_v6.zip(self.subnet_v6).map(|(address, subnet)| (address.into(), subnet.into()));
        v4.into_iter().chain(v6)
    }
}

/// The first 13 hexadecimal digits of the SHA-512 of a network's name.
pub fn hash_name(network: &str) -> String {
    const DIGITS: usize = 13;
    let hash = Sha512::digest(network);
    let mut text: String = hash.iter().take(DIGITS.div_ceil(2)).map(|byte| format!("{byte:02X}")).collect();
    text.truncate(DIGITS);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_the_default_network() {
        assert_eq!(hash_name("podman"), "1D8721804F16F");
    }
}
