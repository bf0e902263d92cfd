//! The host's error numbers in the stack's terms.

use std::io;

use rnet_stack::HostError;

/// What an error of connect(2), send(2) or recv(2) means for a flow.
pub fn host_error(error: &io::Error) -> HostError {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EINTR | libc::EINPROGRESS | libc::ENOBUFS) => HostError::WouldBlock,
        Some(libc::ECONNREFUSED) => HostError::Refused,
        Some(libc::ENETUNREACH | libc::ENETDOWN | libc::EAFNOSUPPORT) => HostError::NetUnreachable,
        Some(libc::EHOSTUNREACH | libc::EHOSTDOWN) => HostError::HostUnreachable,
        Some(libc::EACCES | libc::EPERM) => HostError::Prohibited,
        Some(libc::ETIMEDOUT) => HostError::TimedOut,
        Some(libc::EMSGSIZE) => HostError::TooBig(0),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EADDRNOTAVAIL | libc::EADDRINUSE) => {
            HostError::Exhausted
        }
        _ => HostError::Reset,
    }
}
