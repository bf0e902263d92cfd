//! What the agent tells, and what follows from it.

use nix::errno::Errno;
use rnet_stack::Family;
use std::os::fd::{AsFd, OwnedFd};
use tracing::{debug, warn};

use super::splicer::Splicer;
use crate::agent::{News, Port, Ports, receive};
use crate::config::Protocol;
use crate::rootless::gate::{Change, Gate};
use crate::rootless::worker::Worker;

/// What is known of the container.
#[derive(Debug, Default)]
pub struct Knowledge {
    ports: Ports,
    /// Changes since the last word that all was told.
    changes: Vec<(Port, bool)>,
    /// Whether addresses are translated inside; unknown before all ports have been told.
    translated: Option<bool>,
    /// Families in which sockets can be had.
    families: Vec<Family>,
}

impl Splicer {
    /// Hears the agent.
    pub(super) fn hear(&mut self) {
        loop {
            let Some(agent) = &self.agent else { return };
            match receive(agent.as_fd()) {
                Ok(Some(News::Sockets(family, made, sockets))) => self.sockets_arrived(family, made, sockets),
                Ok(Some(News::Exposed(port, socket))) => self.expose(port, socket),
                Ok(Some(News::Ports(changes))) => self.knowledge.changes.extend(changes),
                Ok(Some(News::Surveyed { translated })) => self.surveyed(translated),
                Ok(Some(News::Over)) => {
                    self.let_go();
                    self.pairs.clear();
                    self.exposed.clear();
                    self.relay.clear();
                    self.auto.clear();
                    self.host_ports = None;
                    return self.change_gate(Change::All(Gate::Shut));
                }
                Err(Errno::EAGAIN) => return,
                Ok(None) | Err(_) => {
                    warn!("the agent in the container is gone: clients on the host's loopback come through the stack");
                    self.let_go();
                    return self.change_gate(Change::All(Gate::Open));
                }
            }
        }
    }

    fn sockets_arrived(&mut self, family: Family, made: u8, sockets: Vec<OwnedFd>) {
        let had = self.stock.arrived(family, made, sockets);
        let knows = self.knowledge.families.contains(&family);
        if had && !knows {
            self.knowledge.families.push(family);
            self.open_entrance();
        } else if !had && knows {
            self.knowledge.families.retain(|known| *known != family);
            self.open_entrance();
        }
    }

    /// All ports have been told.
    fn surveyed(&mut self, translated: bool) {
        let changes = std::mem::take(&mut self.knowledge.changes);
        let before = self.knowledge.translated.replace(translated);
        for (port, is_open) in &changes {
            self.knowledge.ports.set(*port, *is_open);
            if port.protocol == Protocol::Tcp {
                self.entrance.set_listening(port.family, port.number, *is_open);
            }
        }
        if before != Some(translated) {
            debug!(translated, "addresses inside");
            self.open_entrance();
            let known = Gate::Listening(self.knowledge.ports.clone());
            self.change_gate(Change::All(if translated { Gate::Open } else { known }));
        } else if !translated {
            let tcp = changes.iter().filter(|(port, _)| port.protocol == Protocol::Tcp).copied().collect();
            self.change_gate(Change::Ports(tcp));
        }
        let host = self.host_ports.as_ref();
        let is_host = |protocol, number| host.is_some_and(|host| host.exposes(protocol, number));
        self.auto.follow(&self.knowledge.ports, &changes, is_host);
    }

    /// Lets clients in where connections can be made.
    fn open_entrance(&self) {
        for family in [Family::V4, Family::V6] {
            let is_open = self.knowledge.translated == Some(false) && self.knowledge.families.contains(&family);
            self.entrance.set_open(family, is_open);
        }
    }

    /// The workers share the sockets: the first one does it for all.
    fn change_gate(&self, change: Change) {
        if let Change::Ports(ports) = &change
            && ports.is_empty()
        {
            return;
        }
        if self.handle.ask(0, change, Worker::change_gate).is_err() {
            debug!("the network has ended");
        }
    }
}
