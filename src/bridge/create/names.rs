//! The names of a network, and of its interface.

use super::Draft;
use crate::bridge::driver::options::name_fault;

/// How long an id is.
const ID_LEN: usize = 64;

impl Draft {
    /// Judges the network's name and id, and the interface's name.
    pub(super) fn judge_names(&mut self) {
        let (name, id) = (self.network.name.clone(), self.network.id.clone());
        if name.is_empty() {
            self.fault("Network name must be supplied");
        } else if !is_name(&name) {
            self.fault(format!("Invalid characters in network name \"{name}\": must match [a-zA-Z0-9][a-zA-Z0-9_.-]*"));
        }
        if self.used.names.contains_key(&name) {
            self.fault(format!("network already exists {name}"));
        }
        if id.is_empty() {
            self.fault("Network id must be supplied");
        } else if id.len() != ID_LEN || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            self.fault(format!("Network id must be a hexadecimal string \"{id}\""));
        }
        if let Some(interface) = self.network.network_interface.as_deref().filter(|name| !name.is_empty()) {
            self.faults.extend(name_fault(interface));
        }
    }
}

/// `[a-zA-Z0-9][a-zA-Z0-9_.-]*`
pub(super) fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}
