//! Makes a directory writable inside without touching the host's: a tmpfs with copies of directories and small files, and
//! links to the originals of the rest.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

use crate::sys;

use super::error::{Error, Step};

/// Where the originals are to be seen, read-only, below the directory.
const ORIGINALS: &str = ".rnet-original";

/// Files up to this size are copied, so that they can be changed in place; larger ones are data rather than configuration.
const FILE_MAX: u64 = 64 << 10;

/// What is copied of one directory at the most: start-up must not take long, and a tmpfs is memory.
const ENTRIES_MAX: usize = 20_000;
const BYTES_MAX: u64 = 32 << 20;

/// Covers a directory. What is mounted below it stays usable and as writable as it was.
pub(super) fn copy_up(directory: &Path) -> Result<(), Error> {
    let operation = || format!("make {} writable", directory.display());
    let metadata = fs::metadata(directory).step(operation())?;
    let mode = metadata.mode() & 0o7777;
    let originals = sys::clone_mount(directory).step(operation())?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), directory, Some("tmpfs"), flags, Some(format!("mode={mode:o}").as_str())).step(operation())?;
    let hidden = directory.join(ORIGINALS);
    fs::create_dir(&hidden).step(operation())?;
    sys::attach_mount(originals, &hidden).step(operation())?;
    match sys::make_read_only(&hidden) {
        // Before Linux 5.12: the host's own permissions still guard its files.
        Err(Errno::ENOSYS) => {}
        done => done.step(operation())?,
    }
    let mut mirror = Mirror { hidden, directory, device: metadata.dev(), entries: 0, bytes: 0 };
    mirror.fill(Path::new(""), 0).step(operation())
}

/// Fills a tmpfs from the originals.
struct Mirror<'a> {
    hidden: PathBuf,
    directory: &'a Path,
    /// The file system of the originals: what is mounted below them is linked to.
    device: u64,
    entries: usize,
    bytes: u64,
}

impl Mirror<'_> {
    /// Mirrors the directory `relative`, which is `depth` below the top and exists in the copy.
    fn fill(&mut self, relative: &Path, depth: usize) -> io::Result<()> {
        for entry in fs::read_dir(self.hidden.join(relative))? {
            let entry = entry?;
            // The directory is such a copy itself, as in `rnet run` within `rnet run`: its links lead to its own originals.
            if depth == 0 && entry.file_name() == ORIGINALS {
                continue;
            }
            let relative = relative.join(entry.file_name());
            self.entries += 1;
            let copied = match entry.metadata() {
                Ok(metadata) if self.entries <= ENTRIES_MAX => self.copy(&relative, &metadata, depth),
                _ => false,
            };
            if !copied {
                self.link(&relative, depth)?;
            }
        }
        Ok(())
    }

    /// Copies a directory with what is in it, a small file or a link; says whether that was to be done and could be.
    fn copy(&mut self, relative: &Path, metadata: &Metadata, depth: usize) -> bool {
        let (from, to) = (self.hidden.join(relative), self.directory.join(relative));
        let permissions = Permissions::from_mode(metadata.mode() & 0o777);
        if metadata.is_dir() {
            if metadata.dev() != self.device || fs::read_dir(&from).is_err() || fs::create_dir(&to).is_err() {
                return false;
            }
            // What cannot be mirrored is missing then; the originals still have it.
            let _ = self.fill(relative, depth + 1);
            let _ = fs::set_permissions(&to, permissions);
            return true;
        }
        if metadata.is_symlink() {
            // Its target may be relative.
            return fs::read_link(&from).and_then(|target| symlink(target, &to)).is_ok();
        }
        if !metadata.is_file() || metadata.len() > FILE_MAX || self.bytes + metadata.len() > BYTES_MAX {
            return false;
        }
        self.bytes += metadata.len();
        let copied = fs::read(&from).and_then(|contents| fs::write(&to, contents));
        if copied.is_err() {
            let _ = fs::remove_file(&to);
            return false;
        }
        let _ = fs::set_permissions(&to, permissions);
        true
    }

    /// Links to an original. The link is relative, so that it holds wherever the directory is mounted again.
    fn link(&self, relative: &Path, depth: usize) -> io::Result<()> {
        let up: PathBuf = std::iter::repeat_n("..", depth).collect();
        symlink(up.join(ORIGINALS).join(relative), self.directory.join(relative))
    }
}
