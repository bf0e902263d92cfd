//! What is in the way of a published port, by the codes of the protocol.

use nix::errno::Errno;

use super::protocol::{Code, Fault};
use crate::rootless::listen::Error;

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        let code = match &error {
            Error::Descriptors { .. } => Code::Descriptors,
            Error::None { .. } => Code::Failed,
            Error::Port { source, .. } | Error::Asked { source, .. } => {
                match source.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::EADDRINUSE) => Code::InUse,
                    Some(Errno::EACCES | Errno::EPERM) => Code::Denied,
                    Some(Errno::EADDRNOTAVAIL | Errno::EAFNOSUPPORT | Errno::EINVAL) => Code::NoAddress,
                    Some(Errno::EMFILE | Errno::ENFILE) => Code::Descriptors,
                    _ => Code::Failed,
                }
            }
        };
        Fault::new(code, error.to_string())
    }
}
