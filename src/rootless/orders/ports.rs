//! What a worker does when published ports change.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use rnet_stack::{Readiness, UdpId};

use super::Established;
use crate::config::Protocol;
use crate::rootless::accept::Settled;
use crate::rootless::listen::{PublishedPorts, RuleId};
use crate::rootless::worker::Worker;

/// What becomes of the sockets that are there.
#[derive(Clone, Debug, Default)]
pub struct Settlement {
    /// Rules that are gone: their sockets are closed, but for those below.
    pub remove: HashSet<RuleId>,
    /// Sockets of such rules that go on, with the rule that they belong to and the container's end that they lead to then.
    pub becomes: HashMap<(Protocol, SocketAddr), (RuleId, SocketAddr)>,
    /// Single sockets that are closed while their rule stays.
    pub close: HashSet<(Protocol, SocketAddr)>,
    /// What becomes of the connections that clients have by the rules that are gone.
    pub established: Established,
}

impl Settlement {
    fn of(&self, protocol: Protocol, at: SocketAddr, rule: RuleId) -> Settled {
        let end = (protocol, at);
        match self.becomes.get(&end) {
            Some(&(next, to)) if self.remove.contains(&rule) => Settled::Becomes(next, to),
            _ if self.remove.contains(&rule) || self.close.contains(&end) => Settled::Goes,
            _ => Settled::Stays,
        }
    }
}

impl Worker {
    /// Watches the sockets of published ports.
    ///
    /// # Errors
    /// When one cannot be watched. What was opened before it stays so.
    pub fn open_ports(&mut self, ports: PublishedPorts) -> io::Result<()> {
        for listener in ports.tcp {
            self.listeners.add(listener, self.edge.registry())?;
        }
        for published in ports.udp {
            let mapping = self.stack.udp_publish(published.ends.to, &mut self.edge);
            if let Err(error) = self.edge.publish_udp(mapping, published) {
                self.stack.udp_unpublish(&[mapping], &mut self.edge);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Closes what the container has opened for itself at ends that another worker is about to publish ports to.
    pub fn give_way(&mut self, ends: Arc<[SocketAddr]>) {
        for &end in &*ends {
            self.stack.udp_give_way(end, &mut self.edge);
        }
    }

    /// Closes what the container has opened for itself at these ports of the host's.
    pub fn free_ports(&mut self, ports: Arc<[RangeInclusive<u16>]>) {
        let is_needed = |port: u16| ports.iter().any(|range| range.contains(&port));
        let own = self.stack.udp_mappings(0).filter(|mapping| !mapping.published);
        let at_port = |id: &UdpId| self.edge.udp.local_addr(*id).is_some_and(|at| is_needed(at.port()));
        let needed: Vec<UdpId> = own.map(|mapping| mapping.id).filter(at_port).collect();
        for mapping in needed {
            self.stack.udp_close(mapping, &mut self.edge);
        }
    }

    /// Closes the sockets of rules that are gone, and changes those that go on.
    pub fn settle_ports(&mut self, settlement: Arc<Settlement>) {
        let now = self.now();
        let settle = |ends: crate::rootless::listen::Ends, rule| settlement.of(Protocol::Tcp, ends.at, rule);
        for waiting in self.listeners.settle(self.edge.registry(), settle) {
            self.accept(now, waiting);
        }
        self.settle_udp(&settlement);
        if settlement.established == Established::Drop {
            if let Some(entrance) = &self.entrance {
                entrance.drop_rules(settlement.remove.clone());
            }
            let all = Readiness { readable: true, writable: true, hang_up: true };
            for flow in self.edge.tcp.drop_clients(|rule| settlement.remove.contains(&rule)) {
                self.stack.tcp_ready(flow, all);
            }
        }
    }

    fn settle_udp(&mut self, settlement: &Settlement) {
        let mut gone: Vec<UdpId> = Vec::new();
        let mut moved = Vec::new();
        for (mapping, ends, rule) in self.edge.udp.published().collect::<Vec<_>>() {
            match settlement.of(Protocol::Udp, ends.at, rule) {
                Settled::Stays => {}
                Settled::Becomes(rule, to) if to == ends.to => self.edge.udp.rename(mapping, rule),
                Settled::Becomes(rule, to) => {
                    gone.push(mapping);
                    moved.extend(self.edge.take_udp(mapping).map(|mut published| {
                        (published.rule, published.ends.to) = (rule, to);
                        published
                    }));
                }
                Settled::Goes => gone.push(mapping),
            }
        }
        if gone.is_empty() {
            return;
        }
        self.stack.udp_unpublish(&gone, &mut self.edge);
        let moved = PublishedPorts { udp: moved, ..PublishedPorts::default() };
        if let Err(error) = self.open_ports(moved) {
            tracing::error!(%error, "a published port is lost");
        }
    }
}
