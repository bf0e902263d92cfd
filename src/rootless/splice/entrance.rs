//! Where the workers hand over connections that are to be spliced, and learn which are.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::Waker;
use rnet_stack::Family;

use super::pairs::Counted;
use crate::rootless::accept::Accepted;
use crate::rootless::listen::RuleId;

const WORDS: usize = 65536 / 64;

/// What is handed over.
#[derive(Debug)]
pub enum Entry {
    /// A client.
    Client(Accepted),
    /// The connections by these rules are to be reset.
    Drop(HashSet<RuleId>),
}

/// The workers' side of the splicer.
#[derive(Debug)]
pub struct Entrance {
    /// `None` when the splicer is gone.
    entries: Mutex<Option<Vec<Entry>>>,
    waker: Waker,
    /// Whether connections can be made in IPv4 and IPv6.
    open: [AtomicBool; 2],
    /// A bit for each TCP port of the container's addresses at which something listens.
    listening: [Box<[AtomicU64]>; 2],
    /// What the splicer holds and has done.
    held: AtomicUsize,
    unsettled: AtomicUsize,
    begun: AtomicU64,
    moved: AtomicU64,
    refused: AtomicU64,
}

impl Entrance {
    /// Closed at first.
    pub fn new(waker: Waker) -> Arc<Entrance> {
        let bits = || (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Entrance {
            entries: Mutex::new(Some(Vec::new())),
            waker,
            open: [AtomicBool::new(false), AtomicBool::new(false)],
            listening: [bits(), bits()],
            held: AtomicUsize::new(0),
            unsettled: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// Hands a client over, if it is on the host's loopback and what it wants can be reached directly; else returns it.
    pub fn offer(&self, accepted: Accepted) -> Option<Accepted> {
        if !accepted.client.ip().is_loopback() || !self.reaches(accepted.to) {
            return Some(accepted);
        }
        match self.put(Entry::Client(accepted)) {
            Err(Entry::Client(accepted)) => Some(accepted),
            _ => None,
        }
    }

    /// Resets the connections that came by these rules.
    pub fn drop_rules(&self, rules: HashSet<RuleId>) {
        let _ = self.put(Entry::Drop(rules));
    }

    fn put(&self, entry: Entry) -> Result<(), Entry> {
        let mut entries = self.lock();
        let Some(list) = entries.as_mut() else { return Err(entry) };
        let was_empty = list.is_empty();
        list.push(entry);
        drop(entries);
        if was_empty {
            // Whoever empties the list was woken by the first that came into it.
            let _ = self.waker.wake();
        }
        Ok(())
    }

    fn reaches(&self, to: SocketAddr) -> bool {
        let family = place(Family::of(to.ip()));
        let (word, bit) = (usize::from(to.port() / 64), 1 << (to.port() % 64));
        self.open[family].load(Ordering::Relaxed)
            && self.listening[family].get(word).is_some_and(|word| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// What the splicer holds and has done, as it last said.
    pub fn counted(&self) -> Counted {
        Counted {
            held: self.held.load(Ordering::Relaxed),
            unsettled: self.unsettled.load(Ordering::Relaxed),
            begun: self.begun.load(Ordering::Relaxed),
            moved: self.moved.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// Takes what was handed over; the room for more is `spare`.
    pub(super) fn take(&self, spare: Vec<Entry>) -> Vec<Entry> {
        self.lock().as_mut().map(|entries| std::mem::replace(entries, spare)).unwrap_or_default()
    }

    /// Says whether connections can be made in a family.
    pub(super) fn set_open(&self, family: Family, is_open: bool) {
        self.open[place(family)].store(is_open, Ordering::Relaxed);
    }

    /// Says whether something listens at a TCP port.
    pub(super) fn set_listening(&self, family: Family, port: u16, listens: bool) {
        if let Some(word) = self.listening[place(family)].get(usize::from(port / 64)) {
            let bit = 1 << (port % 64);
            if listens {
                word.fetch_or(bit, Ordering::Relaxed)
            } else {
                word.fetch_and(!bit, Ordering::Relaxed)
            };
        }
    }

    /// Says what the splicer holds and has done.
    pub(super) fn tell(&self, counted: Counted) {
        self.held.store(counted.held, Ordering::Relaxed);
        self.begun.store(counted.begun, Ordering::Relaxed);
        self.moved.store(counted.moved, Ordering::Relaxed);
        self.refused.store(counted.refused, Ordering::Relaxed);
        self.unsettled.store(counted.unsettled, Ordering::Release);
    }

    /// Takes nothing more; what was handed over is lost.
    pub(super) fn close(&self) {
        *self.lock() = None;
        self.unsettled.store(0, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(family: Family) -> usize {
    usize::from(family == Family::V6)
}
