//! `create`: tells the completed network.

use super::input;
use crate::bridge::create;
use crate::bridge::error::{During, Error, Result};
use crate::config::Netavark;

/// Judges and completes a network.
pub fn create(how: &Netavark) -> Result<String> {
    let text = input(how.file.as_deref()).during(|| "failed to load network create")?;
    let network = create::create(create::parse(&text)?, &how.plugin_directories)?;
    serde_json::to_string(&network).map_err(|error| Error::text(format!("JSON Encoding error: {error}")))
}
