//! The socket's file: bound for its owner alone, in place of a dead one but never of a live one, and gone at the end.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{Mode, umask};

/// Bytes of a path that a socket's address has room for (sun_path in unix(7)).
const PATH_MAX: usize = 107;

/// How long another process may keep the directory to itself.
const LOCK_LIMIT: Duration = Duration::from_secs(1);

/// A socket that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("listen at the control socket {path}: {cause}", path = .path.display())]
pub struct Error {
    path: PathBuf,
    cause: String,
}

/// A socket that is listened at. Its file is not removed with it: see [`SocketFile`].
#[derive(Debug)]
pub struct Bound {
    /// The socket.
    pub listener: UnixListener,
    /// Its file.
    pub file: SocketFile,
}

/// Device, inode, time of birth.
type Identity = (u64, u64, Option<SystemTime>);

/// The file of a socket of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Binds a socket at an absolute path. Its mode is 0600 from the first moment. To be called while the process has one thread.
///
/// # Errors
/// When something else is there, or the directory does not let us.
pub fn bind(path: &Path) -> Result<Bound, Error> {
    let wrap = |cause: String| Error { path: path.to_owned(), cause };
    let (directory, _) = parts(path).map_err(|error| wrap(words(&error)))?;
    let _lock = lock(directory);
    let listener = match bind_new(path) {
        Err(error) if error.raw_os_error() == Some(libc::EADDRINUSE) => {
            make_way(path).map_err(wrap)?;
            bind_new(path)
        }
        bound => bound,
    };
    let listener = listener.map_err(|error| wrap(words(&error)))?;
    let metadata = fs::symlink_metadata(path).map_err(|error| wrap(words(&error)))?;
    Ok(Bound { listener, file: SocketFile { path: path.to_owned(), identity: identity(&metadata) } })
}

fn bind_new(path: &Path) -> io::Result<UnixListener> {
    let before = umask(Mode::from_bits_truncate(0o177));
    let bound = reach(path, |path| UnixListener::bind(path));
    umask(before);
    bound
}

/// Connects to a socket, whatever the length of its path.
///
/// # Errors
/// Those of connect(2).
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    // The kernel follows a link to the socket, but the name of the link may be the shorter one.
    reach(path, |path| UnixStream::connect(path))
}

/// Removes a socket at which nobody listens, or a link to one; says whether it did.
pub fn remove_if_dead(path: &Path) -> bool {
    let Ok((directory, _)) = parts(path) else { return false };
    let _lock = lock(directory);
    is_dead(path) && fs::remove_file(path).is_ok()
}

impl SocketFile {
    /// That of a socket that another process of ours has bound; `None` when it is gone.
    pub fn of(path: PathBuf) -> Option<SocketFile> {
        let identity = identity(&fs::symlink_metadata(&path).ok()?);
        Some(SocketFile { path, identity })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it, if it is still ours.
    pub fn remove(&self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| identity(&metadata) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Numbers of inodes are used again at once, so the time of birth belongs to it where the file system keeps that.
fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino(), metadata.created().ok())
}

/// Removes a dead socket; says what is in the way otherwise.
fn make_way(path: &Path) -> Result<(), String> {
    let metadata = fs::symlink_metadata(path).map_err(|error| words(&error))?;
    if !metadata.file_type().is_socket() {
        return Err("a file that is no socket is in its place: remove it, or choose another path".into());
    }
    if !is_dead(path) {
        return Err(
            "somebody listens there already (`rnet list` tells of rnet's): end that, or choose another path".into()
        );
    }
    fs::remove_file(path).map_err(|error| format!("remove the dead socket there: {}", words(&error)))
}

fn is_dead(path: &Path) -> bool {
    matches!(connect(path), Err(error) if matches!(error.raw_os_error(), Some(libc::ECONNREFUSED | libc::ENOENT)))
}

/// Keeps others from binding and removing in a directory meanwhile. Where that is not to be had, or takes too long, nothing is
/// lost but a race.
fn lock(directory: &Path) -> Option<Flock<File>> {
    let start = Instant::now();
    let mut file = File::open(directory).ok()?;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Some(lock),
            Err((back, Errno::EWOULDBLOCK)) if start.elapsed() < LOCK_LIMIT => {
                file = back;
                thread::sleep(Duration::from_millis(5));
            }
            Err(_) => return None,
        }
    }
}

/// Does something with a path, or a shorter name of the same file where it is too long for a socket's address.
fn reach<T>(path: &Path, what: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().len() <= PATH_MAX {
        return what(path);
    }
    let (directory, name) = parts(path)?;
    let directory = File::open(directory)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
    if short.as_os_str().len() > PATH_MAX {
        return Err(Errno::ENAMETOOLONG.into());
    }
    what(&short)
}

fn parts(path: &Path) -> io::Result<(&Path, &std::ffi::OsStr)> {
    match (path.parent(), path.file_name()) {
        (Some(directory), Some(name)) => Ok((directory, name)),
        _ => Err(Errno::EISDIR.into()),
    }
}

fn words(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |code| Errno::from_raw(code).desc().to_lowercase())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("rnet-socket-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn it_takes_the_place_of_the_dead_alone() {
        let directory = directory("place");
        let path = directory.join("s");
        let first = bind(&path).unwrap();
        assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(bind(&path).unwrap_err().to_string().contains("listens there already"));
        assert!(!remove_if_dead(&path));
        let old = first.file.clone();
        drop(first.listener);
        let second = bind(&path).unwrap();
        old.remove();
        assert!(path.exists(), "it is another's by now");
        second.file.remove();
        assert!(!path.exists());
        fs::write(&path, "precious").unwrap();
        assert!(bind(&path).unwrap_err().to_string().contains("no socket"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn long_paths_and_dead_links() {
        let directory = directory("long");
        let deep = directory.join("x".repeat(100)).join("y".repeat(100));
        fs::create_dir_all(&deep).unwrap();
        let bound = bind(&deep.join("s")).unwrap();
        connect(&deep.join("s")).unwrap();
        let link = directory.join("link");
        std::os::unix::fs::symlink(deep.join("s"), &link).unwrap();
        assert!(!remove_if_dead(&link));
        bound.file.remove();
        assert!(remove_if_dead(&link) && fs::symlink_metadata(&link).is_err());
        fs::remove_dir_all(directory).unwrap();
    }
}
