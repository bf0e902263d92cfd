//! What the firewall has been told, kept below the run directory: for reload, and for other programs.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ContainerRules, Kind, NetworkRules, Whole};
use crate::bridge::error::{During, Error, Result};
use crate::bridge::lock::{make, remove, replace};

/// The files below `RUN_DIRECTORY/firewall`.
#[derive(Clone, Debug)]
pub struct State(PathBuf);

impl State {
    /// The files of a run directory.
    pub fn new(run_directory: &Path) -> State {
        State(run_directory.join("firewall"))
    }

    fn network(&self, id: &str) -> PathBuf {
        self.0.join("networks").join(file_name(id))
    }

    fn container(&self, network_id: &str, container_id: &str) -> PathBuf {
        self.0.join("ports").join(format!("{}_{}", file_name(network_id), file_name(container_id)))
    }

    /// Notes what is about to be set up. `true`: the container was noted already, so something of it may be there.
    pub fn save(&self, kind: Kind, network: &NetworkRules, container: &ContainerRules) -> Result<bool> {
        let path = self.container(&container.network_id, &container.container_id);
        let save = || -> std::io::Result<bool> {
            for directory in ["networks", "ports"] {
                make(&self.0.join(directory))?;
            }
            replace(&self.0.join("firewall-driver"), kind.name().as_bytes())?;
            write(&self.network(&network.network_id), network)?;
            let again = path.exists();
            write(&path, container)?;
            Ok(again)
        };
        save().map_err(Error::from).during(|| format!("save the firewall's state in {}", self.0.display()))
    }

    /// Forgets a container, and the network too if that is `complete`.
    pub fn forget(&self, network_id: &str, container_id: &str, complete: bool) -> Result<()> {
        let forget = || {
            remove(&self.container(network_id, container_id))?;
            if complete { remove(&self.network(network_id)) } else { Ok(()) }
        };
        forget().map_err(Error::from).during(|| format!("remove the firewall's state from {}", self.0.display()))
    }

    /// The driver that was used for what is noted.
    pub fn driver(&self) -> Option<Kind> {
        let name = fs::read_to_string(self.0.join("firewall-driver")).ok()?;
        Kind::named(name.trim())
    }

    /// What was noted of a container, which is what was set up, whatever the caller says now.
    pub fn saved(&self, network_id: &str, container_id: &str) -> Option<(NetworkRules, ContainerRules)> {
        let network = fs::read(self.network(network_id)).ok()?;
        let container = fs::read(self.container(network_id, container_id)).ok()?;
        Some((serde_json::from_slice(&network).ok()?, serde_json::from_slice(&container).ok()?))
    }

    /// All networks with their containers.
    pub fn all(&self) -> Result<Vec<Whole>> {
        let networks: Vec<(String, NetworkRules)> = read_all(&self.0.join("networks"))?;
        let containers: Vec<(String, ContainerRules)> = read_all(&self.0.join("ports"))?;
        let mut all: Vec<Whole> = Vec::new();
        for (id, mut network) in networks {
            if network.network_id.is_empty() {
                network.network_id = id;
            }
            all.push((network, Vec::new()));
        }
        for (name, mut container) in containers {
            if container.network_id.is_empty() {
                container.network_id = name.split('_').next().unwrap_or_default().into();
            }
            match all.iter_mut().find(|(network, _)| network.network_id == container.network_id) {
                Some((_, containers)) => containers.push(container),
                None => tracing::warn!("the network of {name} is not known"),
            }
        }
        Ok(all)
    }
}

fn write(path: &Path, value: &impl Serialize) -> std::io::Result<()> {
    replace(path, &serde_json::to_vec(value)?)
}

fn read_all<T: DeserializeOwned>(directory: &Path) -> Result<Vec<(String, T)>> {
    let mut all = Vec::new();
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(all),
        entries => entries.during(|| format!("read {}", directory.display()))?,
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // A file that is being replaced.
        if name.starts_with('.') {
            continue;
        }
        let text = fs::read(&path).during(|| format!("read {}", path.display()))?;
        let value = serde_json::from_slice(&text)
            .map_err(|error| Error::text(format!("JSON Decoding error: {}: {error}", path.display())))?;
        all.push((name, value));
    }
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(all)
}

/// An id as part of a file's name: whatever the caller calls its containers, the file is in our directory.
fn file_name(id: &str) -> String {
    id.replace(['/', '\0'], "_")
}
