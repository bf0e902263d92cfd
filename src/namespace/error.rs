//! What stands in the way: the operation, its object, and the way out.

use std::io;

use nix::errno::Errno;
use nix::sys::signal::Signal;

/// Why there is no network, or no longer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    #[error("{operation}: {cause}{hint}", cause = lower(.cause), hint = .hint.as_deref().map_or_else(String::new, |hint| format!("; {hint}")))]
    System {
        /// What was tried, with its object.
        operation: String,
        /// The kernel's answer.
        cause: Errno,
        /// What to do about it.
        hint: Option<String>,
    },
    /// What a process of ours said before it gave up.
    #[error("{0}")]
    Reported(String),
    /// The tap device.
    #[error(transparent)]
    Tap(#[from] crate::tap::Error),
    /// A published port.
    #[error(transparent)]
    Publish(#[from] crate::rootless::listen::Error),
    /// The control socket.
    #[error(transparent)]
    Control(#[from] crate::control::socket::Error),
    /// The log file.
    #[error(transparent)]
    Log(#[from] crate::log::Error),
    /// The ids that a user may have are not to be had.
    #[error("{0}")]
    Ids(String),
    /// The command cannot be run.
    #[error("{message}")]
    Exec {
        /// In words.
        message: String,
        /// 127 when there is no such command, 126 otherwise.
        code: u8,
    },
    /// A process of ours ended without a word.
    #[error("{0} ended unexpectedly")]
    Lost(&'static str),
    /// A signal ended the set-up.
    #[error("interrupted by {0}")]
    Interrupted(Signal),
}

impl Error {
    /// The exit code that tells it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Exec { code, .. } => *code,
            Error::Interrupted(signal) => 128 + *signal as u8,
            _ => 1,
        }
    }

    /// Whether the caller knows already.
    pub fn is_silent(&self) -> bool {
        matches!(self, Error::Interrupted(_))
    }
}

/// Says of a failing call what it was for.
pub(super) trait Step<T>: Sized {
    /// With the operation and its object.
    fn step(self, operation: impl Into<String>) -> Result<T, Error> {
        self.step_or(operation, |_| None)
    }

    /// And with a way out.
    fn step_or(self, operation: impl Into<String>, hint: impl FnOnce(Errno) -> Option<String>) -> Result<T, Error>;
}

impl<T> Step<T> for nix::Result<T> {
    fn step_or(self, operation: impl Into<String>, hint: impl FnOnce(Errno) -> Option<String>) -> Result<T, Error> {
        self.map_err(|cause| Error::System { operation: operation.into(), cause, hint: hint(cause) })
    }
}

impl<T> Step<T> for io::Result<T> {
    fn step_or(self, operation: impl Into<String>, hint: impl FnOnce(Errno) -> Option<String>) -> Result<T, Error> {
        self.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))).step_or(operation, hint)
    }
}

/// The kernel's words as they stand in the middle of a sentence.
fn lower(cause: &Errno) -> String {
    let words = cause.desc();
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
