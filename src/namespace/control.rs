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
use crate::control::process::{About, Language, Seat, run};
use crate::control::runtime;
use crate::control::socket::{self, Bound, SocketFile};
use crate::log::LogFile;
use crate::sys::{self, Fork, packets};

use super::channel::{Channel, Message};
use super::error::{Error, Step};
use super::supervise::wait;

/// How long the process may take to end when it is told to: it has nothing to finish.
const PATIENCE: Duration = Duration::from_millis(500);

/// The process. Dropping it ends it, and what is to be seen of it in the file system is gone.
pub(super) struct Control {
    pid: Pid,
    channel: Option<Channel>,
    ended: bool,
    /// The socket's file. The process removes it itself, unless it is killed.
    file: Option<SocketFile>,
}

impl Control {
    /// Starts the process, which binds the socket; returns the stack's end of the line to it too. `None` where none is wanted.
    pub(super) fn start(
        control: &config::Control,
        about: About,
        network: &Network,
        log_file: &LogFile,
        presence: Presence,
    ) -> Result<Option<(Control, OwnedFd)>, Error> {
        if *control == config::Control::Off {
            return Ok(None);
        }
        let (ours, theirs) = Channel::pair().step("make a socket pair")?;
        let (line, orders) = packets::pair().step("make a socket pair")?;
        let supervisor = getpid();
        match sys::fork_into(CloneFlags::empty()).step("start the control process")? {
            Fork::Parent(pid) => Ok(Some((Control { pid, channel: Some(ours), ended: false, file: None }, orders))),
            Fork::Child => {
                drop((ours, orders));
                let served = catch_unwind(AssertUnwindSafe(|| {
                    prepare(&[line.as_fd(), theirs.as_fd()], log_file, presence)?;
                    let Some(bound) = bind(control, supervisor)? else { return Ok(()) };
                    let place = Place { file: bound.file, supervisor };
                    theirs.send(&Message::Bound(place.file.path().to_owned())).step("report to the supervisor")?;
                    let shut_down = || {
                        // It fails only when the end has come already.
                        let _ = theirs.send(&Message::ShutDown);
                    };
                    let supervisor = theirs.try_clone().step("make a socket pair")?.into_fd();
                    let about = About { socket: place.file.path().display().to_string(), ..about };
                    let language = match control {
                        config::Control::HostForwards(_) => Language::HostForwards,
                        _ => Language::Control,
                    };
                    let network = network.clone();
                    let seat = Seat { listener: bound.listener, line, supervisor, about, network, language };
                    run(seat, shut_down).step("serve the control socket")
                }));
                let code = match served {
                    Ok(Ok(())) => 0,
                    Ok(Err(error)) => {
                        // Before the socket is there the supervisor listens to that, afterwards the log.
                        tracing::debug!("{error}");
                        let _ = theirs.send(&Message::Failed(error.to_string()));
                        1
                    }
                    Err(_) => 101,
                };
                sys::exit_now(code)
            }
        }
    }

    /// Waits until the socket is there; `None` where there is no place for the usual one.
    pub(super) fn bound(mut self) -> Result<Option<Control>, Error> {
        match self.channel.as_ref().map(Channel::receive).transpose().step("hear the control process")?.flatten() {
            Some(Message::Bound(path)) => {
                self.file = SocketFile::of(path);
                Ok(Some(self))
            }
            Some(Message::Failed(text)) => Err(Error::Reported(text)),
            _ => Ok(None),
        }
    }
}

/// What the process has made in the file system. Removed when dropped.
struct Place {
    file: SocketFile,
    supervisor: Pid,
}

impl Drop for Place {
    fn drop(&mut self) {
        clear(&self.file, self.supervisor);
    }
}

fn clear(file: &SocketFile, supervisor: Pid) {
    file.remove();
    runtime::unregister(supervisor);
    runtime::tidy();
}

/// Binds the socket that is asked for.
fn bind(control: &config::Control, supervisor: Pid) -> Result<Option<Bound>, Error> {
    match control {
        config::Control::Off => Ok(None),
        config::Control::Usual => Ok(runtime::bind(supervisor)),
        config::Control::At(path) => {
            let bound = socket::bind(path)?;
            runtime::register(path, supervisor);
            Ok(Some(bound))
        }
        config::Control::HostForwards(path) => {
            // Callers count on that. Where it fails the next step says what is in the way.
            let _ = std::fs::remove_file(path);
            Ok(Some(socket::bind(path)?))
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
        if let Some(file) = &self.file {
            clear(file, getpid());
        }
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
