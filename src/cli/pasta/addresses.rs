//! Addresses, gateways and the device: those of the template, or those that were given.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use rnet_stack::Family;
use rnet_stack::frame::MacAddr;

use crate::config::{Copied, Mapping, Subnet};

use super::low::{Addresses, Low, is_usable};
use super::names::Names;
use super::template::{HostNetwork, LOCAL, Template, adapt, class_prefix, default_route, index_of};

/// The largest Ethernet payload, in whole words of IPv4.
pub(super) const MTU_MAX: u16 = 65520;
/// RFC 791.
const MTU_MIN: u16 = 68;
/// RFC 8200 section 5.
const MTU_MIN_IPV6: u16 = 1280;

/// What everything outside is called on the link unless it is said.
const MAC: MacAddr = MacAddr([0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55]);

/// One family of the namespace.
#[derive(Clone, Debug)]
pub(super) struct Side<A> {
    pub address: A,
    /// Of the subnet; 64 in router advertisements.
    pub prefix: u8,
    pub gateway: Option<A>,
    pub template: Option<Template>,
    /// Whether the address was given.
    is_given: bool,
    /// Whether the gateway was given.
    has_given_gateway: bool,
}

/// All that was chosen.
#[derive(Debug)]
pub(super) struct Chosen {
    pub v4: Option<Side<Ipv4Addr>>,
    pub v6: Option<Side<Ipv6Addr>>,
    pub ifname: String,
    pub mac: MacAddr,
    pub guest_mac: Option<MacAddr>,
    /// `None` leaves the device's as it is.
    pub mtu: Option<u16>,
    pub loopback4: Option<Ipv4Addr>,
    pub loopback6: Option<Ipv6Addr>,
    shadowed: Addresses,
}

/// Reads the options, and looks at the host for what they leave open.
pub(super) fn addresses(low: &Low, notes: &mut Vec<String>) -> Result<Chosen, String> {
    let mtu = mtu(low, notes)?;
    let mac = mac(low, "mac-addr")?.unwrap_or(MAC);
    let guest_mac = mac_of_guest(low)?;
    let given = given(low)?;
    let gateways = low.addresses("gateway", |text| format!("Invalid gateway address: {text}"))?;
    let ifname = ifname(low)?;
    let host = HostNetwork::read()?;
    let last = low.last_of(["ipv4-only", "ipv6-only"]);
    let template = |family, option| -> Result<Option<Template>, String> {
        let wrong = |text: &str| format!("Invalid interface name: {text}");
        if let Some(name) = low.text("interface", wrong)? {
            return Ok(host.template(family, index_of(name)?));
        }
        let Some(name) = low.text(option, wrong)? else { return Ok(host.choose(family)) };
        host.template(family, index_of(name)?).map(Some).ok_or_else(|| "External interface not usable".into())
    };
    let template4 = if last == Some("ipv6-only") { None } else { template(Family::V4, "outbound-if4")? };
    let template6 = if last == Some("ipv4-only") { None } else { template(Family::V6, "outbound-if6")? };
    let is_named = low.has("interface") || low.has("outbound-if4") || low.has("outbound-if6");
    if is_named && template4.is_none() && template6.is_none() {
        return Err("External interface not usable".into());
    }
    let mut v4 = side4(low, template4, &given, gateways.v4)?.filter(|_| last != Some("ipv6-only"));
    let mut v6 = side6(template6, &given, gateways.v6).filter(|_| last != Some("ipv4-only"));
    if mtu.is_some_and(|mtu| mtu < MTU_MIN_IPV6) && v6.take().is_some() {
        notes.push(format!("IPv6 is left out: it needs an MTU of {MTU_MIN_IPV6}"));
    }
    if v4.is_none() && v6.is_none() {
        if last == Some("ipv6-only") {
            return Err("No interfaces with usable IPv6 routes".into());
        }
        notes.push("No external interface as template, use local mode".into());
        let (address, prefix, gateway, _) = LOCAL;
        v4 = Some(Side {
            address,
            prefix,
            gateway: Some(gateway),
            template: None,
            is_given: false,
            has_given_gateway: true,
        });
    }
    let names = [v4.as_ref().and_then(|v4| v4.template.as_ref()), v6.as_ref().and_then(|v6| v6.template.as_ref())];
    let name = names.into_iter().flatten().map(|template| template.name.clone()).next();
    let loopback = low.addresses("map-host-loopback", |text| format!("Invalid address to remap to host: {text}"))?;
    let by_gateway = !low.has("no-map-gw") && !loopback.none;
    let gateway4 = v4.as_ref().and_then(|v4| v4.gateway).filter(|_| by_gateway);
    let gateway6 = v6.as_ref().and_then(|v6| v6.gateway).filter(|_| by_gateway);
    Ok(Chosen {
        loopback4: loopback.v4.or(gateway4),
        loopback6: loopback.v6.or(gateway6),
        v4,
        v6,
        ifname: ifname.or(name).unwrap_or_else(|| "tap0".into()),
        mac,
        guest_mac,
        mtu,
        shadowed: low.addresses("map-guest-addr", |text| format!("Invalid address to remap to host: {text}"))?,
    })
}

/// What `-a` and `-n` say.
#[derive(Clone, Copy, Debug, Default)]
struct Given {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
    /// The length of the IPv4 prefix.
    prefix: Option<u8>,
}

fn given(low: &Low) -> Result<Given, String> {
    let wrong = |text: &str| format!("Invalid address: {text}");
    let mut given = Given::default();
    for text in low.texts("address", wrong)? {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let ip: IpAddr =
            address.parse().ok().filter(|ip| is_usable(*ip) && !ip.is_loopback()).ok_or_else(|| wrong(text))?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let prefix =
            prefix.map(|prefix| prefix.parse::<u8>().ok().filter(|bits| *bits <= most).ok_or_else(|| wrong(text)));
        let prefix = prefix.transpose()?;
        match ip {
            IpAddr::V4(ip) => (given.v4, given.prefix) = (Some(ip), prefix),
            IpAddr::V6(ip) => given.v6 = Some(ip),
        }
    }
    let netmask = low.read("netmask", |text| format!("Invalid netmask: {text}"), netmask)?;
    if netmask.is_some() && given.prefix.is_some() {
        return Err("Redundant prefix length specification".into());
    }
    given.prefix = given.prefix.or(netmask);
    Ok(given)
}

/// Dotted or in bits.
fn netmask(text: &str) -> Option<u8> {
    if let Ok(mask) = text.parse::<Ipv4Addr>() {
        let ones = mask.to_bits().leading_ones();
        return (mask.to_bits().count_ones() == ones && ones > 0).then_some(ones as u8);
    }
    text.parse::<u8>().ok().filter(|bits| (1..=32).contains(bits))
}

fn side4(
    low: &Low,
    template: Option<Template>,
    given: &Given,
    gateway: Option<Ipv4Addr>,
) -> Result<Option<Side<Ipv4Addr>>, String> {
    if template.is_none() && given.v4.is_none() {
        return Ok(None);
    }
    let hosts = |template: &Template| -> Vec<(Ipv4Addr, u8)> {
        let v4 = |&(ip, prefix): &(IpAddr, u8)| if let IpAddr::V4(ip) = ip { Some((ip, prefix)) } else { None };
        template.addresses.iter().filter_map(v4).collect()
    };
    let known = template.as_ref().map(hosts).unwrap_or_default();
    let Some(address) = given.v4.or(known.first().map(|(ip, _)| *ip)) else { return Ok(None) };
    let same = known.iter().find(|(ip, _)| *ip == address).map(|(_, prefix)| *prefix);
    let found = template.as_ref().and_then(|template| template.gateway);
    let found = found.and_then(|ip| if let IpAddr::V4(ip) = ip { Some(ip) } else { None });
    Ok(Some(Side {
        address,
        prefix: given.prefix.or(same).unwrap_or_else(|| class_prefix(address)),
        gateway: gateway.or(found),
        template,
        is_given: given.v4.is_some() || given.prefix.is_some() || low.has("no-copy-addrs"),
        has_given_gateway: gateway.is_some() || low.has("no-copy-routes"),
    }))
}

fn side6(template: Option<Template>, given: &Given, gateway: Option<Ipv6Addr>) -> Option<Side<Ipv6Addr>> {
    let v6 = |&(ip, prefix): &(IpAddr, u8)| if let IpAddr::V6(ip) = ip { Some((ip, prefix)) } else { None };
    let known = template.as_ref().and_then(|template| template.addresses.iter().find_map(v6));
    let address = given.v6.or(known.map(|(ip, _)| ip))?;
    let found = template.as_ref().and_then(|template| template.gateway);
    let found = found.and_then(|ip| if let IpAddr::V6(ip) = ip { Some(ip) } else { None });
    Some(Side {
        address,
        prefix: 64,
        gateway: gateway.or(found),
        template,
        is_given: given.v6.is_some(),
        has_given_gateway: gateway.is_some(),
    })
}

impl<A: Copy + Into<IpAddr>> Side<A> {
    /// What `--config-net` gives the device.
    fn copy(&self, low: &Low, copied: &mut Copied) {
        let template = self.template.as_ref();
        match template.filter(|_| !self.is_given && !low.has("no-copy-addrs")) {
            Some(template) => copied.addresses.extend(&template.addresses),
            None => copied.addresses.push((self.address.into(), self.prefix)),
        }
        match template.filter(|_| !self.has_given_gateway && !low.has("no-copy-routes")) {
            Some(template) => copied.routes.extend(template.routes.iter().map(adapt)),
            None => copied.routes.extend(self.gateway.map(|gateway| default_route(gateway.into()))),
        }
    }
}

impl Side<Ipv4Addr> {
    pub(super) fn subnet(&self, dns: Option<Ipv4Addr>) -> Subnet<Ipv4Addr> {
        Subnet { address: self.address, prefix: self.prefix, gateway: self.gateway.unwrap_or(LOCAL.2), dns }
    }
}

impl Side<Ipv6Addr> {
    pub(super) fn subnet(&self, dns: Option<Ipv6Addr>) -> Subnet<Ipv6Addr> {
        Subnet { address: self.address, prefix: self.prefix, gateway: self.gateway.unwrap_or(LOCAL.3), dns }
    }
}

impl Chosen {
    /// The link-local address of everything outside: the gateway's, if it has one.
    pub(super) fn link_local(&self) -> Ipv6Addr {
        let gateway = self.v6.as_ref().and_then(|v6| v6.gateway);
        gateway.filter(Ipv6Addr::is_unicast_link_local).unwrap_or(LOCAL.3)
    }

    /// The addresses that stand for the host.
    pub(super) fn mapping(&self, names: &Names) -> Mapping {
        Mapping {
            loopback4: self.loopback4,
            loopback6: self.loopback6,
            shadowed4: self.shadowed.v4,
            shadowed6: self.shadowed.v6,
            resolver4: names.host4,
            resolver6: names.host6,
            scope: self.v6.as_ref().and_then(|v6| v6.template.as_ref()).map_or(0, |template| template.index),
        }
    }

    /// What `--config-net` gives the device.
    pub(super) fn copied(&self, low: &Low) -> Copied {
        let mut copied = Copied { sets_mtu: self.mtu.is_some(), ..Copied::default() };
        if let Some(v4) = &self.v4 {
            v4.copy(low, &mut copied);
        }
        if let Some(v6) = &self.v6 {
            v6.copy(low, &mut copied);
        }
        // What can be reached without a router first: others may depend on it.
        copied.routes.sort_by_key(has_gateway);
        copied
    }
}

fn has_gateway(route: &RouteMessage) -> bool {
    let is_gateway = |attribute: &RouteAttribute| {
        matches!(
            attribute,
            RouteAttribute::Gateway(RouteAddress::Inet(_) | RouteAddress::Inet6(_)) | RouteAttribute::Via(_)
        )
    };
    route.attributes.iter().any(|attribute| match attribute {
        RouteAttribute::MultiPath(hops) => hops.iter().any(|hop| hop.attributes.iter().any(is_gateway)),
        attribute => is_gateway(attribute),
    })
}

/// `None` in the result for an MTU that is left as it is.
fn mtu(low: &Low, notes: &mut Vec<String>) -> Result<Option<u16>, String> {
    let Some(text) = low.text("mtu", |text| format!("Invalid MTU: {text}"))? else { return Ok(Some(MTU_MAX)) };
    let mtu: u64 = text.parse().map_err(|_| format!("Invalid MTU: {text}"))?;
    match u16::try_from(mtu) {
        Ok(0) => Ok(None),
        Ok(mtu @ 1..MTU_MIN) => {
            // No device takes it.
            notes.push(format!("MTU {mtu} is too small for IPv4 (minimum {MTU_MIN}): it is left as it is"));
            Ok(None)
        }
        // The last word of 65521 to 65535 bytes would not fit.
        Ok(mtu) => Ok(Some(mtu.min(MTU_MAX))),
        Err(_) => Err(format!("MTU {mtu} too large (max {MTU_MAX})")),
    }
}

fn mac_of_guest(low: &Low) -> Result<Option<MacAddr>, String> {
    let mac = mac(low, "ns-mac-addr")?;
    match mac {
        Some(MacAddr(bytes)) if bytes[0] & 1 != 0 || bytes == [0; 6] => {
            let text = low.value("ns-mac-addr").map(|text| text.display().to_string()).unwrap_or_default();
            Err(format!("Invalid MAC address: {text}"))
        }
        mac => Ok(mac),
    }
}

/// Exactly seventeen characters.
fn mac(low: &Low, name: &str) -> Result<Option<MacAddr>, String> {
    let read = |text: &str| {
        let mut bytes = [0; 6];
        let parts: Vec<&str> = text.split(':').collect();
        if parts.len() != bytes.len() {
            return None;
        }
        for (byte, part) in bytes.iter_mut().zip(parts) {
            let is_hex = part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
            *byte = u8::from_str_radix(part, 16).ok().filter(|_| is_hex)?;
        }
        Some(MacAddr(bytes))
    };
    low.read(name, |text| format!("Invalid MAC address: {text}"), read)
}

fn ifname(low: &Low) -> Result<Option<String>, String> {
    let read = |text: &str| crate::cli::value::ifname(text).ok();
    low.read("ns-ifname", |text| format!("Invalid interface name: {text}"), read)
}
