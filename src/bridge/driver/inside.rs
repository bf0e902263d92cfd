//! What drivers do in the container's namespace when the interface is there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nix::errno::Errno;

use crate::bridge::error::{During, Error, Result};
use crate::bridge::kernel::Container;
use crate::bridge::netlink::{Change, Route, RouteKind, RouteSpec};

/// Gives a link an address.
pub fn add_address(route: &mut Route, index: u32, address: IpNet) -> Result<()> {
    route.add_address(index, address).map_err(|errno| match (errno, address) {
        (Errno::EACCES, IpNet::V6(_)) => {
            Error::Netlink(errno).during("failed to add ipv6 address, is ipv6 enabled in the kernel?")
        }
        _ => Error::Netlink(errno),
    })
}

/// Gives the container's interface its addresses and routes, and sets it up.
pub fn configure(
    container: &mut Container,
    index: u32,
    addresses: &[IpNet],
    defaults: &[RouteSpec],
    routes: &[RouteSpec],
) -> Result<()> {
    for &address in addresses {
        add_address(&mut container.route, index, address).during(|| "add ip addr to container interface")?;
    }
    let up = Change { up: true, ..Change::default() };
    container.route.change_link(index, up).map_err(Error::Netlink).during(|| "set container interface up")?;
    for route in defaults {
        add_route(container, route, "add default route")?;
    }
    routes.iter().try_for_each(|route| add_route(container, route, "add route"))
}

/// Takes static routes away. Those that go by an interface are gone with it; the others are the namespace's own.
pub fn delete_routes(container: &mut Container, routes: &[RouteSpec], errors: &mut Vec<Error>) {
    for route in routes {
        match container.route.delete_route(route) {
            Ok(()) | Err(Errno::ESRCH | Errno::ENODEV | Errno::ENETUNREACH | Errno::EHOSTUNREACH) => {}
            Err(errno) => errors.push(Error::Netlink(errno).during(format!("delete route {}", describe(route)))),
        }
    }
}

fn add_route(container: &mut Container, route: &RouteSpec, what: &str) -> Result<()> {
    container.route.add_route(route).map_err(Error::Netlink).during(|| format!("{what} {}", describe(route)))
}

fn describe(route: &RouteSpec) -> String {
    let how = match route.kind {
        RouteKind::Unicast(gateway) => format!("gw: {gateway}"),
        RouteKind::Blackhole => "type: blackhole".into(),
        RouteKind::Unreachable => "type: unreachable".into(),
        RouteKind::Prohibit => "type: prohibit".into(),
    };
    format!("(dest: {}, {how}, metric {})", route.destination, route.metric)
}

/// The default routes by these gateways.
pub fn default_routes(gateways: impl Iterator<Item = IpAddr>, metric: u32) -> Vec<RouteSpec> {
    let everything = |gateway: IpAddr| match gateway {
        IpAddr::V4(_) => IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
        IpAddr::V6(_) => IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
    };
    let route = |gateway| RouteSpec { destination: everything(gateway), kind: RouteKind::Unicast(gateway), metric };
    gateways.map(route).collect()
}
