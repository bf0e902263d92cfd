//! The leases, kept in a file for a later proxy: netavark's `{"MAC":[LEASE]}`, where each has what is needed to go on with it.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::bridge::dhcp::client::{Lease, Server};
use crate::bridge::dhcp::rpc;
use crate::bridge::error::{During, Result};
use crate::bridge::lock::replace;

/// An interface and its lease.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Held {
    /// Which interface it is.
    pub config: rpc::NetworkConfig,
    /// What it has.
    pub lease: Lease,
}

#[derive(Deserialize, Serialize)]
struct Entry {
    #[serde(flatten)]
    told: rpc::Lease,
    /// Leases of other programs have none, and cannot be gone on with.
    held: Option<Held>,
}

/// Reads the leases; a file that is not there, or not to be understood, has none.
pub fn read(path: &Path) -> Vec<Held> {
    let Ok(text) = fs::read(path) else { return Vec::new() };
    match serde_json::from_slice::<BTreeMap<String, Vec<Entry>>>(&text) {
        Ok(all) => all.into_values().flatten().filter_map(|entry| entry.held).collect(),
        Err(error) => {
            if !text.is_empty() {
                tracing::warn!("the leases in {} cannot be read: {error}", path.display());
            }
            Vec::new()
        }
    }
}

/// Writes the leases.
pub fn write<'h>(path: &Path, all: impl Iterator<Item = &'h Held>) -> Result<()> {
    let mut by_mac: BTreeMap<&str, Vec<Entry>> = BTreeMap::new();
    for held in all {
        let entry = Entry { told: told(held), held: Some(held.clone()) };
        by_mac.entry(&held.config.container_mac_addr).or_default().push(entry);
    }
    let text = serde_json::to_vec(&by_mac).map_err(std::io::Error::from)?;
    replace(path, &text).during(|| format!("write {}", path.display()))
}

/// A lease in the protocol's words.
pub fn told(held: &Held) -> rpc::Lease {
    let Held { config, lease } = held;
    let texts = |addresses: &[IpAddr]| addresses.iter().map(IpAddr::to_string).collect();
    let server = match &lease.server {
        Server::V4(address) => address.to_string(),
        Server::V6(duid) => duid.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    let or = |own: &str, other: &str| if own.is_empty() { other.to_owned() } else { own.to_owned() };
    rpc::Lease {
        t1: lease.t1,
        t2: lease.t2,
        lease_time: lease.lifetime,
        mtu: lease.mtu.unwrap_or_default().into(),
        domain_name: or(&lease.domain, &config.domain_name),
        mac_address: config.container_mac_addr.clone(),
        is_v6: config.is_v6(),
        siaddr: if config.is_v6() { String::new() } else { server.clone() },
        yiaddr: lease.address.addr().to_string(),
        srv_id: server,
        subnet_mask: match lease.address {
            IpNet::V4(net) => Ipv4Addr::to_string(&net.netmask()),
            IpNet::V6(net) => Ipv6Addr::to_string(&net.netmask()),
        },
        broadcast_addr: String::new(),
        dns_servers: texts(&lease.dns),
        gateways: texts(&lease.gateways),
        ntp_servers: texts(&lease.ntp),
        host_name: or(&lease.host_name, &config.host_name),
    }
}
