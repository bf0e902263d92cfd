//! What signals do to a command that is the first process of a PID namespace.
//!
//! The kernel spares such a process every signal that it does not handle (pid_namespaces(7)). A command that does not know that it
//! is one would neither end nor stop when it is told to, so the supervisor does what the signal would have done.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What a signal does to a process that does not handle it (signal(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    End,
    Stop,
    Nothing,
}

/// Does what a signal would have done, unless the process handles or ignores it; says whether it has ended the process.
pub(super) fn act(process: Pid, signal: Signal) -> bool {
    let instead = match default_action(signal) {
        Action::Nothing => return false,
        Action::End => Signal::SIGKILL,
        Action::Stop => Signal::SIGSTOP,
    };
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    if is_handled(&status, signal) != Some(false) {
        return false;
    }
    kill(process, instead).is_ok() && instead == Signal::SIGKILL
}

fn default_action(signal: Signal) -> Action {
    match signal {
        Signal::SIGHUP
        | Signal::SIGINT
        | Signal::SIGQUIT
        | Signal::SIGTERM
        | Signal::SIGUSR1
        | Signal::SIGUSR2
        | Signal::SIGALRM => Action::End,
        Signal::SIGTSTP => Action::Stop,
        _ => Action::Nothing,
    }
}

/// Whether a process handles, ignores or blocks a signal, by its /proc/PID/status.
fn is_handled(status: &str, signal: Signal) -> Option<bool> {
    let mask = |name: &str| {
        let text = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(text.trim(), 16).ok()
    };
    let all = mask("SigCgt:")? | mask("SigIgn:")? | mask("SigBlk:")?;
    Some(all & (1 << (signal as u64 - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_of_signals() {
        let status = "Name:\tsh\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000004\nSigCgt:\t0000000000004002\n";
        for (signal, handled) in [
            (Signal::SIGTERM, true),
            (Signal::SIGINT, true),
            (Signal::SIGQUIT, true),
            (Signal::SIGHUP, false),
            (Signal::SIGTSTP, false),
        ] {
            assert_eq!(is_handled(status, signal), Some(handled), "{signal}");
        }
        assert_eq!(is_handled("", Signal::SIGTERM), None);
    }
}
