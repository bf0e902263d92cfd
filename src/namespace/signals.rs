//! The signals that a supervisor takes as events, and which of them its command must be told.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::Signal::{self, *};
use nix::sys::signal::{SigSet, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::unistd::{Pid, getpgid, getpgrp, getpid, getsid};

use crate::sys;

use super::error::{Error, Step};

/// What people and programs send to a command to talk to it.
const TAKEN: [Signal; 11] =
    [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH, SIGTSTP, SIGCONT, SIGCHLD];

/// Signals as they come, in place of their actions.
pub(super) struct Signals {
    fd: SignalFd,
    /// Those that the caller wanted ignored, as nohup(1) does: they are for the command alone.
    ignored: SigSet,
}

impl Signals {
    /// Takes signals from here on. A forked process inherits that they wait; see [`restore`].
    pub(super) fn take() -> Result<Signals, Error> {
        let set = SigSet::from_iter(TAKEN);
        let ignored = TAKEN.into_iter().filter(|signal| sys::is_ignored(*signal)).collect();
        set.thread_block().step("block signals")?;
        // A caller that ignores it would have the kernel reap our processes.
        sys::default_action(SIGCHLD).step("wait for processes")?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).step("receive signals")?;
        Ok(Signals { fd, ignored })
    }

    /// The next signal, if one has come.
    pub(super) fn next(&self) -> Result<Option<Received>, Error> {
        let info = self.fd.read_signal().step("receive signals")?;
        Ok(info.and_then(|info| {
            let signal = Signal::try_from(info.ssi_signo as i32).ok()?;
            Some(Received { signal, info, is_ignored: self.ignored.contains(signal) })
        }))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Lets signals through again, with SIGPIPE as the shell had it: for a process that becomes a command.
pub(super) fn restore() -> nix::Result<()> {
    sys::default_action(SIGPIPE)?;
    SigSet::empty().thread_set_mask()
}

/// A signal that has come.
pub(super) struct Received {
    /// Which.
    pub signal: Signal,
    info: siginfo,
    is_ignored: bool,
}

impl Received {
    /// Whether it asks this program to end.
    pub(super) fn is_fatal(&self) -> bool {
        !self.is_ignored && matches!(self.signal, SIGHUP | SIGINT | SIGQUIT | SIGTERM)
    }

    /// Whether it was ignored before, and so is for the command alone to heed.
    pub(super) fn is_ignored(&self) -> bool {
        self.is_ignored
    }

    /// Tells the command, unless it knows already.
    pub(super) fn forward(&self, command: Pid) {
        if self.signal != SIGCHLD && !self.is_known_to(command) {
            tracing::debug!("{} goes on to the command", self.signal);
            let _ = kill(command, self.signal);
        }
    }

    /// The terminal tells the whole foreground process group. Only of a hang-up it tells the session's leader alone.
    fn is_known_to(&self, command: Pid) -> bool {
        if self.info.ssi_code <= 0 {
            return self.info.ssi_pid == command.as_raw() as u32;
        }
        let leads_session = self.signal == SIGHUP && getsid(None) == Ok(getpid());
        !leads_session && getpgid(Some(command)) == Ok(getpgrp())
    }
}
