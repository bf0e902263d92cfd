//! The directory in which a user's running instances are found: a socket for each, or a link to one that is elsewhere.
//!
//! Nothing else is stored, so nothing can be out of date: who answers is there.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{Pid, geteuid};

use super::socket::{self, Bound};

/// How often another instance may remove the directory, as empty, just when we are about to use it.
const TRIES: usize = 10;

/// The directory for this user's instances, whether it exists or not; `None` where there is no place for it.
pub fn directory() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let usual = PathBuf::from(format!("/run/user/{}", geteuid()));
    let roots = geteuid().is_root().then(|| PathBuf::from("/run"));
    let mut candidates = named.into_iter().chain([usual]).chain(roots);
    candidates.find(|path| path.is_absolute() && is_ours(path)).map(|path| path.join("rnet"))
}

/// Whether a path is a directory of this user's that nobody else can write.
fn is_ours(path: &Path) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|data| data.is_dir() && data.uid() == geteuid().as_raw() && data.mode() & 0o022 == 0)
}

/// Where a process is found.
fn entry(directory: &Path, pid: Pid) -> PathBuf {
    directory.join(format!("{pid}.sock"))
}

/// Binds the socket of a process in the directory; `None` where that cannot be done.
pub fn bind(pid: Pid) -> Option<Bound> {
    let directory = directory()?;
    in_directory(&directory, || match socket::bind(&entry(&directory, pid)) {
        Ok(bound) => Some(bound),
        Err(error) => {
            tracing::debug!("no control socket: {error}");
            None
        }
    })
}

/// Lets a process be found though its socket is elsewhere, where that can be done.
pub fn register(path: &Path, pid: Pid) {
    let Some(directory) = directory() else { return };
    let link = entry(&directory, pid);
    let linked = in_directory(&directory, || {
        // What is there is of a process that had this number before.
        let _ = fs::remove_file(&link);
        symlink(path, &link).ok()
    });
    if linked.is_none() {
        tracing::debug!("not to be found in {}", directory.display());
    }
}

/// Removes the link of a process, if it has one.
pub fn unregister(pid: Pid) {
    let Some(link) = directory().map(|directory| entry(&directory, pid)) else { return };
    if fs::symlink_metadata(&link).is_ok_and(|data| data.is_symlink()) {
        let _ = fs::remove_file(link);
    }
}

/// Removes the directory if it is empty.
pub fn tidy() {
    if let Some(directory) = directory() {
        let _ = fs::remove_dir(directory);
    }
}

/// The entries of the directory.
pub fn entries() -> Vec<PathBuf> {
    let Some(directory) = directory().filter(|directory| is_ours(directory)) else { return Vec::new() };
    let found = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut entries: Vec<PathBuf> = found.filter(|path| path.extension().is_some_and(|end| end == "sock")).collect();
    entries.sort();
    entries
}

fn in_directory<T>(directory: &Path, what: impl Fn() -> Option<T>) -> Option<T> {
    for _ in 0..TRIES {
        match DirBuilder::new().mode(0o700).create(directory) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(Errno::EEXIST as i32) => {}
            Err(error) => {
                tracing::debug!("no control socket: make {}: {error}", directory.display());
                return None;
            }
        }
        if !is_ours(directory) {
            return None;
        }
        if let Some(done) = what() {
            return Some(done);
        }
        if directory.exists() {
            return None;
        }
    }
    None
}
