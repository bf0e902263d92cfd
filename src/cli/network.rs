//! The options that every network has, turned into a [`Network`] and a [`Log`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use crate::config::{
    Auto, AutoExpose, BUSY_POLL_MAX, BusyPoll, Control, Expose, Limits, Link, Log, LogFormat, LoopbackSource, Network,
    Outbound, Publish, PublishArg, Subnet, THREADS_MAX,
};

use super::dns;
use super::faults::Faults;
use super::low::Low;
use super::subnet::{Family, subnet};
use super::value;

const MTU_MAX: u16 = 65520;
/// The least that one thread can serve a flow with.
const BUFFER_MIN: usize = 64 << 10;
/// RFC 8200 section 5.
const MTU_MIN_IPV6: u16 = 1280;
/// RFC 791 section 3.1: what every host takes.
const MTU_MIN_IPV4: u16 = 576;

/// The network that the options describe; `None` when `faults` has got at least one more.
pub(super) fn network(low: &Low, faults: &mut Faults) -> Option<Network> {
    let (with_ipv4, with_ipv6) = families(low, faults);
    let ipv4 = if with_ipv4 { subnet::<Ipv4Addr>(low, faults) } else { unused::<Ipv4Addr>(low, faults) };
    let ipv6 = if with_ipv6 { subnet::<Ipv6Addr>(low, faults) } else { unused::<Ipv6Addr>(low, faults) };
    let mtu_min = if with_ipv6 { MTU_MIN_IPV6 } else { MTU_MIN_IPV4 };
    let mtu = low.parse("mtu", faults, |text| match value::number(text, mtu_min.into(), MTU_MAX.into()) {
        Ok(mtu) => Ok(mtu as u16),
        Err(_) if with_ipv6 && value::number(text, MTU_MIN_IPV4.into(), MTU_MAX.into()).is_ok() => {
            Err("is too small for IPv6, which needs 1280: give 1280 or more, or --ipv4-only".into())
        }
        Err(message) => Err(message),
    });
    let threads = low.parse("threads", faults, |text| value::number(text, 1, THREADS_MAX as u64));
    let threads = threads.map_or(1, |threads| threads as usize);
    let (publish, auto) = publish(low, faults, with_ipv4, with_ipv6);
    let network = Network {
        ifname: low.parse("ifname", faults, value::ifname).unwrap_or_else(|| "tap0".into()),
        mtu: mtu.unwrap_or(MTU_MAX),
        mac: low.parse("mac", faults, value::mac),
        ipv4,
        ipv6,
        link: Link::default(),
        host_loopback: low.switch("host-loopback", faults),
        outbound: Outbound {
            ipv4: low.parse("outbound-addr", faults, own_address::<Ipv4Addr>),
            ipv6: low.parse("outbound-addr6", faults, own_address::<Ipv6Addr>),
            interface: low.parse("outbound-if", faults, own_interface),
            ..Outbound::default()
        },
        dns: dns::dns(low, faults),
        publish,
        auto,
        expose: expose(low, faults),
        auto_expose: AutoExpose::default(),
        loopback_source: low
            .parse("loopback-source", faults, |text| {
                value::word(text, &[("gateway", LoopbackSource::Gateway), ("container", LoopbackSource::Container)])
            })
            .unwrap_or_default(),
        limits: limits(low, threads, faults),
        threads,
        busy_poll: low.parse("busy-poll", faults, busy_poll).unwrap_or_default(),
    };
    (network.ipv4.is_some() == with_ipv4 && network.ipv6.is_some() == with_ipv6).then_some(network)
}

/// Where log lines go.
pub(super) fn log(low: &Low, faults: &mut Faults) -> Log {
    let levels = [
        ("off", LevelFilter::OFF),
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
        ("trace", LevelFilter::TRACE),
    ];
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    Log {
        level: low.parse("log-level", faults, |text| value::word(text, &levels)).unwrap_or(LevelFilter::WARN),
        format: low.parse("log-format", faults, |text| value::word(text, &formats)).unwrap_or_default(),
        file: low.get("log-file").map(|given| given.path()),
        bounded: None,
        preface: Vec::new(),
    }
}

/// Where the network is controlled from; `usual` unless it is said.
pub(super) fn control(low: &Low, usual: Control, faults: &mut Faults) -> Control {
    let Some(given) = low.get("control") else { return usual };
    let path = given.path();
    if path.as_os_str() == "none" {
        return Control::Off;
    }
    match (path.file_name(), std::path::absolute(&path)) {
        (Some(_), Ok(path)) => Control::At(path),
        _ => {
            faults.push(given.place(), "must be the path of a socket, or `none`");
            Control::Off
        }
    }
}

/// Which families are wanted. A flag that asks for one family overrules a file that asks for the other.
fn families(low: &Low, faults: &mut Faults) -> (bool, bool) {
    let only4 = low.switch("ipv4-only", faults);
    let only6 = low.switch("ipv6-only", faults);
    let is_flag = |name| low.get(name).is_some_and(|given| given.is_flag());
    match (only4 && only6, is_flag("ipv4-only"), is_flag("ipv6-only")) {
        (false, ..) => (!only6, !only4),
        (true, true, false) => (true, false),
        (true, false, true) => (false, true),
        (true, ..) => {
            faults.push("--ipv4-only, --ipv6-only", "exclude each other");
            (true, true)
        }
    }
}

/// Flags of a family that is switched off are a mistake; in a file they may stand.
fn unused<A: Family>(low: &Low, faults: &mut Faults) -> Option<Subnet<A>> {
    for name in std::iter::once(A::CIDR.0).chain(A::ADDRESSES.map(|(name, _)| name)) {
        if let Some(given) = low.get(name).filter(|given| given.is_flag()) {
            faults.push(given.place(), format!("{} is switched off", A::NAME));
        }
    }
    None
}

/// An address that this host has.
fn own_address<A: Family + Into<IpAddr>>(text: &str) -> Result<A, String> {
    let address: A = text.parse().map_err(|_| format!("must be an {} address", A::NAME))?;
    if address.into().is_multicast() {
        return Err("is a multicast address: nothing can come from it".into());
    }
    match UdpSocket::bind((address.into(), 0)) {
        Ok(_) => Ok(address),
        Err(error) => Err(format!("is not an address that this host can use: {error}")),
    }
}

/// An interface that this host has.
fn own_interface(text: &str) -> Result<String, String> {
    nix::net::if_::if_nametoindex(text).map(|_| text.to_owned()).map_err(|_| "is not an interface of this host".into())
}

fn busy_poll(text: &str) -> Result<BusyPoll, String> {
    if text == "auto" {
        return Ok(BusyPoll::Auto);
    }
    let micros = value::number(text, 0, BUSY_POLL_MAX.as_micros() as u64);
    micros.map(|micros| BusyPoll::For(Duration::from_micros(micros))).map_err(|message| format!("{message}, or auto"))
}

/// The ports to be published; none may be claimed twice, and each needs a family that the container has.
fn publish(low: &Low, faults: &mut Faults, with_ipv4: bool, with_ipv6: bool) -> (Vec<Publish>, Auto) {
    let mut rules: Vec<(String, Publish)> = Vec::new();
    let mut auto = Auto::default();
    let mut exceptions = Vec::new();
    for (place, rule) in low.parse_all("publish", faults, str::parse::<PublishArg>) {
        let address = match &rule {
            PublishArg::Rule(rule) => rule.guest.or(rule.address),
            PublishArg::Auto(follow) => follow.address,
            PublishArg::Except(_) => None,
        };
        let missing = match address {
            Some(IpAddr::V4(_)) if !with_ipv4 => Some(Ipv4Addr::NAME),
            Some(IpAddr::V6(_)) if !with_ipv6 => Some(Ipv6Addr::NAME),
            _ => None,
        };
        if let Some(family) = missing {
            faults.push(place, format!("{family} is switched off in the container"));
            continue;
        }
        let rule = match rule {
            PublishArg::Rule(rule) => rule,
            PublishArg::Auto(follow) => {
                auto.follow.push(follow);
                continue;
            }
            PublishArg::Except(except) => {
                auto.except.push(except);
                exceptions.push(place);
                continue;
            }
        };
        let clash = rules.iter().find_map(|(other, earlier)| earlier.clash(&rule).map(|socket| (other, socket)));
        if let Some((other, socket)) = clash {
            faults.push(place, format!("claims {socket}, as does {other}"));
        } else {
            rules.push((place, rule));
        }
    }
    if !auto.follows_any() {
        for place in exceptions {
            faults.push(place, "excludes ports from auto, which is not given: add -p auto");
        }
    }
    (rules.into_iter().map(|(_, rule)| rule).collect(), auto)
}

/// The host's ports that the container may reach at its loopback; none of its own may be claimed twice.
fn expose(low: &Low, faults: &mut Faults) -> Vec<Expose> {
    let mut rules: Vec<(String, Expose)> = Vec::new();
    for (place, rule) in low.parse_all("expose", faults, str::parse::<Expose>) {
        match rules.iter().find_map(|(other, earlier)| earlier.clash(&rule).map(|port| (other, port))) {
            Some((other, port)) => faults.push(place, format!("claims the container's port {port}, as does {other}")),
            None => rules.push((place, rule)),
        }
    }
    rules.into_iter().map(|(_, rule)| rule).collect()
}

fn limits(low: &Low, threads: usize, faults: &mut Faults) -> Limits {
    let default = Limits::default();
    let mut count = |name| low.parse(name, faults, value::count);
    let tcp_flows = count("max-tcp-flows").unwrap_or(default.tcp_flows);
    let half_open = count("max-half-open");
    let limits = Limits {
        tcp_flows,
        tcp_half_open: half_open.unwrap_or(default.tcp_half_open.min(tcp_flows)),
        udp_mappings: count("max-udp-mappings").unwrap_or(default.udp_mappings),
        icmp_mappings: count("max-icmp-mappings").unwrap_or(default.icmp_mappings),
        buffer_bytes: low.parse("max-buffer", faults, value::size).unwrap_or(default.buffer_bytes),
    };
    if let (Some(half_open), Some(given)) = (half_open, low.get("max-half-open"))
        && half_open > tcp_flows
    {
        faults.push(given.place(), format!("is more than --max-tcp-flows, {tcp_flows}"));
    }
    let least = [
        ("max-tcp-flows", limits.tcp_flows, threads),
        ("max-half-open", limits.tcp_half_open, threads),
        ("max-udp-mappings", limits.udp_mappings, threads),
        ("max-icmp-mappings", limits.icmp_mappings, threads),
        ("max-buffer", limits.buffer_bytes, threads * BUFFER_MIN),
    ];
    for (name, limit, least) in least {
        if let Some(given) = low.get(name).filter(|_| threads > 1 && limit < least) {
            faults.push(given.place(), format!("must be at least {least}: each of {threads} threads gets its part"));
        }
    }
    limits
}
