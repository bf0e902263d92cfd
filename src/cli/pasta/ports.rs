//! Port specifications: `-t`, `-u`, `-T` and `-U`.

use std::net::IpAddr;
use std::ops::RangeInclusive;

/// Ports of the host's and what is behind them, as one option has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    /// The option with its value, for messages.
    pub text: String,
    /// Where on the host.
    pub address: Option<IpAddr>,
    /// On which of its interfaces alone.
    pub interface: Option<String>,
    /// Ports that are named, without those that are excluded.
    pub ranges: Vec<Range>,
    /// Ports that are not wanted.
    pub except: Vec<RangeInclusive<u16>>,
    /// Whether all others are wanted as well.
    pub all: bool,
    /// Where all lead.
    pub all_to: Option<IpAddr>,
    /// Whether only those are wanted that something listens at.
    pub auto: bool,
}

/// Ports, and those behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub ports: RangeInclusive<u16>,
    /// The port behind the first.
    pub to: u16,
    /// The address behind them, if it is another than the container's.
    pub address: Option<IpAddr>,
}

/// What one direction of one protocol is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ports {
    /// Nothing.
    None,
    /// All that something listens at.
    Auto,
    /// These.
    Specs(Vec<Spec>),
}

impl Ports {
    /// Reads what was given with an option; nothing given is `auto`.
    pub(super) fn read(letter: char, values: &[&str]) -> Result<Ports, String> {
        let is_none = values.contains(&"none");
        if is_none && values.iter().any(|value| *value != "none") {
            return Err("Port forwarding mode 'none' conflicts with previous mode".into());
        }
        if is_none {
            return Ok(Ports::None);
        }
        if values.iter().all(|value| *value == "auto") {
            return Ok(Ports::Auto);
        }
        let specs = values.iter().map(|value| spec(letter, value).ok_or_else(|| invalid(value)));
        let specs = specs.collect::<Result<Vec<_>, _>>()?;
        let has_local = specs.iter().any(|spec| spec.address.is_some() || spec.interface.is_some());
        if has_local && letter.is_ascii_uppercase() {
            let value = values.iter().find(|value| value.contains('/')).unwrap_or(&"");
            return Err(invalid(value));
        }
        Ok(Ports::Specs(specs))
    }
}

fn invalid(value: &str) -> String {
    format!("Invalid port specifier {value}")
}

/// `[ADDR][%IFACE]/LIST` or `LIST`.
fn spec(letter: char, value: &str) -> Option<Spec> {
    let (address, interface, list) = match value.split_once('/').map(|(place, list)| (place_of(place), list)) {
        Some((Some((address, interface)), list)) => (address, interface, list),
        _ => (None, None, value),
    };
    let text = format!("-{letter} {value}");
    let mut spec = Spec {
        text,
        address,
        interface,
        ranges: Vec::new(),
        except: Vec::new(),
        all: false,
        all_to: None,
        auto: false,
    };
    for item in list.split(',') {
        if let Some(except) = item.strip_prefix('~') {
            spec.except.push(range(except)?);
        } else if item == "auto" {
            spec.auto = true;
        } else if let Some(to) = item.strip_prefix("all:") {
            spec.all = true;
            spec.all_to = Some(bare(to)?);
        } else if item == "all" {
            spec.all = true;
        } else {
            spec.ranges.push(mapped(item)?);
        }
    }
    // Exclusions alone, or nothing but the place, mean all others.
    spec.all |= spec.ranges.is_empty();
    spec.ranges = spec.ranges.iter().flat_map(|range| without(range, &spec.except)).collect();
    Some(spec)
}

/// `[ADDR][%IFACE]`, where one of both is there.
fn place_of(text: &str) -> Option<(Option<IpAddr>, Option<String>)> {
    let (address, interface) = match text.split_once('%') {
        Some((address, interface)) => (address, Some(interface)),
        None => (text, None),
    };
    let interface = match interface {
        Some(name) if name.is_empty() || name.len() > 15 => return None,
        name => name.map(str::to_owned),
    };
    let address = if address.is_empty() { None } else { Some(bare(address)?) };
    (address.is_some() || interface.is_some()).then_some((address, interface))
}

/// An address, in brackets or not.
fn bare(text: &str) -> Option<IpAddr> {
    text.strip_prefix('[').map_or(Some(text), |text| text.strip_suffix(']'))?.parse().ok()
}

/// `P[-P][:[ADDR/]Q[-Q]]` or `P[-P]:ADDR`.
fn mapped(item: &str) -> Option<Range> {
    let Some((ports, to)) = item.split_once(':') else {
        let ports = range(item)?;
        return Some(Range { to: *ports.start(), ports, address: None });
    };
    let ports = range(ports)?;
    if let Some(address) = bare(to) {
        return Some(Range { to: *ports.start(), ports, address: Some(address) });
    }
    let (address, to) = match to.rsplit_once('/') {
        Some((address, to)) => (Some(bare(address)?), to),
        None => (None, to),
    };
    let to = range(to)?;
    (to.len() == ports.len()).then(|| Range { to: *to.start(), ports, address })
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let port = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|port| digits && *port > 0)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some(first..=last)
}

/// What is left of a range.
fn without(range: &Range, except: &[RangeInclusive<u16>]) -> Vec<Range> {
    let offset = range.to.wrapping_sub(*range.ports.start());
    left(&range.ports, except)
        .into_iter()
        .map(|ports| Range { to: ports.start().wrapping_add(offset), ports, address: range.address })
        .collect()
}

/// What is left of a range of ports.
pub(super) fn left(ports: &RangeInclusive<u16>, except: &[RangeInclusive<u16>]) -> Vec<RangeInclusive<u16>> {
    let mut left = vec![ports.clone()];
    for gone in except {
        let cut = |range: RangeInclusive<u16>| {
            let below = (*range.start() < *gone.start()).then(|| *range.start()..=(*range.end()).min(gone.start() - 1));
            let above = (*range.end() > *gone.end()).then(|| (*range.start()).max(gone.end() + 1)..=*range.end());
            [below, above]
        };
        left = left.into_iter().flat_map(cut).flatten().collect();
    }
    left
}

/// The ports that no client gets by itself (ip_local_port_range), but those that are excluded.
pub(super) fn all_but(except: &[RangeInclusive<u16>]) -> Vec<RangeInclusive<u16>> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ends = text.split_whitespace().filter_map(|word| word.parse::<u16>().ok());
    let clients = ends.next().unwrap_or(32768)..=ends.next().unwrap_or(60999);
    left(&(1..=65535), &[except, &[clients]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: &str) -> Spec {
        match Ports::read('t', &[value]) {
            Ok(Ports::Specs(mut specs)) => specs.remove(0),
            other => panic!("{value}: {other:?}"),
        }
    }

    fn ranges(value: &str) -> Vec<(RangeInclusive<u16>, u16)> {
        one(value).ranges.into_iter().map(|range| (range.ports, range.to)).collect()
    }

    #[test]
    fn lists_of_ports() {
        assert_eq!(ranges("22"), [(22..=22, 22)]);
        assert_eq!(ranges("22:23,25"), [(22..=22, 23), (25..=25, 25)]);
        assert_eq!(ranges("22-80:32-90"), [(22..=80, 32)]);
        assert_eq!(ranges("18080-18080:80-80"), [(18080..=18080, 80)]);
        assert_eq!(ranges("5-25,~10-20"), [(5..=9, 5), (21..=25, 21)]);
        assert_eq!(ranges("10-14:20-24,~12"), [(10..=11, 20), (13..=14, 23)]);
        assert!(one("~25").all && one("~25").ranges.is_empty());
        assert!(one("80-82,auto").auto && !one("80-82,auto").all);
    }

    #[test]
    fn places_and_targets() {
        let place = |value| (one(value).address, one(value).interface);
        assert_eq!(place("192.0.2.1/5"), ("192.0.2.1".parse().ok(), None));
        assert_eq!(place("[127.0.0.1]/5000"), ("127.0.0.1".parse().ok(), None));
        assert_eq!(place("::1/5"), ("::1".parse().ok(), None));
        assert_eq!(place("%eth0/22"), (None, Some("eth0".into())));
        assert_eq!(place("192.0.2.1%eth0/22"), ("192.0.2.1".parse().ok(), Some("eth0".into())));
        let range = one("0.0.0.0/5000:192.0.2.5/6000").ranges.remove(0);
        assert_eq!((range.ports, range.to, range.address), (5000..=5000, 6000, "192.0.2.5".parse().ok()));
        let range = one("[::]/8080:fd00::2/80").ranges.remove(0);
        assert_eq!((range.to, range.address), (80, "fd00::2".parse().ok()));
        assert_eq!(one("127.0.0.6/all:192.0.2.6").all_to, "192.0.2.6".parse().ok());
    }

    #[test]
    fn what_makes_no_sense() {
        for value in
            ["abc", "", "80:90:100", "5-3", "1-2:3-5", "99999", "0", "1.2.3/5", "%/5", "80,", "-5", "+5", "::1/"]
        {
            assert_eq!(Ports::read('t', &[value]), Err(format!("Invalid port specifier {value}")), "{value}");
        }
        assert!(Ports::read('T', &["127.0.0.1/5"]).is_err());
        assert!(Ports::read('t', &["none", "5"]).is_err());
        assert_eq!(Ports::read('t', &["none"]), Ok(Ports::None));
        assert_eq!(Ports::read('t', &[]), Ok(Ports::Auto));
    }
}
