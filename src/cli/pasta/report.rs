//! What is told of a network before it starts, in the order and the words that people know from pasta.

use std::net::IpAddr;

use crate::config::{Auto, AutoExpose, Expose, Protocol};

use super::addresses::Chosen;
use super::forwards::Forwards;
use super::low::Low;
use super::names::Names;

/// The lines.
pub(super) fn lines(low: &Low, chosen: &Chosen, names: &Names, forwards: &Forwards) -> Vec<String> {
    let mut lines = Vec::new();
    let template =
        |name: Option<&super::template::Template>, family| name.map(|template| format!("{} ({family})", template.name));
    let v4 = template(chosen.v4.as_ref().and_then(|v4| v4.template.as_ref()), "IPv4");
    let v6 = template(chosen.v6.as_ref().and_then(|v6| v6.template.as_ref()), "IPv6");
    let templates: Vec<String> = [v4, v6].into_iter().flatten().collect();
    if !templates.is_empty() {
        lines.push(format!("Template interface: {}", templates.join(", ")));
    }
    lines.push(format!("Namespace interface: {}", chosen.ifname));
    lines.push("MAC:".into());
    lines.push(format!("    host: {}", chosen.mac.0.map(|byte| format!("{byte:02x}")).join(":")));
    lines.extend(chosen.loopback4.map(|ip| format!("    NAT to host 127.0.0.1: {ip}")));
    if let Some(v4) = &chosen.v4 {
        if !low.has("no-dhcp") {
            let subnet = v4.subnet(None);
            let mask = u32::MAX.checked_shl(32 - u32::from(subnet.prefix)).unwrap_or(0);
            lines.push("DHCP:".into());
            lines.push(format!("    assign: {}", subnet.address));
            lines.push(format!("    mask: {}", std::net::Ipv4Addr::from_bits(mask)));
            lines.push(format!("    router: {}", subnet.gateway));
        }
        addresses(&mut lines, "DNS:", names.resolvers.iter().filter(|ip| ip.is_ipv4()));
        if !names.search.is_empty() {
            lines.push("DNS search list:".into());
            lines.extend(names.search.iter().map(|domain| format!("    {domain}")));
        }
    }
    lines.extend(chosen.loopback6.map(|ip| format!("    NAT to host ::1: {ip}")));
    if let Some(v6) = &chosen.v6 {
        lines.push("NDP/DHCPv6:".into());
        lines.push(format!("    assign: {}", v6.address));
        lines.push(format!("    router: {}", v6.subnet(None).gateway));
        lines.push(format!("    our link-local: {}", chosen.link_local()));
        addresses(&mut lines, "DNS:", names.resolvers.iter().filter(|ip| ip.is_ipv6()));
    }
    if let Some(path) = low.path("pcap") {
        lines.push(format!("Saving packet capture to {}", path.display()));
    }
    inward(&mut lines, forwards);
    outward(&mut lines, &forwards.expose, &forwards.auto_expose);
    lines
}

fn addresses<'a>(lines: &mut Vec<String>, title: &str, addresses: impl Iterator<Item = &'a IpAddr>) {
    let mut addresses = addresses.peekable();
    if addresses.peek().is_some() {
        lines.push(title.into());
        lines.extend(addresses.map(|ip| format!("    {ip}")));
    }
}

fn inward(lines: &mut Vec<String>, forwards: &Forwards) {
    let Auto { follow, .. } = &forwards.auto;
    if forwards.publish.is_empty() && follow.is_empty() {
        return;
    }
    lines.push("Inbound forwarding rules (HOST):".into());
    for rule in &forwards.publish {
        let place = rule.address.map_or("*".into(), |address| address.to_string());
        let interface = rule.binding.interface.as_ref().map_or_else(String::new, |name| format!("%{name}"));
        let (first, last) = (*rule.host.start(), *rule.host.end());
        let behind = range(rule.container, rule.container.wrapping_add(last - first));
        let host = range(first, last);
        lines.push(format!("    {} [{place}]{interface}:{host}  =>  {behind}", word(rule.protocol)));
    }
    for follow in follow {
        let place = follow.address.map_or("*".into(), |address| address.to_string());
        lines.push(format!("    {} [{place}]  (auto-scan)", follow.protocol.map_or("TCP and UDP", word)));
    }
}

fn outward(lines: &mut Vec<String>, expose: &[Expose], auto: &AutoExpose) {
    if expose.is_empty() && auto.follow.is_empty() {
        return;
    }
    lines.push("Outbound forwarding rules (SPLICE):".into());
    for rule in expose {
        let (first, last) = (*rule.container.start(), *rule.container.end());
        let behind = range(rule.host, rule.host.wrapping_add(last - first));
        lines.push(format!("    {} [*]%lo:{}  =>  {behind}", word(rule.protocol), range(first, last)));
    }
    for follow in &auto.follow {
        lines.push(format!("    {} [*]%lo  (auto-scan)", word(follow.protocol)));
    }
}

fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    }
}

fn range(first: u16, last: u16) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}
