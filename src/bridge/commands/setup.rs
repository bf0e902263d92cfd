//! `setup`: a container gets its networks, all of them or none.

use std::collections::BTreeMap;
use std::path::Path;

use super::{options, run, server};
use crate::bridge::dns::{Entry, Names};
use crate::bridge::driver::Driver;
use crate::bridge::error::{During, Error, Result};
use crate::bridge::kernel::Kernel;
use crate::bridge::lock::Lock;
use crate::bridge::netns::Netns;
use crate::bridge::protocol::{self, Status};
use crate::bridge::run::Run;
use crate::bridge::undo::Undo;
use crate::config::Netavark;

/// Sets up and tells how; on failure nothing is left.
pub fn setup(how: &Netavark, path: &Path) -> Result<String> {
    let netns = Netns::open(path).during(|| "invalid namespace path")?;
    let options = options(how)?;
    let run = run(how, path, options, "setup")?;
    let drivers = judge(&run)?;
    let mut kernel = Kernel::open(netns)?;
    if let Some(container) = kernel.container() {
        container.loopback_up()?;
    }
    let _lock = Lock::take(&run.directory)?;
    let mut undo = Undo::default();
    let statuses = all(how, &run, &drivers, &mut kernel, &mut undo);
    let text = statuses.and_then(|statuses| {
        serde_json::to_string(&statuses).map_err(|error| Error::text(format!("JSON Encoding error: {error}")))
    });
    if text.is_err() {
        undo.roll_back(&mut kernel);
    }
    text
}

/// Looks at all that was asked for before anything is done, and tells everything that is wrong with it.
pub fn judge(run: &Run) -> Result<Vec<Driver>> {
    let (mut drivers, mut faults) = (Vec::new(), Vec::new());
    let mut bridged = false;
    for (name, options) in &run.options.networks {
        let Some(network) = run.options.network_info.get(name) else {
            faults.push(Error::text(format!("network info for network {name} not found")));
            continue;
        };
        bridged |= network.driver() == protocol::Driver::Bridge;
        drivers.extend(Driver::of(run, network, options, &mut faults));
    }
    if bridged {
        faults.extend(run.options.port_mappings.iter().flatten().flat_map(protocol::PortMapping::faults));
    }
    Error::collected(faults)?;
    Ok(drivers)
}

fn all(
    how: &Netavark,
    run: &Run,
    drivers: &[Driver],
    kernel: &mut Kernel,
    undo: &mut Undo,
) -> Result<BTreeMap<String, Status>> {
    let (mut statuses, mut names) = (BTreeMap::new(), Vec::new());
    for driver in drivers {
        let outcome = driver.setup(run, kernel, undo)?;
        statuses.insert(driver.network_name().to_owned(), outcome.status);
        names.extend(outcome.dns);
    }
    publish_names(how, run, &names, undo)?;
    Ok(statuses)
}

fn publish_names(how: &Netavark, run: &Run, entries: &[Entry], undo: &mut Undo) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let server = server(how, run);
    let names = Names::new(&run.directory);
    for entry in entries {
        let (names, network, id) = (Names::new(&run.directory), entry.network.clone(), entry.container_id.clone());
        undo.push("add the container's names", move |_| names.remove(&network, &id).map(drop));
    }
    names.add(entries).and_then(|()| server.reload_or_start(&names)).during(|| "error while applying dns entries")
}
