//! Kernel settings below /proc/sys. They are read first and only written when they differ, so that a read-only /proc with
//! the right values will do.

use std::fs;
use std::io::ErrorKind;

use super::error::{During, Error, Result};

/// A setting: its path below /proc/sys, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl {
    /// `net/ipv4/ip_forward`
    pub name: String,
    /// `1`
    pub value: &'static str,
}

impl Sysctl {
    /// A setting.
    pub fn new(name: impl Into<String>, value: &'static str) -> Sysctl {
        Sysctl { name: name.into(), value }
    }

    /// A setting of one interface, `net/FAMILY/conf/INTERFACE/KEY`.
    pub fn of(family: &str, interface: &str, key: &str, value: &'static str) -> Sysctl {
        Sysctl::new(format!("net/{family}/conf/{interface}/{key}"), value)
    }

    /// Makes it so.
    pub fn apply(&self) -> Result<()> {
        let path = format!("/proc/sys/{}", self.name);
        match fs::read_to_string(&path) {
            Ok(present) if present.trim() == self.value => Ok(()),
            _ => fs::write(&path, self.value).map_err(Error::from).during(|| format!("set sysctl {}", self.name)),
        }
    }

    /// Makes it so if the kernel has it and lets us.
    pub fn apply_if_possible(&self) -> Result<()> {
        match self.apply() {
            Err(Error::During(_, cause)) if matches!(&*cause, Error::Io(error) if is_absent(error)) => Ok(()),
            other => other,
        }
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ReadOnlyFilesystem)
}
