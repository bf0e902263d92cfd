//! Words and `--name value` options of a command line.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// What was typed, taken apart.
pub struct Arguments {
    words: std::vec::IntoIter<String>,
    options: HashMap<String, String>,
}

impl Arguments {
    /// Takes apart this process's arguments.
    pub fn from_env() -> Result<Self, String> {
        let mut words = Vec::new();
        let mut options = HashMap::new();
        let mut typed = std::env::args().skip(1);
        while let Some(argument) = typed.next() {
            match argument.strip_prefix("--") {
                Some(name) => {
                    let value = typed.next().ok_or_else(|| format!("--{name} needs a value"))?;
                    options.insert(name.to_owned(), value);
                }
                None => words.push(argument),
            }
        }
        Ok(Self { words: words.into_iter(), options })
    }

    /// The next word.
    pub fn word(&mut self, what: &str) -> Result<String, String> {
        self.words.next().ok_or_else(|| format!("{what} is missing"))
    }

    /// The next word as an address.
    pub fn address(&mut self) -> Result<IpAddr, String> {
        let word = self.word("an address")?;
        word.parse().map_err(|_| format!("{word:?} is no IP address"))
    }

    /// The next word as an address, with one of the server's ports; `--shift` says by how much a published port is higher.
    pub fn target(&mut self, port: u16) -> Result<SocketAddr, String> {
        let shift = self.option("shift", 0_u16)?;
        let port = port.checked_add(shift).ok_or_else(|| format!("--shift: {shift} is too much"))?;
        Ok(SocketAddr::new(self.address()?, port))
    }

    /// The words that are left.
    pub fn rest(&mut self) -> Vec<String> {
        self.words.by_ref().collect()
    }

    /// An option's value, or `default`.
    pub fn option<T: FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        match self.options.get(name) {
            Some(value) => value.parse().map_err(|_| format!("--{name}: {value:?} is not usable")),
            None => Ok(default),
        }
    }

    /// `--seconds`, never longer than two minutes.
    pub fn seconds(&self, default: f64) -> Result<Duration, String> {
        Ok(Duration::from_secs_f64(self.option("seconds", default)?.clamp(0.01, 120.0)))
    }
}
