//! What setup tells: how a container is on each network.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// How a container is on a network.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Status {
    /// Search domains for resolv.conf.
    pub dns_search_domains: Option<Vec<String>>,
    /// Name servers for resolv.conf.
    pub dns_server_ips: Option<Vec<IpAddr>>,
    /// Its interfaces by name.
    pub interfaces: Option<BTreeMap<String, Interface>>,
}

/// An interface of a container.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Interface {
    /// `aa:bb:cc:dd:ee:ff`
    pub mac_address: String,
    /// One for each address.
    pub subnets: Option<Vec<Address>>,
}

/// An address of an interface.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Address {
    /// The subnet's gateway.
    pub gateway: Option<IpAddr>,
    /// The address with the subnet's prefix.
    pub ipnet: IpNet,
}
