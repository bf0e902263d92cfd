//! Gives a new user namespace its ids: directly where the kernel allows it, otherwise through newuidmap and newgidmap.

use std::fs;
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::unistd::{Pid, Uid, User, getegid, geteuid};

use crate::config::{MapIds, MapUser};

use super::error::{Error, Step};
use super::hints;
use super::idmap::{self, Allotted, Range};

const TOOLS: [&str; 2] = ["newuidmap", "newgidmap"];
const FILES: [&str; 2] = ["/etc/subuid", "/etc/subgid"];

/// The maps of a new user namespace, and how they are written.
#[derive(Debug)]
pub(super) struct Maps {
    uids: Vec<Range>,
    gids: Vec<Range>,
    writer: Writer,
}

#[derive(Debug, PartialEq, Eq)]
enum Writer {
    /// By us, with CAP_SETUID and CAP_SETGID.
    Privileged,
    /// By us, the own id only.
    Own,
    /// By the set-user-ID helpers.
    Tools,
}

/// Decides on the maps for the caller.
pub(super) fn plan(user: MapUser, ids: MapIds) -> Result<Maps, Error> {
    let (uid, gid) = (geteuid(), getegid());
    if ids != MapIds::One && uid.is_root() && is_privileged() {
        let own = |file: &str| fs::read_to_string(file).step(format!("read {file}"));
        let uids = idmap::identity(&own("/proc/self/uid_map")?);
        let gids = idmap::identity(&own("/proc/self/gid_map")?);
        return Ok(Maps { uids, gids, writer: Writer::Privileged });
    }
    let own_only = || Maps {
        uids: idmap::map(user, uid.as_raw(), &[]),
        gids: idmap::map(user, gid.as_raw(), &[]),
        writer: Writer::Own,
    };
    if ids == MapIds::One {
        return Ok(own_only());
    }
    match further_ids(uid) {
        Ok([uids, gids]) => Ok(Maps {
            uids: idmap::map(user, uid.as_raw(), &uids),
            gids: idmap::map(user, gid.as_raw(), &gids),
            writer: Writer::Tools,
        }),
        Err(lack) if ids == MapIds::All => Err(Error::Ids(lack.to_string())),
        Err(Lack::Everything { .. }) => Ok(own_only()),
        Err(lack) => {
            tracing::warn!("only your own id exists inside: {lack}");
            Ok(own_only())
        }
    }
}

/// Why a user has only the own id.
#[derive(Debug, thiserror::Error)]
enum Lack {
    #[error(
        "map all ids: neither {} nor {} allots any to {user}; as root: usermod --add-subuids 100000-165535 --add-subgids \
         100000-165535 {user}", FILES[0], FILES[1]
    )]
    Everything { user: String },
    #[error("map all ids: {file} allots none to {user}; as root: usermod {option} 100000-165535 {user}")]
    OneFile { file: &'static str, option: &'static str, user: String },
    #[error("map all ids: {tool} is not installed; as root: apt-get install uidmap (or shadow-utils)")]
    Tool { tool: &'static str },
}

/// The ids that the user has besides the own ones, if the tools to map them are there.
fn further_ids(uid: Uid) -> Result<[Allotted; 2], Lack> {
    let name = User::from_uid(uid).ok().flatten().map(|user| user.name);
    let allotted = FILES.map(|file| {
        let text = fs::read_to_string(file).unwrap_or_default();
        idmap::allotted(&text, name.as_deref(), uid.as_raw())
    });
    let user = || name.clone().unwrap_or_else(|| uid.to_string());
    match [allotted[0].is_empty(), allotted[1].is_empty()] {
        [true, true] => return Err(Lack::Everything { user: user() }),
        [true, false] => return Err(Lack::OneFile { file: FILES[0], option: "--add-subuids", user: user() }),
        [false, true] => return Err(Lack::OneFile { file: FILES[1], option: "--add-subgids", user: user() }),
        [false, false] => {}
    }
    match TOOLS.into_iter().find(|tool| !is_installed(tool)) {
        Some(tool) => Err(Lack::Tool { tool }),
        None => Ok(allotted),
    }
}

impl Maps {
    /// Writes the maps of the user namespace that `process` is in.
    pub(super) fn write(&self, process: Pid) -> Result<(), Error> {
        if self.writer == Writer::Tools {
            let started =
                [(TOOLS[0], &self.uids), (TOOLS[1], &self.gids)].map(|(tool, map)| (tool, start(tool, process, map)));
            // Both are waited for, whatever becomes of the first.
            let [uids, gids] = started.map(|(tool, child)| child.and_then(|child| finish(tool, child)));
            return uids.and(gids);
        }
        if self.writer == Writer::Own {
            write(process, "setgroups", "deny")?;
        }
        write(process, "gid_map", &idmap::text(&self.gids))?;
        write(process, "uid_map", &idmap::text(&self.uids))
    }
}

fn write(process: Pid, file: &str, text: &str) -> Result<(), Error> {
    let path = format!("/proc/{process}/{file}");
    fs::write(&path, text).step_or(format!("write the id map {path}"), |errno| match errno {
        Errno::EPERM | Errno::EACCES => {
            hints::apparmor().or_else(|| Some("CAP_SETUID, CAP_SETGID and CAP_SETFCAP are needed".into()))
        }
        _ => None,
    })
}

fn start(tool: &str, process: Pid, map: &[Range]) -> Result<Child, Error> {
    let numbers =
        map.iter().flat_map(|range| [range.inside, range.outside, range.count]).map(|number| number.to_string());
    Command::new(tool)
        .arg(process.to_string())
        .args(numbers)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .step_or(format!("run {tool}"), |_| Some("--map-ids one does without it".into()))
}

fn finish(tool: &str, child: Child) -> Result<(), Error> {
    let output = child.wait_with_output().step(format!("wait for {tool}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    let file = if tool == TOOLS[0] { FILES[0] } else { FILES[1] };
    let way_out = if said.contains("not allowed") || said.contains("not permitted by") {
        format!("does the kernel or {file} allow what it says? An entry must be USER:FIRST:COUNT and cover the range")
    } else if said.contains("Operation not permitted") {
        format!(
            "is {tool} set-user-ID root? As root: chmod u+s $(command -v {tool}), or setcap cap_setuid,cap_setgid+ep on it"
        )
    } else if said.contains("Invalid argument") {
        format!("ranges in {file} overlap, or lie outside the ids that this namespace has (see /proc/self/uid_map)")
    } else {
        format!("see {file}")
    };
    Err(Error::Ids(format!("map ids with {tool}: {said}; {way_out}; --map-ids one does without")))
}

fn is_installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    std::env::split_paths(&path)
        .any(|directory| nix::unistd::access(&directory.join(tool), nix::unistd::AccessFlags::X_OK).is_ok())
}

fn is_privileged() -> bool {
    use caps::{CapSet, Capability, has_cap};
    [Capability::CAP_SETUID, Capability::CAP_SETGID]
        .into_iter()
        .all(|capability| has_cap(None, CapSet::Effective, capability).unwrap_or(false))
}
