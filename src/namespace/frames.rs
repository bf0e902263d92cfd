//! A socket at which somebody who has no namespace for us sends and gets frames: a User Mode Linux with the transport `bess`.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::control::socket::SocketFile;

use super::error::{Error, Step};
use super::signals::Signals;
use super::supervise::wait;

/// A socket that waits for its client. Dropping it removes its file.
pub(super) struct Frames {
    listener: Socket,
    path: PathBuf,
    file: Option<SocketFile>,
}

impl Frames {
    /// Listens at a path; what somebody has left there goes.
    pub(super) fn listen(path: &Path) -> Result<Frames, Error> {
        let step = || format!("listen for frames at {}", path.display());
        let address = SockAddr::unix(path).step(step())?;
        // Callers count on that. Where it fails the next step says what is in the way.
        let _ = fs::remove_file(path);
        let listener = seqpacket().step(step())?;
        listener.bind(&address).step(step())?;
        let frames = Frames { listener, path: path.to_owned(), file: SocketFile::of(path.to_owned()) };
        frames.listener.listen(1).step(step())?;
        Ok(frames)
    }

    /// Waits for the client, the only one; `None` when the exit descriptor has an event before.
    pub(super) fn client(self, signals: &Signals, exit_fd: Option<&OwnedFd>) -> Result<Option<OwnedFd>, Error> {
        // Whoever does not hear it does not need it.
        let _ = writeln!(io::stderr(), "Waiting for connection to {}", self.path.display());
        loop {
            let [signal, exit, client] =
                wait([Some(signals.as_fd()), exit_fd.map(AsFd::as_fd), Some(self.listener.as_fd())], None)?;
            if exit {
                return Ok(None);
            }
            if signal {
                while let Some(received) = signals.next()? {
                    if received.is_fatal() {
                        return Err(Error::Interrupted(received.signal));
                    }
                }
            }
            if client {
                match self.listener.accept() {
                    Ok((client, _)) => return Ok(Some(client.into())),
                    // It has gone again.
                    Err(error) if error.raw_os_error() == Some(libc::ECONNABORTED) => {}
                    Err(error) => return Err(error).step("accept the client that sends frames"),
                }
            }
        }
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            file.remove();
        }
    }
}

fn seqpacket() -> io::Result<Socket> {
    Socket::new(Domain::UNIX, Type::SEQPACKET.cloexec(), None)
}
