//! Where a flow from the container may go, decided before it is admitted, and what a host address looks like inside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::config::{Config, DnsService, Mapping};
use crate::edge::Family;
use crate::event::DropReason;
use crate::neighbour::Answer;

/// What is to be done with a flow to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let the host talk to this address.
    Forward(SocketAddr),
    /// It is for the link's name server, which the edge knows.
    Dns,
    /// The link itself is meant, and has nothing there: refuse as a host does that has no listener.
    Refuse,
    /// The link's gateway stands for the host's loopback, which is not to be reached.
    NoRoute,
    /// Not an address that anything can be sent to.
    Drop(DropReason),
}

const DNS_PORT: u16 = 53;
/// RFC 7858.
const DNS_TLS_PORT: u16 = 853;

/// Judges a TCP or UDP destination.
pub fn outbound(config: &Config, to: IpAddr, port: u16) -> Verdict {
    if is_dns_address(config, to) && (port == DNS_PORT || config.mapping.is_none()) {
        return match config.dns {
            DnsService::Edge if port == DNS_PORT => Verdict::Dns,
            DnsService::Silent if port == DNS_PORT => Verdict::Drop(DropReason::NoDns),
            _ => Verdict::Refuse,
        };
    }
    if let Some(mapping) = &config.mapping {
        return mapped(config, mapping, to, port);
    }
    if is_gateway(config, to) {
        return if config.host_loopback {
            Verdict::Forward(SocketAddr::new(loopback(Family::of(to)), port))
        } else {
            Verdict::NoRoute
        };
    }
    match unusable(config, to) {
        Some(reason) => Verdict::Drop(reason),
        None => Verdict::Forward(SocketAddr::new(to, port)),
    }
}

/// Judges a destination in a container that has the host's own addresses.
fn mapped(config: &Config, mapping: &Mapping, to: IpAddr, port: u16) -> Verdict {
    let family = Family::of(to);
    let host = if port == DNS_TLS_PORT && is_dns_address(config, to) {
        mapping.resolver(family)
    } else if mapping.loopback(family) == Some(to) {
        Some(loopback(family))
    } else if mapping.shadowed(family) == Some(to) {
        guest(config, family)
    } else {
        None
    };
    if let Some(host) = host {
        return Verdict::Forward(SocketAddr::new(host, port));
    }
    match (unusable(config, to), to) {
        (Some(_), IpAddr::V6(ip)) if ip.is_unicast_link_local() && mapping.scope != 0 => {
            Verdict::Forward(SocketAddr::V6(SocketAddrV6::new(ip, port, 0, mapping.scope)))
        }
        (Some(reason), _) => Verdict::Drop(reason),
        (None, _) => Verdict::Forward(SocketAddr::new(to, port)),
    }
}

/// Whether the link itself answers at this address.
pub fn is_own(config: &Config, to: IpAddr) -> bool {
    match &config.mapping {
        None => is_gateway(config, to) || is_dns_address(config, to),
        Some(mapping) => mapping.loopback(Family::of(to)) == Some(to) || is_dns_address(config, to),
    }
}

/// What the sender of a datagram that came to a host socket is called inside; `None` when nothing from it may enter.
pub fn inbound(config: &Config, from: SocketAddr, family: Family) -> Option<SocketAddr> {
    let ip = from.ip().to_canonical();
    let named = match &config.mapping {
        Some(mapping) if ip.is_loopback() => mapping.loopback(family),
        Some(mapping) if Some(ip) == guest(config, family) => mapping.shadowed(family),
        None if ip.is_loopback() => {
            let gateway = match family {
                Family::V4 => config.gateway4().map(IpAddr::V4),
                Family::V6 => config.gateway6().map(IpAddr::V6),
            };
            gateway.filter(|_| config.host_loopback)
        }
        _ => Some(ip).filter(|ip| Family::of(*ip) == family),
    };
    named.map(|ip| SocketAddr::new(ip, from.port()))
}

/// What a client of a published port is called inside: itself where the container can answer it over the link's gateway,
/// else the gateway. `None` where the link has no such family as the container's address `guest`.
pub fn client(config: &Config, from: SocketAddr, guest: IpAddr) -> Option<SocketAddr> {
    let family = Family::of(guest);
    let gateway = match (family, &config.mapping) {
        (Family::V4, _) => IpAddr::V4(config.gateway4()?),
        (Family::V6, None) => IpAddr::V6(config.gateway6()?),
        // The router's address may be a real machine's; the link's own is nobody else's.
        (Family::V6, Some(_)) => IpAddr::V6(config.link.ipv6.as_ref()?.link_local),
    };
    let ip = from.ip().to_canonical();
    if let Some(mapping) = &config.mapping {
        let host = if ip == loopback(family) {
            mapping.loopback(family)
        } else if ip == guest {
            mapping.shadowed(family).or(mapping.loopback(family))
        } else {
            None
        };
        if let Some(host) = host {
            return Some(SocketAddr::new(host, from.port()));
        }
    }
    let own = match &config.mapping {
        // A machine may well have an address that stands for the host.
        Some(_) => false,
        // The container looks for its neighbours on the link itself, where only the link answers.
        None => is_own(config, ip) || (config.link.answer == Answer::Own && is_neighbour(config, ip)),
    };
    let own = own || ip == guest;
    let known = Family::of(ip) == family && !own && unusable(config, ip).is_none();
    Some(SocketAddr::new(if known { ip } else { gateway }, from.port()))
}

/// Whether what the container sends to a client by this name goes there by itself.
pub fn leads_to(config: &Config, name: SocketAddr) -> bool {
    outbound(config, name.ip(), name.port()) == Verdict::Forward(name)
}

/// The container's own address.
fn guest(config: &Config, family: Family) -> Option<IpAddr> {
    match family {
        Family::V4 => config.link.ipv4.as_ref().map(|v4| IpAddr::V4(v4.address)),
        Family::V6 => config.link.ipv6.as_ref().map(|v6| IpAddr::V6(v6.address)),
    }
}

/// Whether an address is of the container's subnet.
fn is_neighbour(config: &Config, ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => config.link.ipv4.as_ref().is_some_and(|v4| {
            let host_bits = u32::MAX.checked_shr(u32::from(v4.prefix)).unwrap_or(0);
            ip.to_bits() | host_bits == v4.address.to_bits() | host_bits
        }),
        IpAddr::V6(ip) => config.link.ipv6.as_ref().is_some_and(|v6| {
            let host_bits = u128::MAX.checked_shr(u32::from(v6.prefix)).unwrap_or(0);
            ip.to_bits() | host_bits == v6.address.to_bits() | host_bits
        }),
    }
}

/// The link's name server in this family, as a query's answer comes from it.
pub fn dns_server(config: &Config, family: Family) -> Option<SocketAddr> {
    let ip = match family {
        Family::V4 => IpAddr::V4(config.link.ipv4.as_ref()?.dns?),
        Family::V6 => IpAddr::V6(config.link.ipv6.as_ref()?.dns?),
    };
    Some(SocketAddr::new(ip, DNS_PORT))
}

fn is_dns_address(config: &Config, to: IpAddr) -> bool {
    match to {
        IpAddr::V4(to) => config.link.ipv4.as_ref().is_some_and(|v4| v4.dns == Some(to)),
        IpAddr::V6(to) => config.link.ipv6.as_ref().is_some_and(|v6| v6.dns == Some(to)),
    }
}

fn is_gateway(config: &Config, to: IpAddr) -> bool {
    match to {
        IpAddr::V4(to) => config.gateway4() == Some(to),
        IpAddr::V6(to) => config.link.ipv6.as_ref().is_some_and(|v6| to == v6.gateway || to == v6.link_local),
    }
}

fn loopback(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Family::V6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
    }
}

/// Addresses that a host must not be asked to talk to. Many of them mean the host itself: 0.0.0.0 and :: connect to
/// loopback on Linux, and an IPv4-mapped address gets round every rule for IPv4.
fn unusable(config: &Config, to: IpAddr) -> Option<DropReason> {
    match to {
        IpAddr::V4(to) => {
            let subnet_broadcast = config.link.ipv4.as_ref().is_some_and(|v4| {
                let host_bits = u32::MAX.checked_shr(u32::from(v4.prefix)).unwrap_or(0);
                v4.prefix < 31 && to.to_bits() == v4.address.to_bits() | host_bits
            });
            if to.is_multicast() || to.is_broadcast() || subnet_broadcast {
                Some(DropReason::Multicast)
            } else if to.is_loopback() || to.octets()[0] == 0 || to.octets()[0] >= 240 {
                Some(DropReason::Address)
            } else {
                None
            }
        }
        IpAddr::V6(to) => {
            let embeds_ipv4 = matches!(to.segments(), [0, 0, 0, 0, 0, 0 | 0xffff, _, _]);
            if to.is_multicast() {
                Some(DropReason::Multicast)
            } else if embeds_ipv4 || to.is_loopback() || to.is_unspecified() || to.is_unicast_link_local() {
                Some(DropReason::Address)
            } else {
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
