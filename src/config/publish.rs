//! A published port: host ports at which the container's are reached.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use rnet_stack::Family;

/// Host ports, and the container's ports behind them: a range is one rule, whatever its length.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Publish {
    /// What is carried.
    pub protocol: Protocol,
    /// The host's address; `None` is all of both families.
    pub address: Option<IpAddr>,
    /// The host's ports.
    pub host: RangeInclusive<u16>,
    /// The container's port behind the first of them; the others follow.
    pub container: u16,
    /// The container's address, where that is another than its own of the same family.
    pub guest: Option<IpAddr>,
    /// How the host's sockets are bound.
    pub binding: Binding,
}

/// How host sockets are bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Binding {
    /// The only interface on which clients are heard (SO_BINDTODEVICE).
    pub interface: Option<String>,
    /// Whether the address need not be one of the host's (IP_FREEBIND).
    pub free: bool,
    /// Whether ports that cannot be had are left out, as long as one can be had.
    pub best_effort: bool,
    /// The option that asks for it, where callers look for that in a message.
    pub asked_by: Option<String>,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Publish {
    /// Says what is wrong with its addresses.
    ///
    /// # Errors
    /// When nothing can listen at the host's, or nobody can have the container's.
    pub fn judge(&self) -> Result<(), String> {
        self.address.map_or(Ok(()), bindable)?;
        let Some(guest) = self.guest else { return Ok(()) };
        bindable(guest).map_err(|fault| format!("the container's address {guest} {fault}"))?;
        match guest {
            _ if guest.is_loopback() => Err("the container's loopback is reached from inside alone".into()),
            _ if guest.is_unspecified() => Err(format!("{guest} is no address that a container has")),
            _ => Ok(()),
        }
    }

    /// The host's addresses to be bound.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let any: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let of = self.address.map_or([Some(any[0]), Some(any[1])], |address| [Some(address), None]);
        of.into_iter().flatten()
    }

    /// How many ports it names.
    pub fn len(&self) -> usize {
        usize::from(self.host.end() - self.host.start()) + 1
    }

    /// Always false: a rule names one port at least.
    pub fn is_empty(&self) -> bool {
        self.host.is_empty()
    }

    /// The host's ports with the container's behind them.
    pub fn ports(&self) -> impl Iterator<Item = (u16, u16)> {
        let (first, container) = (*self.host.start(), self.container);
        self.host.clone().map(move |port| (port, container + (port - first)))
    }

    /// Whether it is only about the other family.
    pub fn leaves_out(&self, family: Family) -> bool {
        self.address.is_some_and(|address| Family::of(address) != family)
    }

    /// A host socket that both rules would claim.
    pub fn clash(&self, other: &Publish) -> Option<SocketAddr> {
        let port = *self.host.start().max(other.host.start());
        let meets = self.protocol == other.protocol && self.host.contains(&port) && other.host.contains(&port);
        let same =
            |a: IpAddr, b: IpAddr| a == b || (a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified()));
        let both = self.addresses().find_map(|a| other.addresses().find(|&b| same(a, b)).map(|b| (a, b)));
        let (a, b) = both.filter(|_| meets)?;
        Some(SocketAddr::new(if a.is_unspecified() { b } else { a }, port))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// The shortest form that parses to the same rule.
impl fmt::Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(IpAddr::V4(address)) => write!(f, "{address}:")?,
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
            None => {}
        }
        let range = |f: &mut fmt::Formatter<'_>, first: u16, last: u16| {
            if first == last { write!(f, "{first}") } else { write!(f, "{first}-{last}") }
        };
        let (first, last) = (*self.host.start(), *self.host.end());
        range(f, first, last)?;
        if self.container != first {
            f.write_str(":")?;
            range(f, self.container, self.container.saturating_add(last - first))?;
        }
        if let Some(guest) = self.guest {
            write!(f, "@{guest}")?;
        }
        if self.protocol == Protocol::Udp { f.write_str("/udp") } else { Ok(()) }
    }
}

/// `[HOSTADDR:]HOSTPORT[-END][:CONTAINERPORT[-END]][@CONTAINERADDR][/tcp|/udp]`, IPv6 addresses of the host's in brackets. The error says what is wrong.
impl FromStr for Publish {
    type Err = String;

    fn from_str(text: &str) -> Result<Publish, String> {
        let (text, protocol) = protocol_of(text)?;
        let protocol = protocol.unwrap_or(Protocol::Tcp);
        let (text, guest) = match text.rsplit_once('@') {
            Some((text, guest)) => {
                let guest = guest.parse::<IpAddr>().map_err(|_| format!("`{guest}` is not an IP address"))?;
                (text, Some(guest))
            }
            None => (text, None),
        };
        let (address, ports) = split_address(text)?;
        let (host, container) = match ports.split_once(':') {
            None => (port_range(ports)?, port_range(ports)?),
            Some((host, container)) => (port_range(host)?, port_range(container)?),
        };
        let len = |range: &RangeInclusive<u16>| u32::from(range.end() - range.start()) + 1;
        if len(&host) != len(&container) {
            let (host, container) = (len(&host), len(&container));
            return Err(format!("the host's {host} and the container's {container} ports must be as many"));
        }
        let binding = Binding::default();
        let rule = Publish { protocol, address, host, container: *container.start(), guest, binding };
        rule.judge().map(|()| rule)
    }
}

/// What stands before the protocol, and that if there is one.
pub(super) fn protocol_of(text: &str) -> Result<(&str, Option<Protocol>), String> {
    match text.rsplit_once('/') {
        None => Ok((text, None)),
        Some((text, "tcp")) => Ok((text, Some(Protocol::Tcp))),
        Some((text, "udp")) => Ok((text, Some(Protocol::Udp))),
        Some((_, other)) => Err(format!("`{other}` is not a protocol: tcp or udp")),
    }
}

pub(super) fn split_address(text: &str) -> Result<(Option<IpAddr>, &str), String> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or("the bracket is not closed")?;
        let address: Ipv6Addr = address.parse().map_err(|_| format!("`{address}` is not an IPv6 address"))?;
        let ports = rest.strip_prefix(':').ok_or("a colon and a port must follow the bracket")?;
        return Ok((Some(address.into()), ports));
    }
    if text.matches(':').count() > 2 {
        return Err("IPv6 addresses stand in brackets: [::1]:8080:80".into());
    }
    match text.split_once(':') {
        Some((first, ports)) if first.contains('.') || ports.contains(':') => {
            let address: Ipv4Addr = first.parse().map_err(|_| format!("`{first}` is not an IPv4 address"))?;
            Ok((Some(address.into()), ports))
        }
        _ => Ok((None, text)),
    }
}

pub(super) fn bindable(address: IpAddr) -> Result<(), String> {
    match address {
        _ if address.is_multicast() => Err("is a multicast address: nothing can listen there".into()),
        IpAddr::V4(address) if address.is_broadcast() => {
            Err("is the broadcast address: nothing can listen there".into())
        }
        IpAddr::V6(address) if address.is_unicast_link_local() => {
            Err("is a link-local address, which means nothing without its interface: name another one".into())
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => Err(format!("is an IPv4 address in disguise: write {mapped}")),
            None => Ok(()),
        },
        IpAddr::V4(_) => Ok(()),
    }
}

pub(super) fn port_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port @ 1..) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(port),
        _ => Err(format!("`{text}` is not a port from 1 to 65535")),
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    if first > last { Err(format!("the range {first}-{last} ends before it begins")) } else { Ok(first..=last) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Protocol, Option<String>, u16, u16, u16) {
        let rule: Publish = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        let address = rule.address.map(|address| address.to_string());
        (rule.protocol, address, *rule.host.start(), *rule.host.end(), rule.container)
    }

    #[test]
    fn all_forms() {
        use Protocol::{Tcp, Udp};
        assert_eq!(parsed("8080"), (Tcp, None, 8080, 8080, 8080));
        assert_eq!(parsed("8080:80"), (Tcp, None, 8080, 8080, 80));
        assert_eq!(parsed("8080:80/tcp"), (Tcp, None, 8080, 8080, 80));
        assert_eq!(parsed("5353:53/udp"), (Udp, None, 5353, 5353, 53));
        assert_eq!(parsed("127.0.0.1:8080"), (Tcp, Some("127.0.0.1".into()), 8080, 8080, 8080));
        assert_eq!(parsed("127.0.0.1:8080:80"), (Tcp, Some("127.0.0.1".into()), 8080, 8080, 80));
        assert_eq!(parsed("[::1]:8080:80"), (Tcp, Some("::1".into()), 8080, 8080, 80));
        assert_eq!(parsed("[2001:db8::1]:8080/udp"), (Udp, Some("2001:db8::1".into()), 8080, 8080, 8080));
        assert_eq!(parsed("8000-8009:9000-9009"), (Tcp, None, 8000, 8009, 9000));
        assert_eq!(parsed("0.0.0.0:1-65535"), (Tcp, Some("0.0.0.0".into()), 1, 65535, 1));
    }

    #[test]
    fn rules_are_written_as_they_are_read() {
        for text in [
            "8080:80@10.0.2.15",
            "[::]:8080@fd00::7/udp",
            "8080",
            "8080:80",
            "127.0.0.1:8080:80/udp",
            "[::1]:53/udp",
            "8000-8009:9000-9009",
            "1-65535/udp",
        ] {
            assert_eq!(text.parse::<Publish>().unwrap().to_string(), text);
        }
        assert_eq!("80:80/tcp".parse::<Publish>().unwrap().to_string(), "80");
    }

    #[test]
    fn nonsense_is_refused() {
        for wrong in [
            "",
            ":",
            "0",
            "0:80",
            "80:0",
            "65536",
            "-1",
            "80-",
            "-80",
            "90-80",
            "80:90-91",
            "80-81:90",
            "80-81:90-92",
            "x",
            "80:x",
            "80/sctp",
            "80/",
            "/udp",
            "+80",
            " 80",
            "80:80:80",
            "1.2.3:80:80",
            "256.0.0.1:80",
            "::1:80:80",
            "[::1]",
            "[::1]80",
            "[::1:80",
            "[127.0.0.1]:80",
            "224.0.0.1:80",
            "[ff02::1]:80",
            "[fe80::1]:80",
            "[::ffff:1.2.3.4]:80",
            "1.2.3.4:80:80:80",
            "80/tcp/tcp",
            "80@",
            "80@x",
            "80@127.0.0.1",
            "80@0.0.0.0",
            "80@ff02::1",
            "255.255.255.255:80",
        ] {
            assert!(wrong.parse::<Publish>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn clashes() {
        let clash = |a: &str, b: &str| a.parse::<Publish>().unwrap().clash(&b.parse().unwrap());
        assert_eq!(clash("80", "80:81"), Some("0.0.0.0:80".parse().unwrap()));
        assert_eq!(clash("80-90", "[::1]:85:1"), Some("[::1]:85".parse().unwrap()));
        assert_eq!(clash("127.0.0.1:80", "0.0.0.0:80"), Some("127.0.0.1:80".parse().unwrap()));
        for (a, b) in [("80", "81"), ("80", "80/udp"), ("127.0.0.1:80", "127.0.0.2:80"), ("0.0.0.0:80", "[::]:80")] {
            assert_eq!(clash(a, b), None, "{a} {b}");
        }
    }

    #[test]
    fn a_range_goes_along() {
        let rule: Publish = "8000-8002:65533-65535".parse().unwrap();
        assert_eq!(rule.ports().collect::<Vec<_>>(), [(8000, 65533), (8001, 65534), (8002, 65535)]);
        assert_eq!(("1-65535".parse::<Publish>().unwrap().len(), rule.addresses().count()), (65535, 2));
    }
}
