//! The macvlan and ipvlan drivers: the container's interface stands beside, or on, an interface of the host.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use netlink_packet_route::link::{IpVlanMode, LinkMessage, MacVlanMode};
use nix::errno::Errno;

use super::inside::{configure, default_routes, delete_routes};
use super::lease::{self, Leasing};
use super::options::{self, option};
use super::{Outcome, delete_inside};
use crate::bridge::error::{During, Error, Result};
use crate::bridge::ipam::{Ipam, Source};
use crate::bridge::kernel::Kernel;
use crate::bridge::netlink::{self, Change, Link, MAIN_TABLE, RouteSpec};
use crate::bridge::protocol::{self, Interface, Network, PerNetworkOptions, Status};
use crate::bridge::run::Run;
use crate::bridge::sysctl::Sysctl;
use crate::bridge::undo::Undo;

/// The metric of default routes: lower than a bridge's, since this network is nearer to the outside.
const METRIC: u32 = 99;
/// So often a name for a moment is looked for.
const NAMES_TRIED: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Macvlan { mode: MacVlanMode, bclim: Option<i32> },
    Ipvlan { mode: IpVlanMode },
}

/// A container's part in a macvlan or ipvlan network.
pub struct Vlan {
    network_name: String,
    kind: Kind,
    parent: Option<String>,
    interface: String,
    mac: Option<[u8; 6]>,
    mtu: Option<u32>,
    metric: u32,
    no_default_route: bool,
    internal: bool,
    ipv6: bool,
    routes: Vec<RouteSpec>,
    ipam: Ipam,
}

impl Vlan {
    /// Judges the configuration.
    pub fn of(network: &Network, per: &PerNetworkOptions, faults: &mut Vec<Error>) -> Vlan {
        let ipam = Ipam::of(network, per, faults);
        let kind = match network.driver() {
            protocol::Driver::Ipvlan => Kind::Ipvlan { mode: ipvlan_mode(network, faults) },
            _ => Kind::Macvlan { mode: macvlan_mode(network, faults), bclim: option(network, "bclim", faults) },
        };
        let parent = network.network_interface.clone().filter(|name| !name.is_empty());
        faults.extend(parent.as_deref().and_then(options::name_fault));
        Vlan {
            network_name: network.name.clone(),
            kind,
            parent,
            interface: options::interface(per, faults),
            mac: options::mac(per, faults),
            mtu: option(network, "mtu", faults).filter(|mtu| *mtu != 0),
            metric: option(network, "metric", faults).unwrap_or(METRIC),
            no_default_route: option(network, "no_default_route", faults).unwrap_or(false),
            internal: network.internal,
            ipv6: network.ipv6_enabled,
            routes: if ipam.source == Source::None { Vec::new() } else { options::routes(network, faults) },
            ipam,
        }
    }

    /// The network's name.
    pub fn network_name(&self) -> &str {
        &self.network_name
    }

    /// Sets everything up; what has been done is in `undo`, also when it fails.
    pub fn setup(&self, run: &Run, kernel: &mut Kernel, undo: &mut Undo) -> Result<Outcome> {
        let parent = self.parent(kernel)?;
        self.create(kernel, parent.index)?;
        let name = self.interface.clone();
        undo.push(format!("create interface {name} in the container"), move |kernel| delete_inside(kernel, &name));
        let routes = self.routes.clone();
        undo.push("add routes", move |kernel| {
            let mut errors = Vec::new();
            if let Some(container) = kernel.container() {
                delete_routes(container, &routes, &mut errors);
            }
            Error::collected(errors)
        });
        let (_, container) = kernel.both()?;
        let link = container.route.link(&self.interface).map_err(Error::Netlink);
        let link = link.during(|| format!("get {} interface", self.kind_name()))?;
        container.netns.inside(|| {
            if self.ipam.source == Source::Dhcp && self.ipv6 {
                // A client needs the link-local address at once, which is made from an Ethernet address that nobody else has.
                Sysctl::of("ipv6", &self.interface, "accept_dad", "0").apply_if_possible()?;
            }
            Sysctl::of("ipv6", &self.interface, "autoconf", "0").apply_if_possible()
        })??;
        let leased = match self.ipam.source {
            Source::Dhcp => Some(self.leasing(&parent.name).obtain(run, &link.mac, undo)?),
            Source::HostLocal | Source::None => None,
        };
        let defaults = match self.metric() {
            Some(metric) => default_routes(self.ipam.default_gateways(), metric),
            None => Vec::new(),
        };
        let (_, container) = kernel.both()?;
        configure(container, link.index, &self.ipam.addresses, &defaults, &self.routes)?;
        let subnets = leased.as_ref().map_or(&self.ipam.status, |leased| &leased.addresses);
        let interface = Interface { mac_address: options::format_mac(&link.mac), subnets: Some(subnets.clone()) };
        let (search, servers) = match &leased {
            Some(leased) => (leased.domains.clone(), lease::name_servers(run, leased)),
            None => (Some(Vec::new()), Some(Vec::new())),
        };
        let status = Status {
            dns_search_domains: search,
            dns_server_ips: servers,
            interfaces: Some(BTreeMap::from([(self.interface.clone(), interface)])),
        };
        Ok(Outcome { status, dns: None })
    }

    /// The metric of default routes, if there are to be any.
    fn metric(&self) -> Option<u32> {
        (!self.internal && !self.no_default_route).then_some(self.metric)
    }

    fn leasing<'d>(&'d self, parent: &'d str) -> Leasing<'d> {
        Leasing {
            host_interface: parent,
            interface: &self.interface,
            ipv6: self.ipv6,
            metric: self.metric(),
            keep_mtu: self.mtu.is_some(),
        }
    }

    /// Takes away what is there; with the namespace everything is gone already, but the lease.
    pub fn teardown(&self, run: &Run, kernel: &mut Kernel, errors: &mut Vec<Error>) {
        if self.ipam.source == Source::Dhcp {
            self.leasing(self.parent.as_deref().unwrap_or_default()).release(run, kernel, errors);
        }
        let Some(container) = kernel.container() else { return };
        delete_routes(container, &self.routes, errors);
        let deleted = delete_inside(kernel, &self.interface);
        errors.extend(deleted.during(|| format!("failed to delete container interface {}", self.interface)).err());
    }

    fn parent(&self, kernel: &mut Kernel) -> Result<Link> {
        match &self.parent {
            Some(name) => {
                kernel.host.link(name).map_err(Error::Netlink).during(|| format!("get parent interface {name}"))
            }
            None => {
                let link = kernel.host.default_link(MAIN_TABLE).map_err(Error::Netlink);
                link.during(|| "get routes")?.ok_or_else(|| Error::text("failed to get default route interface"))
            }
        }
    }

    /// Makes the interface in the container's namespace. The kernel looks at the name on the host first, so a name that is taken
    /// there may be free in the container; then it is made under another one.
    fn create(&self, kernel: &mut Kernel, parent: u32) -> Result<()> {
        let (kind, wanted) = (self.kind_name(), self.interface.as_str());
        let (host, container) = kernel.both()?;
        let netns = container.netns.as_fd();
        let mut refused = match host.create_link(&self.message(parent, wanted, netns)) {
            Ok(()) => return Ok(()),
            Err(errno) => errno,
        };
        for _ in 0..NAMES_TRIED {
            if refused != Errno::EEXIST {
                break;
            }
            let name = name_for_a_moment()?;
            match host.create_link(&self.message(parent, &name, netns)) {
                Ok(()) => {
                    let link = container.route.link(&name).map_err(Error::Netlink)?;
                    let change = Change { name: Some(wanted), ..Change::default() };
                    let renamed = container.route.change_link(link.index, change);
                    return renamed.map_err(|errno| {
                        if let Err(errno) = container.route.delete_link(link.index) {
                            tracing::error!("failed to delete {name} in the container: {errno}");
                        }
                        Error::Netlink(errno).during(format!("rename tmp {kind} interface"))
                    });
                }
                Err(errno) => refused = errno,
            }
        }
        let error = match (refused, self.kind) {
            (Errno::EOPNOTSUPP, Kind::Ipvlan { .. }) => {
                Error::Netlink(refused).during("the kernel has no ipvlan (was it built with CONFIG_IPVLAN?)")
            }
            _ => Error::Netlink(refused),
        };
        Err(error.during(format!("create {kind} interface")))
    }

    fn message(&self, parent: u32, name: &str, netns: std::os::fd::BorrowedFd<'_>) -> LinkMessage {
        match self.kind {
            Kind::Macvlan { mode, bclim } => netlink::macvlan(parent, name, netns, self.mtu, (mode, self.mac, bclim)),
            Kind::Ipvlan { mode } => netlink::ipvlan(parent, name, netns, self.mtu, mode),
        }
    }

    fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Macvlan { .. } => "macvlan",
            Kind::Ipvlan { .. } => "ipvlan",
        }
    }
}

/// The mode of a macvlan network.
pub fn macvlan_mode(network: &Network, faults: &mut Vec<Error>) -> MacVlanMode {
    match network.option("mode") {
        None | Some("" | "bridge") => MacVlanMode::Bridge,
        Some("private") => MacVlanMode::Private,
        Some("vepa") => MacVlanMode::Vepa,
        Some("passthru") => MacVlanMode::Passthrough,
        Some("source") => MacVlanMode::Source,
        Some(other) => {
            faults.push(Error::text(format!("invalid macvlan mode \"{other}\"")));
            MacVlanMode::Bridge
        }
    }
}

/// The mode of an ipvlan network.
pub fn ipvlan_mode(network: &Network, faults: &mut Vec<Error>) -> IpVlanMode {
    match network.option("mode") {
        None | Some("" | "l2") => IpVlanMode::L2,
        Some("l3") => IpVlanMode::L3,
        Some("l3s") => IpVlanMode::L3S,
        Some(other) => {
            faults.push(Error::text(format!("invalid ipvlan mode \"{other}\"")));
            IpVlanMode::L2
        }
    }
}

fn name_for_a_moment() -> Result<String> {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = [0_u8; 10];
    getrandom::fill(&mut random).map_err(|error| Error::text(format!("get random bytes: {error}")))?;
    let letters = random.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
    Ok(std::iter::once("mv-").map(String::from).chain(letters.map(String::from)).collect())
}
