//! What was typed, by option, and not yet judged but for its form.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// An option by its long name, with its value; those that take none have an empty one.
pub(super) type Given = (&'static str, OsString);

/// All options that were given.
#[derive(Debug)]
pub(super) struct Low(pub Vec<Given>);

/// One address a family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Addresses {
    pub v4: Option<Ipv4Addr>,
    pub v6: Option<Ipv6Addr>,
    /// `none` was the last that was said.
    pub none: bool,
}

impl Low {
    /// Whether a switch was given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(given, _)| *given == name)
    }

    /// Which of two options was given last, if any was.
    pub(super) fn last_of(&self, names: [&'static str; 2]) -> Option<&'static str> {
        self.0.iter().rev().map(|(given, _)| *given).find(|given| names.contains(given))
    }

    /// The last value of an option.
    pub(super) fn value(&self, name: &str) -> Option<&OsString> {
        self.0.iter().rev().find(|(given, _)| *given == name).map(|(_, value)| value)
    }

    /// The last value as a path.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.value(name).map(PathBuf::from)
    }

    /// The last value as text; `wrong` makes the message when it is none.
    pub(super) fn text(&self, name: &str, wrong: impl Fn(&str) -> String) -> Result<Option<&str>, String> {
        let value = self.value(name);
        value.map(|value| value.to_str().ok_or_else(|| wrong(&value.to_string_lossy()))).transpose()
    }

    /// All values of an option, as text.
    pub(super) fn texts(&self, name: &str, wrong: impl Fn(&str) -> String) -> Result<Vec<&str>, String> {
        let values = self.0.iter().filter(|(given, _)| *given == name).map(|(_, value)| value);
        values.map(|value| value.to_str().ok_or_else(|| wrong(&value.to_string_lossy()))).collect()
    }

    /// The last value of an option, read by `read`.
    pub(super) fn read<T>(
        &self,
        name: &str,
        wrong: impl Fn(&str) -> String,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, String> {
        self.text(name, &wrong)?.map(|text| read(text).ok_or_else(|| wrong(text))).transpose()
    }

    /// An option that may be given for each family.
    pub(super) fn addresses(&self, name: &str, wrong: impl Fn(&str) -> String) -> Result<Addresses, String> {
        let mut addresses = Addresses::default();
        for text in self.texts(name, &wrong)? {
            if text == "none" {
                addresses = Addresses { none: true, ..Addresses::default() };
                continue;
            }
            match text.parse().map_err(|_| wrong(text))? {
                IpAddr::V4(ip) if is_usable(ip.into()) => addresses.v4 = Some(ip),
                IpAddr::V6(ip) if is_usable(ip.into()) => addresses.v6 = Some(ip),
                _ => return Err(wrong(text)),
            }
        }
        Ok(addresses)
    }
}

/// Whether anybody can have the address.
pub(super) fn is_usable(ip: IpAddr) -> bool {
    let mapped = matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some());
    let broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
    !(ip.is_unspecified() || ip.is_multicast() || broadcast || mapped)
}
