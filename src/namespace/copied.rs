//! Gives the tap device addresses and routes of the host's.

use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use nix::errno::Errno;

use crate::config::Copied;
use crate::sys::netlink::Netlink;

use super::error::{Error, Step};
use super::link;

/// Configures the device, and sets it up.
pub(super) fn configure(netlink: &mut Netlink, copied: &Copied, ifname: &str, index: u32) -> Result<(), Error> {
    for &(ip, prefix) in &copied.addresses {
        let mut message = link::address(ip, prefix, index);
        if copied.routes.iter().any(|route| is_to_subnet(route, ip, prefix)) {
            // The kernel's own route to the subnet would stand beside the one that is copied.
            let flags =
                AddressFlags::Noprefixroute | if ip.is_ipv6() { AddressFlags::Nodad } else { AddressFlags::empty() };
            message.attributes.retain(|attribute| !matches!(attribute, AddressAttribute::Flags(_)));
            message.attributes.push(AddressAttribute::Flags(flags));
        }
        link::add_address(netlink, message, ip, ifname)?;
    }
    link::set_up(netlink, ifname)?;
    add_routes(netlink, copied.routes.iter().map(|route| bound(route, index)).collect(), ifname)
}

/// Adds routes, those that cannot be had yet once more behind the others, as long as that helps.
fn add_routes(netlink: &mut Netlink, mut routes: Vec<RouteMessage>, ifname: &str) -> Result<(), Error> {
    while !routes.is_empty() {
        let before = routes.len();
        let mut last = None;
        routes.retain(|route| match netlink.create(RouteNetlinkMessage::NewRoute(route.clone())) {
            Ok(()) | Err(Errno::EEXIST) => false,
            Err(errno) => {
                last = Some((errno, name(route)));
                true
            }
        });
        if let Some((errno, name)) = last.filter(|_| routes.len() == before) {
            return Err(errno).step(format!("add the host's route to {name} to {ifname}"));
        }
    }
    Ok(())
}

/// The route with the device that it is to lead to.
fn bound(route: &RouteMessage, index: u32) -> RouteMessage {
    let mut route = route.clone();
    for attribute in &mut route.attributes {
        match attribute {
            RouteAttribute::Oif(device) if *device == Copied::DEVICE => *device = index,
            RouteAttribute::MultiPath(hops) => {
                let ours = hops.iter_mut().filter(|hop| hop.interface_index == Copied::DEVICE);
                ours.for_each(|hop| hop.interface_index = index);
            }
            _ => {}
        }
    }
    route
}

/// Whether a route leads to the subnet of an address, by no gateway.
fn is_to_subnet(route: &RouteMessage, ip: IpAddr, prefix: u8) -> bool {
    let masked = match ip {
        IpAddr::V4(ip) => {
            RouteAddress::Inet((ip.to_bits() & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)).into())
        }
        IpAddr::V6(ip) => {
            RouteAddress::Inet6((ip.to_bits() & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)).into())
        }
    };
    let by_gateway = route.attributes.iter().any(|attribute| {
        matches!(attribute, RouteAttribute::Gateway(_) | RouteAttribute::Via(_) | RouteAttribute::MultiPath(_))
    });
    let there = route.attributes.contains(&RouteAttribute::Destination(masked));
    !by_gateway && there && route.header.destination_prefix_length == prefix
}

fn name(route: &RouteMessage) -> String {
    let length = route.header.destination_prefix_length;
    let to = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(ip)) => Some(format!("{ip}/{length}")),
        RouteAttribute::Destination(RouteAddress::Inet6(ip)) => Some(format!("{ip}/{length}")),
        _ => None,
    });
    to.unwrap_or_else(|| "all others".into())
}
