//! The process that serves the control socket: made by the supervisor, ended by closing the channel to it.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, chdir, getpid, setsid};

use crate::config::{self, Network, Presence};
use crate::control::process::{About, Seat, run};
use crate::control::runtime::{self, Registration};
use crate::control::socket::{self, Bound, SocketFile};
use crate::log::LogFile;
use crate::sys::{self, Fork, packets};

use super::channel::{Channel, Message};
use super::error::{Error, Step};
use super::supervise::wait;

/// How long the process may take to end when it is told to: it has nothing to finish.
const PATIENCE: Duration = Duration::from_millis(500);

/// A socket that is bound, for a process that is to be started when the stack is.
pub(super) struct Prepared {
    bound: Bound,
    traces: Traces,
    line: OwnedFd,
}

/// What is to be seen in the file system. Removed when dropped.
struct Traces {
    file: SocketFile,
    _registration: Option<Registration>,
}

impl Drop for Traces {
    fn drop(&mut self) {
        self.file.remove();
        runtime::tidy();
    }
}

/// The process. Dropping it ends it.
pub(super) struct Control {
    pid: Pid,
    channel: Option<Channel>,
    ended: bool,
    _traces: Traces,
}

impl Prepared {
    /// Binds the socket that is asked for; returns the stack's end of the line to it too. `None` where none is wanted, or there
    /// is no place for the usual one.
    pub(super) fn new(control: &config::Control) -> Result<Option<(Prepared, OwnedFd)>, Error> {
        let (bound, registration) = match control {
            config::Control::Off => return Ok(None),
            config::Control::Usual => match runtime::bind() {
                Some(bound) => (bound, None),
                None => return Ok(None),
            },
            config::Control::At(path) => (socket::bind(path)?, runtime::register(path)),
        };
        let traces = Traces { file: bound.file.clone(), _registration: registration };
        let (line, orders) = packets::pair().step("make a socket pair")?;
        Ok(Some((Prepared { bound, traces, line }, orders)))
    }

    /// Starts the process.
    pub(super) fn start(
        self,
        mut about: About,
        network: &Network,
        log_file: &LogFile,
        presence: Presence,
    ) -> Result<Control, Error> {
        let (ours, theirs) = Channel::pair().step("make a socket pair")?;
        about.socket = self.traces.file.path().display().to_string();
        let (file, supervisor) = (self.traces.file.clone(), getpid());
        match sys::fork_into(CloneFlags::empty()).step("start the control process")? {
            Fork::Parent(pid) => Ok(Control { pid, channel: Some(ours), ended: false, _traces: self.traces }),
            Fork::Child => {
                drop(ours);
                let Prepared { bound, traces, line } = self;
                // It is the file's keeper should the supervisor be killed; what else the supervisor has is not its own.
                std::mem::forget(traces);
                let served = catch_unwind(AssertUnwindSafe(|| {
                    let keep = [bound.listener.as_fd(), line.as_fd(), theirs.as_fd()];
                    prepare(&keep, log_file, presence)?;
                    let supervisor = theirs.try_clone().step("make a socket pair")?.into_fd();
                    let seat = Seat { listener: bound.listener, line, supervisor, about, network: network.clone() };
                    let shut_down = || {
                        // It fails only when the end has come already.
                        let _ = theirs.send(&Message::ShutDown);
                    };
                    run(seat, shut_down).step("serve the control socket")
                }));
                if let Ok(Err(error)) = &served {
                    tracing::error!("{error}");
                }
                file.remove();
                runtime::remove_link_of(supervisor);
                runtime::tidy();
                sys::exit_now(if matches!(served, Ok(Ok(()))) { 0 } else { 1 })
            }
        }
    }
}

/// Leaves what the supervisor has, and its terminal's signals.
fn prepare(keep: &[BorrowedFd<'_>], log_file: &LogFile, presence: Presence) -> Result<(), Error> {
    let null = File::options().read(true).write(true).open("/dev/null").step("open /dev/null")?;
    let mut keep = keep.to_vec();
    keep.push(null.as_fd());
    keep.extend(log_file.iter().map(|file| file.as_fd()));
    sys::close_others(&keep).step("close what the caller left open")?;
    setsid().step("leave the session")?;
    chdir("/").step("leave the directory")?;
    SigSet::empty().thread_set_mask().step("let signals through")?;
    let _ = prctl::set_name(c"rnet-control");
    let streams = if presence == Presence::Background { 0..=2 } else { 0..=1 };
    for stream in streams {
        sys::redirect(&null, stream).step("leave the terminal")?;
    }
    Ok(())
}

impl Control {
    /// Its process id.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Something to be waited for: the process has something to say, or has ended.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.channel.as_ref().map(AsFd::as_fd)
    }

    /// Hears what the process says; `true` when a client wants the network to end. That the process has ended is no reason for
    /// that.
    pub(super) fn wants_the_end(&mut self) -> bool {
        let said = self.channel.as_ref().map(Channel::receive);
        match said {
            Some(Ok(Some(Message::ShutDown))) => true,
            Some(_) => {
                tracing::warn!("the control process has ended; the network goes on without it");
                self.end();
                false
            }
            None => false,
        }
    }

    fn end(&mut self) {
        self.channel = None;
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if !self.ends_in_time() {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
        while waitpid(self.pid, None) == Err(Errno::EINTR) {}
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

impl Drop for Control {
    fn drop(&mut self) {
        self.end();
    }
}
