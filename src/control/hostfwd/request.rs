//! Requests: what is understood, and the words by which the rest is refused. Callers look for them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value};

use crate::config::{Binding, Network, Protocol, Publish};

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

/// Reads a request. `network` says what is left out.
pub(super) fn parse(text: &[u8], network: &Network) -> Result<Request, Refused> {
    let value: Value = serde_json::from_slice(text).map_err(|_| Refused::by("cannot parse JSON"))?;
    let Value::Object(request) = value else { return Err(Refused::by("json_object() failed")) };
    let nothing = Map::new();
    let arguments = request.get("arguments").and_then(Value::as_object).unwrap_or(&nothing);
    match request.get("execute").and_then(Value::as_str) {
        Some("add_hostfwd") => add(arguments, network).map(Request::Add),
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

fn add(arguments: &Map<String, Value>, network: &Network) -> Result<HostForward, Refused> {
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
    let own = |of: IpAddr| match of {
        IpAddr::V4(_) => network.ipv4.map(|subnet| IpAddr::V4(subnet.address)),
        IpAddr::V6(_) => network.ipv6.map(|subnet| IpAddr::V6(subnet.address)),
    };
    // Without IPv6 inside, IPv6 clients reach the container's IPv4.
    let usual = own(host).or_else(|| own(Ipv4Addr::UNSPECIFIED.into()));
    let guest = address(arguments, "guest_addr", usual.ok_or(Refused::by(bad_guest))?, bad_guest)?;
    let guest_port = port(arguments, "guest_port", "add_hostfwd: bad arguments.guest_port")?;
    let publish = Publish {
        protocol,
        address: Some(host),
        host: host_port..=host_port,
        container: guest_port,
        guest: Some(guest).filter(|guest| own(host) != Some(*guest)),
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
