//! All spliced connections, and whose turn it is.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry};
use slab::Slab;

use super::pair::{Fate, Pair};
use super::pipes::Pipes;
use super::token::Source;
use crate::rootless::listen::RuleId;
use crate::rootless::resets::{Resets, reset};

/// How long a connection may take to be accepted.
const CONNECT: Duration = Duration::from_secs(10);

/// How often it is looked whether that is over.
const LOOK: Duration = Duration::from_secs(1);

/// How long those that lack a pipe wait for the host to have one.
const STARVED: Duration = Duration::from_millis(100);

/// Numbers of connections and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Connections that there are.
    pub held: usize,
    /// Those of them from whose second end more may come.
    pub unsettled: usize,
    /// Connections that there ever were.
    pub begun: u64,
    /// Bytes that were moved, in both directions.
    pub moved: u64,
    /// Clients that were reset at the bound.
    pub refused: u64,
}

/// Spliced connections.
pub struct Pairs {
    pairs: Slab<Pair>,
    most: usize,
    pipes: Pipes,
    /// Those that can go on, in turn.
    due: VecDeque<usize>,
    /// Those that wait for a pipe.
    starved: VecDeque<usize>,
    resets: Resets,
    /// When those try again at the latest.
    feed: Option<Instant>,
    /// When deadlines are looked at next, if there are any.
    look: Option<Instant>,
    /// Pairs from whose second end more may come.
    unsettled: usize,
    begun: u64,
    moved: u64,
    refused: u64,
}

impl Pairs {
    /// None yet, and no more than `most` at once.
    pub fn new(most: usize) -> Pairs {
        Pairs {
            pairs: Slab::new(),
            most,
            pipes: Pipes::new(most.min(2048)),
            due: VecDeque::new(),
            starved: VecDeque::new(),
            resets: Resets::default(),
            feed: None,
            look: None,
            unsettled: 0,
            begun: 0,
            moved: 0,
            refused: 0,
        }
    }

    /// What there is, and what there was.
    pub fn counted(&self) -> Counted {
        let (held, unsettled) = (self.pairs.len(), self.unsettled);
        Counted { held, unsettled, begun: self.begun, moved: self.moved, refused: self.refused }
    }

    /// Whether one more is refused; the newest is.
    pub fn is_full(&self) -> bool {
        self.pairs.len() >= self.most
    }

    /// How many more there may be.
    pub fn room(&self) -> usize {
        self.most - self.pairs.len().min(self.most)
    }

    /// Resets a client at the bound.
    pub fn refuse(&mut self, client: TcpStream) {
        self.refused += 1;
        reset(client);
    }

    /// Takes two sockets, of which the second is connecting.
    ///
    /// # Errors
    /// When they cannot be watched; the first is reset then.
    pub fn add(
        &mut self,
        client: TcpStream,
        other: TcpStream,
        rule: Option<RuleId>,
        registry: &Registry,
    ) -> io::Result<()> {
        let now = Instant::now();
        let place = self.pairs.vacant_entry();
        let key = place.key();
        let mut pair = Pair::new(client, other, rule, now + CONNECT);
        let interest = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        let watched =
            (0..2).try_for_each(|end| registry.register(&mut pair.ends[end], Source::Pair(key, end).token(), interest));
        if let Err(error) = watched {
            let [client, _] = pair.ends;
            reset(client);
            return Err(error);
        }
        pair.due = true;
        place.insert(pair);
        self.unsettled += 1;
        self.begun += 1;
        self.due.push_back(key);
        self.look = self.look.or(Some(now + LOOK));
        Ok(())
    }

    /// Notes an event of one of the two ends of a pair.
    pub fn event(&mut self, key: usize, end: usize, event: &Event) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        pair.event(end, event);
        if pair.deadline.is_some() {
            self.look = self.look.or_else(|| Some(Instant::now() + LOOK));
        }
        if !std::mem::replace(&mut pair.due, true) {
            self.due.push_back(key);
        }
    }

    /// Gives each that can go on one turn.
    pub fn turn(&mut self) {
        for _ in 0..self.due.len() {
            let Some(key) = self.due.pop_front() else { break };
            let Some(pair) = self.pairs.get_mut(key) else { continue };
            pair.due = false;
            let was_settled = pair.is_settled();
            let before = self.moved;
            let fate = pair.turn(&mut self.pipes, &mut self.moved);
            self.unsettled -= usize::from(!was_settled && pair.is_settled());
            if self.moved > before && fate == Fate::Waits {
                pair.deadline = None;
            }
            match fate {
                Fate::Waits => {}
                Fate::Due => {
                    pair.due = true;
                    self.due.push_back(key);
                }
                Fate::Starved => {
                    self.starved.push_back(key);
                    self.feed = self.feed.or_else(|| Some(Instant::now() + STARVED));
                }
                Fate::Done => self.close(key, [false; 2]),
                Fate::Reset(ends) => self.close(key, ends),
            }
        }
        self.feed(self.pipes.idle());
    }

    /// Lets some of those that lack a pipe try again.
    fn feed(&mut self, count: usize) {
        for _ in 0..count {
            let Some(key) = self.starved.pop_front() else { break };
            if let Some(pair) = self.pairs.get_mut(key)
                && !std::mem::replace(&mut pair.due, true)
            {
                self.due.push_back(key);
            }
        }
    }

    /// Closes a pair; the ends of which `ends` is true are reset when they have what they were sent.
    fn close(&mut self, key: usize, ends: [bool; 2]) {
        let Some(mut pair) = self.pairs.try_remove(key) else { return };
        self.unsettled -= usize::from(!pair.is_settled());
        pair.put_away(&mut self.pipes);
        for (stream, is_reset) in pair.ends.into_iter().zip(ends) {
            if is_reset {
                self.resets.add(stream);
            }
        }
    }

    /// Does what time demands.
    pub fn poll(&mut self, now: Instant) {
        self.resets.poll(now);
        if self.feed.is_some_and(|feed| feed <= now) {
            self.feed = None;
            self.feed(self.starved.len());
        }
        if self.look.is_none_or(|look| look > now) {
            return;
        }
        let mut remain = false;
        let mut dead = Vec::new();
        for (key, pair) in &mut self.pairs {
            let Some(deadline) = pair.deadline else { continue };
            let lives = pair.ends.iter().all(|end| end.peer_addr().is_ok());
            match (lives, deadline <= now) {
                (true, _) => pair.deadline = None,
                (false, true) => dead.push(key),
                (false, false) => remain = true,
            }
        }
        dead.into_iter().for_each(|key| self.close(key, [true; 2]));
        self.look = remain.then_some(now + LOOK);
    }

    /// How long until the next turn or [`Pairs::poll`].
    pub fn delay(&self, now: Instant) -> Option<Duration> {
        if !self.due.is_empty() {
            return Some(Duration::ZERO);
        }
        let until = |at: Option<Instant>| at.map(|at| at.saturating_duration_since(now));
        [until(self.look), until(self.feed), self.resets.delay()].into_iter().flatten().min()
    }

    /// Resets the connections that came by these rules.
    pub fn drop_rules(&mut self, rules: &HashSet<RuleId>) {
        let keys: Vec<usize> = self
            .pairs
            .iter()
            .filter(|(_, pair)| pair.rule.is_some_and(|rule| rules.contains(&rule)))
            .map(|(key, _)| key)
            .collect();
        keys.into_iter().for_each(|key| self.close(key, [true; 2]));
    }

    /// Resets all.
    pub fn clear(&mut self) {
        let keys: Vec<usize> = self.pairs.iter().map(|(key, _)| key).collect();
        keys.into_iter().for_each(|key| self.close(key, [true; 2]));
    }
}
