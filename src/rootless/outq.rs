//! How much of what was sent a TCP peer has not acknowledged yet (SIOCOUTQ, tcp(7)).

use std::os::fd::{AsRawFd, BorrowedFd};

nix::ioctl_read_bad!(
    /// SIOCOUTQ has the number of TIOCOUTQ.
    siocoutq,
    libc::TIOCOUTQ,
    libc::c_int
);

/// Bytes that are still on their way; 0 where the kernel does not say.
pub fn unacknowledged(socket: BorrowedFd<'_>) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open for the duration of the call, and SIOCOUTQ writes one int where `bytes` is.
    match unsafe { siocoutq(socket.as_raw_fd(), &mut bytes) } {
        Ok(_) => usize::try_from(bytes).unwrap_or(0),
        Err(_) => 0,
    }
}
