//! A bounded table of idle-expiring mappings: a key of the container's and a host socket behind it.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::FixedState;
use slab::Slab;

use super::{Armed, Timers};
use crate::{Duration, Instant};

/// Why a mapping could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// The table holds as many as it may.
    Full,
}

/// Mappings by key and by number, forgotten after they were idle for their time-out.
#[derive(Debug)]
pub struct Mappings<K, V> {
    by_key: HashMap<K, u32, FixedState>,
    entries: Slab<Entry<K, V>>,
    timers: Timers,
    /// How many there may be besides the permanent ones.
    limit: usize,
    permanent: usize,
}

#[derive(Debug)]
struct Entry<K, V> {
    key: K,
    value: V,
    /// `None` for a permanent one.
    expires: Option<Instant>,
    armed: Armed,
}

impl<K: Copy + Eq + Hash, V> Mappings<K, V> {
    /// A table of at most `limit` mappings.
    pub fn new(limit: usize, seed: u64) -> Self {
        Mappings {
            by_key: HashMap::with_hasher(FixedState::with_seed(seed)),
            entries: Slab::new(),
            timers: Timers::default(),
            limit: limit.min(u32::MAX as usize),
            permanent: 0,
        }
    }

    /// The number of a key's mapping.
    pub fn find(&self, key: &K) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    /// Makes a mapping and returns its number.
    ///
    /// # Errors
    /// When the table is full; nothing is displaced.
    pub fn insert(&mut self, key: K, value: V, expires: Instant) -> Result<u32, MapError> {
        if self.is_full() {
            return Err(MapError::Full);
        }
        let id = self.entries.insert(Entry { key, value, expires: Some(expires), armed: Armed::default() }) as u32;
        self.by_key.insert(key, id);
        let entry = &mut self.entries[id as usize];
        self.timers.arm(id, &mut entry.armed, expires);
        Ok(id)
    }

    /// Makes a mapping that never expires and does not count as one of those that are bounded; returns its number.
    pub fn insert_permanent(&mut self, key: K, value: V) -> u32 {
        let id = self.entries.insert(Entry { key, value, expires: None, armed: Armed::default() }) as u32;
        self.by_key.insert(key, id);
        self.permanent += 1;
        id
    }

    /// Whether the table holds as many as it may.
    pub fn is_full(&self) -> bool {
        self.entries.len() - self.permanent >= self.limit
    }

    /// A mapping by number.
    pub fn get(&self, id: u32) -> Option<(&K, &V)> {
        self.entries.get(id as usize).map(|entry| (&entry.key, &entry.value))
    }

    /// A mapping by number, to be changed.
    pub fn get_mut(&mut self, id: u32) -> Option<(&K, &mut V)> {
        self.entries.get_mut(id as usize).map(|entry| (&entry.key, &mut entry.value))
    }

    /// Puts the end of a mapping off until `idle` from now.
    pub fn touch(&mut self, id: u32, now: Instant, idle: Duration) {
        if let Some(Entry { expires: Some(expires), armed, .. }) = self.entries.get_mut(id as usize) {
            *expires = now + idle;
            self.timers.arm(id, armed, *expires);
        }
    }

    /// Forgets a mapping.
    pub fn remove(&mut self, id: u32) -> Option<V> {
        let mut entry = self.entries.try_remove(id as usize)?;
        self.timers.disarm(id, &mut entry.armed);
        self.by_key.remove(&entry.key);
        self.permanent -= usize::from(entry.expires.is_none());
        Some(entry.value)
    }

    /// Forgets the mappings of which that is true, and returns what they held.
    pub fn remove_if(&mut self, mut test: impl FnMut(&V) -> bool) -> Vec<V> {
        let ids: Vec<usize> = self.entries.iter().filter(|(_, entry)| test(&entry.value)).map(|(id, _)| id).collect();
        ids.into_iter().filter_map(|id| self.remove(id as u32)).collect()
    }

    /// Gives a mapping another key, which no other may have.
    pub fn rename(&mut self, old: &K, new: K) {
        let Some(id) = self.by_key.remove(old) else { return };
        self.by_key.insert(new, id);
        if let Some(entry) = self.entries.get_mut(id as usize) {
            entry.key = new;
        }
    }

    /// The keys of the permanent mappings.
    pub fn permanent(&self) -> impl Iterator<Item = K> {
        self.entries.iter().filter(|(_, entry)| entry.expires.is_none()).map(|(_, entry)| entry.key)
    }

    /// All mappings from a number on, in the order of their numbers.
    pub fn iter_from(&self, first: u32) -> impl Iterator<Item = (u32, &K, &V)> {
        let entries = self.entries.iter().skip_while(move |(id, _)| *id < first as usize);
        entries.map(|(id, entry)| (id as u32, &entry.key, &entry.value))
    }

    /// Forgets one mapping that was idle for too long and returns its number and its key.
    pub fn expire(&mut self, now: Instant) -> Option<(u32, K)> {
        self.take_expired(now).map(|(id, key, _)| (id, key))
    }

    /// Forgets one mapping that was idle for too long and returns its number, its key and what it held.
    pub fn take_expired(&mut self, now: Instant) -> Option<(u32, K, V)> {
        while let Some(id) = self.timers.pop_due(now) {
            let Some(entry) = self.entries.get_mut(id as usize) else { continue };
            entry.armed.fired();
            let key = entry.key;
            match entry.expires {
                Some(expires) if expires > now => self.timers.arm(id, &mut entry.armed, expires),
                _ => return self.remove(id).map(|value| (id, key, value)),
            }
        }
        None
    }

    /// Forgets one of those that were idle for longest and returns what it held.
    pub fn evict(&mut self) -> Option<V> {
        let id = self.timers.pop_first()?;
        self.entries.get_mut(id as usize)?.armed.fired();
        self.remove(id)
    }

    /// When [`Mappings::expire`] may next have something to do.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// How many mappings there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(s: i64) -> Instant {
        Instant::from_secs(s)
    }

    #[test]
    fn a_full_table_refuses_the_newest_and_keeps_the_rest() {
        let mut table = Mappings::new(2, 1);
        let a = table.insert("a", 1, secs(10)).unwrap();
        table.insert("b", 2, secs(10)).unwrap();
        assert_eq!(table.insert("c", 3, secs(10)), Err(MapError::Full));
        assert_eq!(table.find(&"a"), Some(a));
        table.remove(a);
        assert!(table.insert("c", 3, secs(10)).is_ok());
    }

    #[test]
    fn a_permanent_mapping_is_neither_counted_nor_forgotten() {
        let mut table: Mappings<&str, i32> = Mappings::new(1, 1);
        let a = table.insert_permanent("a", 1);
        table.touch(a, secs(5), Duration::from_secs(30));
        assert_eq!((table.next_timeout(), table.is_full()), (None, false));
        table.insert("b", 2, secs(10)).unwrap();
        assert_eq!((table.is_full(), table.evict(), table.evict(), table.len()), (true, Some(2), None, 1));
        assert_eq!((table.remove(a), table.is_full()), (Some(1), false));
    }

    #[test]
    fn a_renamed_mapping_is_found_by_its_new_key() {
        let mut table: Mappings<&str, i32> = Mappings::new(2, 1);
        let a = table.insert_permanent("a", 1);
        table.insert("b", 2, secs(10)).unwrap();
        table.rename(&"a", "c");
        assert_eq!(
            (table.find(&"a"), table.find(&"c"), table.permanent().collect::<Vec<_>>()),
            (None, Some(a), vec!["c"])
        );
        assert_eq!(table.remove_if(|value| *value == 1), [1]);
        assert_eq!((table.find(&"c"), table.len()), (None, 1));
    }

    #[test]
    fn a_touched_mapping_outlives_its_first_deadline() {
        let mut table = Mappings::new(2, 1);
        let a = table.insert("a", 1, secs(10)).unwrap();
        table.touch(a, secs(5), Duration::from_secs(30));
        assert_eq!(table.expire(secs(10)), None);
        assert_eq!(table.next_timeout(), Some(secs(35)));
        assert_eq!(table.expire(secs(35)), Some((a, "a")));
        assert!(table.is_empty() && table.next_timeout().is_none());
    }
}
