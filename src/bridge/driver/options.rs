//! What all drivers read out of a network's configuration. What is wrong is added to a list, so that everything is told at once.

use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;

use crate::bridge::error::Error;
use crate::bridge::netlink::{RouteKind, RouteSpec};
use crate::bridge::protocol::{Network, PerNetworkOptions, StaticRoute};

/// The metric of static routes that name none.
const ROUTE_METRIC: u32 = 100;
/// The longest name of an interface, IFNAMSIZ without the terminating zero.
pub const NAME_MAX: usize = 15;

/// A driver option, parsed.
pub fn option<T: FromStr<Err: Display>>(network: &Network, name: &str, faults: &mut Vec<Error>) -> Option<T> {
    match network.option(name)?.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            faults.push(Error::text(format!("unable to parse \"{name}\": {error}")));
            None
        }
    }
}

/// The container's interface.
pub fn interface(options: &PerNetworkOptions, faults: &mut Vec<Error>) -> String {
    match options.interface_name.as_str() {
        "" => faults.push(Error::text("no container interface name given")),
        name => faults.extend(name_fault(name)),
    }
    options.interface_name.clone()
}

/// What is wrong with an interface's name (dev_valid_name() in the kernel).
pub fn name_fault(name: &str) -> Option<Error> {
    if name.len() > NAME_MAX {
        return Some(Error::text(format!(
            "Interface name is too long: interface names must be {NAME_MAX} characters or less: {name}"
        )));
    }
    if name == "." || name == ".." {
        return Some(Error::text("Interface name cannot be . or .."));
    }
    let wrong = |c: char| c == '/' || c == ':' || c.is_whitespace() || c == '\0';
    name.chars().find(|c| wrong(*c)).map(|c| Error::text(format!("Interface name cannot contain\"{c}\"")))
}

/// The container's Ethernet address, if it is given.
pub fn mac(options: &PerNetworkOptions, faults: &mut Vec<Error>) -> Option<[u8; 6]> {
    match parse_mac(options.static_mac.as_deref()?) {
        Ok(mac) => Some(mac),
        Err(error) => {
            faults.push(error);
            None
        }
    }
}

/// Six hexadecimal octets between `:` or `-`.
pub fn parse_mac(text: &str) -> Result<[u8; 6], Error> {
    let octets = text.split([':', '-']).map(|octet| u8::from_str_radix(octet, 16));
    let octets: Vec<u8> = octets
        .collect::<Result<_, _>>()
        .map_err(|error| Error::text(format!("unable to parse mac address {text}: {error}")))?;
    octets.try_into().map_err(|_| Error::text(format!("invalid mac length for address: {text}")))
}

/// `aa:bb:cc:dd:ee:ff`
pub fn format_mac(mac: &[u8]) -> String {
    let octets: Vec<String> = mac.iter().map(|octet| format!("{octet:02x}")).collect();
    octets.join(":")
}

/// The static routes.
pub fn routes(network: &Network, faults: &mut Vec<Error>) -> Vec<RouteSpec> {
    let mut routes = Vec::new();
    for route in network.routes.iter().flatten() {
        match parse_route(route, false) {
            Ok(route) => routes.push(route),
            Err(error) => faults.push(error),
        }
    }
    routes
}

/// A static route; `lower` writes the types in lower case, as `create` does.
pub fn parse_route(route: &StaticRoute, lower: bool) -> Result<RouteSpec, Error> {
    let destination = route.destination;
    let alone = |kind, name: &str| match route.gateway {
        None => Ok(kind),
        Some(_) => {
            let name = if lower { name.to_lowercase() } else { name.into() };
            Err(Error::text(format!("route {destination} must not have a gateway for type {name}")))
        }
    };
    let kind = match route.route_type.as_deref() {
        None | Some("" | "unicast") => {
            let gateway = route
                .gateway
                .ok_or_else(|| Error::text(format!("route {destination} requires a gateway for type unicast")))?;
            same_family(destination.addr(), gateway)
                .map_err(|which| Error::text(format!("route with {which} ({destination} via {gateway})")))?;
            RouteKind::Unicast(gateway)
        }
        Some("blackhole") => alone(RouteKind::Blackhole, "BlackHole")?,
        Some("unreachable") => alone(RouteKind::Unreachable, "Unreachable")?,
        Some("prohibit") => alone(RouteKind::Prohibit, "Prohibit")?,
        Some(other) => return Err(Error::text(format!("invalid route type \"{other}\""))),
    };
    Ok(RouteSpec { destination, kind, metric: route.metric.unwrap_or(ROUTE_METRIC) })
}

fn same_family(destination: IpAddr, gateway: IpAddr) -> Result<(), &'static str> {
    match (destination, gateway) {
        (IpAddr::V6(_), IpAddr::V4(_)) => Err("ipv6 destination and ipv4 gateway"),
        (IpAddr::V4(_), IpAddr::V6(_)) => Err("ipv4 destination and ipv6 gateway"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs() {
        assert_eq!(parse_mac("aa:BB:0c-dd:ee:1").unwrap(), [0xaa, 0xbb, 0x0c, 0xdd, 0xee, 1]);
        assert_eq!(parse_mac("aa:bb").unwrap_err().to_string(), "invalid mac length for address: aa:bb");
        assert!(
            parse_mac("xx:bb").unwrap_err().to_string().starts_with("unable to parse mac address xx:bb: invalid digit")
        );
        assert_eq!(format_mac(&[0xaa, 0, 1]), "aa:00:01");
    }

    #[test]
    fn routes_are_judged() {
        let route = |text: &str| {
            let route: StaticRoute = serde_json::from_str(text).unwrap();
            parse_route(&route, false).map_err(|error| error.to_string())
        };
        assert!(route(r#"{"destination": "10.0.0.0/8", "gateway": "10.1.1.1"}"#).is_ok());
        for (text, wrong) in [
            (r#"{"destination": "10.0.0.0/8"}"#, "route 10.0.0.0/8 requires a gateway for type unicast"),
            (
                r#"{"destination": "10.0.0.0/8", "gateway": "10.1.1.1", "route_type": "blackhole"}"#,
                "route 10.0.0.0/8 must not have a gateway for type BlackHole",
            ),
            (
                r#"{"destination": "fd00::/8", "gateway": "10.1.1.1"}"#,
                "route with ipv6 destination and ipv4 gateway (fd00::/8 via 10.1.1.1)",
            ),
            (r#"{"destination": "fd00::/8", "route_type": "x"}"#, "invalid route type \"x\""),
        ] {
            assert_eq!(route(text).unwrap_err(), wrong);
        }
    }
}
