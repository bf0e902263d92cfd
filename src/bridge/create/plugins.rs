//! Networks that a plugin makes.

use std::path::PathBuf;

use super::Draft;
use crate::bridge::driver::plugin;

impl Draft {
    /// Lets the plugin judge and complete its network.
    pub(super) fn plugin(&mut self, directories: &[PathBuf]) {
        let name = self.network.driver.clone();
        let Some(program) = plugin::find(directories, &name) else {
            return self.fault(match directories.is_empty() {
                true => format!("plugin for driver \"{name}\": plugin directory not provided"),
                false => format!("plugin for driver \"{name}\" not found in plugin directories"),
            });
        };
        // A plugin may do more than to judge, so it is not asked about what is refused anyway.
        if !self.faults.is_empty() {
            return;
        }
        match plugin::create(&name, &program, &self.network) {
            Err(error) => self.faults.push(error),
            Ok(completed) => {
                let before = &self.network;
                let changed = [
                    ("name", before.name != completed.name),
                    ("ID", before.id != completed.id),
                    ("driver", before.driver != completed.driver),
                ];
                for (what, _) in changed.into_iter().filter(|(_, changed)| *changed) {
                    self.fault(format!("{name} plugin invalid result: changed network {what}"));
                }
                self.network = completed;
            }
        }
    }
}
