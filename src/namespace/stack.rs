//! The process that serves the tap device: made by the supervisor, locked up, ended by closing the channel to it.

use std::fs::File;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, setsid};

use crate::config::{Network, Presence};
use crate::log::LogFile;
use crate::rootless::capture::Capture;
use crate::rootless::listen::PublishedPorts;
use crate::rootless::{self, Lines, sandbox};
use crate::sys::{self, Fork};

use super::channel::{Channel, Message};
use super::error::{Error, Step};
use super::hints;
use super::supervise::wait;

/// How long the stack may take to end when it is told to.
const PATIENCE: Duration = Duration::from_secs(2);

/// The stack's process. Dropping it ends the process.
pub(super) struct Stack {
    pid: Pid,
    channel: Option<Channel>,
    ended: Option<WaitStatus>,
}

impl Stack {
    /// Opens the published ports and starts the process, which keeps them and the `lines` to others; it waits for the tap device.
    pub(super) fn start(
        network: &Network,
        log_file: &LogFile,
        presence: Presence,
        mut lines: Lines,
    ) -> Result<Stack, Error> {
        // Only this process may have low ports: the stack has no rights, and the command another network.
        let ports = PublishedPorts::open(network)?;
        if let Some(path) = &network.link.capture {
            let capture = Capture::begin(path).step(format!("write frames to {}", path.display()))?;
            lines.capture = Some(capture);
        }
        let (ours, theirs) = Channel::pair().step("make a socket pair")?;
        let ids = sandbox::own_ids();
        let fork = sys::fork_into(sandbox::namespaces());
        match fork.step_or("make the network stack's namespaces", hints::user_namespace)? {
            Fork::Parent(pid) => Ok(Stack { pid, channel: Some(ours), ended: None }),
            Fork::Child => {
                drop(ours);
                let served =
                    catch_unwind(AssertUnwindSafe(|| serve(&theirs, network, ports, lines, log_file, presence, ids)));
                let code = match served {
                    Ok(Ok(())) => 0,
                    Ok(Err(text)) => {
                        let _ = theirs.send(&Message::Failed(text));
                        1
                    }
                    Err(_) => 101,
                };
                sys::exit_now(code)
            }
        }
    }

    /// Its process id.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// The channel to it, while it lives.
    pub(super) fn channel(&self) -> Option<&Channel> {
        self.channel.as_ref()
    }

    /// Waits for its end, and says how that came: `true` for an end in order.
    pub(super) fn wait(&mut self) -> bool {
        self.channel = None;
        matches!(self.reap(), WaitStatus::Exited(_, 0))
    }

    /// Waits for a while, then kills.
    fn reap(&mut self) -> WaitStatus {
        if let Some(status) = self.ended {
            return status;
        }
        if !self.ends_in_time() {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
        let status = loop {
            match waitpid(self.pid, None) {
                Err(Errno::EINTR) => {}
                status => break status.unwrap_or(WaitStatus::StillAlive),
            }
        };
        self.ended = Some(status);
        status
    }

    fn ends_in_time(&self) -> bool {
        let Ok(process) = sys::pidfd(self.pid) else { return false };
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match wait([Some(process.as_fd())], Some(deadline)) {
                Ok([false]) => {}
                ended => return ended.is_ok(),
            }
        }
        false
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.wait();
    }
}

/// The stack's life. What it returns in words is passed to the supervisor.
fn serve(
    channel: &Channel,
    network: &Network,
    ports: PublishedPorts,
    lines: Lines,
    log_file: &LogFile,
    presence: Presence,
    (uid, gid): (u32, u32),
) -> Result<(), String> {
    let words = |error: &dyn std::fmt::Display| format!("start the network stack: {error}");
    let null =
        File::options().read(true).write(true).open("/dev/null").map_err(|error| format!("open /dev/null: {error}"))?;
    let mut keep = vec![channel.as_fd(), null.as_fd()];
    keep.extend(log_file.iter().map(|file| file.as_fd()));
    keep.extend(ports.descriptors());
    keep.extend(lines.capture.iter().map(|capture| capture.file().as_fd()));
    keep.extend(lines.orders.iter().chain(&lines.agent).chain(&lines.names).map(AsFd::as_fd));
    sys::close_others(&keep).map_err(|error| words(&error))?;
    // Terminal signals are for the command; the stack ends when its channel does.
    setsid().map_err(|error| words(&error))?;
    SigSet::empty().thread_set_mask().map_err(|error| words(&error))?;
    let _ = prctl::set_name(c"rnet-stack");
    for stream in [0, 1] {
        sys::redirect(&null, stream).map_err(|error| words(&error))?;
    }
    sandbox::keep_ids(uid, gid).and_then(|()| sandbox::enter(&[])).map_err(|error| error.to_string())?;
    let tap = match channel.receive() {
        Ok(Some(Message::Tap(tap))) => tap,
        // The supervisor has given up, and has told why.
        _ => return Ok(()),
    };
    if presence == Presence::Background {
        sys::redirect(&null, 2).map_err(|error| words(&error))?;
    }
    drop(null);
    let stop = channel.try_clone().map_err(|error| words(&error))?.into_fd();
    channel.send(&Message::Ready).map_err(|error| words(&error))?;
    rootless::serve(tap, network, ports, stop, lines).map_err(|error| format!("the network stack failed: {error}"))
}
