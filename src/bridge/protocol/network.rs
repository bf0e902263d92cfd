//! A network as it is configured.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Timestamp;

/// A network: what all its containers share.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Network {
    /// Whether containers find each other by name.
    pub dns_enabled: bool,
    /// `bridge`, `macvlan`, `ipvlan`, or a plugin's name.
    pub driver: String,
    /// 64 hexadecimal digits, by convention.
    pub id: String,
    /// Whether it is cut off from the outside.
    pub internal: bool,
    /// Whether it shall have an IPv6 subnet.
    pub ipv6_enabled: bool,
    /// What people call it.
    pub name: String,
    /// The bridge, or the parent of a macvlan or ipvlan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_interface: Option<String>,
    /// What the driver is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<BTreeMap<String, String>>,
    /// How addresses are found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipam_options: Option<BTreeMap<String, String>>,
    /// Its subnets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnets: Option<Vec<Subnet>>,
    /// Static routes of its containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<StaticRoute>>,
    /// Name servers that its containers' queries are forwarded to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_dns_servers: Option<Vec<IpAddr>>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// What users wrote on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
}

/// A subnet of a network.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Subnet {
    /// Its addresses.
    pub subnet: IpNet,
    /// The host's address in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// What addresses are given out from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_range: Option<LeaseRange>,
}

/// Part of a subnet.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct LeaseRange {
    /// The first address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ip: Option<String>,
    /// The last address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_ip: Option<String>,
}

/// A route that each container of a network has.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StaticRoute {
    /// Where to.
    pub destination: IpNet,
    /// Over what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Its priority, 100 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// `unicast`, `blackhole`, `unreachable` or `prohibit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_type: Option<String>,
}

/// What makes a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// A bridge on the host, and NAT.
    Bridge,
    /// A second Ethernet address on an interface of the host.
    Macvlan,
    /// Second IP addresses on an interface of the host.
    Ipvlan,
    /// A program.
    Plugin,
}

impl Network {
    /// Which driver its name means.
    pub fn driver(&self) -> Driver {
        match self.driver.as_str() {
            "bridge" => Driver::Bridge,
            "macvlan" => Driver::Macvlan,
            "ipvlan" => Driver::Ipvlan,
            _ => Driver::Plugin,
        }
    }

    /// A driver option.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.as_ref()?.get(name).map(String::as_str)
    }
}
