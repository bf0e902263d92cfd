//! The rules of a running network, and how one set of them takes the place of another: in one step, or not at all.

use std::collections::{HashMap, HashSet};
use std::io;
use std::iter;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::ports::Settlement;
use super::{Gone, Handle, lock};
use crate::config::{Protocol, Publish};
use crate::rootless::listen::{PublishedPorts, RuleId, ends};
use crate::rootless::worker::Worker;

/// What becomes of the TCP connections that clients have by a rule that is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Established {
    /// They go on.
    #[default]
    Keep,
    /// They are reset, on both sides.
    Drop,
}

/// A change of the rules.
#[derive(Debug)]
pub struct Commit {
    /// The generation of the rules that it is meant for.
    pub generation: u64,
    /// Rules to be removed.
    pub remove: Vec<RuleId>,
    /// Rules to be added.
    pub add: Vec<Publish>,
    /// The sockets of those, each with the place of its rule in `add` for a number. Where a rule is added that has a host socket
    /// in common with one that is removed, that goes on and none is here.
    pub sockets: PublishedPorts,
    /// What becomes of the connections of those that are removed.
    pub established: Established,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The network has ended.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// Somebody else has changed the rules meanwhile.
    #[error("the rules have changed meanwhile: ask again")]
    Changed,
    /// There is no rule of this number.
    #[error("there is no rule {}", .0.0)]
    Unknown(RuleId),
    /// Descriptors or memory are short.
    #[error("watch the sockets of published ports: {0}")]
    Sockets(io::Error),
}

/// The rules, in the order in which they were added.
#[derive(Debug)]
pub struct Rules {
    /// How often they were changed.
    generation: u64,
    next: u32,
    rules: Vec<(RuleId, Publish)>,
}

impl Rules {
    /// Those that a network starts with.
    pub fn new(publish: &[Publish]) -> Rules {
        let rules: Vec<_> = (0..).map(RuleId).zip(publish.iter().cloned()).collect();
        Rules { generation: 0, next: rules.len() as u32, rules }
    }
}

impl Handle {
    /// The rules and their generation, which is another after each change.
    pub fn rules(&self) -> (u64, Vec<(RuleId, Publish)>) {
        let rules = lock(&self.0.rules);
        (rules.generation, rules.rules.clone())
    }

    /// Changes the rules; returns the numbers of those that were added.
    ///
    /// # Errors
    /// When that cannot be done; nothing is changed then.
    pub fn commit(&self, commit: Commit) -> Result<Vec<RuleId>, Refused> {
        let Commit { generation, remove, add, mut sockets, established } = commit;
        let mut rules = lock(&self.0.rules);
        if rules.generation != generation {
            return Err(Refused::Changed);
        }
        let known: HashSet<RuleId> = rules.rules.iter().map(|(id, _)| *id).collect();
        if let Some(unknown) = remove.iter().find(|id| !known.contains(id)) {
            return Err(Refused::Unknown(*unknown));
        }
        let added: Vec<RuleId> = (rules.next..).map(RuleId).take(add.len()).collect();
        for published in sockets.tcp.iter_mut().chain(&mut sockets.udp) {
            let place = published.rule.0;
            published.rule = *added.get(place as usize).ok_or(Refused::Unknown(published.rule))?;
        }
        let becomes = if remove.is_empty() { HashMap::new() } else { self.becomes(&add, &added) };
        let settlement =
            Settlement { remove: remove.iter().copied().collect(), becomes, established, ..Settlement::default() };
        self.open(sockets).inspect_err(|_| {
            let undo = Settlement { remove: added.iter().copied().collect(), ..Settlement::default() };
            let _ = self.settle(undo);
        })?;
        let datagrams = settlement.becomes.iter().filter(|((protocol, _), _)| *protocol == Protocol::Udp);
        self.give_way(datagrams.map(|(_, (_, to))| *to).collect())?;
        self.settle(settlement)?;
        rules.rules.retain(|(id, _)| !remove.contains(id));
        rules.rules.extend(added.iter().copied().zip(add));
        rules.next = rules.next.wrapping_add(added.len() as u32);
        rules.generation += 1;
        Ok(added)
    }

    /// Opens sockets that belong to a rule.
    ///
    /// # Errors
    /// When they cannot be watched. Some may be open then; [`Handle::close`] closes them.
    pub fn open(&self, sockets: PublishedPorts) -> Result<(), Refused> {
        let mut parts = (1..self.workers())
            .map(|_| sockets.for_another_worker())
            .collect::<io::Result<Vec<_>>>()
            .map_err(Refused::Sockets)?;
        self.give_way(sockets.udp.iter().map(|published| published.ends.to).collect())?;
        parts.insert(0, sockets);
        let opened = self.ask_each(parts, Worker::open_ports)?;
        opened.into_iter().collect::<io::Result<()>>().map_err(Refused::Sockets)
    }

    /// Closes what the container has opened for itself at these UDP ports of the host's, because they are to be published.
    ///
    /// # Errors
    /// When the network has ended.
    pub fn free(&self, ports: Arc<[RangeInclusive<u16>]>) -> Result<(), Gone> {
        self.ask_each(iter::repeat(ports), Worker::free_ports).map(drop)
    }

    /// Closes single sockets, by their host's ends; established connections go on.
    ///
    /// # Errors
    /// When the network has ended.
    pub fn close(&self, close: impl IntoIterator<Item = (Protocol, SocketAddr)>) -> Result<(), Gone> {
        self.settle(Settlement { close: close.into_iter().collect(), ..Settlement::default() })
    }

    /// Has the workers close what the container has opened for itself at these ends of its own. The first, which all UDP ports
    /// are published by, does so anyway.
    fn give_way(&self, to: Arc<[SocketAddr]>) -> Result<(), Gone> {
        if self.workers() == 1 || to.is_empty() {
            return Ok(());
        }
        self.ask_each(iter::repeat(to), Worker::give_way).map(drop)
    }

    fn settle(&self, settlement: Settlement) -> Result<(), Gone> {
        self.ask_each(iter::repeat(Arc::new(settlement)), Worker::settle_ports).map(drop)
    }

    /// Which rule and which end each host socket of the rules to be added has.
    fn becomes(&self, add: &[Publish], ids: &[RuleId]) -> HashMap<(Protocol, SocketAddr), (RuleId, SocketAddr)> {
        let network = &self.0.network;
        let of = |(rule, id): (&Publish, &RuleId)| {
            let (protocol, id) = (rule.protocol, *id);
            ends(network, rule).map(move |ends| ((protocol, ends.at), (id, ends.to))).collect::<Vec<_>>()
        };
        add.iter().zip(ids).flat_map(of).collect()
    }
}
