//! The firewall: which driver is used, and what it is told.

mod firewalld;
mod iptables;
mod nftables;
mod rules;
mod state;

pub use firewalld::on_each_reload;
#[cfg(any(test, fuzzing))]
pub use nftables::check_encoding;
pub use rules::{ContainerRules, Isolation, NetworkRules, hash_name};
pub use state::State;

use super::error::{Error, Result};
use super::netlink::NetlinkSocket;

/// A firewall driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The kernel's nf_tables, over netlink.
    Nftables,
    /// iptables-restore.
    Iptables,
    /// firewalld, over D-Bus.
    Firewalld,
    /// No rules at all.
    None,
}

impl Kind {
    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Nftables => "nftables",
            Kind::Iptables => "iptables",
            Kind::Firewalld => "firewalld",
            Kind::None => "none",
        }
    }

    /// The driver of this name.
    pub fn named(name: &str) -> Option<Kind> {
        [Kind::Nftables, Kind::Iptables, Kind::Firewalld, Kind::None].into_iter().find(|kind| kind.name() == name)
    }

    /// What the host has. A kernel without nf_tables is left to iptables. firewalld is only used when it is asked for: the others
    /// get on with it (`trust`), and it can do less.
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

    /// Whether there is what it needs. Teardown does not ask: the rest is taken away in any case.
    pub fn check(self) -> Result<()> {
        if self == Kind::Firewalld { firewalld::is_there() } else { Ok(()) }
    }

    /// Adds the rules of a network, as far as they are missing, and those of a container.
    pub fn setup(self, network: &NetworkRules, container: &ContainerRules, how: &Setup<'_>) -> Result<()> {
        match self {
            Kind::Nftables => nftables::setup(network, container, how.again),
            Kind::Iptables => iptables::setup(network, container),
            Kind::Firewalld => firewalld::setup(network, container, || how.state.map_or(Ok(Vec::new()), State::all)),
            Kind::None => Ok(()),
        }
    }

    /// Removes the rules of a container, and with the last one (`complete`) those of the network.
    pub fn teardown(self, network: &NetworkRules, container: &ContainerRules, complete: bool) -> Result<Leftover> {
        match self {
            Kind::Nftables => {
                let wire = nftables::teardown(network, container, complete)?;
                return Ok(Leftover { wire: Some(wire), conntrack: None });
            }
            Kind::Iptables => iptables::teardown(network, container, complete)?,
            Kind::Firewalld => firewalld::teardown(network, container, complete)?,
            Kind::None => {}
        }
        Ok(Leftover::default())
    }

    /// Makes the rules what they should be.
    pub fn reload(self, networks: &[Whole]) -> Result<()> {
        match self {
            Kind::Nftables => nftables::reload(networks)?,
            Kind::Iptables => iptables::reload(networks)?,
            Kind::Firewalld => firewalld::reload(networks)?,
            Kind::None => {}
        }
        let all = networks.iter().map(|(network, containers)| (network, containers.iter().collect::<Vec<_>>()));
        all.into_iter().try_for_each(|(network, containers)| self.trust(network, &containers))
    }

    /// Tells a firewalld that runs beside our own rules to let the network's packets pass.
    pub fn trust(self, network: &NetworkRules, containers: &[&ContainerRules]) -> Result<()> {
        if self.has_own_rules() { firewalld::trust(network, containers) } else { Ok(()) }
    }

    /// Ends that.
    pub fn distrust(self, network: &NetworkRules) {
        if self.has_own_rules() {
            firewalld::distrust(network);
        }
    }

    fn has_own_rules(self) -> bool {
        matches!(self, Kind::Nftables | Kind::Iptables)
    }
}

/// What is left when rules have been removed: sockets whose end waits until the kernel has freed the rules, and which are better kept
/// for later.
#[derive(Default)]
pub struct Leftover {
    #[allow(dead_code, reason = "it is kept for its end")]
    wire: Option<nftables::Wire>,
    /// The same of conntrack's, which is set where that is flushed.
    pub conntrack: Option<NetlinkSocket>,
}

/// A network with its containers.
pub type Whole = (NetworkRules, Vec<ContainerRules>);

/// How rules are added.
pub struct Setup<'s> {
    /// Whether the container may have some.
    pub again: bool,
    /// What was set up before.
    pub state: Option<&'s State>,
}
