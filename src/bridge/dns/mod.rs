//! The hand-over to the container name server: its files, and the server itself.

mod files;
mod server;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::error::{Error, Result};

pub use server::{Server, reload};

/// What the name server has to know of a container on a network.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The network's name.
    pub network: String,
    /// Whether queries may not go outside.
    pub internal: bool,
    /// Where the server listens for this network.
    pub bind: Vec<IpAddr>,
    /// Where queries of this network are forwarded to.
    pub network_servers: Vec<IpAddr>,
    /// The container.
    pub container_id: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its names, of those that are [`usable`].
    pub names: Vec<String>,
    /// Where its own queries are forwarded to.
    pub container_servers: Vec<IpAddr>,
}

/// The name server's files below a run directory.
pub struct Names {
    directory: PathBuf,
    lock: PathBuf,
}

impl Names {
    /// The files below a run directory.
    pub fn new(run_directory: &Path) -> Names {
        Names { directory: run_directory.join("aardvark-dns"), lock: run_directory.join("aardvark.lock") }
    }

    /// The directory that the name server is given.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// What would make the name server forward queries to itself.
pub fn loops(entries: &[Entry]) -> Vec<Error> {
    let gateway_of = |server: &IpAddr| entries.iter().find(|entry| entry.bind.contains(server));
    let mut faults = Vec::new();
    for entry in entries {
        for server in &entry.container_servers {
            if let Some(of) = gateway_of(server) {
                faults.push(format!(
                    "DNS server {server} is the gateway of network \"{}\"; using it would cause aardvark-dns to forward \
                     queries to itself.",
                    of.network
                ));
            }
        }
        for server in &entry.network_servers {
            if let Some(of) = gateway_of(server) {
                faults.push(format!(
                    "network DNS server {server} matches the gateway of network \"{}\"; using it would cause aardvark-dns \
                     to forward queries to itself.",
                    of.network
                ));
            }
        }
    }
    faults.dedup();
    faults.into_iter().map(Error::text).collect()
}

/// Names that can stand in the files; a line of warning for each that cannot.
pub fn usable(names: &[String]) -> Vec<String> {
    let ok = |name: &&String| {
        let ok = is_word(name);
        if !ok {
            tracing::warn!(target: "netavark::network::bridge", "invalid network alias {name:?}");
        }
        ok
    };
    names.iter().filter(ok).cloned().collect()
}

/// Whether a text can be a field of the files, or an element of one.
fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains([',', ' ', '\n'])
}

/// Checks what cannot be mended by leaving it out.
fn check(entries: &[Entry]) -> Result<()> {
    Error::collected(loops(entries))
}
