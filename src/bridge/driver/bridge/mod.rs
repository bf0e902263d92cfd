//! The bridge driver: a bridge on the host, a veth pair into the container, NAT and a firewall around them.

mod firewall;
mod link;
mod setup;
mod teardown;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::lease::Leasing;
use super::options::{self, option};
use crate::bridge::error::Error;
use crate::bridge::firewall::Isolation;
use crate::bridge::ipam::{Ipam, Source};
use crate::bridge::netlink::RouteSpec;
use crate::bridge::protocol::{Network, PerNetworkOptions, PortMapping};
use crate::bridge::run::Run;

/// The metric of default routes.
const METRIC: u32 = 100;
/// The largest VLAN number.
pub const VLAN_MAX: u16 = 4094;

/// A container's part in a bridge network.
pub struct Bridge {
    network_name: String,
    network_id: String,
    container_id: String,
    container_names: Vec<String>,
    container_dns: Option<Vec<IpAddr>>,
    network_dns: Vec<IpAddr>,
    bridge: String,
    interface: String,
    host_interface: Option<String>,
    mac: Option<[u8; 6]>,
    managed: bool,
    internal: bool,
    dns_enabled: bool,
    ipv6: bool,
    mtu: Option<u32>,
    isolation: Isolation,
    metric: u32,
    no_default_route: bool,
    vlan: Option<u16>,
    vrf: Option<String>,
    outbound4: Option<Ipv4Addr>,
    outbound6: Option<Ipv6Addr>,
    ports: Option<Vec<PortMapping>>,
    routes: Vec<RouteSpec>,
    ipam: Ipam,
}

impl Bridge {
    /// Judges the configuration.
    pub fn of(run: &Run, network: &Network, per: &PerNetworkOptions, faults: &mut Vec<Error>) -> Bridge {
        let bridge = network.network_interface.clone().unwrap_or_default();
        match bridge.as_str() {
            "" => faults.push(Error::text("no bridge interface name given")),
            name => faults.extend(options::name_fault(name)),
        }
        let managed = match network.option("mode") {
            None | Some("" | "managed") => true,
            Some("unmanaged") => false,
            Some(other) => {
                faults.push(Error::text(format!("invalid bridge mode \"{other}\"")));
                true
            }
        };
        let host_interface = per.options.as_ref().and_then(|options| options.get("host_interface_name")).cloned();
        faults.extend(host_interface.as_deref().and_then(options::name_fault));
        let vlan = option(network, "vlan", faults);
        if vlan.is_some_and(|vlan: u16| vlan > VLAN_MAX) {
            faults.push(Error::text(format!("vlan must be between 0 and {VLAN_MAX}")));
        }
        let ipam = Ipam::of(network, per, faults);
        if ipam.source == Source::Dhcp && managed {
            faults.push(Error::text("cannot use dhcp ipam driver without using the option mode=unmanaged"));
        }
        Bridge {
            network_name: network.name.clone(),
            network_id: network.id.clone(),
            container_id: run.options.container_id.clone(),
            container_names: names(run, per),
            container_dns: run.options.dns_servers.clone(),
            network_dns: network.network_dns_servers.clone().unwrap_or_default(),
            bridge,
            interface: options::interface(per, faults),
            host_interface,
            mac: options::mac(per, faults),
            managed,
            internal: network.internal,
            dns_enabled: network.dns_enabled,
            ipv6: network.ipv6_enabled,
            mtu: option(network, "mtu", faults).filter(|mtu| *mtu != 0),
            isolation: isolation(network, faults),
            metric: option(network, "metric", faults).unwrap_or(METRIC),
            no_default_route: option(network, "no_default_route", faults).unwrap_or(false),
            vlan,
            vrf: network.option("vrf").map(String::from),
            outbound4: option(network, "outbound_addr4", faults),
            outbound6: option(network, "outbound_addr6", faults),
            ports: run.options.port_mappings.clone(),
            routes: if ipam.source == Source::None { Vec::new() } else { options::routes(network, faults) },
            ipam,
        }
    }

    /// The metric of default routes, if there are to be any.
    fn metric(&self) -> Option<u32> {
        (!self.internal && !self.no_default_route).then_some(self.metric)
    }

    fn leasing(&self) -> Leasing<'_> {
        Leasing {
            host_interface: &self.bridge,
            interface: &self.interface,
            ipv6: self.ipv6,
            metric: self.metric(),
            keep_mtu: self.mtu.is_some(),
        }
    }

    /// The network's name.
    pub fn network_name(&self) -> &str {
        &self.network_name
    }
}

fn names(run: &Run, per: &PerNetworkOptions) -> Vec<String> {
    let aliases = per.aliases.iter().flatten();
    std::iter::once(&run.options.container_name).chain(aliases).cloned().collect()
}

fn isolation(network: &Network, faults: &mut Vec<Error>) -> Isolation {
    match network.option("isolate") {
        None | Some("strict") => Isolation::Strict,
        Some("true") => Isolation::Normal,
        Some("false") => Isolation::Never,
        Some(other) => {
            faults.push(Error::text(format!("invalid isolate option \"{other}\"")));
            Isolation::Strict
        }
    }
}
