//! The user-mode backend: the event loop that stands between the tap device and the host's sockets.

pub mod sandbox;

use std::os::fd::OwnedFd;

use crate::config::Network;

/// What ends the packet loop with an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {}

/// Serves the tap device until `stop` is readable or hung up, or the device is gone.
pub fn serve(tap: OwnedFd, _network: &Network, stop: OwnedFd) -> Result<(), Error> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let mut fds = [PollFd::new(stop.as_fd(), PollFlags::POLLIN), PollFd::new(tap.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::NONE);
        let ready = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
        if ready(&fds[0]) {
            return Ok(());
        }
        if ready(&fds[1]) && nix::unistd::read(&tap, &mut buffer) == Err(nix::errno::Errno::EBADFD) {
            return Ok(());
        }
    }
}
