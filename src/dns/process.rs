//! The name server of one rootless network: what it is made of, and its life.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rnet_dns::{Hosts, Name};
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};
use tracing::debug;

use super::forwarder::Forwarder;
use super::host_file::HostFile;
use super::line::Line;
use super::stream::Connections;
use super::upstream::encrypted::Trust;
use crate::config::{DnsServer, HostAddress, Network};

/// Names by which containers of various engines know the host.
const HOST_NAMES: [&str; 3] = ["host.rnet.internal", "host.containers.internal", "host.docker.internal"];

/// What needs files to be made: the rest of the server's life knows none.
pub struct Prepared<'a> {
    network: &'a Network,
    trust: Option<Trust>,
}

impl<'a> Prepared<'a> {
    /// Reads the certificates that the host trusts, if any server needs them.
    ///
    /// # Errors
    /// In words.
    pub fn new(network: &'a Network) -> Result<Prepared<'a>, String> {
        let domains = network.dns.domains.iter().flat_map(|(_, servers)| servers);
        let encrypted =
            network.dns.servers.iter().chain(domains).any(|server| matches!(server, DnsServer::Encrypted(_)));
        Ok(Prepared { network, trust: encrypted.then(Trust::of_host).transpose()? })
    }
}

/// Serves the lines until the supervisor is gone.
///
/// # Errors
/// When there is no epoll instance to be had.
pub fn serve(prepared: Prepared<'_>, lines: Vec<OwnedFd>, supervisor: OwnedFd) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
    LocalSet::new().block_on(&runtime, async move {
        let Prepared { network, trust } = prepared;
        let host = Rc::new(HostFile::new(supervisor)?);
        let forwarder = Forwarder::new(&network.dns, &network.outbound, hosts(network), trust, Some(Rc::clone(&host)));
        let connections = Rc::new(Connections::default());
        let lines = lines.into_iter().map(Line::new).collect::<io::Result<Vec<_>>>()?;
        for line in &lines {
            spawn_local(Rc::clone(line).serve(Rc::clone(&forwarder), Rc::clone(&connections)));
        }
        host.listen(|text| forwarder.set_host(text)).await;
        let lost: u64 = lines.iter().map(|line| line.lost()).sum();
        debug!(lost_letters = lost, refused_connections = connections.refused(), counters = ?forwarder.counters(), "name server ends");
        Ok(())
    })
}

/// The names that a network has by itself.
fn hosts(network: &Network) -> Hosts {
    let mut hosts = Hosts::default();
    let both = |ipv4: Option<std::net::Ipv4Addr>, ipv6: Option<std::net::Ipv6Addr>| {
        [ipv4.map(IpAddr::V4), ipv6.map(IpAddr::V6)].into_iter().flatten().collect::<Vec<_>>()
    };
    let gateway = match &network.link.mapping {
        None => both(network.ipv4.map(|subnet| subnet.gateway), network.ipv6.map(|subnet| subnet.gateway)),
        Some(mapping) => both(mapping.shadowed4.or(mapping.loopback4), mapping.shadowed6.or(mapping.loopback6)),
    };
    let own = both(network.ipv4.map(|subnet| subnet.address), network.ipv6.map(|subnet| subnet.address));
    let given: Vec<&Name> = network.dns.hosts.iter().map(|host| &host.name).collect();
    // What the user says of a name is all that is true of it.
    for host in &network.dns.hosts {
        hosts.know(&host.name);
        match host.address {
            HostAddress::Ip(address) => hosts.add(&host.name, address),
            HostAddress::Gateway => gateway.iter().for_each(|address| hosts.add(&host.name, *address)),
        }
    }
    // Without an address these names are for the host's name servers to answer.
    let host_names = HOST_NAMES
        .iter()
        .filter(|_| !gateway.is_empty())
        .filter_map(|name| Name::parse(name).ok())
        .map(|name| (name, &gateway));
    for (name, addresses) in host_names.chain(network.dns.hostname.clone().map(|name| (name, &own))) {
        if !given.contains(&&name) {
            hosts.know(&name);
            addresses.iter().for_each(|address| hosts.add(&name, *address));
        }
    }
    hosts
}
