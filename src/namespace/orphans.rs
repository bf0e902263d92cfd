//! Processes that the command leaves behind: they come to the supervisor, and end with it.
//!
//! Without rnet they would live on in a namespace that has no network any more.

use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getpid};

/// How long they may take to end when they are asked to.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long they are killed for at the most: one that the kernel holds in an uninterruptible wait cannot be waited for.
const KILLING: Duration = Duration::from_secs(2);

/// Children that this process had before it became rnet: what a shell started, and went on by `exec rnet`.
pub(super) struct Strangers(Vec<Pid>);

/// Makes this process the one that orphans below it come to (PR_SET_CHILD_SUBREAPER). To be called before it forks.
pub(super) fn adopt() -> nix::Result<Strangers> {
    prctl::set_child_subreaper(true)?;
    Ok(Strangers(children().collect()))
}

/// Reaps orphans that have ended. `known` are the processes that others wait for.
pub(super) fn reap(known: &[Pid]) {
    let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Ok(status) = waitid(Id::All, peek) {
        let Some(pid) = status.pid().filter(|pid| !known.contains(pid)) else { return };
        let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
    }
}

/// Ends all children but `ours` and those that are no business of rnet's: they are asked first, then killed, and so are
/// those that come to light when their parents end.
pub(super) fn end_all(ours: &[Pid], strangers: &Strangers) {
    let start = Instant::now();
    let mut asked = Vec::new();
    let mut pause = Duration::from_millis(1);
    loop {
        let children: Vec<Pid> = children().filter(|pid| !ours.contains(pid) && !strangers.0.contains(pid)).collect();
        if children.is_empty() || start.elapsed() > PATIENCE + KILLING {
            return;
        }
        for child in children {
            if start.elapsed() > PATIENCE {
                let _ = kill(child, Signal::SIGKILL);
            } else if !asked.contains(&child) {
                asked.push(child);
                let _ = kill(child, Signal::SIGTERM);
                let _ = kill(child, Signal::SIGCONT);
            }
            if let Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) = waitpid(child, Some(WaitPidFlag::WNOHANG)) {
                // Its own children may have come to us: look again at once.
                pause = Duration::from_millis(1);
            }
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// The children of this process.
fn children() -> impl Iterator<Item = Pid> {
    let own = getpid();
    let listed = std::fs::read_to_string(format!("/proc/self/task/{own}/children"));
    let pids: Vec<Pid> = match listed {
        Ok(text) => text.split_whitespace().filter_map(|word| word.parse().ok()).map(Pid::from_raw).collect(),
        // A kernel without CONFIG_PROC_CHILDREN.
        Err(_) => processes().filter(|pid| parent(*pid) == Some(own)).collect(),
    };
    pids.into_iter()
}

fn processes() -> impl Iterator<Item = Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).map(Pid::from_raw)
}

/// The fourth field of /proc/PID/stat; the second may hold anything, in parentheses.
fn parent(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok().map(Pid::from_raw)
}
