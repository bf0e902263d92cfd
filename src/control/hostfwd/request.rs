//! Requests: what is understood, and the words by which the rest is refused. Callers look for them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value};

use crate::config::{Binding, Protocol, Publish};

/// A request that is shorter.
pub(super) const REQUEST_MAX: usize = 4096;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Publish a port.
    Add(HostForward),
    /// Tell which are published.
    List,
    /// Publish a port no longer.
    Remove(u64),
}

/// A port that is published, as the client has said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostForward {
    /// The rule.
    pub publish: Publish,
    /// The container's address.
    pub guest: IpAddr,
}

/// The container's own addresses: what is meant where none is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Own {
    /// Its IPv4 address, if it has one.
    pub ipv4: Option<Ipv4Addr>,
    /// Its IPv6 address, if it has one.
    pub ipv6: Option<Ipv6Addr>,
}

impl Own {
    fn like(self, host: IpAddr) -> Option<IpAddr> {
        match host {
            IpAddr::V4(_) => self.ipv4.map(IpAddr::V4),
            IpAddr::V6(_) => self.ipv6.map(IpAddr::V6),
        }
    }
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// The original's words, behind "bad request: ".
    pub words: &'static str,
    /// What is in the way, where those words do not say it.
    pub reason: Option<String>,
}

impl Refused {
    /// Nothing but the words.
    pub(super) const fn by(words: &'static str) -> Refused {
        Refused { words, reason: None }
    }
}

/// Whether text that is no JSON may become some when more of it comes.
pub(super) fn is_unfinished(text: &[u8]) -> bool {
    serde_json::from_slice::<Value>(text).is_err_and(|error| error.is_eof())
}

/// Reads a request. `own` says what is left out.
pub(super) fn parse(text: &[u8], own: Own) -> Result<Request, Refused> {
    let value: Value = serde_json::from_slice(text).map_err(|_| Refused::by("cannot parse JSON"))?;
    let Value::Object(request) = value else { return Err(Refused::by("json_object() failed")) };
    let nothing = Map::new();
    let arguments = request.get("arguments").and_then(Value::as_object).unwrap_or(&nothing);
    match request.get("execute").and_then(Value::as_str) {
        Some("add_hostfwd") => add(arguments, own).map(Request::Add),
        Some("list_hostfwd") => Ok(Request::List),
        Some("remove_hostfwd") => arguments
            .get("id")
            .and_then(whole)
            .map(Request::Remove)
            .ok_or(Refused::by("remove_hostfwd: bad arguments.id")),
        Some(_) => Err(Refused::by("unknown execute")),
        None => Err(Refused::by("no execute found")),
    }
}

/// A whole number; some clients write all numbers with a point.
fn whole(value: &Value) -> Option<u64> {
    let of_float = || value.as_f64().filter(|number| number.fract() == 0.0 && (0.0..=1e15).contains(number));
    value.as_u64().or_else(|| of_float().map(|number| number as u64))
}

fn add(arguments: &Map<String, Value>, own: Own) -> Result<HostForward, Refused> {
    let bad_proto = Refused::by("add_hostfwd: bad arguments.proto");
    let proto = arguments.get("proto").and_then(Value::as_str).ok_or(bad_proto.clone())?;
    let (protocol, family) = match proto {
        "tcp" => (Protocol::Tcp, None),
        "udp" => (Protocol::Udp, None),
        "tcp4" => (Protocol::Tcp, Some(Family::V4)),
        "udp4" => (Protocol::Udp, Some(Family::V4)),
        "tcp6" => (Protocol::Tcp, Some(Family::V6)),
        "udp6" => (Protocol::Udp, Some(Family::V6)),
        _ => return Err(bad_proto),
    };
    let bad_host = "add_hostfwd: bad arguments.host_addr";
    let unspecified = match family {
        Some(Family::V6) => Ipv6Addr::UNSPECIFIED.into(),
        _ => Ipv4Addr::UNSPECIFIED.into(),
    };
    let host = address(arguments, "host_addr", unspecified, bad_host)?;
    if family.is_some_and(|family| family.is_other(host)) {
        return Err(Refused::by(bad_host));
    }
    let host_port = port(arguments, "host_port", "add_hostfwd: bad arguments.host_port")?;
    let bad_guest = "add_hostfwd: bad arguments.guest_addr";
    // Without IPv6 inside, IPv6 clients reach the container's IPv4.
    let usual = own.like(host).or(own.ipv4.map(IpAddr::V4));
    let guest = address(arguments, "guest_addr", usual.ok_or(Refused::by(bad_guest))?, bad_guest)?;
    let guest_port = port(arguments, "guest_port", "add_hostfwd: bad arguments.guest_port")?;
    let publish = Publish {
        protocol,
        address: Some(host),
        host: host_port..=host_port,
        container: guest_port,
        guest: Some(guest).filter(|guest| own.like(host) != Some(*guest)),
        binding: Binding::default(),
    };
    publish.judge().map_err(|fault| Refused {
        words: if publish.guest.is_some() { bad_guest } else { bad_host },
        reason: Some(fault),
    })?;
    Ok(HostForward { publish, guest })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    fn is_other(self, address: IpAddr) -> bool {
        address.is_ipv6() != (self == Family::V6)
    }
}

/// An address; `usual` where none or an empty one is given.
fn address(arguments: &Map<String, Value>, name: &str, usual: IpAddr, words: &'static str) -> Result<IpAddr, Refused> {
    match arguments.get(name) {
        None | Some(Value::Null) => Ok(usual),
        Some(Value::String(text)) if text.is_empty() => Ok(usual),
        Some(Value::String(text)) => text.parse().map_err(|_| Refused::by(words)),
        Some(_) => Err(Refused::by(words)),
    }
}

fn port(arguments: &Map<String, Value>, name: &str, words: &'static str) -> Result<u16, Refused> {
    let number = arguments.get(name).and_then(whole);
    number.and_then(|number| u16::try_from(number).ok()).filter(|port| *port > 0).ok_or(Refused::by(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Own = Own { ipv4: Some(Ipv4Addr::new(10, 0, 2, 100)), ipv6: None };

    fn forward(arguments: &str) -> Result<String, &'static str> {
        let text = format!(r#"{{"execute":"add_hostfwd","arguments":{arguments}}}"#);
        match parse(text.as_bytes(), OWN) {
            Ok(Request::Add(forward)) => Ok(format!("{} {}", forward.publish, forward.guest)),
            Ok(other) => panic!("{other:?}"),
            Err(refused) => Err(refused.words),
        }
    }

    #[test]
    fn what_is_left_out_is_the_usual() {
        let rest = r#""host_port":8080,"guest_port":80"#;
        assert_eq!(forward(&format!(r#"{{"proto":"tcp",{rest}}}"#)).unwrap(), "0.0.0.0:8080:80 10.0.2.100");
        assert_eq!(
            forward(&format!(r#"{{"proto":"udp6",{rest}}}"#)).unwrap(),
            "[::]:8080:80@10.0.2.100/udp 10.0.2.100"
        );
        let own = format!(r#"{{"proto":"tcp","host_addr":"","guest_addr":"10.0.2.100",{rest}}}"#);
        assert_eq!(forward(&own).unwrap(), "0.0.0.0:8080:80 10.0.2.100");
        let other = format!(r#"{{"proto":"tcp","host_addr":"127.0.0.1","guest_addr":"10.0.2.15",{rest}}}"#);
        assert_eq!(forward(&other).unwrap(), "127.0.0.1:8080:80@10.0.2.15 10.0.2.15");
    }

    #[test]
    fn faults_are_told_in_the_order_of_the_original() {
        for (arguments, place) in [
            ("{}", "proto"),
            (r#"{"proto":null,"host_addr":1}"#, "proto"),
            (r#"{"proto":"tcp","host_addr":1}"#, "host_addr"),
            (r#"{"proto":"tcp","host_addr":"224.0.0.1","host_port":1,"guest_port":1}"#, "host_addr"),
            (r#"{"proto":"tcp","host_port":-1,"guest_addr":"x"}"#, "host_port"),
            (r#"{"proto":"tcp","host_port":"1","guest_addr":"x"}"#, "host_port"),
            (r#"{"proto":"tcp","host_port":1.0,"guest_addr":"x"}"#, "guest_addr"),
            (r#"{"proto":"tcp","host_port":1,"guest_addr":"0.0.0.0","guest_port":1}"#, "guest_addr"),
            (r#"{"proto":"tcp","host_port":1,"guest_port":65536}"#, "guest_port"),
        ] {
            assert_eq!(forward(arguments).unwrap_err(), format!("add_hostfwd: bad arguments.{place}"), "{arguments}");
        }
    }

    #[test]
    fn only_what_may_go_on_is_waited_for() {
        assert!(is_unfinished(b"") && is_unfinished(br#"{"execute":"#));
        assert!(!is_unfinished(b"{}") && !is_unfinished(b"nonsense") && !is_unfinished(&[0; 10]));
    }
}
