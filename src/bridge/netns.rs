//! The container's network namespace.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::sched::{CloneFlags, setns};

use super::error::{During, Error, Result};

/// A network namespace, and the one that this process belongs in.
pub struct Netns {
    container: File,
    host: File,
}

impl Netns {
    /// Opens a namespace by its path.
    pub fn open(path: &Path) -> std::io::Result<Netns> {
        Ok(Netns { container: File::open(path)?, host: File::open("/proc/self/ns/net")? })
    }

    /// Runs something inside. The process has one thread, so nothing else notices; and when it cannot come back it ends, since
    /// all that it would do afterwards would be done in the wrong place.
    pub fn inside<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        setns(&self.container, CloneFlags::CLONE_NEWNET).map_err(Error::from).during(|| "setns")?;
        let result = work();
        if let Err(error) = setns(&self.host, CloneFlags::CLONE_NEWNET) {
            tracing::error!(target: "netavark::network::core_utils", "go back to the host's network namespace: {error}");
            std::process::abort();
        }
        Ok(result)
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.container.as_fd()
    }
}
