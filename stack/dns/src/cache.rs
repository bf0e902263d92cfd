//! Answers that are still good. Bounded in bytes; those that nobody asked for lately make room.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use slab::Slab;

use crate::query::Query;
use crate::reply::{Reply, fit};
use crate::wire::{self, Record, Records, Section, flag, kind};

/// Nothing is kept for longer (RFC 8767 section 4 recommends no more than a week).
const LONGEST: u32 = 86_400;

/// What is not there is not there for so long at the most (RFC 2308 section 5).
const LONGEST_NEGATIVE: u32 = 10_800;

/// What a stale answer is said to live (RFC 8767 section 4).
const STALE_TTL: u32 = 30;

/// What an entry takes besides its bytes.
const OVERHEAD: usize = 200;

/// Answers by what was asked.
pub struct Cache {
    by_key: HashMap<Box<[u8]>, usize>,
    entries: Slab<Entry>,
    /// Where the search for what nobody asked for goes on.
    hand: usize,
    bytes: usize,
    limit: usize,
    stale: Duration,
}

struct Entry {
    key: Box<[u8]>,
    message: Box<[u8]>,
    /// Where times to live stand.
    ttls: Box<[u16]>,
    stored: Instant,
    life: Duration,
    is_wanted: bool,
}

/// An answer from the cache.
#[derive(Clone, Copy)]
pub struct Cached<'a> {
    entry: &'a Entry,
    age: Duration,
}

impl Entry {
    fn cost(&self) -> usize {
        2 * self.key.len() + self.message.len() + 2 * self.ttls.len() + OVERHEAD
    }
}

impl Cache {
    /// A cache of `limit` bytes at the most that keeps answers for `stale` after their time.
    pub fn new(limit: usize, stale: Duration) -> Cache {
        Cache { by_key: HashMap::new(), entries: Slab::new(), hand: 0, bytes: 0, limit, stale }
    }

    /// The answer to what has this key, if it is still good.
    pub fn get(&mut self, key: &[u8], now: Instant) -> Option<Cached<'_>> {
        self.find(key, now).filter(|cached| cached.age < cached.entry.life)
    }

    /// The same, but also when its time is over.
    pub fn get_stale(&mut self, key: &[u8], now: Instant) -> Option<Cached<'_>> {
        let stale = self.stale;
        self.find(key, now).filter(|cached| cached.age < cached.entry.life + stale)
    }

    fn find(&mut self, key: &[u8], now: Instant) -> Option<Cached<'_>> {
        let entry = self.entries.get_mut(*self.by_key.get(key)?)?;
        entry.is_wanted = true;
        Some(Cached { age: now.saturating_duration_since(entry.stored), entry })
    }

    /// Keeps an upstream server's answer if it may be kept.
    pub fn insert(&mut self, key: Vec<u8>, reply: &[u8], now: Instant) {
        let Some((life, ttls)) = judge(reply) else { return };
        let life = Duration::from_secs(life.into());
        let entry =
            Entry { key: key.into(), message: reply.into(), ttls: ttls.into(), stored: now, life, is_wanted: false };
        let cost = entry.cost();
        // One answer is not to turn all others out.
        if cost > self.limit / 8 {
            return;
        }
        if let Some(&old) = self.by_key.get(&entry.key) {
            self.remove(old);
        }
        while self.bytes + cost > self.limit && self.make_room(now) {}
        self.bytes += cost;
        let key = entry.key.clone();
        let at = self.entries.insert(entry);
        self.by_key.insert(key, at);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Cache::new(self.limit, self.stale);
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many answers there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Removes one entry: the next whose time is over, or that nobody has asked for since the hand came by.
    fn make_room(&mut self, now: Instant) -> bool {
        let size = self.entries.capacity();
        for _ in 0..=2 * size {
            self.hand = if self.hand + 1 < size { self.hand + 1 } else { 0 };
            let Some(entry) = self.entries.get_mut(self.hand) else { continue };
            let is_over = now.saturating_duration_since(entry.stored) >= entry.life + self.stale;
            if is_over || !std::mem::take(&mut entry.is_wanted) {
                self.remove(self.hand);
                return true;
            }
        }
        false
    }

    fn remove(&mut self, at: usize) {
        if let Some(entry) = self.entries.try_remove(at) {
            self.by_key.remove(&entry.key);
            self.bytes -= entry.cost();
        }
    }
}

impl Cached<'_> {
    /// Whether its time is over.
    pub fn is_stale(&self) -> bool {
        self.age >= self.entry.life
    }

    /// The answer for a client, its times to live counted down.
    pub fn reply(&self, query: &Query<'_>, limit: usize) -> Reply {
        let mut reply = self.entry.message.to_vec();
        let age = u32::try_from(self.age.as_secs()).unwrap_or(u32::MAX);
        for &at in &self.entry.ttls {
            let ttl = wire::u32_at(&reply, at.into()).unwrap_or(0);
            let left = if self.is_stale() { STALE_TTL } else { ttl.saturating_sub(age) };
            wire::put_u32(&mut reply, at.into(), left);
        }
        fit(reply, query, limit)
    }
}

/// For how many seconds an answer may be kept, and where its times to live stand. `None` if it may not be kept.
fn judge(reply: &[u8]) -> Option<(u32, Vec<u16>)> {
    let flags = wire::flags(reply)?;
    if flags & (flag::TC | flag::OPCODE) != 0 {
        return None;
    }
    let rcode = flags & flag::RCODE;
    let mut records = Records::of(reply)?;
    let mut ttls = Vec::new();
    let (mut life, mut negative) = (LONGEST, None);
    for record in records.by_ref() {
        if record.kind == kind::OPT {
            // An extended code, or an option that is for this client alone.
            if wire::u16_at(reply, record.ttl_at)? != 0 || !record.data.is_empty() {
                return None;
            }
            continue;
        }
        let ttl = wire::u32_at(reply, record.ttl_at)?;
        // RFC 2181 section 8.
        life = life.min(if ttl > i32::MAX as u32 { 0 } else { ttl });
        if record.section == Section::Authority && record.kind == kind::SOA {
            negative = Some(minimum(reply, &record)?);
        }
        ttls.push(u16::try_from(record.ttl_at).ok()?);
    }
    if !records.is_complete() {
        return None;
    }
    let is_negative = rcode == 3 || (rcode == 0 && wire::counts(reply)?[1] == 0);
    let life = match (rcode, is_negative, negative) {
        (0 | 3, true, Some(minimum)) => life.min(minimum).min(LONGEST_NEGATIVE),
        (0, false, None) => life,
        // An alias for something that is not there: as long as both are known.
        (0, false, Some(minimum)) => life.min(minimum),
        _ => 0,
    };
    (life > 0).then_some((life, ttls))
}

/// The last field of an SOA.
fn minimum(reply: &[u8], soa: &Record) -> Option<u32> {
    wire::u32_at(reply, soa.data.end.checked_sub(4).filter(|at| *at >= soa.data.start)?)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any moment will do")]
mod tests;
