//! `create`: a network's configuration is judged and completed. Nothing is made; whoever asked keeps the result.

mod bridge;
mod names;
mod plugins;
mod subnets;
mod vlan;

use std::collections::BTreeMap;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::Deserialize;

use super::driver::options::parse_route;
use super::error::{Error, Result};
use super::netlink::Route;
use super::protocol::{self, Driver, Network};

/// The input.
#[derive(Debug, Deserialize)]
pub struct Request {
    network: Network,
    used: Used,
    options: Options,
}

/// What other networks have.
#[derive(Debug, Deserialize)]
struct Used {
    interfaces: Vec<String>,
    names: BTreeMap<String, String>,
    subnets: Vec<IpNet>,
}

/// How what is missing is found.
#[derive(Debug, Deserialize)]
struct Options {
    subnet_pools: Vec<Pool>,
    #[serde(default)]
    default_interface_name: Option<String>,
    check_used_subnets: bool,
}

/// Where subnets are taken from.
#[derive(Debug, Deserialize)]
struct Pool {
    base: IpNet,
    size: u32,
}

/// The addresses of a network come from …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ipam {
    Unset,
    HostLocal,
    Dhcp,
    None,
}

/// Everything that the steps look at and complete.
struct Draft {
    network: Network,
    used: Used,
    options: Options,
    faults: Vec<Error>,
    check_subnets: bool,
    /// The host's links; unknown where they cannot be listed.
    links: Option<Vec<String>>,
}

/// Reads the input.
pub fn parse(text: &[u8]) -> Result<Request> {
    protocol::parse(text, "failed to load network create")
}

/// Completes a network, or tells everything that is wrong with it.
pub fn create(request: Request, plugin_directories: &[PathBuf]) -> Result<Network> {
    let Request { network, used, options } = request;
    let links = Route::open().ok().and_then(|mut route| route.links().ok());
    let links = links.map(|links| links.into_iter().map(|link| link.name).collect());
    let check_subnets = options.check_used_subnets;
    let mut draft = Draft { network, used, options, faults: Vec::new(), check_subnets, links };
    draft.judge_names();
    let ipam = draft.ipam();
    match draft.network.driver() {
        Driver::Bridge => draft.bridge(ipam),
        Driver::Macvlan | Driver::Ipvlan => draft.vlan(ipam),
        Driver::Plugin => draft.plugin(plugin_directories),
    }
    draft.judge_dns(ipam);
    draft.subnets();
    draft.judge_routes();
    let Draft { mut network, faults, .. } = draft;
    Error::collected(faults)?;
    network.created = Some(protocol::now());
    Ok(network)
}

impl Draft {
    fn fault(&mut self, text: impl Into<String>) {
        self.faults.push(Error::text(text));
    }

    fn has_subnets(&self) -> bool {
        self.network.subnets.as_ref().is_some_and(|subnets| !subnets.is_empty())
    }

    fn set_ipam(&mut self, driver: &str) {
        self.network.ipam_options.get_or_insert_default().insert("driver".into(), driver.into());
    }

    fn ipam(&mut self) -> Ipam {
        let driver = self.network.ipam_options.as_ref().and_then(|options| options.get("driver")).cloned();
        match driver.as_deref() {
            None => Ipam::Unset,
            Some("host-local") => Ipam::HostLocal,
            Some("dhcp") => Ipam::Dhcp,
            Some("none") => {
                if self.has_subnets() {
                    self.fault("None ipam driver is set but subnets are given");
                }
                Ipam::None
            }
            Some(other) => {
                self.fault(format!("Unsupported ipam driver: {other}"));
                Ipam::Unset
            }
        }
    }

    fn judge_dns(&mut self, ipam: Ipam) {
        if ipam == Ipam::None {
            self.network.dns_enabled = false;
        }
        let servers = self.network.network_dns_servers.as_ref().is_some_and(|servers| !servers.is_empty());
        if servers && !self.network.dns_enabled {
            self.fault("cannot set NetworkDNSServers if DNS is not enabled for the network");
        }
    }

    fn judge_routes(&mut self) {
        for route in self.network.routes.iter().flatten() {
            if route.destination != route.destination.trunc() {
                self.faults.push(Error::text(format!(
                    "route destination invalid: {} is not the address of a network",
                    route.destination
                )));
            }
            self.faults.extend(parse_route(route, true).err());
        }
    }
}

#[cfg(test)]
mod tests;
