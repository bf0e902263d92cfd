//! `firewall-reload`: the rules are made what the state files say.

use std::path::Path;

use crate::bridge::error::Result;
use crate::bridge::firewall::{Kind, State};
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
