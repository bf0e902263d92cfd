//! Plugins: programs that make networks of a kind of their own.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Outcome;
use crate::bridge::error::{During, Error, Result};
use crate::bridge::protocol::{Network, PerNetworkOptions, PortMapping, Status};
use crate::bridge::run::Run;
use crate::bridge::undo::Undo;

/// More than that a plugin cannot say.
const ANSWER_MAX: u64 = 16 << 20;

/// A plugin, and what it is told of a container.
#[derive(Clone)]
pub struct Plugin {
    name: String,
    network_name: String,
    program: PathBuf,
    netns: PathBuf,
    input: Vec<u8>,
}

#[derive(Serialize)]
struct Input<'a> {
    container_id: &'a str,
    container_name: &'a str,
    port_mappings: &'a Option<Vec<PortMapping>>,
    network: &'a Network,
    network_options: &'a PerNetworkOptions,
}

#[derive(serde::Deserialize)]
struct Failure {
    error: String,
}

impl Plugin {
    /// Finds the plugin.
    pub fn of(run: &Run, network: &Network, options: &PerNetworkOptions, faults: &mut Vec<Error>) -> Option<Plugin> {
        let Some(program) = find(&run.plugin_directories, &network.driver) else {
            faults.push(Error::text(format!("unknown network driver \"{}\"", network.driver)));
            return None;
        };
        let input = Input {
            container_id: &run.options.container_id,
            container_name: &run.options.container_name,
            port_mappings: &run.options.port_mappings,
            network,
            network_options: options,
        };
        let input = serde_json::to_vec(&input).unwrap_or_default();
        let (name, network_name, netns) = (network.driver.clone(), network.name.clone(), run.netns.clone());
        Some(Plugin { name, network_name, program, netns, input })
    }

    /// The network's name.
    pub fn network_name(&self) -> &str {
        &self.network_name
    }

    /// Lets the plugin set up.
    pub fn setup(&self, undo: &mut Undo) -> Result<Outcome> {
        let said = self.run("setup").and_then(|said| answer(&self.name, &said));
        let status: Status = said.inspect_err(|_| {
            // It may have done half of its work. That it cannot undo what it has not done is nothing to tell.
            if let Err(error) = self.run("teardown") {
                tracing::info!("{error}");
            }
        })?;
        let plugin = self.clone();
        undo.push(format!("run plugin {}", self.name), move |_| plugin.run("teardown").map(drop));
        Ok(Outcome { status, dns: None })
    }

    /// Lets the plugin tear down.
    pub fn teardown(&self, errors: &mut Vec<Error>) {
        errors.extend(self.run("teardown").err());
    }

    fn run(&self, command: &str) -> Result<Vec<u8>> {
        run(&self.name, &self.program, &[OsStr::new(command), self.netns.as_os_str()], &self.input)
    }
}

/// The first program of this name.
pub fn find(directories: &[PathBuf], name: &str) -> Option<PathBuf> {
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return None;
    }
    let is_program =
        |path: &PathBuf| path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    directories.iter().map(|directory| directory.join(name)).find(is_program)
}

/// Lets a plugin complete a network.
pub fn create(name: &str, program: &Path, network: &Network) -> Result<Network> {
    let input = serde_json::to_vec(network).map_err(|error| Error::text(format!("JSON Encoding error: {error}")))?;
    answer(name, &run(name, program, &[OsStr::new("create")], &input)?)
}

fn answer<T: DeserializeOwned>(name: &str, text: &[u8]) -> Result<T> {
    let parsed = serde_json::from_slice(text);
    parsed.map_err(|error| Error::text(format!("plugin \"{name}\" failed: JSON Decoding error: {error}")))
}

fn run(name: &str, program: &Path, arguments: &[&OsStr], input: &[u8]) -> Result<Vec<u8>> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let failed = || format!("plugin \"{name}\" failed");
    let mut child = command.spawn().during(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A plugin that does not read its input may end with it unread. Written by a thread, since one that answers before it has
        // read everything would otherwise wait for us, and we for it.
        let input = input.to_vec();
        std::thread::spawn(move || stdin.write_all(&input));
    }
    let mut said = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(ANSWER_MAX).read_to_end(&mut said).during(failed)?;
    }
    let status = child.wait().during(failed)?;
    match status.code() {
        Some(0) => Ok(said),
        None => Err(Error::text(format!("plugin \"{name}\" killed by signal"))),
        Some(code) => Err(Error::text(match serde_json::from_slice::<Failure>(&said) {
            Ok(failure) => format!("{}: exit code {code}, message: {}", failed(), failure.error),
            Err(error) => format!("{}: exit code {code}, parse error: {error}", failed()),
        })),
    }
}
