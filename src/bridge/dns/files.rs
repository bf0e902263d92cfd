//! The name server's files: one for each network, the first line the server's addresses, then a line for each container. They are
//! replaced whole, so that the server never reads half of one.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::PathBuf;

use nix::fcntl::{Flock, FlockArg};

use super::{Entry, Names, check, is_word};
use crate::bridge::error::{During, Error, Result};
use crate::bridge::lock::{make, remove};

/// The end of the name of an internal network's file.
const INTERNAL: &str = "%int";

impl Names {
    /// Adds containers; one that is there already is replaced.
    pub fn add(&self, entries: &[Entry]) -> Result<()> {
        // It is there whatever becomes of the entries: callers look into it after a failure.
        make(&self.directory).during(|| format!("create {}", self.directory.display()))?;
        check(entries)?;
        let _lock = self.lock()?;
        for entry in entries.iter().filter(|entry| is_identifiable(entry)) {
            let file = self.adopt(&entry.network, entry.internal)?;
            let mut lines = read(&file)?;
            if lines.is_empty() {
                lines.push(header(&entry.bind, &joined(&entry.network_servers)));
            }
            retain_others(&mut lines, &entry.container_id);
            lines.push(line(entry));
            self.write(&file, &lines)?;
        }
        Ok(())
    }

    /// Takes a container out of a network's file. `true`: something was changed.
    pub fn remove(&self, network: &str, container_id: &str) -> Result<bool> {
        if !self.directory.is_dir() {
            return Ok(false);
        }
        let _lock = self.lock()?;
        let Some(file) = self.existing(network) else { return Ok(false) };
        let mut lines = read(&file)?;
        let before = lines.len();
        retain_others(&mut lines, container_id);
        if lines.len() <= 1 {
            remove(&file).during(|| format!("remove {}", file.display()))?;
            return Ok(true);
        }
        if lines.len() != before {
            self.write(&file, &lines)?;
        }
        Ok(lines.len() != before)
    }

    /// Gives a network other name servers. `true`: something was changed.
    pub fn update(&self, network: &str, servers: &str) -> Result<bool> {
        if !self.directory.is_dir() {
            return Ok(false);
        }
        let _lock = self.lock()?;
        let Some(file) = self.existing(network) else { return Ok(false) };
        let mut lines = read(&file)?;
        let Some(first) = lines.first_mut() else { return Ok(false) };
        let bind = first.split(' ').next().unwrap_or_default();
        let new = header_of(bind, servers);
        if *first == new {
            return Ok(false);
        }
        *first = new;
        self.write(&file, &lines).map(|()| true)
    }

    /// netavark's own lock, for the case that both are at work.
    fn lock(&self) -> Result<Flock<File>> {
        let lock = File::create(&self.lock)
            .and_then(|file| Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno.into()));
        lock.during(|| format!("lock {}", self.lock.display()))
    }

    fn path(&self, network: &str, internal: bool) -> PathBuf {
        self.directory.join(format!("{network}{}", if internal { INTERNAL } else { "" }))
    }

    fn existing(&self, network: &str) -> Option<PathBuf> {
        [false, true].map(|internal| self.path(network, internal)).into_iter().find(|path| path.is_file())
    }

    /// The file of a network. One that was written before the network was known to be internal is renamed.
    fn adopt(&self, network: &str, internal: bool) -> Result<PathBuf> {
        let (file, plain) = (self.path(network, internal), self.path(network, false));
        if internal && plain.is_file() {
            fs::rename(&plain, &file).during(|| format!("rename {}", plain.display()))?;
        }
        Ok(file)
    }

    /// Everything in the directory is a network to the server, so the new file is made beside it.
    fn write(&self, file: &PathBuf, lines: &[String]) -> Result<()> {
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let new = self.lock.with_file_name(".aardvark-dns.new");
        let write = || fs::write(&new, text).and_then(|()| fs::rename(&new, file));
        write().during(|| format!("write {}", file.display()))
    }
}

fn is_identifiable(entry: &Entry) -> bool {
    let ok = is_word(&entry.container_id);
    if !ok {
        let id = &entry.container_id;
        tracing::warn!(target: "netavark::dns::aardvark", "invalid container id {id:?}: the container gets no name");
    }
    ok
}

fn read(file: &PathBuf) -> Result<Vec<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(text.lines().map(String::from).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::from(error).during(format!("read {}", file.display()))),
    }
}

/// Keeps the header and the lines of other containers.
fn retain_others(lines: &mut Vec<String>, container_id: &str) {
    let mut first = true;
    lines.retain(|line| std::mem::take(&mut first) || line.split(' ').next() != Some(container_id));
}

fn line(entry: &Entry) -> String {
    let of = |v4: bool| entry.addresses.iter().filter(|address| address.is_ipv4() == v4).copied().collect::<Vec<_>>();
    let (v4, v6) = (joined(&of(true)), joined(&of(false)));
    let mut line = format!("{} {v4} {v6} {}", entry.container_id, entry.names.join(","));
    if !entry.container_servers.is_empty() {
        line.push(' ');
        line.push_str(&joined(&entry.container_servers));
    }
    line
}

fn header(bind: &[IpAddr], servers: &str) -> String {
    header_of(&joined(bind), servers)
}

fn header_of(bind: &str, servers: &str) -> String {
    if servers.is_empty() { bind.into() } else { format!("{bind} {servers}") }
}

fn joined(addresses: &[IpAddr]) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str) -> Entry {
        Entry {
            network: "net".into(),
            internal: false,
            bind: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
            network_servers: vec!["1.1.1.1".parse().unwrap()],
            container_id: id.into(),
            addresses: vec!["10.0.0.2".parse().unwrap(), "10.0.0.3".parse().unwrap()],
            names: vec!["name".into(), "alias".into()],
            container_servers: Vec::new(),
        }
    }

    #[test]
    fn a_life() {
        let directory = std::env::temp_dir().join(format!("rnet-names-test-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let names = Names::new(&directory);
        let file = directory.join("aardvark-dns/net");
        names.add(&[entry("aa"), entry("a")]).unwrap();
        // The same again is no second line, and an id that begins another one is not it.
        names.add(&[Entry { container_servers: vec!["9.9.9.9".parse().unwrap()], ..entry("a") }]).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let lines =
            "10.0.0.1,fd00::1 1.1.1.1\naa 10.0.0.2,10.0.0.3  name,alias\na 10.0.0.2,10.0.0.3  name,alias 9.9.9.9\n";
        assert_eq!(text, lines);
        assert!(names.update("net", "8.8.8.8,8.8.4.4").unwrap());
        assert!(fs::read_to_string(&file).unwrap().starts_with("10.0.0.1,fd00::1 8.8.8.8,8.8.4.4\naa "));
        assert!(names.update("net", "").unwrap() && !names.update("none", "").unwrap());
        assert!(names.remove("net", "a").unwrap() && !names.remove("net", "a").unwrap());
        assert!(fs::read_to_string(&file).unwrap().starts_with("10.0.0.1,fd00::1\naa "));
        names.add(&[Entry { internal: true, ..entry("b") }]).unwrap();
        assert!(!file.exists() && directory.join("aardvark-dns/net%int").exists());
        assert!(names.remove("net", "aa").unwrap() && names.remove("net", "b").unwrap());
        assert!(names.existing("net").is_none() && !names.remove("net", "b").unwrap());
        let looped = Entry { network_servers: vec!["10.0.0.1".parse().unwrap()], ..entry("c") };
        let error = names.add(&[looped]).unwrap_err().to_string();
        assert!(error.contains("network DNS server 10.0.0.1 matches the gateway of network"), "{error}");
        fs::remove_dir_all(&directory).unwrap();
    }
}
