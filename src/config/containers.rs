//! What the name server of container networks is told.

use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

use super::Presence;
use super::dns::Name;

/// The name server of container networks.
#[derive(Clone, Debug)]
pub struct ContainerNames {
    /// Where the networks' files are.
    pub directory: PathBuf,
    /// The port that it listens at, at each network's addresses.
    pub port: u16,
    /// The domain in which all names are too.
    pub search: Name,
    /// Whether queries for other names are forwarded.
    pub forwarding: Forwarding,
    /// Whether published ports are told as services.
    pub services: Services,
    /// Whether the caller waits for its end or only for its beginning.
    pub presence: Presence,
    /// The least severe level that is logged: to the terminal in the foreground, else to syslog.
    pub level: LevelFilter,
}

/// Whether queries for names that are no container's are forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// They are.
    On,
    /// There are no such names.
    Off,
}

/// Whether there are SRV records of published ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Services {
    /// There are, from netavark's state beside the files.
    On,
    /// There are none.
    Off,
}
