//! `teardown`: a container leaves its networks. Everything that can be taken away is, whatever fails, and what is gone already is no
//! failure.

use std::path::Path;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};

use super::{options, run};
use crate::bridge::dns::{self, Names};
use crate::bridge::driver::Driver;
use crate::bridge::error::{During, Error, Result};
use crate::bridge::kernel::Kernel;
use crate::bridge::lock::Lock;
use crate::bridge::protocol;
use crate::bridge::run::Run;
use crate::config::Netavark;

/// Tears down.
pub fn teardown(how: &Netavark, path: &Path) -> Result<()> {
    not_to_be_disturbed();
    let options = options(how)?;
    let run = run(how, path, options, "teardown")?;
    let _lock = Lock::take(&run.directory)?;
    let mut errors = Vec::new();
    errors.extend(forget_names(&run).during(|| "remove aardvark entries").err());
    let mut kernel = Kernel::open_for_teardown(path, &mut errors)?;
    for (name, options) in &run.options.networks {
        let Some(network) = run.options.network_info.get(name) else {
            errors.push(Error::text(format!("network info for network {name} not found")));
            continue;
        };
        // What setup would refuse must not keep anything from being taken away.
        let mut faults = Vec::new();
        let driver = Driver::of(&run, network, options, &mut faults);
        faults.iter().for_each(|fault| tracing::debug!("network {name}: {fault}"));
        match driver {
            Some(driver) => driver.teardown(&run, &mut kernel, &mut errors),
            None => errors.append(&mut faults),
        }
    }
    Error::collected(errors)
}

/// Half a teardown is worse than a late end.
fn not_to_be_disturbed() {
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
    let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&signals), None);
}

fn forget_names(run: &Run) -> Result<()> {
    let names = Names::new(&run.directory);
    let mut changed = false;
    for network in run.options.network_info.values() {
        if network.dns_enabled && network.driver() == protocol::Driver::Bridge {
            changed |= names.remove(&network.name, &run.options.container_id)?;
        }
    }
    if changed {
        dns::reload(&names, true)?;
    }
    Ok(())
}
