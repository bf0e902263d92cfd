//! The process that keeps leases for all containers: it gets them, renews them, applies what changes, and gives them back.
//!
//! One thread: sockets are opened inside containers' namespaces by going there and back without waiting in between.

mod apply;
mod file;
mod holder;
mod registry;
mod socket;

use std::fs;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::stat::{Mode, umask};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use self::registry::Registry;
use super::{SOCKET, directory, rpc};
use crate::bridge::error::{During, Error, Result};
use crate::bridge::lock::{make, remove};
use crate::config::DhcpProxy;
use crate::sys;

const LEASES: &str = "nv-proxy.lease";
/// The first descriptor that systemd passes (sd_listen_fds(3)).
const PASSED: i32 = 3;
/// So many clients may be connected at once.
const CLIENTS: usize = 256;
/// After accept(2) has failed.
const PAUSE: Duration = Duration::from_millis(100);
/// How often it is looked whether there is anything left to do.
const LOOK: Duration = Duration::from_millis(500);

/// Where clients come in.
struct Entrance {
    listener: UnixListener,
    /// The file of a socket that we made.
    own: Option<PathBuf>,
}

/// Serves until it is told to stop, or nothing is left to be done.
pub fn serve(how: &DhcpProxy) -> Result<()> {
    let directory = directory(how.directory.as_deref());
    make(&directory).during(|| format!("make {}", directory.display()))?;
    let entrance = match how.passed {
        0 => listen(&socket_path(how, &directory))?,
        1 => passed()?,
        _ => return Err(Error::text("Received more than one FD from systemd")),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let registry = Registry::new(directory.join(LEASES), how.patience);
    let served = LocalSet::new().block_on(&runtime, run(&entrance.listener, &registry, how.idle));
    if let Some(path) = &entrance.own {
        let _ = remove(path);
    }
    served
}

async fn run(listener: &UnixListener, registry: &Rc<Registry>, idle: Option<Duration>) -> Result<()> {
    let listener = listener.try_clone()?;
    listener.set_nonblocking(true)?;
    let listener = tokio::net::UnixListener::from_std(listener)?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let clients = Arc::new(Semaphore::new(CLIENTS));
    registry.resume();
    loop {
        let entered = async {
            // Held until the client is gone; nobody closes the semaphore.
            let seat = Arc::clone(&clients).acquire_owned().await;
            (listener.accept().await, seat)
        };
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            (client, seat) = entered => match client {
                Ok((stream, _)) => {
                    let registry = Rc::new(Rc::clone(registry));
                    spawn_local(async move {
                        if let Err(error) = rpc::serve(stream, registry).await {
                            tracing::debug!("a client: {error}");
                        }
                        drop(seat);
                    });
                }
                Err(error) => {
                    tracing::warn!("accept a client: {error}");
                    sleep(PAUSE).await;
                }
            },
            () = sleep(LOOK), if idle.is_some() => {
                if idle.is_some_and(|limit| registry.idle() >= limit) {
                    tracing::info!("nothing to do: the proxy ends");
                    return Ok(());
                }
            }
        }
    }
}

fn socket_path(how: &DhcpProxy, directory: &Path) -> PathBuf {
    match &how.socket {
        None => directory.join(SOCKET),
        Some(path) if path.is_dir() => path.join(SOCKET),
        Some(path) => path.clone(),
    }
}

/// Makes the socket, for root and its group alone. One that nobody listens at any more is replaced.
fn listen(path: &Path) -> Result<Entrance> {
    let bind = || -> io::Result<UnixListener> {
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::other("another proxy listens there"));
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let before = umask(Mode::from_bits_truncate(0o117));
        let listener = UnixListener::bind(path);
        umask(before);
        listener
    };
    let listener = bind().during(|| format!("listen at {}", path.display()))?;
    Ok(Entrance { listener, own: Some(path.into()) })
}

fn passed() -> Result<Entrance> {
    let socket = sys::claim_descriptor(PASSED).map_err(Error::from).during(|| "take the socket from systemd")?;
    Ok(Entrance { listener: UnixListener::from(socket), own: None })
}
