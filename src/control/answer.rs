//! What each request is answered.

use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::change::{self, Change, Rules};
use super::line::Line;
use super::protocol::{Code, Cursor, Fault, Page, Request};
use crate::config::dns::Name;
use crate::config::{BusyPoll, Dns, DnsServer, DnsService, Network, Publish, Subnet};
use crate::rootless::orders::wire::{Answer, FLOWS_A_PACKET, Order, Place};

/// What a network says of itself.
#[derive(Clone, Debug)]
pub struct About {
    /// The process that the user started, or the one in the background that it left.
    pub pid: i32,
    /// `run` or `attach`.
    pub kind: &'static str,
    /// The command with its arguments, or the namespace.
    pub target: String,
    /// The process that became the command.
    pub command_pid: Option<i32>,
    /// The inode of the container's network namespace.
    pub netns: Option<u64>,
    /// Where the socket is.
    pub socket: String,
}

/// What all clients share.
pub(super) struct Desk {
    pub(super) about: About,
    pub(super) network: Network,
    pub(super) line: Mutex<Line>,
    pub(super) since: Instant,
}

/// What is to be done when a reply is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing.
    GoOn,
    /// The network is to end.
    ShutDown,
}

impl Desk {
    /// Answers a request.
    pub(super) async fn answer(&self, request: &Request) -> (Result<Value, Fault>, Then) {
        let then = if *request == Request::Shutdown { Then::ShutDown } else { Then::GoOn };
        (self.result(request).await, then)
    }

    async fn result(&self, request: &Request) -> Result<Value, Fault> {
        match request {
            Request::Ping => Ok(self.ping()),
            Request::ConfigGet => Ok(config(&self.network)),
            Request::Shutdown => Ok(json!({})),
            Request::ForwardList => {
                let rules = Rules::ask(&mut *self.line.lock().await).await?;
                let forwards = rules.numbered().iter().map(|(id, rule)| forward(*id, rule));
                Ok(json!({ "forwards": forwards.collect::<Vec<_>>() }))
            }
            Request::ForwardAdd(forwards) => self.change(Change::Add(forwards)).await.map(|_| json!({})),
            Request::ForwardRemove(removal) => self.change(Change::Remove(removal)).await.map(|_| json!({})),
            Request::ForwardReplace(removal) => {
                let former = self.change(Change::Replace(removal)).await?;
                Ok(json!({ "former": former.iter().map(ToString::to_string).collect::<Vec<_>>() }))
            }
            Request::FlowsList(page) => self.flows(page).await,
            Request::Stats => self.stats().await,
        }
    }

    async fn change(&self, change: Change<'_>) -> Result<Vec<Publish>, Fault> {
        change::make(&mut *self.line.lock().await, &self.network, change).await
    }

    fn ping(&self) -> Value {
        let about = &self.about;
        json!({
            "pid": about.pid,
            "kind": about.kind,
            "target": about.target,
            "command_pid": about.command_pid,
            "netns": about.netns,
            "socket": about.socket,
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.since.elapsed().as_secs(),
        })
    }

    async fn stats(&self) -> Result<Value, Fault> {
        let Answer::Stats(stats) = self.line.lock().await.ask(&Order::Stats).await? else { return Err(nonsense()) };
        Ok(json!({
            "uptime_seconds": self.since.elapsed().as_secs(),
            "holdings": stats.holdings,
            "counters": stats.counters,
            "drops": stats.drops,
        }))
    }

    /// Puts a page together from as many packets as it takes.
    async fn flows(&self, page: &Page) -> Result<Value, Fault> {
        let mut line = self.line.lock().await;
        let Cursor { worker, udp, first } = page.cursor;
        if worker >= self.network.threads {
            return Err(Fault::new(Code::BadParams, "cursor: there is no such place"));
        }
        let mut next = Some(Place { worker, udp, first });
        let mut flows = Vec::new();
        while let Some(from) = next.filter(|_| flows.len() < page.limit) {
            let most = (page.limit - flows.len()).min(FLOWS_A_PACKET);
            let Answer::Flows { flows: more, next: behind } = line.ask(&Order::Flows { from, most }).await? else {
                return Err(nonsense());
            };
            if behind == Some(from) || more.len() > most {
                return Err(nonsense());
            }
            flows.extend(more);
            next = behind;
        }
        let next = next.map(|Place { worker, udp, first }| Cursor { worker, udp, first }.to_string());
        Ok(json!({ "flows": flows, "next": next }))
    }
}

fn nonsense() -> Fault {
    Fault::new(Code::NetworkGone, "the network stack does not make sense")
}

fn forward(id: u32, rule: &Publish) -> Value {
    json!({
        "id": id,
        "forward": rule.to_string(),
        "protocol": rule.protocol.to_string(),
        "address": rule.address,
        "port": rule.host.start(),
        "end": rule.host.end(),
        "container_port": rule.container,
        "container_end": rule.container.saturating_add(rule.host.end() - rule.host.start()),
    })
}

fn config(network: &Network) -> Value {
    let outbound = &network.outbound;
    let limits = &network.limits;
    // Without a number it is rnet's to choose.
    let busy_poll = match network.busy_poll {
        BusyPoll::Auto => None,
        BusyPoll::For(time) => Some(time.as_micros() as u64),
    };
    json!({
        "ifname": network.ifname,
        "mtu": network.mtu,
        "mac": network.mac.map(|mac| mac.0.map(|byte| format!("{byte:02x}")).join(":")),
        "ipv4": network.ipv4.map(subnet),
        "ipv6": network.ipv6.map(subnet),
        "host_loopback": network.host_loopback,
        "outbound": { "ipv4": outbound.ipv4, "ipv6": outbound.ipv6, "interface": outbound.interface },
        "dns": dns(&network.dns),
        "limits": {
            "tcp_flows": limits.tcp_flows,
            "tcp_half_open": limits.tcp_half_open,
            "buffer_bytes": limits.buffer_bytes,
            "udp_mappings": limits.udp_mappings,
            "icmp_mappings": limits.icmp_mappings,
            "dns_queries": network.dns.max_queries,
        },
        "threads": network.threads,
        "busy_poll_microseconds": busy_poll,
    })
}

fn dns(dns: &Dns) -> Value {
    let texts = |servers: &[DnsServer]| servers.iter().map(DnsServer::to_string).collect::<Vec<_>>();
    let domain = |(domain, servers): &(Name, Vec<DnsServer>)| (domain.to_string(), json!(texts(servers)));
    json!({
        "on": dns.service == DnsService::On,
        "servers": texts(&dns.servers),
        "domains": dns.domains.iter().map(domain).collect::<serde_json::Map<_, _>>(),
        "search": dns.search,
        "options": dns.options,
        "hosts": dns.hosts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "rebind_protection": dns.rebind_protection,
        "cache_bytes": dns.cache,
        "stale_seconds": dns.stale.as_secs(),
    })
}

fn subnet<A: std::fmt::Display>(subnet: Subnet<A>) -> Value {
    json!({
        "address": subnet.address.to_string(),
        "prefix": subnet.prefix,
        "gateway": subnet.gateway.to_string(),
        "dns": subnet.dns.map(|dns| dns.to_string()),
    })
}
