//! A port of the host's loopback that is reached at the container's.

use std::ops::RangeInclusive;
use std::str::FromStr;

use super::Protocol;
use super::publish::{port_range, protocol_of};

/// Ports at the container's loopback, and the host's behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expose {
    /// What is carried.
    pub protocol: Protocol,
    /// The container's ports.
    pub container: RangeInclusive<u16>,
    /// The host's port behind the first of them; the others follow.
    pub host: u16,
}

impl Expose {
    /// The container's ports.
    pub fn container_ports(&self) -> RangeInclusive<u16> {
        self.container.clone()
    }

    /// The host's port behind one of the container's.
    pub fn host_port(&self, protocol: Protocol, container: u16) -> Option<u16> {
        (protocol == self.protocol && self.container.contains(&container))
            .then(|| self.host + (container - self.container.start()))
    }

    /// A port of the container's that both would claim.
    pub fn clash(&self, other: &Expose) -> Option<u16> {
        let port = *self.container.start().max(other.container.start());
        let both = self.container.contains(&port) && other.container.contains(&port);
        (self.protocol == other.protocol && both).then_some(port)
    }
}

/// `[HOSTPORT[-END]:]PORT[-END][/tcp|/udp]`. The error says what is wrong.
impl FromStr for Expose {
    type Err = String;

    fn from_str(text: &str) -> Result<Expose, String> {
        let (ports, protocol) = protocol_of(text)?;
        let (host, container) = match ports.split_once(':') {
            None => (port_range(ports)?, port_range(ports)?),
            Some((host, container)) => {
                let container = port_range(container)?;
                let host = port_range(host)?;
                (if host.start() == host.end() { shifted(&container, *host.start())? } else { host }, container)
            }
        };
        if host.len() != container.len() {
            let (host, container) = (host.len(), container.len());
            return Err(format!("the host's {host} and the container's {container} ports must be as many"));
        }
        Ok(Expose { protocol: protocol.unwrap_or(Protocol::Tcp), container, host: *host.start() })
    }
}

/// As many ports, from another first one on.
fn shifted(range: &RangeInclusive<u16>, first: u16) -> Result<RangeInclusive<u16>, String> {
    let last = first.checked_add(range.end() - range.start());
    last.map(|last| first..=last).ok_or_else(|| "the host's ports would go beyond 65535".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms() {
        let expose = |protocol, container, host| Expose { protocol, container, host };
        for (text, parsed) in [
            ("8080", expose(Protocol::Tcp, 8080..=8080, 8080)),
            ("5432:15432", expose(Protocol::Tcp, 15432..=15432, 5432)),
            ("53:5353/udp", expose(Protocol::Udp, 5353..=5353, 53)),
            ("8000-8009/tcp", expose(Protocol::Tcp, 8000..=8009, 8000)),
            ("9000:8000-8009", expose(Protocol::Tcp, 8000..=8009, 9000)),
            ("9000-9009:8000-8009", expose(Protocol::Tcp, 8000..=8009, 9000)),
        ] {
            assert_eq!(text.parse(), Ok(parsed), "{text}");
        }
        for wrong in ["", "0", "80-", "1:2:3", "80-81:90", "65535:1-2", "80/sctp", "127.0.0.1:80", "a", "80-82:90-91"] {
            assert!(wrong.parse::<Expose>().is_err(), "{wrong}");
        }
        let range: Expose = "9000:8000-8009".parse().unwrap();
        assert_eq!((range.host_port(Protocol::Tcp, 8009), range.host_port(Protocol::Udp, 8009)), (Some(9009), None));
        assert_eq!(range.clash(&"8009-8010".parse().unwrap()), Some(8009));
        assert_eq!(range.clash(&"8009/udp".parse().unwrap()), None);
    }
}
