//! The input of setup and teardown.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Network, PortMapping};

/// A container and the networks that it is to be on.
#[derive(Clone, Debug, Deserialize)]
pub struct NetworkOptions {
    /// Identifies the container.
    pub container_id: String,
    /// Its first name.
    pub container_name: String,
    /// What it calls itself, which a DHCP server is told.
    #[serde(default)]
    pub container_hostname: Option<String>,
    /// How it is on each network, in the order in which they are set up.
    #[serde(deserialize_with = "in_order")]
    pub networks: Vec<(String, PerNetworkOptions)>,
    /// The networks by name.
    pub network_info: HashMap<String, Network>,
    /// Published ports.
    #[serde(default)]
    pub port_mappings: Option<Vec<PortMapping>>,
    /// The container's own name servers.
    #[serde(default)]
    pub dns_servers: Option<Vec<IpAddr>>,
}

/// How a container is on one network.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PerNetworkOptions {
    /// Further names of the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aliases: Option<Vec<String>>,
    /// What the interface is called in the container.
    pub interface_name: String,
    /// The container's addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub static_ips: Option<Vec<IpAddr>>,
    /// Its Ethernet address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub static_mac: Option<String>,
    /// `host_interface_name` is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    #[serde(flatten)]
    options: PerNetworkOptions,
}

/// A map from names, as podman before 6 sends it, or a list of objects with a name.
fn in_order<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, PerNetworkOptions)>, D::Error> {
    struct InOrder;
    impl<'de> Visitor<'de> for InOrder {
        type Value = Vec<(String, PerNetworkOptions)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map of networks, or a list of networks with their names")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut networks = Vec::new();
            while let Some(entry) = map.next_entry()? {
                networks.push(entry);
            }
            Ok(networks)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut networks = Vec::new();
            while let Some(Named { name, options }) = list.next_element()? {
                networks.push((name, options));
            }
            Ok(networks)
        }
    }
    deserializer.deserialize_any(InOrder)
}
