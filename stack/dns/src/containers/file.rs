//! One network's file. The first line is where the server listens, then what this network's queries are forwarded to; each further
//! line is a container: `ID V4,V4 V6,V6 NAME,NAME [SERVER,SERVER]`, the fields one space apart.

use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;

use crate::name::Name;

/// The end of the name of an internal network's file.
const INTERNAL: &str = "%int";

/// What a network's file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkFile {
    /// Where the server listens for this network: one address or more.
    pub bind: Vec<IpAddr>,
    /// Whom queries of this network are forwarded to; none for the host's own servers.
    pub servers: Vec<IpAddr>,
    /// The containers, in the order in which they stand.
    pub containers: Vec<Container>,
}

/// A container's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its id; several lines with the same id, also of several networks, are one container.
    pub id: Rc<str>,
    /// Its addresses on this network.
    pub addresses: Box<[IpAddr]>,
    /// What it is called; what is no domain name is left out.
    pub names: Box<[Name]>,
    /// Whom its own queries are forwarded to.
    pub servers: Box<[IpAddr]>,
}

/// Why a file is not used. Lines are counted from one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not UTF-8.
    NotText,
    /// A line has less than the four fields of a container.
    TooFewEntries {
        /// The line.
        line: usize,
    },
    /// Something is no address.
    Address {
        /// The line.
        line: usize,
        /// What stands in the place of an address.
        text: String,
    },
    /// There is no address to listen at.
    NoBind,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NotText => f.write_str("it is not UTF-8"),
            Fault::TooFewEntries { line } => write!(f, "line {line} is improperly formatted - too few entries"),
            Fault::Address { line, text } => {
                write!(f, "line {line}: error parsing ip address {text}: invalid IP address syntax")
            }
            Fault::NoBind => f.write_str("it has no address to listen at"),
        }
    }
}

/// The network that a file of this name is about, and whether it is internal.
pub fn network_of(file_name: &str) -> (&str, bool) {
    file_name.strip_suffix(INTERNAL).map_or((file_name, false), |name| (name, true))
}

impl NetworkFile {
    /// Reads a file whole.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &[u8]) -> Result<NetworkFile, Fault> {
        let text = str::from_utf8(text).map_err(|_| Fault::NotText)?;
        let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.is_empty());
        let (number, first) = lines.next().ok_or(Fault::NoBind)?;
        let mut fields = first.split(' ');
        let mut list = || addresses(fields.next().unwrap_or_default(), number);
        let (bind, servers) = (list()?, list()?);
        if bind.is_empty() {
            return Err(Fault::NoBind);
        }
        let containers = lines.map(|(number, line)| Container::parse(line, number)).collect::<Result<_, _>>()?;
        Ok(NetworkFile { bind, servers, containers })
    }
}

impl Container {
    fn parse(line: &str, number: usize) -> Result<Container, Fault> {
        let mut fields = line.split(' ');
        let (Some(id), Some(v4), Some(v6), Some(names)) = (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(Fault::TooFewEntries { line: number });
        };
        let mut all = addresses(v4, number)?;
        all.extend(addresses(v6, number)?);
        let servers = addresses(fields.next().unwrap_or_default(), number)?;
        let mut known: Vec<Name> = Vec::new();
        for name in names.split(',').filter(|name| !name.is_empty() && *name != ".") {
            if let Ok(name) = Name::parse(name)
                && !known.contains(&name)
            {
                known.push(name);
            }
        }
        Ok(Container {
            id: id.to_lowercase().into(),
            addresses: all.into(),
            names: known.into(),
            servers: servers.into(),
        })
    }
}

/// A list of addresses; an empty field is an empty list.
fn addresses(field: &str, line: usize) -> Result<Vec<IpAddr>, Fault> {
    if field.is_empty() {
        return Ok(Vec::new());
    }
    field.split(',').map(|text| text.parse().map_err(|_| Fault::Address { line, text: text.to_owned() })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_file() {
        let text = "10.89.0.1,fd00::1 1.1.1.1,8.8.8.8 more\n\nABC 10.89.0.2,10.89.1.2 fd00::2 Web,alias,web,a..b\n\
                    d 10.89.0.3  db 9.9.9.9,::1 more\ne  fd00::9 six\nf   none\n";
        let file = NetworkFile::parse(text.as_bytes()).unwrap();
        assert_eq!((file.bind.len(), file.servers.len(), file.containers.len()), (2, 2, 4));
        let names = |at: usize| file.containers[at].names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!((&*file.containers[0].id, file.containers[0].addresses.len()), ("abc", 3));
        assert_eq!(names(0), ["web", "alias"], "no name twice, and what is no name is left out");
        assert_eq!(file.containers[1].servers.len(), 2, "whatever stands behind them");
        assert_eq!(file.containers[2].addresses[..], ["fd00::9".parse::<IpAddr>().unwrap()]);
        assert!(file.containers[3].addresses.is_empty());
    }

    #[test]
    fn a_file_that_cannot_be_used_says_why() {
        let fault = |text: &str| NetworkFile::parse(text.as_bytes()).unwrap_err();
        assert_eq!(fault(""), Fault::NoBind);
        assert_eq!(fault(" 1.1.1.1\n"), Fault::NoBind);
        assert_eq!(fault("10.0.0.1\nid 10.0.0.2 name\n"), Fault::TooFewEntries { line: 2 });
        assert_eq!(fault("10.0.0.1,\n"), Fault::Address { line: 1, text: String::new() });
        assert_eq!(fault("10.0.0.1\n\nid 10.0.0.x  n\n"), Fault::Address { line: 3, text: "10.0.0.x".into() });
        assert_eq!(fault("10.0.0.1 dns\n"), Fault::Address { line: 1, text: "dns".into() });
        assert_eq!(NetworkFile::parse(b"10.0.0.1\nid 10.0.0.2  \xff\n"), Err(Fault::NotText));
        assert!(fault("10.0.0.1\nid\n").to_string().contains("line 2 is improperly formatted - too few entries"));
    }

    #[test]
    fn the_files_name_says_whether_the_network_is_internal() {
        assert_eq!(network_of("podman1"), ("podman1", false));
        assert_eq!(network_of("podman1%int"), ("podman1", true));
    }
}
