//! How a network's names are resolved.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

pub use rnet_dns::Name;

use super::DnsServer;

/// Options that a resolv.conf has at the most: the C library reads no more of a line than 256 bytes.
const OPTION_LEN_MAX: usize = 64;

/// What answers at a network's DNS addresses, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// Whether anything does.
    pub service: DnsService,
    /// The servers that are asked; none for those of the host's resolv.conf, which is followed as it changes.
    pub servers: Vec<DnsServer>,
    /// Domains, each with the servers that are asked about them in the place of the others.
    pub domains: Vec<(Name, Vec<DnsServer>)>,
    /// The domains in which resolvers in the container look for short names.
    pub search: Vec<String>,
    /// Options of resolv.conf(5) beside those of the host's.
    pub options: Vec<String>,
    /// Names with their addresses.
    pub hosts: Vec<Host>,
    /// The container's own name, if it is known.
    pub hostname: Option<Name>,
    /// Whether answers from outside that lead to an address inside are held back.
    pub rebind_protection: bool,
    /// Bytes of answers that are kept at the most.
    pub cache: usize,
    /// For how long an answer is kept beyond its time, for when no server answers.
    pub stale: Duration,
    /// Queries at once that wait for a server.
    pub max_queries: usize,
    /// How several servers are asked.
    pub asking: Asking,
}

/// How several servers are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asking {
    /// The first that works, and soon another one beside it; a query that nobody answers is answered with SERVFAIL.
    #[default]
    Raced,
    /// One after the other from the first, whatever is known of them, with equal shares of five seconds; where nobody
    /// answers nothing is said. So aardvark-dns does, and its callers count on it for the servers that a container is given.
    InTurn,
}

/// Whether a network's DNS addresses answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsService {
    /// They do.
    On,
    /// They are dead, and the container asks whom it likes.
    Off,
}

impl Default for Dns {
    fn default() -> Dns {
        Dns {
            service: DnsService::On,
            servers: Vec::new(),
            domains: Vec::new(),
            search: Vec::new(),
            options: Vec::new(),
            hosts: Vec::new(),
            hostname: None,
            rebind_protection: false,
            cache: 1 << 20,
            stale: Duration::ZERO,
            max_queries: 1024,
            asking: Asking::Raced,
        }
    }
}

/// A name with an address: `NAME:ADDR` or `NAME=ADDR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The name.
    pub name: Name,
    /// Its address.
    pub address: HostAddress,
}

/// The address of a name that a user gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostAddress {
    /// This one.
    Ip(IpAddr),
    /// The gateway's: `host-gateway`.
    Gateway,
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Host, String> {
        let (name, address) =
            text.split_once([':', '=']).ok_or("must be NAME:ADDR, such as db:192.0.2.7 or db:fd00::7")?;
        let name = host_name(name)?;
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        let address = match bare {
            "host-gateway" => HostAddress::Gateway,
            bare => {
                HostAddress::Ip(bare.parse().map_err(|_| format!("`{bare}` is not an IP address or host-gateway"))?)
            }
        };
        Ok(Host { name, address })
    }
}

/// A name that a host can have.
fn host_name(text: &str) -> Result<Name, String> {
    if text.is_empty() || text == "." {
        return Err("a name is missing".into());
    }
    Name::parse(text).map_err(|error| format!("`{text}` {error}"))
}

/// A domain with a server that knows it: `DOMAIN=SERVER`.
pub fn domain_server(text: &str) -> Result<(Name, DnsServer), String> {
    let (domain, server) = text.split_once('=').ok_or("must be DOMAIN=SERVER, such as corp.example=10.1.2.3#5353")?;
    let domain = Name::parse(domain).map_err(|error| format!("`{domain}` {error}"))?;
    Ok((domain, server.parse()?))
}

/// A domain to be searched; `.` for none.
pub fn search_domain(text: &str) -> Result<String, String> {
    Name::parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// An option of resolv.conf(5).
pub fn resolver_option(text: &str) -> Result<String, String> {
    let fits = (1..=OPTION_LEN_MAX).contains(&text.len());
    if fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_:".contains(&byte)) {
        Ok(text.to_owned())
    } else {
        Err("is not an option of resolv.conf(5), such as ndots:2 or rotate".into())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            HostAddress::Ip(ip) => write!(f, "{}:{ip}", self.name),
            HostAddress::Gateway => write!(f, "{}:host-gateway", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_all_forms() {
        for (text, is) in [
            ("db:192.0.2.7", "db:192.0.2.7"),
            ("db=192.0.2.7", "db:192.0.2.7"),
            ("Db.Example.:fd00::7", "db.example:fd00::7"),
            ("db:[fd00::7]", "db:fd00::7"),
            ("me:host-gateway", "me:host-gateway"),
        ] {
            assert_eq!(text.parse::<Host>().unwrap().to_string(), is, "{text}");
        }
        for wrong in
            ["", "db", "db:", ":1.2.3.4", "db:1.2.3", "a..b:1.2.3.4", ".:1.2.3.4", "db:fe80::1%eth0", "db:[::1"]
        {
            assert!(wrong.parse::<Host>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn options_are_words() {
        assert!(["ndots:2", "rotate", "use-vc", "x_y"].iter().all(|text| resolver_option(text).is_ok()));
        assert!(
            ["", "a b", "a\nnameserver 1.1.1.1", &"x".repeat(65)].iter().all(|text| resolver_option(text).is_err())
        );
        assert!(search_domain("a\nb").is_err() && search_domain(".").is_ok());
        assert!(domain_server("corp=1.2.3.4#99").is_ok() && domain_server("corp:1.2.3.4").is_err());
    }
}
