//! `aardvark.pid` beside the networks' files: how netavark finds the server that it is to signal.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file's name, which is no network's.
pub const NAME: &str = "aardvark.pid";

/// The file with this process's number. Dropping it removes it, if it is still about this process.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    pid: u32,
}

impl PidFile {
    /// Writes the number of this process, unless another server of the same directory is alive: that one is found by it until
    /// this one has proved that it can start ([`PidFile::claim`]).
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(directory: &Path) -> io::Result<PidFile> {
        let file = PidFile { path: directory.join(NAME), pid: std::process::id() };
        if !is_server(&file.path) {
            file.claim()?;
        }
        Ok(file)
    }

    /// Writes the number of this process, whoever's was there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn claim(&self) -> io::Result<()> {
        fs::write(&self.path, self.pid.to_string())
    }

    /// Removes it, if it is still about this process.
    pub fn remove(&self) {
        if fs::read_to_string(&self.path).is_ok_and(|text| text.trim() == self.pid.to_string()) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Whether a pid file is about a process that is a server of this kind.
fn is_server(path: &Path) -> bool {
    let name = b"aardvark-dns";
    let arguments = fs::read_to_string(path).and_then(|pid| {
        let pid: u32 = pid.trim().parse().map_err(io::Error::other)?;
        fs::read(format!("/proc/{pid}/cmdline"))
    });
    arguments.is_ok_and(|arguments| arguments.windows(name.len()).any(|part| part == name))
}
