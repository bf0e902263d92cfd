//! One change at a time for each run directory, whoever makes it.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::error::{During, Error, Result};

/// Held until it is dropped, or the process ends.
pub struct Lock(#[allow(dead_code, reason = "the lock lives as long as its descriptor")] Flock<File>);

impl Lock {
    /// Waits for the directory's lock (flock(2) on the directory itself, so that no file is left behind); makes the directory
    /// if need be.
    pub fn take(directory: &Path) -> Result<Lock> {
        let lock = || -> std::io::Result<Lock> {
            make(directory)?;
            let file = File::open(directory)?;
            Flock::lock(file, FlockArg::LockExclusive).map(Lock).map_err(|(_, errno)| errno.into())
        };
        lock().map_err(Error::from).during(|| format!("lock {}", directory.display()))
    }
}

/// Makes a directory and those above it that only the caller can read.
pub fn make(directory: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Removes a file, and what a killed process has left of a new one; what is not there is no error.
pub fn remove(path: &Path) -> std::io::Result<()> {
    for path in [&beside(path), path] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Replaces a file at once: a reader sees the old one or the new one, even when this process is killed.
pub fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let new = beside(path);
    fs::write(&new, content)?;
    fs::rename(&new, path)
}

fn beside(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{}.new", path.file_name().unwrap_or_default().to_string_lossy()))
}
