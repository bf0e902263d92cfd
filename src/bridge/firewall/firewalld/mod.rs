//! firewalld, spoken over D-Bus: networks are sources of a zone of ours, and what is published stands in policies of ours.
//!
//! firewalld has no transactions. Zone and policies are permanent and made once, which takes a reload of firewalld; what belongs to
//! networks and containers is only in the running configuration and goes with a reload, until `firewalld-reload` puts it back.

mod bus;
mod listen;
mod policies;
mod rules;
mod trust;

use std::net::IpAddr;

use ipnet::IpNet;

use self::bus::{Bus, is_code};
use self::policies::ZONE;
use self::rules::Rules;
use super::{ContainerRules, NetworkRules, Whole};
use crate::bridge::error::{During, Result};

pub use listen::on_each_reload;
pub use trust::{distrust, trust};

/// Whether there is a bus to speak over.
pub fn is_there() -> Result<()> {
    Bus::open().map(drop).during(|| "Error retrieving dbus connection for requested firewall backend")
}

/// Adds the network and the container, as far as they are missing. When firewalld has to be reloaded for it, `all` that was there is
/// added again.
pub fn setup(network: &NetworkRules, container: &ContainerRules, all: impl Fn() -> Result<Vec<Whole>>) -> Result<()> {
    if network.internal {
        return Ok(());
    }
    let bus = Bus::open()?;
    if policies::ensure(&bus)? {
        restore(&bus, &all()?)?;
    }
    let one = [(network.clone(), vec![container.clone()])];
    if !add(&bus, &one)? {
        let mut everything = all()?;
        everything.extend(one);
        restore(&bus, &everything)?;
    }
    Ok(())
}

/// Removes the container, and with the last one (`complete`) the network.
pub fn teardown(network: &NetworkRules, container: &ContainerRules, complete: bool) -> Result<()> {
    if network.internal {
        return Ok(());
    }
    let bus = Bus::open()?;
    if !bus.has_firewalld()? {
        // What was only in its running configuration is gone with it.
        return Ok(());
    }
    let mut gone: Vec<IpAddr> = container.addresses().map(|(address, _)| address).collect();
    if complete {
        gone.extend(&container.dns_server_ips);
    }
    let ports = policies::change(&bus, |rules| rules.remove(&gone));
    let sources = match complete {
        true => network.subnets.iter().try_for_each(|subnet| remove_source(&bus, ZONE, *subnet)),
        false => Ok(()),
    };
    ports.and(sources)
}

/// Makes firewalld hold what it should.
pub fn reload(networks: &[Whole]) -> Result<()> {
    let bus = Bus::open()?;
    policies::ensure(&bus)?;
    restore(&bus, networks)
}

/// Adds everything, also when firewalld turns out to need other policies for it, which are there after that.
fn restore(bus: &Bus, networks: &[Whole]) -> Result<()> {
    match add(bus, networks)? {
        true => Ok(()),
        false => add(bus, networks).map(drop),
    }
}

/// Adds what is missing. `false`: firewalld was reloaded meanwhile, and everything has to be added again.
fn add(bus: &Bus, networks: &[Whole]) -> Result<bool> {
    let outside = || networks.iter().filter(|(network, _)| !network.internal);
    for (network, _) in outside() {
        network.subnets.iter().try_for_each(|subnet| add_source(bus, ZONE, *subnet))?;
    }
    let containers = outside().flat_map(|(_, containers)| containers);
    let wanted: Vec<(Vec<IpAddr>, Rules)> = containers
        .map(|container| Ok((container.addresses().map(|(address, _)| address).collect(), Rules::of(container)?)))
        .collect::<Result<_>>()?;
    let changed = policies::change(bus, |rules| {
        for (addresses, new) in &wanted {
            // What an earlier container with this address had.
            rules.remove(addresses);
            rules.add(new.clone());
        }
    });
    match changed {
        Err(error) if is_code(&error, "INVALID_FORWARD") && policies::forward_anywhere(bus)? => Ok(false),
        other => other.map(|()| true),
    }
}

/// A subnet is in this zone, and no other.
fn add_source(bus: &Bus, zone: &str, subnet: IpNet) -> Result<()> {
    match bus.runtime::<String>(".zone", "changeZoneOfSource", &(zone, subnet.to_string())) {
        Err(error) if !is_code(&error, "ZONE_ALREADY_SET") && !is_code(&error, "ALREADY_ENABLED") => Err(error),
        _ => Ok(()),
    }
}

/// A subnet is not in this zone.
fn remove_source(bus: &Bus, zone: &str, subnet: IpNet) -> Result<()> {
    match bus.runtime::<String>(".zone", "removeSource", &(zone, subnet.to_string())) {
        Err(error) if !["UNKNOWN_SOURCE", "ZONE_CONFLICT", "INVALID_ZONE"].iter().any(|code| is_code(&error, code)) => {
            Err(error)
        }
        _ => Ok(()),
    }
}
