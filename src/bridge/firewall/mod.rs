//! The firewall: which driver is used, and what it is told.

mod iptables;
mod nftables;
mod rules;
mod state;

#[cfg(any(test, fuzzing))]
pub use nftables::check_encoding;
pub use rules::{ContainerRules, Isolation, NetworkRules, hash_name};
pub use state::State;

use super::error::{Error, Result};

/// A firewall driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The kernel's nf_tables, over netlink.
    Nftables,
    /// iptables-restore.
    Iptables,
    /// No rules at all.
    None,
}

impl Kind {
    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Nftables => "nftables",
            Kind::Iptables => "iptables",
            Kind::None => "none",
        }
    }

    /// The driver of this name.
    pub fn named(name: &str) -> Option<Kind> {
        [Kind::Nftables, Kind::Iptables, Kind::None].into_iter().find(|kind| kind.name() == name)
    }

    /// What the host has. A kernel without nf_tables is left to iptables.
    fn detected() -> Kind {
        if nftables::is_there() { Kind::Nftables } else { Kind::Iptables }
    }

    /// The driver that was asked for, if one was.
    pub fn choose(asked: Option<&str>) -> Result<Kind> {
        let kind = match asked.map(str::to_lowercase) {
            None => Kind::detected(),
            Some(name) => Kind::named(&name)
                .ok_or_else(|| Error::text(format!("Must provide a valid firewall backend, got {name}")))?,
        };
        match kind {
            Kind::None => tracing::info!(target: "netavark::firewall", "Not using firewall"),
            _ => tracing::info!(target: "netavark::firewall", "Using {} firewall driver", kind.name()),
        }
        Ok(kind)
    }

    /// Adds the rules of a network, as far as they are missing, and those of a container. `again`: the container may have some.
    pub fn setup(self, network: &NetworkRules, container: &ContainerRules, again: bool) -> Result<()> {
        match self {
            Kind::Nftables => nftables::setup(network, container, again),
            Kind::Iptables => iptables::setup(network, container),
            Kind::None => Ok(()),
        }
    }

    /// Removes the rules of a container, and with the last one (`complete`) those of the network.
    pub fn teardown(self, network: &NetworkRules, container: &ContainerRules, complete: bool) -> Result<()> {
        match self {
            Kind::Nftables => nftables::teardown(network, container, complete),
            Kind::Iptables => iptables::teardown(network, container, complete),
            Kind::None => Ok(()),
        }
    }

    /// Makes the rules what they should be.
    pub fn reload(self, networks: &[(NetworkRules, Vec<ContainerRules>)]) -> Result<()> {
        match self {
            Kind::Nftables => nftables::reload(networks),
            Kind::Iptables => iptables::reload(networks),
            Kind::None => Ok(()),
        }
    }
}
