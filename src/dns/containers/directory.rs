//! The directory with the networks' files, read again where it has changed: what a reload costs depends on the networks that have,
//! not on the others.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rnet_dns::containers::{NetworkFile, network_of};
use tracing::{error, warn};

use super::pid_file;
use super::stamp::Stamp;

/// A file that is longer is no network's: some 100,000 containers find room in it.
const LEN_MAX: u64 = 16 << 20;

/// Networks at the most; each has sockets.
const NETWORKS_MAX: usize = 4096;

/// The directory, and what is known of it.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    files: HashMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    stamp: Stamp,
    /// Whether it was ever read well.
    is_served: bool,
}

/// What has become of a network.
#[derive(Debug)]
pub enum Change {
    /// It is there, or different from before.
    Set {
        /// Its name.
        network: String,
        /// Whether it is internal.
        is_internal: bool,
        /// What its file says.
        file: NetworkFile,
    },
    /// It is there no more.
    Gone {
        /// Its name.
        network: String,
    },
}

impl Directory {
    /// A directory of which nothing is known as yet.
    pub fn new(path: &Path) -> Directory {
        Directory { path: path.into(), files: HashMap::new() }
    }

    /// What has changed since it was last asked, first what is gone. A file that cannot be read or understood leaves its network as
    /// it was: it may be being written.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn changes(&mut self) -> io::Result<Vec<Change>> {
        let (mut changes, mut present) = (Vec::new(), HashMap::new());
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let Ok(name) = name.into_string() else {
                warn!("a file whose name is not UTF-8 is no network's");
                continue;
            };
            if name == pid_file::NAME || name.starts_with('.') {
                continue;
            }
            if present.len() >= NETWORKS_MAX {
                error!("there are more than {NETWORKS_MAX} networks; {name} is not served");
                continue;
            }
            let known = self.files.remove(&name);
            match self.look(&name, known.as_ref()) {
                Ok(None) => {
                    present.extend(known.map(|known| (name, known)));
                }
                Ok(Some((stamp, change))) => {
                    let is_served = change.is_some() || known.is_some_and(|known| known.is_served);
                    changes.extend(change);
                    present.insert(name, Known { stamp, is_served });
                }
                Err(error) => {
                    if error.kind() != io::ErrorKind::IsADirectory {
                        error!("Error reading config file {name:?} for server update: {error}");
                    }
                    // What is gone between two looks is gone; what cannot be read now may be later.
                    present
                        .extend(known.filter(|_| error.kind() != io::ErrorKind::NotFound).map(|known| (name, known)));
                }
            }
        }
        let gone = std::mem::replace(&mut self.files, present);
        let gone =
            gone.into_iter().filter(|(_, known)| known.is_served).map(|(name, _)| network_of(&name).0.to_owned());
        // A network that was renamed to an internal one, or back, is the same network.
        let stays =
            |network: &String| self.files.iter().any(|(name, known)| known.is_served && network_of(name).0 == network);
        let gone: Vec<Change> =
            gone.filter(|network| !stays(network)).map(|network| Change::Gone { network }).collect();
        Ok(gone.into_iter().chain(changes).collect())
    }

    /// How many networks are served.
    pub fn served(&self) -> usize {
        self.files.values().filter(|known| known.is_served).count()
    }

    /// Reads a file if it may have changed, to be told as a change if it can be understood.
    fn look(&self, name: &str, known: Option<&Known>) -> io::Result<Option<(Stamp, Option<Change>)>> {
        let path = self.path.join(name);
        // Before it is opened: opening a fifo would wait.
        let metadata = fs::metadata(&path)?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !metadata.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let stamp = Stamp::of(&metadata);
        if known.is_some_and(|known| stamp.is_as(&known.stamp)) {
            return Ok(None);
        }
        let mut text = Vec::new();
        File::open(&path)?.take(LEN_MAX + 1).read_to_end(&mut text)?;
        if text.len() as u64 > LEN_MAX {
            return Err(io::Error::other(format!("it is longer than {} MiB", LEN_MAX >> 20)));
        }
        let (network, is_internal) = network_of(name);
        let change = match NetworkFile::parse(&text) {
            Ok(file) => Some(Change::Set { network: network.into(), is_internal, file }),
            Err(fault) => {
                error!("configuration file {} is not used: {fault}", path.display());
                None
            }
        };
        Ok(Some((stamp, change)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(directory: &mut Directory) -> Vec<String> {
        let mut told: Vec<String> = directory
            .changes()
            .unwrap()
            .into_iter()
            .map(|change| match change {
                Change::Set { network, is_internal, file } => {
                    format!("{network} {is_internal} {}", file.containers.len())
                }
                Change::Gone { network } => format!("-{network}"),
            })
            .collect();
        told.sort();
        told
    }

    #[test]
    fn only_what_has_changed_is_read() {
        let path = std::env::temp_dir().join(format!("rnet-names-directory-{}", std::process::id()));
        fs::create_dir_all(path.join("folder")).unwrap();
        let write = |name: &str, text: &str| fs::write(path.join(name), text).unwrap();
        write("a", "10.0.0.1\nx 10.0.0.2  x\n");
        write("b%int", "10.0.1.1\n");
        write("bad", "10.0.2.1\nx\n");
        write("aardvark.pid", "7");
        let mut directory = Directory::new(&path);
        assert_eq!(told(&mut directory), ["a false 1", "b true 0"]);
        assert_eq!(directory.served(), 2);
        std::thread::sleep(std::time::Duration::from_millis(60));
        directory.changes().unwrap();
        assert!(told(&mut directory).is_empty(), "nothing has changed");
        write("a", "10.0.0.1\nx 10.0.0.3  x\n");
        assert_eq!(told(&mut directory), ["a false 1"]);
        // Half of a file is none, and the network stays as it was.
        write("a", "10.0.0.1\nx 10.0.0");
        assert!(told(&mut directory).is_empty());
        assert_eq!(directory.served(), 2);
        write("bad", "10.0.2.1\n");
        fs::rename(path.join("a"), path.join("a%int")).unwrap();
        write("a%int", "10.0.0.1\n");
        assert_eq!(told(&mut directory), ["a true 0", "bad false 0"]);
        std::thread::sleep(std::time::Duration::from_millis(60));
        // What was written a moment before it was read is read once more.
        assert_eq!(told(&mut directory), ["a true 0", "bad false 0"]);
        fs::remove_file(path.join("a%int")).unwrap();
        fs::remove_file(path.join("b%int")).unwrap();
        assert_eq!(told(&mut directory), ["-a", "-b"]);
        assert_eq!(directory.served(), 1);
        fs::remove_dir_all(&path).unwrap();
        assert!(directory.changes().is_err());
    }
}
