//! A file with a process's id in it, for as long as the process lives.

use std::fs;
use std::path::PathBuf;

use nix::unistd::getpid;

use super::error::{Error, Step};

/// The file; removed when dropped, if it is still this process's.
pub(super) struct PidFile {
    path: PathBuf,
    text: String,
}

impl PidFile {
    /// Writes the file.
    pub(super) fn write(path: PathBuf) -> Result<PidFile, Error> {
        let text = format!("{}\n", getpid());
        // Beside it first: a reader sees the whole number or no file.
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}", getpid()));
        let beside = path.with_file_name(name);
        let written = fs::write(&beside, &text).and_then(|()| fs::rename(&beside, &path));
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written.step(format!("write the process id to {}", path.display()))?;
        Ok(PidFile { path, text })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if fs::read_to_string(&self.path).is_ok_and(|text| text == self.text) {
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
        let file = PidFile::write(path.clone()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", getpid()));
        drop(file);
        assert!(!path.exists());
        let file = PidFile::write(path.clone()).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert!(path.exists());
        fs::remove_file(path).unwrap();
    }
}
