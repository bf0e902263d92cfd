//! Gives the tap device its addresses and routes. Everything happens in the network namespace of the caller.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd};

use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;

use crate::config::{Network, Setup};
use crate::sys::netlink::Netlink;
use crate::tap;

use super::copied;
use super::error::{Error, Step};

/// Packets that wait for the stack: none is dropped for want of room while it is busy.
const TX_QUEUE_LEN: u32 = 1000;

/// Moves a device to another network namespace.
pub(super) fn move_to(ifname: &str, netns: impl AsFd) -> Result<(), Error> {
    let mut netlink = Netlink::open().step("open netlink")?;
    let mut link = link(ifname)?;
    link.attributes.push(LinkAttribute::NetNsFd(netns.as_fd().as_raw_fd()));
    match netlink.change(RouteNetlinkMessage::NewLink(link)) {
        Err(Errno::EEXIST) => Err(tap::Error::Exists(ifname.into()).into()),
        moved => moved.step(format!("move {ifname} to the network namespace")),
    }
}

/// Sets the loopback device up.
pub(super) fn configure_loopback() -> Result<(), Error> {
    set_up(&mut Netlink::open().step("open netlink")?, "lo")
}

/// Configures loopback and the tap device; when it returns, both families work at once, unless the container is to see to that.
pub(super) fn configure(network: &Network) -> Result<(), Error> {
    let ifname = &network.ifname;
    let mut netlink = Netlink::open().step("open netlink")?;
    set_up(&mut netlink, "lo")?;
    let mut tap = link(ifname)?;
    let index = tap.header.index;
    let mtu = match &network.link.setup {
        Setup::Subnets => Some(network.mtu),
        Setup::Copied(copied) => Some(network.mtu).filter(|_| copied.sets_mtu),
        Setup::Bare => None,
    };
    tap.attributes.extend(mtu.map(|mtu| LinkAttribute::Mtu(mtu.into())));
    tap.attributes.push(LinkAttribute::TxQueueLen(TX_QUEUE_LEN));
    tap.attributes.extend(network.mac.map(|mac| LinkAttribute::Address(mac.0.to_vec())));
    let operation = format!("set the MTU {} and the Ethernet address of {ifname}", network.mtu);
    netlink.change(RouteNetlinkMessage::NewLink(tap)).step(operation)?;
    match &network.link.setup {
        Setup::Bare => Ok(()),
        Setup::Subnets => {
            ipv6_settings(network);
            configure_subnets(&mut netlink, network, index)
        }
        Setup::Copied(copied) => {
            ipv6_settings(network);
            copied::configure(&mut netlink, copied, ifname, index)
        }
    }
}

/// Gives the device the subnets' addresses, and default routes by their gateways.
fn configure_subnets(netlink: &mut Netlink, network: &Network, index: u32) -> Result<(), Error> {
    let ifname = &network.ifname;
    if let Some(subnet) = &network.ipv4 {
        let message = address(subnet.address.into(), subnet.prefix, index);
        add_address(netlink, message, subnet.address.into(), ifname)?;
    }
    if let Some(subnet) = &network.ipv6 {
        let message = address(subnet.address.into(), subnet.prefix, index);
        add_address(netlink, message, subnet.address.into(), ifname)?;
    }
    set_up(netlink, ifname)?;
    let gateways =
        [network.ipv4.map(|subnet| IpAddr::V4(subnet.gateway)), network.ipv6.map(|subnet| IpAddr::V6(subnet.gateway))];
    for gateway in gateways.into_iter().flatten() {
        let operation = format!("add the default route by {gateway} to {ifname}");
        netlink.create(RouteNetlinkMessage::NewRoute(default_route(gateway, index))).step_or(operation, |errno| {
            (errno == Errno::EEXIST).then(|| "the namespace has one already: is it on another network?".into())
        })?;
    }
    Ok(())
}

fn link(ifname: &str) -> Result<LinkMessage, Error> {
    let mut link = LinkMessage::default();
    link.header.index = if_nametoindex(ifname).step(format!("find the device {ifname}"))?;
    Ok(link)
}

pub(super) fn set_up(netlink: &mut Netlink, ifname: &str) -> Result<(), Error> {
    let mut link = link(ifname)?;
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    netlink.change(RouteNetlinkMessage::NewLink(link)).step(format!("set {ifname} up"))
}

/// Nobody else is on the link, so duplicate address detection (RFC 4862 section 5.4) would only hold IPv6 up for seconds;
/// and what is configured here needs no router advertisement to overrule it. Where /proc/sys is read-only IPv6 is slower.
fn ipv6_settings(network: &Network) {
    let settings: &[(&str, &str)] = match network.ipv6 {
        Some(_) => &[
            ("disable_ipv6", "0"),
            ("accept_dad", "0"),
            ("dad_transmits", "0"),
            ("accept_ra", "0"),
            ("addr_gen_mode", "0"),
        ],
        None => &[("disable_ipv6", "1")],
    };
    for (name, value) in settings {
        let path = format!("/proc/sys/net/ipv6/conf/{}/{name}", network.ifname);
        if let Err(error) = fs::write(&path, value) {
            tracing::debug!("{path} is left as it is: {error}");
        }
    }
}

pub(super) fn add_address(
    netlink: &mut Netlink,
    message: AddressMessage,
    address: IpAddr,
    ifname: &str,
) -> Result<(), Error> {
    let operation = format!("add the address {address} to {ifname}");
    netlink.create(RouteNetlinkMessage::NewAddress(message)).step_or(operation, |errno| match (errno, address) {
        (Errno::EACCES | Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT, IpAddr::V6(_)) => {
            Some("IPv6 is switched off in this kernel or namespace: --ipv4-only does without".into())
        }
        _ => None,
    })
}

/// An address of the device, which is used at once.
pub(super) fn address(ip: IpAddr, prefix: u8, index: u32) -> AddressMessage {
    match ip {
        IpAddr::V4(ip) => {
            let mut message = address_message(AddressFamily::Inet, prefix, index);
            message.attributes = vec![AddressAttribute::Local(ip.into()), AddressAttribute::Address(ip.into())];
            if prefix < 31 {
                let broadcast = ip.to_bits() | u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
                message.attributes.push(AddressAttribute::Broadcast(Ipv4Addr::from_bits(broadcast)));
            }
            message
        }
        IpAddr::V6(ip) => {
            let mut message = address_message(AddressFamily::Inet6, prefix, index);
            message.header.flags = AddressHeaderFlags::Nodad;
            message.attributes =
                vec![AddressAttribute::Address(ip.into()), AddressAttribute::Flags(AddressFlags::Nodad)];
            message
        }
    }
}

fn address_message(family: AddressFamily, prefix: u8, index: u32) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family;
    message.header.prefix_len = prefix;
    message.header.index = index;
    message.header.scope = AddressScope::Universe;
    message
}

fn default_route(gateway: IpAddr, index: u32) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = if gateway.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![RouteAttribute::Gateway(RouteAddress::from(gateway)), RouteAttribute::Oif(index)];
    message
}
