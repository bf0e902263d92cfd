//! Setting up a container's part in a bridge network.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Bridge;
use super::link::{Pair, Ready};
use crate::bridge::dhcp::Leased;
use crate::bridge::dns::{Entry, usable};
use crate::bridge::driver::{Outcome, inside, lease, options};
use crate::bridge::error::{During, Error, Result};
use crate::bridge::ipam::Source;
use crate::bridge::kernel::Kernel;
use crate::bridge::netlink::Change;
use crate::bridge::protocol::{Interface, Status};
use crate::bridge::run::Run;
use crate::bridge::sysctl::Sysctl;
use crate::bridge::undo::Undo;

const SEARCH_DOMAIN: &str = "dns.podman";

impl Bridge {
    /// Sets everything up; what has been done is in `undo`, also when it fails.
    pub fn setup(&self, run: &Run, kernel: &mut Kernel, undo: &mut Undo) -> Result<Outcome> {
        let ready = self.ensure_bridge(run, kernel, undo)?;
        let pair = self.make_veth(kernel, &ready, undo)?;
        self.settings(kernel, &pair)?;
        let alias = self.alias();
        // Where bridged packets pass netfilter (br_netfilter), a container that goes to its own published port by the host's address is
        // answered within the bridge, by its own port.
        let hairpin = self.managed && !self.internal && self.ports.as_ref().is_some_and(|ports| !ports.is_empty());
        let up = Change { up: true, alias: Some(&alias), hairpin, ..Change::default() };
        kernel.host.change_link(pair.host, up).map_err(Error::Netlink).during(|| "set host veth up")?;
        if ready.created {
            // Otherwise the kernel gives the bridge the lowest address of its ports, again and again.
            let mac = Change { mac: Some(&ready.link.mac), ..Change::default() };
            kernel.host.change_link(ready.link.index, mac).map_err(Error::Netlink).during(|| "set the bridge's mac")?;
        }
        let leased = match self.ipam.source {
            Source::Dhcp => Some(self.leasing().obtain(run, &pair.inside.mac, undo)?),
            Source::HostLocal | Source::None => None,
        };
        self.configure_inside(kernel, &pair, undo)?;
        let servers = self.name_servers(kernel, &ready)?;
        if self.has_firewall() {
            self.setup_firewall(run, &ready, &servers, undo)?;
        }
        let status = self.status(run, &pair, &servers, leased.as_ref());
        Ok(Outcome { status, dns: self.dns_entry(servers, leased.as_ref()) })
    }

    fn settings(&self, kernel: &mut Kernel, pair: &Pair) -> Result<()> {
        if !self.managed {
            return Ok(());
        }
        let (interface, v6) = (self.interface.as_str(), self.ipam.has_ipv6());
        let (host, container) = kernel.both()?;
        container.netns.inside(|| -> Result<()> {
            Sysctl::of("ipv6", interface, "autoconf", "0").apply_if_possible()?;
            if v6 {
                Sysctl::of("ipv6", interface, "accept_dad", "0").apply()?;
            }
            Sysctl::of("ipv4", interface, "arp_notify", "1").apply()?;
            Sysctl::of("ipv4", interface, "rp_filter", "2").apply()
        })??;
        if v6 {
            let port = host.link_at(pair.host).map_err(Error::Netlink).during(|| "get host veth")?;
            Sysctl::of("ipv6", &port.name, "accept_dad", "0").apply()?;
        }
        Ok(())
    }

    fn configure_inside(&self, kernel: &mut Kernel, pair: &Pair, undo: &mut Undo) -> Result<()> {
        let defaults = match self.metric() {
            Some(metric) => inside::default_routes(self.ipam.default_gateways(), metric),
            None => Vec::new(),
        };
        // Those that go by no interface stay when the interface goes.
        let routes = self.routes.clone();
        undo.push("add routes", move |kernel| {
            let mut errors = Vec::new();
            if let Some(container) = kernel.container() {
                inside::delete_routes(container, &routes, &mut errors);
            }
            Error::collected(errors)
        });
        let (_, container) = kernel.both()?;
        inside::configure(container, pair.inside.index, &self.ipam.addresses, &defaults, &self.routes)
    }

    /// Where the container finds the network's name server.
    fn name_servers(&self, kernel: &mut Kernel, ready: &Ready) -> Result<Vec<IpAddr>> {
        if !self.dns_enabled {
            return Ok(Vec::new());
        }
        if self.managed {
            return Ok(self.ipam.gateways.iter().map(IpNet::addr).collect());
        }
        let addresses = kernel.host.addresses(ready.link.index).map_err(Error::Netlink);
        let mut servers = addresses.during(|| "get the addresses of the bridge")?;
        servers.retain(|address| address.net.addr().is_ipv4() || !address.link_scope);
        if servers.is_empty() {
            return Err(Error::text(format!(
                "bridge '{}' in unmanaged mode has no usable IP addresses. Aardvark-dns requires at least one address \
                 (should not be an IPv6 link-local address) to bind to. Please add an IP address or disable DNS for this \
                 network (--disable-dns).",
                self.bridge
            )));
        }
        Ok(servers.iter().map(|address| address.net.addr()).collect())
    }

    fn status(&self, run: &Run, pair: &Pair, servers: &[IpAddr], leased: Option<&Leased>) -> Status {
        let mac = self.mac.map_or_else(|| pair.inside.mac.clone(), |mac| mac.to_vec());
        let subnets = leased.map_or(&self.ipam.status, |leased| &leased.addresses).clone();
        let interface = Interface { mac_address: options::format_mac(&mac), subnets: Some(subnets) };
        let (servers, search) = match leased {
            _ if self.dns_enabled => (Some(servers.to_vec()), Some(vec![SEARCH_DOMAIN.to_owned()])),
            Some(leased) => (lease::name_servers(run, leased), leased.domains.clone()),
            None => (Some(self.container_dns.clone().unwrap_or_default()), Some(Vec::new())),
        };
        Status {
            dns_search_domains: search,
            dns_server_ips: servers,
            interfaces: Some(BTreeMap::from([(self.interface.clone(), interface)])),
        }
    }

    fn dns_entry(&self, servers: Vec<IpAddr>, leased: Option<&Leased>) -> Option<Entry> {
        let leased = leased.into_iter().flat_map(|leased| &leased.addresses).map(|address| address.ipnet);
        self.dns_enabled.then(|| Entry {
            network: self.network_name.clone(),
            internal: self.internal,
            bind: servers,
            network_servers: self.network_dns.clone(),
            container_id: self.container_id.clone(),
            addresses: self.ipam.addresses.iter().copied().chain(leased).map(|address| address.addr()).collect(),
            names: usable(&self.container_names),
            container_servers: self.container_dns.clone().unwrap_or_default(),
        })
    }
}
