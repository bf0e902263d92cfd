//! Finds this user's running instances, and the one that somebody means.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;

use super::client::{self, Client};
use super::{runtime, socket};

/// Which instance is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The only one that there is.
    Only,
    /// The one whose control socket this is.
    Path(PathBuf),
    /// The one that this process is, runs or has in its network.
    Pid(i32),
    /// The one whose container's network namespace this is.
    Netns(PathBuf),
}

/// What an instance says of itself.
#[derive(Clone, Debug, Deserialize)]
pub struct Instance {
    /// Its process.
    pub pid: i32,
    /// `run` or `attach`.
    pub kind: String,
    /// The command, or the namespace.
    pub target: String,
    /// The process that became the command.
    pub command_pid: Option<i32>,
    /// The inode of the container's network namespace.
    pub netns: Option<u64>,
    /// Its control socket.
    pub socket: PathBuf,
    /// How long it has been there.
    pub uptime_seconds: u64,
}

/// Why there is no instance.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none at all.
    #[error("no instance of this user's with a control socket is running")]
    None,
    /// There is none of which that is true.
    #[error("no running instance {0}; `rnet list` tells of those that there are")]
    NoneLike(String),
    /// There are several.
    #[error("{} instances are running, say which by --pid:{}", .0.len(), list(.0))]
    Several(Vec<Instance>),
    /// The process or namespace that names it cannot be seen.
    #[error("look at {path}: {source}")]
    Unseen {
        /// What was looked at.
        path: String,
        /// Why that failed.
        source: std::io::Error,
    },
    /// It could not be asked.
    #[error(transparent)]
    Client(#[from] client::Error),
}

fn list(instances: &[Instance]) -> String {
    instances.iter().map(|one| format!("\n  {}  {} {}", one.pid, one.kind, one.target)).collect()
}

/// All instances that answer. Entries at which nobody does are removed.
pub fn all() -> Vec<(Instance, Client)> {
    let mut found = Vec::new();
    for entry in runtime::entries() {
        match meet(&entry) {
            Ok(met) => found.push(met),
            Err(client::Error::Connect { .. }) => {
                socket::remove_if_dead(&entry);
            }
            Err(error) => tracing::debug!("{}: {error}", entry.display()),
        }
    }
    runtime::tidy();
    found
}

/// The instance that is meant.
///
/// # Errors
/// When there is none, or several.
pub fn find(choice: &Choice) -> Result<(Instance, Client), Error> {
    let netns = match choice {
        Choice::Path(path) => return Ok(meet(path)?),
        Choice::Only => {
            let mut found = all();
            return match found.len() {
                0 => Err(Error::None),
                1 => found.pop().ok_or(Error::None),
                _ => Err(Error::Several(found.into_iter().map(|(instance, _)| instance).collect())),
            };
        }
        Choice::Netns(path) => inode(path)?,
        Choice::Pid(pid) => {
            let is_it = |instance: &Instance| instance.pid == *pid || instance.command_pid == Some(*pid);
            let found = all();
            if found.is_empty() {
                return Err(Error::None);
            }
            if let Some(found) = found.into_iter().find(|(instance, _)| is_it(instance)) {
                return Ok(found);
            }
            inode(Path::new(&format!("/proc/{pid}/ns/net")))?
        }
    };
    let found = all().into_iter().find(|(instance, _)| instance.netns == Some(netns));
    found.ok_or_else(|| {
        Error::NoneLike(match choice {
            Choice::Netns(path) => format!("serves the network namespace {}", path.display()),
            Choice::Pid(pid) => format!("is process {pid} or serves its network namespace"),
            Choice::Only | Choice::Path(_) => "is there".into(),
        })
    })
}

fn inode(path: &Path) -> Result<u64, Error> {
    let seen = fs::metadata(path).map_err(|source| Error::Unseen { path: path.display().to_string(), source });
    Ok(seen?.ino())
}

fn meet(path: &Path) -> Result<(Instance, Client), client::Error> {
    let mut client = Client::connect(path)?;
    let said = client.ask("ping", json!({}))?;
    let instance = serde_json::from_value(said).map_err(|_| client::Error::Nonsense)?;
    Ok((instance, client))
}
