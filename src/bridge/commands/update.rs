//! `update`: a network gets other name servers.

use super::{directory, dns_port};
use crate::bridge::dns::{self, Names};
use crate::bridge::error::{During, Error, Result};
use crate::bridge::lock::Lock;
use crate::config::Netavark;

/// Updates the name server's file; a network that no container is on has none, and that is no error.
pub fn update(how: &Netavark, network: &str, servers: &[String]) -> Result<()> {
    let directory = directory(how, "update")?;
    dns_port(how)?;
    if network.contains('/') {
        return Err(Error::text(format!("\"{network}\" is not the name of a network")));
    }
    if !directory.is_dir() {
        return Ok(());
    }
    let _lock = Lock::take(&directory)?;
    let names = Names::new(&directory);
    // The caller need not be in the network namespace that the server is in.
    let updated = || -> Result<()> {
        if names.update(network, &servers.join(","))? {
            dns::reload(&names, false)?;
        }
        Ok(())
    };
    updated().during(|| format!("unable to modify network dns servers of {network}"))
}
