//! One run of setup or teardown: what it was asked and where.

use std::path::PathBuf;

use super::firewall::{Kind, State};
use super::protocol::NetworkOptions;

/// What all drivers of a run share.
pub struct Run {
    /// The container and its networks.
    pub options: NetworkOptions,
    /// The container's network namespace.
    pub netns: PathBuf,
    /// Where state is kept.
    pub directory: PathBuf,
    /// Whether the host is a user's namespace, not the machine.
    pub rootless: bool,
    /// Where the name server listens.
    pub dns_port: u16,
    /// The firewall driver.
    pub firewall: Kind,
    /// Where plugins are looked for.
    pub plugin_directories: Vec<PathBuf>,
}

impl Run {
    /// The firewall's notes; there are none without root.
    pub fn state(&self) -> Option<State> {
        (!self.rootless).then(|| State::new(&self.directory))
    }
}
