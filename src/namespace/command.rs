//! The process that becomes the command: made in namespaces of its own, in which it sets the network up first.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, execvpe, getegid, geteuid, getpid, getppid};

use crate::config::{MapUser, Run, Surroundings};
use crate::sys::{self, Fork};
use crate::tap;

use super::channel::{Channel, Message};
use super::error::{Error, Step};
use super::{hints, link, mounts, signals};

/// Tools of the containers project (podman, buildah, skopeo) take these as: this is my user namespace already, and this is
/// whom it belongs to.
const CONTAINERS: [&str; 3] = ["_CONTAINERS_USERNS_CONFIGURED", "_CONTAINERS_ROOTLESS_UID", "_CONTAINERS_ROOTLESS_GID"];

/// The command's process. Dropping it kills it, unless its end has been seen.
pub(super) struct Command {
    /// Its id.
    pub pid: Pid,
    /// The channel to it until it has become the command.
    pub channel: Channel,
    ended: bool,
}

impl Command {
    /// Makes the process; it waits for its ids.
    pub(super) fn start(run: &Run) -> Result<Command, Error> {
        let (ours, theirs) = Channel::pair().step("make a socket pair")?;
        let environment = environment(run);
        let supervisor = getpid();
        let namespaces = namespaces(&run.surroundings);
        let fork = sys::fork_into(namespaces);
        match fork.step_or("make a user namespace, a network namespace and a mount namespace", hints::user_namespace)? {
            Fork::Parent(pid) => Ok(Command { pid, channel: ours, ended: false }),
            Fork::Child => {
                drop(ours);
                let outcome = catch_unwind(AssertUnwindSafe(|| become_command(&theirs, run, &environment, supervisor)));
                if let Ok(Some(message)) = outcome {
                    let _ = theirs.send(&message);
                }
                sys::exit_now(1)
            }
        }
    }

    /// Notes that its end has been seen.
    pub(super) fn has_ended(&mut self) {
        self.ended = true;
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        if !self.ended {
            let _ = kill(self.pid, Signal::SIGKILL);
            while waitpid(self.pid, None) == Err(Errno::EINTR) {}
        }
    }
}

/// The namespaces that the command gets.
fn namespaces(surroundings: &Surroundings) -> CloneFlags {
    let mut namespaces = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS;
    if surroundings.own_processes {
        namespaces |= CloneFlags::CLONE_NEWPID;
    }
    if surroundings.host_name.is_some() {
        namespaces |= CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    }
    namespaces
}

/// The environment of the command.
fn environment(run: &Run) -> Vec<CString> {
    let mut variables: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    if !geteuid().is_root() && run.map_user == MapUser::Root && !run.surroundings.is_bare {
        let values = ["done".to_owned(), geteuid().to_string(), getegid().to_string()];
        variables.retain(|(name, _)| !CONTAINERS.iter().any(|known| name == known));
        variables.extend(CONTAINERS.into_iter().zip(values).map(|(name, value)| (name.into(), value.into())));
    }
    let line = |(mut name, value): (OsString, OsString)| {
        name.push("=");
        name.push(value);
        CString::new(name.into_vec()).ok()
    };
    variables.into_iter().filter_map(line).collect()
}

/// Returns only when something is in the way: what to tell the supervisor, if it is still there.
fn become_command(channel: &Channel, run: &Run, environment: &[CString], supervisor: Pid) -> Option<Message> {
    let Ok(Some(Message::Go)) = channel.receive() else { return None };
    match set_up(channel, run) {
        Ok(()) => {}
        Err(error) => return Some(Message::Failed(error.to_string())),
    }
    let Ok(Some(Message::Go)) = channel.receive() else { return None };
    // Last of all, since a change of ids takes it back. In a PID namespace of its own no process has a parent outside.
    let is_orphan = getppid() != supervisor && !run.surroundings.own_processes;
    if prctl::set_pdeathsig(Signal::SIGKILL).is_err() || is_orphan || signals::restore().is_err() {
        return None;
    }
    let mut arguments: Vec<CString> =
        run.command.iter().filter_map(|word| CString::new(word.as_bytes()).ok()).collect();
    let program = &arguments.first()?.clone();
    if run.surroundings.login_shell {
        // login(1) tells a shell so.
        arguments[0] = CString::new([b"-", program.as_bytes()].concat()).ok()?;
    }
    let Err(errno) = execvpe(program, &arguments, environment);
    Some(not_run(&run.command[0], errno))
}

fn set_up(channel: &Channel, run: &Run) -> Result<(), Error> {
    let device = tap::open(&run.network.ifname, run.network.threads)?;
    link::configure(&run.network)?;
    allow_ping();
    mounts::arrange(run)?;
    if let Some(name) = &run.surroundings.host_name {
        // A longer name than the kernel takes may still be one that DHCP hands out.
        if let Err(errno) = nix::unistd::sethostname(name) {
            tracing::warn!("the host cannot be called {name}: {}", errno.desc());
        }
    }
    channel.send(&Message::Tap(device)).step("hand over the tap device")
}

/// Lets the user ping without a capability. Where /proc/sys is read-only, ping may need one.
fn allow_ping() {
    let gid = getegid();
    if let Err(error) = std::fs::write("/proc/sys/net/ipv4/ping_group_range", format!("{gid} {gid}")) {
        tracing::debug!("ping sockets stay as they are: {error}");
    }
}

/// As a shell has it: 127 for what does not exist, 126 for what cannot be executed.
fn not_run(program: &OsString, errno: Errno) -> Message {
    let name = program.display();
    let has_path = program.as_bytes().contains(&b'/');
    match errno {
        Errno::ENOENT if has_path && std::path::Path::new(program).exists() => {
            Message::NotRun(127, format!("run {name}: the interpreter that it names does not exist"))
        }
        Errno::ENOENT if has_path => Message::NotRun(127, format!("run {name}: no such file")),
        Errno::ENOENT => Message::NotRun(127, format!("run {name}: command not found")),
        // A directory of PATH that may not be searched is not the command's fault.
        Errno::EACCES if !has_path && !is_in_path(program) => {
            Message::NotRun(127, format!("run {name}: command not found"))
        }
        errno => Message::NotRun(126, format!("run {name}: {}", errno.desc())),
    }
}

fn is_in_path(program: &OsString) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(program).exists()))
}
