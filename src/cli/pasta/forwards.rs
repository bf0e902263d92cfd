//! Port specifications, turned into the rules of published and exposed ports.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use crate::config::{Auto, AutoExpose, Binding, Expose, Follow, FollowPorts, Protocol, Publish};

use super::low::Low;
use super::ports::{Ports, Range, Spec, all_but, left};

/// Everything that leads in and out past the addresses.
#[derive(Debug, Default)]
pub(super) struct Forwards {
    /// Published ports.
    pub publish: Vec<Publish>,
    /// Those that follow what listens inside.
    pub auto: Auto,
    /// The host's loopback ports at the namespace's loopback.
    pub expose: Vec<Expose>,
    /// Those that follow what listens on the host.
    pub auto_expose: AutoExpose,
}

/// Reads `-t`, `-u`, `-T` and `-U`.
pub(super) fn forwards(low: &Low, with_ipv4: bool, with_ipv6: bool) -> Result<Forwards, String> {
    let mut forwards = Forwards::default();
    for (name, letter, protocol) in [("tcp-ports", 't', Protocol::Tcp), ("udp-ports", 'u', Protocol::Udp)] {
        let Some(ports) = read(low, name, letter, protocol)? else { continue };
        forwards.inward(ports, protocol, |address| if address.is_ipv4() { with_ipv4 } else { with_ipv6 })?;
    }
    for (name, letter, protocol) in [("tcp-ns", 'T', Protocol::Tcp), ("udp-ns", 'U', Protocol::Udp)] {
        let Some(ports) = read(low, name, letter, protocol)? else { continue };
        forwards.outward(ports, protocol);
    }
    if low.has("freebind") {
        forwards.publish.iter_mut().for_each(|rule| rule.binding.free = true);
        forwards.auto.follow.iter_mut().for_each(|follow| follow.binding.free = true);
    }
    Ok(forwards)
}

/// What one option asks for; nothing where its protocol is switched off.
fn read(low: &Low, name: &'static str, letter: char, protocol: Protocol) -> Result<Option<Ports>, String> {
    let values = low.texts(name, |text| format!("Invalid port specifier {text}"))?;
    let ports = Ports::read(letter, &values)?;
    let (off, word) = match protocol {
        Protocol::Tcp => ("no-tcp", "TCP"),
        Protocol::Udp => ("no-udp", "UDP"),
    };
    match ports {
        Ports::Specs(_) if low.has(off) => Err(format!("{word} port forwarding requested but {word} is disabled")),
        _ if low.has(off) => Ok(None),
        ports => Ok(Some(ports)),
    }
}

impl Forwards {
    fn inward(&mut self, ports: Ports, protocol: Protocol, has: impl Fn(IpAddr) -> bool) -> Result<(), String> {
        let specs = match ports {
            Ports::None => return Ok(()),
            Ports::Auto => {
                self.auto.follow.push(follow(protocol, None, Binding::default(), Vec::new()));
                self.auto.mirrors_tcp |= protocol == Protocol::Udp;
                return Ok(());
            }
            Ports::Specs(specs) => specs,
        };
        for spec in specs {
            if let Some(address) = spec.address.filter(|address| !has(*address)) {
                let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
                return Err(format!("Can't forward {}: {family} is disabled", spec.text));
            }
            if let Some(name) = &spec.interface {
                super::template::index_of(name)?;
            }
            let binding = Binding {
                interface: spec.interface.clone(),
                free: false,
                best_effort: spec.all,
                asked_by: Some(spec.text.clone()),
            };
            let is_plain = spec.all_to.is_none() && spec.ranges.iter().all(is_plain);
            if spec.auto && is_plain {
                let only = if spec.all { left(&(1..=65535), &spec.except) } else { plain(&spec.ranges) };
                self.auto.follow.push(follow(protocol, spec.address, binding, only));
                self.auto.mirrors_tcp |= protocol == Protocol::Udp;
                continue;
            }
            if spec.ranges.is_empty() && !spec.all {
                return Err(format!("Failed to bind any port for '{}', exiting", spec.text));
            }
            for range in wanted(&spec) {
                let binding = Binding { best_effort: spec.all || spec.auto, ..binding.clone() };
                let rule = Publish {
                    protocol,
                    address: spec.address,
                    host: range.ports,
                    container: range.to,
                    guest: range.address.or(spec.all_to),
                    binding,
                };
                // To say it twice is no more than to say it once.
                if !self.publish.contains(&rule) {
                    self.publish.push(rule);
                }
            }
        }
        Ok(())
    }

    fn outward(&mut self, ports: Ports, protocol: Protocol) {
        let specs = match ports {
            Ports::None => return,
            Ports::Auto => {
                self.auto_expose.follow.push(FollowPorts { protocol, only: Vec::new() });
                return;
            }
            Ports::Specs(specs) => specs,
        };
        for spec in specs {
            if spec.all || spec.auto {
                // Behind a port at which nothing listens there is nothing to be reached, so all are those that are in use.
                let mut only = if spec.all { left(&(1..=65535), &spec.except) } else { Vec::new() };
                only.extend(plain(&spec.ranges));
                self.auto_expose.follow.push(FollowPorts { protocol, only });
                continue;
            }
            let rules =
                spec.ranges.into_iter().map(|range| Expose { protocol, container: range.ports, host: range.to });
            for rule in rules {
                if !self.expose.contains(&rule) {
                    self.expose.push(rule);
                }
            }
        }
    }
}

fn follow(protocol: Protocol, address: Option<IpAddr>, binding: Binding, only: Vec<RangeInclusive<u16>>) -> Follow {
    Follow { protocol: Some(protocol), address, binding, only }
}

fn is_plain(range: &Range) -> bool {
    range.to == *range.ports.start() && range.address.is_none()
}

fn plain(ranges: &[Range]) -> Vec<RangeInclusive<u16>> {
    ranges.iter().map(|range| range.ports.clone()).collect()
}

/// What is named, and all others where they are wanted.
fn wanted(spec: &Spec) -> Vec<Range> {
    let mut ranges = spec.ranges.clone();
    if spec.all {
        let named = plain(&spec.ranges);
        let others = all_but(&[spec.except.as_slice(), named.as_slice()].concat());
        ranges.extend(others.into_iter().map(|ports| Range { to: *ports.start(), ports, address: None }));
    }
    ranges
}
