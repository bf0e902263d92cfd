//! A file with a process's id in it, for as long as the process lives.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::getpid;

use super::error::{Error, Step};

/// The file; removed when dropped, if it is still this process's and not to be left behind.
pub(super) struct PidFile {
    path: PathBuf,
    text: String,
    stays: bool,
}

impl PidFile {
    /// Writes the file; it `stays` behind at the end, or not.
    pub(super) fn write(path: PathBuf, stays: bool) -> Result<PidFile, Error> {
        let text = format!("{}\n", getpid());
        replace(&path, &text).step(format!("write the process id to {}", path.display()))?;
        Ok(PidFile { path, text, stays })
    }
}

/// Writes beside it first: a reader sees the whole number or no file.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    // To put a file in the place of a device, as of /dev/null, would take the device away from everybody.
    if fs::metadata(path).is_ok_and(|file| !file.is_file()) {
        // Nobody may be reading from a pipe.
        let mut device = File::options().write(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        return device.write_all(text.as_bytes());
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", getpid()));
    let beside = path.with_file_name(name);
    // Where others may make files too, nobody's link is followed.
    let mut file = match File::options().write(true).create_new(true).open(&beside) {
        // The file may be one's own in a directory that is not.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return File::options().write(true).truncate(true).open(path)?.write_all(text.as_bytes());
        }
        file => file?,
    };
    let written = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let is_file = fs::symlink_metadata(&self.path).is_ok_and(|file| file.is_file());
        if !self.stays && is_file && fs::read_to_string(&self.path).is_ok_and(|text| text == self.text) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_while_it_is_ours() {
        let path = std::env::temp_dir().join(format!("rnet-pid-test-{}", getpid()));
        let file = PidFile::write(path.clone(), false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", getpid()));
        drop(file);
        assert!(!path.exists());
        let file = PidFile::write(path.clone(), false).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert!(path.exists());
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn it_takes_the_place_of_nothing_but_files() {
        let directory = std::env::temp_dir().join(format!("rnet-pid-place-{}", getpid()));
        fs::create_dir(&directory).unwrap();
        let pipe = directory.join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(PidFile::write(pipe.clone(), false).is_err());
        let reader = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&pipe).unwrap();
        drop(PidFile::write(pipe.clone(), true).unwrap());
        assert_eq!(io::read_to_string(reader).unwrap(), format!("{}\n", getpid()));
        assert!(pipe.symlink_metadata().is_ok_and(|file| !file.is_file()));

        let victim = directory.join("victim");
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, directory.join(format!("pid.{}", getpid()))).unwrap();
        assert!(PidFile::write(directory.join("pid"), false).is_err());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        // A link to a device stays what it is.
        let null = directory.join("null");
        std::os::unix::fs::symlink("/dev/null", &null).unwrap();
        drop(PidFile::write(null.clone(), true).unwrap());
        assert!(null.is_symlink());
        fs::remove_dir_all(directory).unwrap();
    }
}
