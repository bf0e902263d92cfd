//! Drivers: what makes a container's interface on a network.

mod bridge;
pub mod inside;
mod lease;
pub mod options;
pub mod plugin;
pub mod vlan;

use nix::errno::Errno;

use super::dns::Entry;
use super::error::{Error, Result};
#[cfg(any(test, fuzzing))]
use super::firewall::{ContainerRules, NetworkRules};
use super::kernel::Kernel;
use super::protocol::{self, Network, PerNetworkOptions, Status};
use super::run::Run;
use super::undo::Undo;

use bridge::Bridge;
pub use bridge::VLAN_MAX;
use plugin::Plugin;
use vlan::Vlan;

/// A container's part in a network, judged and ready to be set up or torn down.
pub enum Driver {
    /// A port of a bridge.
    Bridge(Box<Bridge>),
    /// A macvlan or ipvlan.
    Vlan(Box<Vlan>),
    /// A program's work.
    Plugin(Plugin),
}

/// What a driver has set up.
pub struct Outcome {
    /// What is told to the caller.
    pub status: Status,
    /// What the name server has to know.
    pub dns: Option<Entry>,
}

impl Driver {
    /// Judges a container's part in a network. What is wrong with it is added to `faults`, which setup refuses and teardown does
    /// without.
    pub fn of(run: &Run, network: &Network, options: &PerNetworkOptions, faults: &mut Vec<Error>) -> Option<Driver> {
        match network.driver() {
            protocol::Driver::Bridge => Some(Driver::Bridge(Box::new(Bridge::of(run, network, options, faults)))),
            protocol::Driver::Macvlan | protocol::Driver::Ipvlan => {
                Some(Driver::Vlan(Box::new(Vlan::of(network, options, faults))))
            }
            protocol::Driver::Plugin => Plugin::of(run, network, options, faults).map(Driver::Plugin),
        }
    }

    /// What a bridge tells the firewall.
    #[cfg(any(test, fuzzing))]
    pub fn firewall(&self, run: &Run) -> Option<(NetworkRules, ContainerRules)> {
        match self {
            Driver::Bridge(bridge) => Some((bridge.network_rules(run), bridge.container_rules(run, &[]))),
            _ => None,
        }
    }

    /// The network's name.
    pub fn network_name(&self) -> &str {
        match self {
            Driver::Bridge(bridge) => bridge.network_name(),
            Driver::Vlan(vlan) => vlan.network_name(),
            Driver::Plugin(plugin) => plugin.network_name(),
        }
    }

    /// Sets it up; what has been done is in `undo`, also when it fails.
    pub fn setup(&self, run: &Run, kernel: &mut Kernel, undo: &mut Undo) -> Result<Outcome> {
        match self {
            Driver::Bridge(bridge) => bridge.setup(run, kernel, undo),
            Driver::Vlan(vlan) => vlan.setup(run, kernel, undo),
            Driver::Plugin(plugin) => plugin.setup(undo),
        }
    }

    /// Takes away what is there, and goes on when something fails.
    pub fn teardown(&self, run: &Run, kernel: &mut Kernel, errors: &mut Vec<Error>) {
        match self {
            Driver::Bridge(bridge) => bridge.teardown(run, kernel, errors),
            Driver::Vlan(vlan) => vlan.teardown(run, kernel, errors),
            Driver::Plugin(plugin) => plugin.teardown(errors),
        }
    }
}

/// Removes a link of the container; one that is not there is no error.
fn delete_inside(kernel: &mut Kernel, name: &str) -> Result<()> {
    let Some(container) = kernel.container() else { return Ok(()) };
    match container.route.link(name).and_then(|link| container.route.delete_link(link.index)) {
        Ok(()) | Err(Errno::ENODEV) => Ok(()),
        Err(errno) => Err(Error::Netlink(errno)),
    }
}
