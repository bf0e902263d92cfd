//! The commands.

mod create;
mod reload;
mod setup;
mod teardown;
mod update;
mod version;

pub use create::create;
pub use reload::{reload, reload_with_firewalld};
#[cfg(any(test, fuzzing))]
pub use setup::judge;
pub use setup::setup;
pub use teardown::teardown;
pub use update::update;
pub use version::{VERSION, version};

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::dns::Server;
use super::error::{During, Error, Result};
use super::firewall::Kind;
use super::protocol::NetworkOptions;
use super::run::Run;
use crate::config::Netavark;

const DNS_PORT: u16 = 53;

/// Reads `--file`, or standard input.
fn input(file: Option<&Path>) -> std::io::Result<Vec<u8>> {
    match file.filter(|file| file.as_os_str() != "-") {
        Some(file) => fs::read(file),
        None => {
            let mut text = Vec::new();
            std::io::stdin().lock().read_to_end(&mut text)?;
            Ok(text)
        }
    }
}

fn options(how: &Netavark) -> Result<NetworkOptions> {
    let text = input(how.file.as_deref()).during(|| "failed to load network options")?;
    super::protocol::parse_options(&text)
}

fn dns_port(how: &Netavark) -> Result<u16> {
    let Some(text) = &how.dns_port else { return Ok(DNS_PORT) };
    let text = text.to_string_lossy();
    text.parse().map_err(|error| Error::text(format!("Invalid NETAVARK_DNS_PORT {text}: {error}")))
}

fn directory(how: &Netavark, command: &str) -> Result<PathBuf> {
    let missing = || Error::text(format!("--config not specified but required for netavark {command}"));
    how.config.clone().ok_or_else(missing)
}

fn run(how: &Netavark, netns: &Path, options: NetworkOptions, command: &str) -> Result<Run> {
    let firewall = Kind::choose(how.firewall_driver.as_deref())?;
    if command == "setup" {
        firewall.check()?;
    }
    Ok(Run {
        options,
        netns: netns.into(),
        firewall,
        dns_port: dns_port(how)?,
        directory: directory(how, command)?,
        rootless: how.rootless,
        plugin_directories: how.plugin_directories.clone(),
    })
}

fn server(how: &Netavark, run: &Run) -> Server {
    Server {
        program: how.aardvark_binary.clone(),
        port: run.dns_port,
        rootless: run.rootless,
        level: tracing::level_filters::LevelFilter::current(),
    }
}
