//! The agent's process: enters the container's network namespace, locks itself up there, and serves the stack.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, setsid};

use crate::agent::Inside;
use crate::config::{Network, Presence};
use crate::log::LogFile;
use crate::rootless::sandbox;
use crate::sys::{self, Fork};

use super::channel::{Channel, Message};
use super::error::{Error, Step};
use super::join::Namespaces;
use super::link;

/// How long the agent may take to put back what it has set in the namespace.
const PATIENCE: Duration = Duration::from_millis(500);

/// The agent's process. Dropping it ends it.
pub(super) struct Agent {
    pid: Pid,
    /// It tells `Ready` or `Failed`; `None` when it is told nothing more.
    channel: Option<Channel>,
}

impl Agent {
    /// Starts the process. `link` leads to the stack.
    pub(super) fn start(
        namespaces: &Namespaces,
        network: &Network,
        link: OwnedFd,
        log_file: &LogFile,
        presence: Presence,
    ) -> Result<Agent, Error> {
        let (ours, theirs) = Channel::pair().step("make a socket pair")?;
        match sys::fork_into(CloneFlags::empty()).step("start a process")? {
            Fork::Parent(pid) => Ok(Agent { pid, channel: Some(ours) }),
            Fork::Child => {
                drop(ours);
                let serve = || serve(&theirs, namespaces, network, link, log_file, presence);
                match catch_unwind(AssertUnwindSafe(serve)) {
                    Ok(Err(error)) if !network.expose.is_empty() => {
                        let _ = theirs.send(&Message::Failed(error.to_string()));
                    }
                    // What it is for otherwise can be done without.
                    Ok(Err(error)) => {
                        tracing::warn!("no agent in the container: {error}");
                        let _ = theirs.send(&Message::Ready);
                    }
                    Ok(Ok(())) | Err(_) => {}
                }
                sys::exit_now(0)
            }
        }
    }

    /// Its process id.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// The channel to it.
    pub(super) fn channel(&self) -> Option<&Channel> {
        self.channel.as_ref()
    }

    /// Hears whether it is ready.
    pub(super) fn is_ready(&self) -> Result<(), Error> {
        let Some(channel) = &self.channel else { return Ok(()) };
        match channel.receive().step("hear the agent")? {
            Some(Message::Ready) => Ok(()),
            Some(Message::Failed(text)) => Err(Error::Reported(text)),
            _ => Err(Error::Lost("the agent")),
        }
    }

    /// Tells that the container has ended: the stack is to let go of all that belongs to it.
    pub(super) fn container_has_ended(&self) {
        if let Some(channel) = &self.channel {
            let _ = channel.send(&Message::Go);
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.channel = None;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_millis(1)),
                Err(Errno::EINTR) => {}
                _ => return,
            }
        }
        let _ = kill(self.pid, Signal::SIGKILL);
        while waitpid(self.pid, None) == Err(Errno::EINTR) {}
    }
}

fn serve(
    channel: &Channel,
    namespaces: &Namespaces,
    network: &Network,
    link: OwnedFd,
    log_file: &LogFile,
    presence: Presence,
) -> Result<(), Error> {
    // Root of the container's user namespace may trace what is in it.
    prctl::set_dumpable(false).step("hide from the container")?;
    let null = File::options().read(true).write(true).open("/dev/null").step("open /dev/null")?;
    let mut keep = vec![channel.as_fd(), link.as_fd(), null.as_fd()];
    keep.extend(namespaces.descriptors());
    keep.extend(log_file.iter().map(|file| file.as_fd()));
    sys::close_others(&keep).step("close what is the supervisor's")?;
    setsid().step("leave the session")?;
    SigSet::empty().thread_set_mask().step("let signals in")?;
    let _ = prctl::set_name(c"rnet-agent");
    // Who waits for the end of the caller's streams does not wait for this process.
    for stream in [0, 1] {
        sys::redirect(&null, stream).step("leave the terminal")?;
    }
    namespaces.enter()?;
    link::configure_loopback()?;
    let inside = Inside::set_up(network, link).map_err(|error| Error::Reported(error.to_string()))?;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS)
        .step("make the agent's namespaces")?;
    // Its sockets need it for their mark and their name, and the rules for them are to be removed at the end.
    let mut kept = vec![caps::Capability::CAP_NET_ADMIN];
    if network.auto_expose.follows_any() {
        // The host's low ports are low ports inside.
        kept.push(caps::Capability::CAP_NET_BIND_SERVICE);
    }
    sandbox::enter(&kept).map_err(|error| Error::Reported(error.to_string()))?;
    if presence == Presence::Background {
        sys::redirect(&null, 2).step("leave the terminal")?;
    }
    drop(null);
    channel.send(&Message::Ready).step("report to the supervisor")?;
    inside.serve(channel.as_fd());
    Ok(())
}
