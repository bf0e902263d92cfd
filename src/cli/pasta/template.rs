//! The host's interface whose addresses and routes the namespace gets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rnet_stack::Family;

use crate::sys::netlink::Netlink;

/// All routes and addresses of the host's that may matter.
pub(super) struct HostNetwork {
    routes: Vec<RouteMessage>,
    addresses: Vec<AddressMessage>,
}

/// An interface of the host's, as one family sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// The gateway of its default route.
    pub gateway: Option<IpAddr>,
    /// Its addresses, with the lengths of their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Its routes in the main table.
    pub routes: Vec<RouteMessage>,
}

impl HostNetwork {
    /// Asks the kernel.
    pub(super) fn read() -> Result<HostNetwork, String> {
        let wrong = |error: std::io::Error| format!("Failed to read the host's routes and addresses: {error}");
        let mut netlink = Netlink::open().map_err(wrong)?;
        let mut host = HostNetwork { routes: Vec::new(), addresses: Vec::new() };
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut route = RouteMessage::default();
            route.header.address_family = family;
            let mut address = AddressMessage::default();
            address.header.family = family;
            for request in [RouteNetlinkMessage::GetRoute(route), RouteNetlinkMessage::GetAddress(address)] {
                // A kernel without IPv6 has nothing to tell of it.
                for message in netlink.dump(request).unwrap_or_default() {
                    match message {
                        RouteNetlinkMessage::NewRoute(route) if is_main(&route) => host.routes.push(route),
                        RouteNetlinkMessage::NewAddress(address) => host.addresses.push(address),
                        _ => {}
                    }
                }
            }
        }
        Ok(host)
    }

    /// The interface of a family's first default route, or else the only one that has any route.
    pub(super) fn choose(&self, family: Family) -> Option<Template> {
        let routes = || self.routes.iter().filter(move |route| family_of(route) == Some(family));
        let default = routes().filter(|route| is_default(route)).find_map(device);
        let index = default.or_else(|| {
            let mut devices: Vec<u32> = routes().filter(|route| !is_link_local(route)).filter_map(device).collect();
            devices.sort_unstable();
            devices.dedup();
            devices.retain(|index| name(*index).is_some_and(|name| name != "lo"));
            if let [only] = devices.as_slice() { Some(*only) } else { None }
        })?;
        self.template(family, index)
    }

    /// An interface as a family sees it; `None` when it has no address there.
    pub(super) fn template(&self, family: Family, index: u32) -> Option<Template> {
        let addresses: Vec<_> = self.addresses.iter().filter_map(|address| usable(address, family, index)).collect();
        let routes: Vec<RouteMessage> = self
            .routes
            .iter()
            .filter(|route| family_of(route) == Some(family) && !is_link_local(route) && leads_only_to(route, index))
            .cloned()
            .collect();
        let gateway = routes.iter().filter(|route| is_default(route)).find_map(gateway);
        if addresses.is_empty() {
            return None;
        }
        Some(Template { index, name: name(index)?, gateway, addresses, routes })
    }
}

fn is_main(route: &RouteMessage) -> bool {
    let table = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    let table = table.unwrap_or(route.header.table.into());
    table == u32::from(RouteHeader::RT_TABLE_MAIN) && route.header.kind == RouteType::Unicast
}

fn family_of(route: &RouteMessage) -> Option<Family> {
    match route.header.address_family {
        AddressFamily::Inet => Some(Family::V4),
        AddressFamily::Inet6 => Some(Family::V6),
        _ => None,
    }
}

fn is_default(route: &RouteMessage) -> bool {
    route.header.destination_prefix_length == 0
}

/// Whether a route is one that the kernel makes on every link by itself.
fn is_link_local(route: &RouteMessage) -> bool {
    route.attributes.iter().any(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet6(to)) => to.is_unicast_link_local() || to.is_multicast(),
        _ => false,
    })
}

/// The device of a route, of several the one with the greatest weight.
fn device(route: &RouteMessage) -> Option<u32> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        RouteAttribute::MultiPath(hops) => {
            // The first of the heaviest: `max_by_key` gives the last.
            hops.iter().rev().max_by_key(|hop| hop.hops).map(|hop| hop.interface_index)
        }
        _ => None,
    })
}

fn leads_only_to(route: &RouteMessage, index: u32) -> bool {
    route.attributes.iter().any(|attribute| match attribute {
        RouteAttribute::Oif(device) => *device == index,
        RouteAttribute::MultiPath(hops) => hops.iter().all(|hop| hop.interface_index == index),
        _ => false,
    })
}

fn gateway(route: &RouteMessage) -> Option<IpAddr> {
    let of = |attributes: &[RouteAttribute]| {
        attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Gateway(RouteAddress::Inet(ip)) => Some(IpAddr::V4(*ip)),
            RouteAttribute::Gateway(RouteAddress::Inet6(ip)) => Some(IpAddr::V6(*ip)),
            _ => None,
        })
    };
    of(&route.attributes).or_else(|| {
        route.attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::MultiPath(hops) => {
                hops.iter().rev().max_by_key(|hop| hop.hops).and_then(|hop| of(&hop.attributes))
            }
            _ => None,
        })
    })
}

/// An address of an interface's that the namespace may have.
fn usable(message: &AddressMessage, family: Family, index: u32) -> Option<(IpAddr, u8)> {
    let mut local = None;
    let mut address = None;
    let mut flags = AddressFlags::empty();
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Address(ip) => address = Some(*ip),
            AddressAttribute::Flags(given) => flags = *given,
            _ => {}
        }
    }
    let ip = local.or(address)?;
    let is_here = message.header.index == index && Family::of(ip) == family;
    let is_scoped = matches!(message.header.scope, AddressScope::Link | AddressScope::Host)
        || matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let is_usable = is_here && !is_scoped && !flags.contains(AddressFlags::Deprecated);
    is_usable.then_some((ip, message.header.prefix_len))
}

/// The name of an interface.
fn name(index: u32) -> Option<String> {
    nix::net::if_::if_indextoname(index).ok()?.into_string().ok()
}

/// The index of an interface, in pasta's words when there is none.
pub(super) fn index_of(name: &str) -> Result<u32, String> {
    nix::net::if_::if_nametoindex(name).map_err(|errno| format!("Invalid interface name {name}: {}", errno.desc()))
}

/// A default route by a gateway, which need not be in any subnet.
pub(super) fn default_route(gateway: IpAddr) -> RouteMessage {
    use netlink_packet_route::route::{RouteFlags, RouteProtocol, RouteScope};
    let mut route = RouteMessage::default();
    route.header.address_family = if gateway.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    route.header.table = RouteHeader::RT_TABLE_MAIN;
    route.header.protocol = RouteProtocol::Boot;
    route.header.scope = RouteScope::Universe;
    route.header.kind = RouteType::Unicast;
    route.header.flags = RouteFlags::Onlink;
    route.attributes =
        vec![RouteAttribute::Gateway(RouteAddress::from(gateway)), RouteAttribute::Oif(crate::config::Copied::DEVICE)];
    route
}

/// A route of the host's as the namespace gets it: by its own device, and with nothing that only the host has.
pub(super) fn adapt(route: &RouteMessage) -> RouteMessage {
    use netlink_packet_route::route::RouteFlags;
    const DEVICE: u32 = crate::config::Copied::DEVICE;
    let mut route = route.clone();
    // Dead, or without a carrier: that is the host's own affair.
    route.header.flags &= RouteFlags::Onlink;
    let keep = |attribute: &RouteAttribute| {
        matches!(
            attribute,
            RouteAttribute::Destination(_)
                | RouteAttribute::Gateway(_)
                | RouteAttribute::Via(_)
                | RouteAttribute::Oif(_)
                | RouteAttribute::Priority(_)
                | RouteAttribute::Metrics(_)
                | RouteAttribute::MultiPath(_)
                | RouteAttribute::Preference(_)
                | RouteAttribute::Table(_)
        )
    };
    route.attributes.retain(keep);
    for attribute in &mut route.attributes {
        match attribute {
            RouteAttribute::Oif(index) => *index = DEVICE,
            RouteAttribute::MultiPath(hops) => hops.iter_mut().for_each(|hop| hop.interface_index = DEVICE),
            _ => {}
        }
    }
    route
}

/// The prefix length of an address's historic class.
pub(super) fn class_prefix(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..=127 => 8,
        128..=191 => 16,
        192..=223 => 24,
        _ => 32,
    }
}

/// Addresses of a namespace whose host has none: IPv4, its gateway, and the gateway of IPv6.
pub(super) const LOCAL: (Ipv4Addr, u8, Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(169, 254, 2, 1), 16, Ipv4Addr::new(169, 254, 2, 2), Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));
