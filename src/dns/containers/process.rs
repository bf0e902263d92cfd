//! The server's process. It goes to the background only when all listeners are open, so that whoever starts it hears of what
//! cannot be bound, and ends when there is no network any more.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{pipe2, setsid};
use tokio::io::unix::AsyncFd;
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tracing::{debug, error};

use super::pid_file::PidFile;
use super::rights;
use super::server::{Server, tell};
use super::syslog;
use crate::config::{ContainerNames, Log, LogFormat, Presence};
use crate::sys::{self, Fork, watched};

/// What the server is told by.
const SIGNALS: [Signal; 3] = [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT];

/// How long after an address could not be bound it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Descriptors that are asked for: two for each address, one for each connection and each query that is forwarded.
const DESCRIPTORS: u64 = 1 << 16;

/// Serves until there is no network any more; in the background, until the server has started.
pub fn main(how: &ContainerNames) -> ExitCode {
    // What the caller has open is not the server's, and would be held for days: podman waits for the end of some of it.
    if let Err(errno) = sys::close_others(&[]) {
        return fail(&format!("close inherited descriptors: {errno}"));
    }
    raise_descriptor_limit();
    match how.presence {
        Presence::Foreground => {
            let log = Log { level: how.level, format: LogFormat::Text, file: None, bounded: None, preface: Vec::new() };
            if let Err(error) = crate::log::init(&log) {
                return fail(&error.to_string());
            }
            match block_signals() {
                Ok(signals) => run(how, &signals, None),
                Err(error) => fail(&format!("block signals: {error}")),
            }
        }
        Presence::Background => {
            syslog::init(how.level);
            start(how).unwrap_or_else(|error| fail(&format!("Error starting server {error}")))
        }
    }
}

/// Starts the server as a process of its own, and waits until it serves.
fn start(how: &ContainerNames) -> io::Result<ExitCode> {
    // Before there is a pid file, and so before anybody can send one.
    let signals = block_signals()?;
    let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
    match sys::fork_into(CloneFlags::empty())? {
        Fork::Child => {
            drop(ours);
            Ok(run(how, &signals, Some(theirs)))
        }
        Fork::Parent(_) => {
            drop(theirs);
            let mut said = Vec::new();
            File::from(ours).take(1).read_to_end(&mut said)?;
            // The child has said why itself.
            Ok(if said.is_empty() { fail("Error from child process") } else { ExitCode::SUCCESS })
        }
    }
}

/// The life of the server; `ready` hangs up or gets a byte.
fn run(how: &ContainerNames, signals: &SignalFd, ready: Option<OwnedFd>) -> ExitCode {
    let runtime = match Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("Error starting server {error}")),
    };
    let mut ready = ready;
    LocalSet::new().block_on(&runtime, async {
        match serve(how, signals, &mut ready).await {
            Ok(()) => ExitCode::SUCCESS,
            // Before `ready` hangs up, and the caller has its word.
            Err(text) => fail(&text),
        }
    })
}

async fn serve(how: &ContainerNames, signals: &SignalFd, ready: &mut Option<OwnedFd>) -> Result<(), String> {
    let failed = |error: io::Error| format!("Error starting server {error}");
    let pid_file = PidFile::write(&how.directory)
        .map_err(|error| format!("Error creating aardvark pid Unable to get process pid: {error}"))?;
    let mut server = Server::new(how);
    let faults = server.reload().await.map_err(failed)?;
    if !faults.is_empty() {
        return Err(format!("Error starting server {}", faults.join("\n")));
    }
    if server.is_empty() {
        return Err(format!("Error starting server no network has a usable file in {}", how.directory.display()));
    }
    pid_file.claim().map_err(failed)?;
    rights::give_up().map_err(failed)?;
    if let Some(ready) = ready.take() {
        detach().map_err(failed)?;
        File::from(ready).write_all(b"1").map_err(failed)?;
    }
    let signalled = signals.as_fd().try_clone_to_owned().and_then(watched::readable).map_err(failed)?;
    loop {
        let retry = async {
            if server.is_incomplete() { tokio::time::sleep(RETRY).await } else { std::future::pending().await }
        };
        let signal = tokio::select! {
            signal = next(signals, &signalled) => signal.map_err(failed)?,
            () = retry => {
                server.try_again();
                continue;
            }
        };
        if signal != Signal::SIGHUP {
            debug!(%signal, queries = server.queries(), "end");
            return Ok(());
        }
        if !reload(&mut server, how).await {
            // Whoever writes a file now finds no server and starts one; what was written before that is still served.
            pid_file.remove();
            if !reload(&mut server, how).await {
                debug!(queries = server.queries(), "no network is left");
                return Ok(());
            }
            pid_file.claim().map_err(failed)?;
        }
    }
}

/// Serves what has changed; says whether there is anything to be served.
async fn reload(server: &mut Server<'_>, how: &ContainerNames) -> bool {
    match server.reload().await {
        Ok(faults) => tell(&faults),
        // The directory itself may be gone: then there is nothing to be served.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
        Err(error) => error!("read {}: {error}", how.directory.display()),
    }
    !server.is_empty()
}

/// The next signal.
async fn next(signals: &SignalFd, signalled: &AsyncFd<OwnedFd>) -> io::Result<Signal> {
    loop {
        let mut ready = signalled.readable().await?;
        match signals.read_signal()? {
            Some(information) => return Ok(Signal::try_from(information.ssi_signo as i32)?),
            None => ready.clear_ready(),
        }
    }
}

/// From here on the server belongs to nobody's terminal, and holds none of the caller's streams.
fn detach() -> io::Result<()> {
    setsid()?;
    std::env::set_current_dir("/")?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    for stream in 0..=2 {
        sys::redirect(&null, stream)?;
    }
    Ok(())
}

/// Signals that come from now on wait to be read. Whoever starts the server may ignore them, as netavark does in a teardown.
fn block_signals() -> io::Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in SIGNALS {
        sys::default_action(signal)?;
        set.add(signal);
    }
    set.thread_block()?;
    Ok(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?)
}

/// As many descriptors as are allowed, where the usual number is for programs that use select(2).
fn raise_descriptor_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // What there is does as well.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(DESCRIPTORS)), hard);
    }
}

fn fail(text: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::FAILURE
}
