//! `firewall-reload`: the rules are made what the state files say. `firewalld-reload`: the same whenever firewalld has forgotten them.

use std::path::Path;

use crate::bridge::error::Result;
use crate::bridge::firewall::{Kind, State, on_each_reload};
use crate::bridge::lock::Lock;
use crate::config::Netavark;

/// Where podman keeps its networks' state.
const DIRECTORY: &str = "/run/containers/networks";

/// Makes the rules what they should be; where nothing was ever set up there is nothing to do.
pub fn reload(how: &Netavark) -> Result<()> {
    let directory = how.config.as_deref().unwrap_or(Path::new(DIRECTORY));
    if !directory.is_dir() {
        return Ok(());
    }
    let _lock = Lock::take(directory)?;
    let state = State::new(directory);
    let networks = state.all()?;
    if networks.is_empty() {
        return Ok(());
    }
    let kind = match state.driver() {
        Some(kind) => kind,
        None => Kind::choose(how.firewall_driver.as_deref())?,
    };
    kind.reload(&networks)?;
    tracing::info!(target: "netavark::commands::firewall_reload", "Successfully reloaded firewall rules");
    Ok(())
}

/// Reloads now, and each time that firewalld has been reloaded or started; ends only when the bus does.
pub fn reload_with_firewalld(how: &Netavark) -> Result<()> {
    on_each_reload(|| {
        if let Err(error) = reload(how) {
            tracing::error!(target: "netavark::commands::firewalld_reload", "failed to reload firewall rules: {error}");
        }
    })
}
