//! Beside firewalld: what the other drivers have to tell it, so that its rules let their networks be.

use std::path::Path;

use ipnet::IpNet;

use super::super::{ContainerRules, NetworkRules};
use super::bus::Bus;
use super::{add_source, remove_source};
use crate::bridge::error::{Error, Result};

/// All that comes from there is let in.
const TRUSTED: &str = "trusted";
const DNS: u16 = 53;
/// Where the system bus is unless an address says otherwise.
const SOCKETS: [&str; 2] = ["/run/dbus/system_bus_socket", "/var/run/dbus/system_bus_socket"];

/// firewalld, if it runs. Where the bus is not there, or is not to be used (an empty DBUS_SYSTEM_BUS_ADDRESS), it does not.
fn running() -> Option<Bus> {
    let has_bus = match std::env::var_os("DBUS_SYSTEM_BUS_ADDRESS") {
        Some(address) => !address.is_empty(),
        // Looked for here, because it costs a millisecond to find out by connecting.
        None => SOCKETS.iter().any(|socket| Path::new(socket).exists()),
    };
    let bus = has_bus.then(Bus::open)?.ok()?;
    bus.has_firewalld().is_ok_and(|runs| runs).then_some(bus)
}

/// Lets the network's packets pass firewalld. That a port is published against its will (StrictForwardPorts) is refused; all else
/// that goes wrong is only logged.
pub fn trust(network: &NetworkRules, containers: &[&ContainerRules]) -> Result<()> {
    let Some(bus) = running() else { return Ok(()) };
    let publishes = |container: &&ContainerRules| {
        container.dns_port != DNS || container.port_mappings.as_ref().is_some_and(|ports| !ports.is_empty())
    };
    if containers.iter().any(|container| !container.internal && publishes(container)) {
        match bus.property("StrictForwardPorts").as_deref() {
            Some("yes") => {
                return Err(Error::text("Port forwarding not possible as firewalld StrictForwardPorts enabled"));
            }
            None | Some("no") => {}
            Some(other) => tracing::warn!("unexpected value from StrictForwardPorts property: {other}"),
        }
    }
    each(network, |subnet| add_source(&bus, TRUSTED, subnet));
    Ok(())
}

/// Ends that.
pub fn distrust(network: &NetworkRules) {
    if let Some(bus) = running() {
        each(network, |subnet| remove_source(&bus, TRUSTED, subnet));
    }
}

fn each(network: &NetworkRules, work: impl Fn(IpNet) -> Result<()>) {
    for &subnet in &network.subnets {
        if let Err(error) = work(subnet) {
            tracing::error!("tell firewalld of {subnet}: {error}");
        }
    }
}
