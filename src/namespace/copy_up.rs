//! Makes a directory writable inside without touching the host's: a tmpfs with links to the originals.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

use crate::sys;

use super::error::{Error, Step};

/// Where the originals are to be seen, read-only, below the directory.
const ORIGINALS: &str = ".rnet-original";

/// Covers a directory. What is mounted below it stays usable and as writable as it was.
pub(super) fn copy_up(directory: &Path) -> Result<(), Error> {
    let operation = || format!("make {} writable", directory.display());
    let mode = fs::metadata(directory).step(operation())?.mode() & 0o7777;
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
    for entry in fs::read_dir(&hidden).step(operation())? {
        let name = entry.step(operation())?.file_name();
        // The directory is such a copy itself, as in `rnet run` within `rnet run`: its links lead to its own originals.
        if name == ORIGINALS {
            continue;
        }
        // A link's own target may be relative, so it is copied rather than linked to.
        let target = fs::read_link(hidden.join(&name)).unwrap_or_else(|_| Path::new(ORIGINALS).join(&name));
        symlink(target, directory.join(&name)).step(operation())?;
    }
    Ok(())
}
