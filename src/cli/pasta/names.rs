//! DNS: where queries are answered, who is asked, and what DHCP hands out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::dns::search_domain;
use crate::config::{ClientName, Dns, DnsServer, DnsService, ResolvConf};

use super::addresses::Chosen;
use super::low::Low;

/// What is known of names.
#[derive(Debug)]
pub(super) struct Names {
    /// Where queries are answered.
    pub forward4: Option<Ipv4Addr>,
    pub forward6: Option<Ipv6Addr>,
    /// Who is asked.
    pub host4: Option<Ipv4Addr>,
    pub host6: Option<Ipv6Addr>,
    /// How.
    pub dns: Dns,
    /// What DHCP and router advertisements hand out.
    pub resolvers: Vec<IpAddr>,
    pub search: Vec<String>,
    pub client_name: ClientName,
}

/// Reads the options that have to do with names.
pub(super) fn names(low: &Low, chosen: &Chosen, notes: &mut Vec<String>) -> Result<Names, String> {
    let forward = low.addresses("dns-forward", |text| format!("Invalid DNS forwarding address: {text}"))?;
    let asked = low.addresses("dns-host", |text| format!("Invalid host nameserver address: {text}"))?;
    let conf = ResolvConf::of_host();
    let servers = &conf.nameservers;
    let first4 = servers.iter().find_map(|server| if let SocketAddr::V4(v4) = server { Some(*v4.ip()) } else { None });
    let first6 = servers.iter().find_map(|server| if let SocketAddr::V6(v6) = server { Some(*v6.ip()) } else { None });
    let (loopback4, loopback6) = (chosen.loopback4, chosen.loopback6);
    // A name server on the host's loopback, or at the address that stands for it, is found where that stands for it.
    let implicit4 = loopback4.filter(|own| first4.is_some_and(|first| first.is_loopback() || first == *own));
    let implicit6 = loopback6.filter(|own| first6.is_some_and(|first| first.is_loopback() || first == *own));
    let forward4 = forward.v4.or(implicit4).filter(|_| chosen.v4.is_some());
    let forward6 = forward.v6.or(implicit6).filter(|_| chosen.v6.is_some());
    let explicit = [asked.v4.map(IpAddr::V4), asked.v6.map(IpAddr::V6)].into_iter().flatten();
    let dns = Dns {
        service: if forward4.is_some() || forward6.is_some() { DnsService::On } else { DnsService::Off },
        servers: explicit.map(|ip| DnsServer::Plain(SocketAddr::new(ip, 53))).collect(),
        ..Dns::default()
    };
    if dns.service == DnsService::On && servers.is_empty() && dns.servers.is_empty() {
        notes.push("Couldn't get any nameserver address".into());
    }
    let handed_out = resolvers(low, servers, (forward4, forward6))?;
    let search = search(low, &conf)?;
    Ok(Names {
        forward4,
        forward6,
        host4: asked.v4.or(first4),
        host6: asked.v6.or(first6),
        dns,
        resolvers: if low.has("dhcp-dns") { handed_out } else { Vec::new() },
        search: if low.has("dhcp-search") { search } else { Vec::new() },
        client_name: client_name(low)?,
    })
}

/// Those that were given, or the host's as they are reached from inside.
fn resolvers(
    low: &Low,
    servers: &[SocketAddr],
    forward: (Option<Ipv4Addr>, Option<Ipv6Addr>),
) -> Result<Vec<IpAddr>, String> {
    let mut given: Option<Vec<IpAddr>> = None;
    for text in low.texts("dns", |text| format!("Cannot use DNS address {text}"))? {
        if text == "none" || text.is_empty() {
            given = Some(Vec::new());
            continue;
        }
        let ip: IpAddr = text.parse().map_err(|_| format!("Cannot use DNS address {text}"))?;
        given.get_or_insert_default().push(ip);
    }
    let seen_inside = |ip: IpAddr| match ip {
        IpAddr::V4(ip) if ip.is_loopback() => forward.0.map(IpAddr::V4),
        IpAddr::V6(ip) if ip.is_loopback() => forward.1.map(IpAddr::V6),
        ip => Some(ip),
    };
    Ok(given.unwrap_or_else(|| servers.iter().filter_map(|server| seen_inside(server.ip())).collect()))
}

fn search(low: &Low, conf: &ResolvConf) -> Result<Vec<String>, String> {
    let wrong = |text: &str| format!("Cannot use DNS search domain {text}");
    let given = low.texts("search", wrong)?;
    if given.is_empty() {
        return Ok(conf.search.clone());
    }
    let mut domains = Vec::new();
    for text in given {
        if text == "none" || text.is_empty() {
            domains.clear();
            continue;
        }
        for domain in text.split_whitespace() {
            domains.push(search_domain(domain).map_err(|_| wrong(domain))?);
        }
    }
    Ok(domains)
}

fn client_name(low: &Low) -> Result<ClientName, String> {
    let name = |option, what| -> Result<Option<String>, String> {
        let wrong = |text: &str| format!("Invalid {what}: {text}");
        let fits = |text: &str| text.len() <= 254 && (text.is_empty() || search_domain(text).is_ok());
        let name = low.read(option, wrong, |text| fits(text).then(|| text.to_owned()))?;
        // An empty name is none.
        Ok(name.filter(|name| !name.is_empty()))
    };
    Ok(ClientName { host: name("hostname", "hostname")?, domain: name("fqdn", "FQDN")? })
}
