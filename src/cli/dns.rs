//! The options about names, turned into a [`Dns`].

use std::time::Duration;

use crate::config::dns::{self, Name};
use crate::config::{Dns, DnsServer, DnsService, Host, ResolvConf};

use super::faults::Faults;
use super::low::Low;
use super::value;

/// RFC 8767 section 4 recommends no more than three days, and forbids more than a week.
const STALE_MAX: u64 = 604_800;

/// More names, servers or domains than this in one command line are a mistake.
const MANY: usize = 4096;

const OFF: &str = "off";

/// How the options want names to be resolved.
pub(super) fn dns(low: &Low, faults: &mut Faults) -> Dns {
    let default = Dns::default();
    let given: Vec<(String, Option<DnsServer>)> =
        low.parse_all("dns", faults, |text| if text == OFF { Ok(None) } else { text.parse().map(Some) });
    let is_off = given.iter().any(|(_, server)| server.is_none());
    let servers: Vec<DnsServer> = given.into_iter().filter_map(|(_, server)| server).collect();
    if is_off && !servers.is_empty() {
        faults.push("--dns off", "excludes other servers");
    }
    if is_off {
        for name in ["dns-for", "add-host"] {
            if let Some(given) = low.get(name).filter(|given| given.is_flag()) {
                faults.push(given.place(), "has no effect with --dns off");
            }
        }
    }
    let mut domains: Vec<(Name, Vec<DnsServer>)> = Vec::new();
    for (_, (domain, server)) in low.parse_all("dns-for", faults, dns::domain_server) {
        match domains.iter_mut().find(|(other, _)| *other == domain) {
            Some((_, servers)) => servers.push(server),
            None => domains.push((domain, vec![server])),
        }
    }
    let hosts: Vec<Host> = low.parse_all("add-host", faults, str::parse).into_iter().map(|(_, host)| host).collect();
    for (name, count) in [("dns", servers.len()), ("dns-for", domains.len()), ("add-host", hosts.len())] {
        if count > MANY {
            faults.push(format!("--{name}"), format!("is given {count} times; {MANY} are the most"));
        }
    }
    Dns {
        service: if is_off { DnsService::Off } else { DnsService::On },
        servers,
        domains,
        search: search(low, faults),
        options: low
            .parse_all("dns-option", faults, dns::resolver_option)
            .into_iter()
            .map(|(_, option)| option)
            .collect(),
        hosts,
        hostname: None,
        rebind_protection: low.switch("dns-rebind-protection", faults),
        cache: low
            .parse("dns-cache", faults, |text| if text == "0" { Ok(0) } else { value::size(text) })
            .unwrap_or(default.cache),
        stale: low
            .parse("dns-stale", faults, |text| value::number(text, 0, STALE_MAX))
            .map_or(default.stale, Duration::from_secs),
        max_queries: low.parse("max-dns-queries", faults, value::count).unwrap_or(default.max_queries),
        asking: default.asking,
    }
}

/// The search list that was given, or the host's.
fn search(low: &Low, faults: &mut Faults) -> Vec<String> {
    if low.get("dns-search").is_none() {
        return ResolvConf::of_host().search;
    }
    let given = low.parse_all("dns-search", faults, dns::search_domain);
    given.into_iter().map(|(_, domain)| domain).filter(|domain| domain != ".").collect()
}
