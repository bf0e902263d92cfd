//! The control process's life: from its fork until the supervisor hangs up.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::sync::Arc;
use std::time::Instant;

use caps::{CapSet, Capability};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::{Mutex, Notify};

pub use super::answer::About;
use super::answer::Desk;
use super::hostfwd::{self, Book};
use super::line::Line;
use super::server::serve;
use crate::config::Network;

/// What a control process is given.
pub struct Seat {
    /// The control socket.
    pub listener: UnixListener,
    /// The line to the stack.
    pub line: OwnedFd,
    /// The supervisor's end hangs up when all is to end.
    pub supervisor: OwnedFd,
    /// What the network says of itself.
    pub about: About,
    /// The network's configuration.
    pub network: Network,
    /// What is spoken.
    pub language: Language,
}

/// What is spoken at a control socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// rnet's own protocol (docs/control.md).
    Control,
    /// slirp4netns's.
    HostForwards,
}

/// Serves clients until the supervisor hangs up. `shut_down` tells the supervisor that a client wants the network to end.
///
/// # Errors
/// When descriptors or memory are short.
pub fn run(seat: Seat, shut_down: impl Fn()) -> io::Result<()> {
    give_up_rights()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let Seat { listener, line, supervisor, about, network, language } = seat;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let line = Line::new(line)?;
        let supervisor = UnixDatagram::from(supervisor);
        supervisor.set_nonblocking(true)?;
        let supervisor = tokio::net::UnixDatagram::from_std(supervisor)?;
        let shutdown = Arc::new(Notify::new());
        let told = Arc::clone(&shutdown);
        let clients = async {
            match language {
                Language::Control => {
                    let line = Mutex::new(line);
                    serve(listener, Arc::new(Desk { about, network, line, since: Instant::now() }), told).await;
                }
                Language::HostForwards => hostfwd::serve(listener, Arc::new(Book::new(network, line))).await,
            }
        };
        tokio::pin!(clients);
        loop {
            tokio::select! {
                // It says nothing; it hangs up.
                _ = supervisor.readable() => return Ok(()),
                () = shutdown.notified() => shut_down(),
                () = &mut clients => return Ok(()),
            }
        }
    })
}

/// It may do what the caller may do with an ordinary socket, and nothing besides.
fn give_up_rights() -> io::Result<()> {
    let failed = |error: caps::errors::CapsError| io::Error::other(error.to_string());
    let kept: caps::CapsHashSet = caps::read(None, CapSet::Permitted)
        .map_err(failed)?
        .into_iter()
        .filter(|capability| *capability == Capability::CAP_NET_BIND_SERVICE)
        .collect();
    caps::clear(None, CapSet::Inheritable).map_err(failed)?;
    for set in [CapSet::Effective, CapSet::Permitted] {
        caps::set(None, set, &kept).map_err(failed)?;
    }
    prctl::set_no_new_privs()?;
    prctl::set_dumpable(false)?;
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Ports may be published by the thousand; where this fails the error says so then.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    Ok(())
}
