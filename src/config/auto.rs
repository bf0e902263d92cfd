//! Ports that follow what listens in the container.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::publish::{bindable, port_range, protocol_of, split_address};
use super::{Binding, Protocol, Publish};

/// Which ports are opened by themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Auto {
    /// Where on the host.
    pub follow: Vec<Follow>,
    /// Which are not.
    pub except: Vec<Except>,
    /// Whether UDP ports count as in use too whose number is that of a TCP port that is: servers that carry data by UDP
    /// often open it when they are spoken to by TCP.
    pub mirrors_tcp: bool,
}

/// What is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follow {
    /// One protocol; `None` is both.
    pub protocol: Option<Protocol>,
    /// The host's address; `None` is all of both families.
    pub address: Option<IpAddr>,
    /// How the host's sockets are bound.
    pub binding: Binding,
    /// The only ports that are followed; none for all.
    pub only: Vec<RangeInclusive<u16>>,
}

/// Ports of the host's loopback that are reached at the container's as long as something listens at them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AutoExpose {
    /// What is followed.
    pub follow: Vec<FollowPorts>,
}

/// Ports of one protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowPorts {
    /// The protocol.
    pub protocol: Protocol,
    /// The only ports that are followed; none for all.
    pub only: Vec<RangeInclusive<u16>>,
}

impl AutoExpose {
    /// Whether anything is followed.
    pub fn follows_any(&self) -> bool {
        !self.follow.is_empty()
    }

    /// Whether a port is.
    pub fn follows(&self, protocol: Protocol, port: u16) -> bool {
        self.follow.iter().any(|follow| follow.protocol == protocol && is_among(&follow.only, port))
    }
}

fn is_among(only: &[RangeInclusive<u16>], port: u16) -> bool {
    only.is_empty() || only.iter().any(|range| range.contains(&port))
}

/// Ports that stay closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Except {
    /// One protocol; `None` is both.
    pub protocol: Option<Protocol>,
    /// Their numbers.
    pub ports: RangeInclusive<u16>,
}

impl Auto {
    /// Whether anything is followed.
    pub fn follows_any(&self) -> bool {
        !self.follow.is_empty()
    }

    /// Whether ports of a protocol are followed.
    pub fn follows(&self, protocol: Protocol) -> bool {
        self.follow.iter().any(|follow| follow.protocol.is_none_or(|one| one == protocol))
    }

    /// The rules by which the host is to have a port.
    pub fn rules(&self, protocol: Protocol, port: u16) -> impl Iterator<Item = Publish> {
        let of = move |one: Option<Protocol>| one.is_none_or(|one| one == protocol);
        let is_except = self.except.iter().any(|except| of(except.protocol) && except.ports.contains(&port));
        let follow =
            self.follow.iter().filter(move |follow| !is_except && of(follow.protocol) && is_among(&follow.only, port));
        follow.map(move |follow| Publish {
            protocol,
            address: follow.address,
            host: port..=port,
            container: port,
            guest: None,
            binding: follow.binding.clone(),
        })
    }
}

/// What `--publish` takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishArg {
    /// A rule.
    Rule(Publish),
    /// `[HOSTADDR:]auto[/tcp|/udp]`
    Auto(Follow),
    /// `~PORT[-END][/tcp|/udp]`
    Except(Except),
}

impl FromStr for PublishArg {
    type Err = String;

    fn from_str(text: &str) -> Result<PublishArg, String> {
        let (ports, protocol) = protocol_of(text)?;
        if let Some(ports) = ports.strip_prefix('~') {
            return Ok(PublishArg::Except(Except { protocol, ports: port_range(ports)? }));
        }
        if ports != "auto" && !ports.ends_with(":auto") {
            return text.parse().map(PublishArg::Rule);
        }
        let (address, word) = split_address(ports)?;
        if word != "auto" {
            return Err("auto stands for all ports: write auto, or ADDR:auto".into());
        }
        address.map_or(Ok(()), bindable)?;
        Ok(PublishArg::Auto(Follow { protocol, address, binding: Binding::default(), only: Vec::new() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms() {
        let auto = |protocol, address: Option<&str>| {
            PublishArg::Auto(Follow {
                protocol,
                address: address.map(|address| address.parse().unwrap()),
                binding: Binding::default(),
                only: Vec::new(),
            })
        };
        for (text, parsed) in [
            ("auto", auto(None, None)),
            ("auto/udp", auto(Some(Protocol::Udp), None)),
            ("127.0.0.1:auto/tcp", auto(Some(Protocol::Tcp), Some("127.0.0.1"))),
            ("[::1]:auto", auto(None, Some("::1"))),
            ("~22", PublishArg::Except(Except { protocol: None, ports: 22..=22 })),
            ("~5000-6000/udp", PublishArg::Except(Except { protocol: Some(Protocol::Udp), ports: 5000..=6000 })),
            ("8080:80", PublishArg::Rule("8080:80".parse().unwrap())),
        ] {
            assert_eq!(text.parse(), Ok(parsed), "{text}");
        }
        for wrong in ["~", "~x", "~0", "auto:80", "80:auto", "auto/sctp", "Auto", "~auto", ":auto", "1.2.3.4:80:auto"] {
            assert!(wrong.parse::<PublishArg>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_excluded_is_not_followed() {
        let mut auto = Auto::default();
        for text in ["auto/tcp", "127.0.0.1:auto/udp", "~22", "~53/udp"] {
            match text.parse().unwrap() {
                PublishArg::Auto(follow) => auto.follow.push(follow),
                PublishArg::Except(except) => auto.except.push(except),
                PublishArg::Rule(_) => panic!(),
            }
        }
        let texts = |protocol, port| auto.rules(protocol, port).map(|rule| rule.to_string()).collect::<Vec<_>>();
        assert_eq!(texts(Protocol::Tcp, 80), ["80"]);
        assert_eq!(texts(Protocol::Udp, 80), ["127.0.0.1:80/udp"]);
        assert!(texts(Protocol::Tcp, 22).is_empty() && texts(Protocol::Udp, 22).is_empty());
        assert!(texts(Protocol::Udp, 53).is_empty());
        assert_eq!(texts(Protocol::Tcp, 53), ["53"]);
    }
}
