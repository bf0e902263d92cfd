//! Host ports that follow what listens in the container.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use nix::sys::resource::{Resource, getrlimit};
use tracing::{info, warn};

use crate::agent::{Port, Ports};
use crate::config::{Auto, Network, Protocol, Publish};
use crate::rootless::listen::{PublishedPorts, RuleId, ends};
use crate::rootless::orders::Handle;
use crate::rootless::worker::Worker;

/// Ports of one protocol that are opened at the most.
const PORTS_MAX: usize = 1024;

/// The rule that such ports belong to: none that anybody has given.
pub const RULE: RuleId = RuleId(u32::MAX);

/// A port that is open.
struct Open {
    /// The host's ends.
    at: Vec<SocketAddr>,
    /// The families in which something listens behind it.
    listens: [bool; 2],
}

/// Ports that are opened and closed by themselves.
pub struct AutoPorts {
    auto: Auto,
    network: Network,
    handle: Handle,
    /// Those that are open.
    open: HashMap<(Protocol, u16), Open>,
    most: usize,
    /// Those of which it was told that they cannot be had.
    told: HashSet<(Protocol, u16)>,
    told_of_bound: bool,
}

impl AutoPorts {
    /// None yet.
    pub fn new(network: &Network, handle: Handle) -> AutoPorts {
        let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
        let each = 2 * network.threads as u64 * network.auto.follow.len().max(1) as u64;
        AutoPorts {
            auto: network.auto.clone(),
            network: network.clone(),
            handle,
            open: HashMap::new(),
            most: PORTS_MAX.min(usize::try_from(descriptors / 4 / each).unwrap_or(PORTS_MAX)),
            told: HashSet::new(),
            told_of_bound: false,
        }
    }

    /// Whether a port of the host's is open that was opened by itself.
    pub fn has(&self, protocol: Protocol, number: u16) -> bool {
        self.open.contains_key(&(protocol, number))
    }

    /// Opens and closes what `changes` ask for; `ports` are those that are in use now, but those of which `is_host` is true are
    /// the host's own.
    pub fn follow(&mut self, ports: &Ports, changes: &[(Port, bool)], is_host: impl Fn(Protocol, u16) -> bool) {
        if !self.auto.follows_any() {
            return;
        }
        let mirrors = self.auto.mirrors_tcp;
        let mirrored = changes.iter().filter(|_| mirrors).map(|(port, _)| (Protocol::Udp, port.number));
        let changed: HashSet<(Protocol, u16)> =
            changes.iter().map(|(port, _)| (port.protocol, port.number)).chain(mirrored).collect();
        for (protocol, number) in changed {
            let is_there = |protocol, family| ports.contains(Port { protocol, family, number });
            let listens = [rnet_stack::Family::V4, rnet_stack::Family::V6].map(|family| {
                is_there(protocol, family) || (mirrors && protocol == Protocol::Udp && is_there(Protocol::Tcp, family))
            });
            if self.open.get(&(protocol, number)).is_some_and(|open| open.listens == listens) {
                continue;
            }
            self.close(protocol, number);
            if listens.contains(&true) && !is_host(protocol, number) {
                self.open(protocol, number, listens);
            }
        }
    }

    /// Opens a port at the host's addresses behind which something listens.
    fn open(&mut self, protocol: Protocol, number: u16, listens: [bool; 2]) {
        let rules: Vec<Publish> = self.auto.rules(protocol, number).collect();
        let (_, others) = self.handle.rules();
        if others.iter().any(|(_, other)| rules.iter().any(|rule| rule.clash(other).is_some())) {
            return;
        }
        if !rules.is_empty() && self.open.len() >= self.most {
            if !std::mem::replace(&mut self.told_of_bound, true) {
                warn!("more than {} ports are in use in the container: no more are opened by themselves", self.most);
            }
            return;
        }
        let mut sockets = PublishedPorts::default();
        for rule in &rules {
            if protocol == Protocol::Udp {
                // What the container has sent from there may have a socket of this port.
                let to = ends(&self.network, rule).map(|ends| ends.to).collect();
                let _ = self.handle.ask_each(std::iter::repeat(to), Worker::give_way);
            }
            if let Err(error) = sockets.open_rule(&self.network, rule, RULE, |at| !listens[usize::from(at.is_ipv6())]) {
                if self.told.insert((protocol, number)) {
                    warn!("a port of the container is not opened by itself: {error}");
                }
                return;
            }
        }
        let opened: Vec<SocketAddr> = sockets.iter().map(|published| published.ends.at).collect();
        if opened.is_empty() {
            return;
        }
        match self.handle.open(sockets) {
            Ok(()) => {
                info!("port {number}/{protocol} of the container is opened");
                self.open.insert((protocol, number), Open { at: opened, listens });
            }
            Err(error) => warn!("a port of the container is not opened by itself: {error}"),
        }
    }

    fn close(&mut self, protocol: Protocol, number: u16) {
        if let Some(open) = self.open.remove(&(protocol, number)) {
            info!("port {number}/{protocol} of the container is closed");
            let _ = self.handle.close(open.at.into_iter().map(|at| (protocol, at)));
        }
    }

    /// Closes all.
    pub fn clear(&mut self) {
        let all: Vec<(Protocol, u16)> = self.open.keys().copied().collect();
        all.into_iter().for_each(|(protocol, number)| self.close(protocol, number));
    }
}
