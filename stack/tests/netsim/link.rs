//! One direction of the link between container and stack: delay, rate, loss, reordering, duplication.
//!
//! A tap has none of these; the stack must bear them all the same, and they reach the corners that a tap reaches only
//! once in a million connections.

use std::collections::BTreeMap;

use rnet_stack::{Duration, Instant};

use crate::support::random::Random;

/// What a link does to packets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Impairment {
    /// Time that a packet is underway.
    pub delay: Duration,
    /// Packets lost in a million.
    pub loss: u32,
    /// Packets in a million that arrive late by up to `delay` and a millisecond.
    pub reorder: u32,
    /// Packets in a million that arrive twice.
    pub duplicate: u32,
}

/// One direction.
#[derive(Debug)]
pub struct Link {
    impairment: Impairment,
    random: Random,
    /// Nanoseconds: when the last packet has left.
    busy: u64,
    number: u64,
    underway: BTreeMap<(Instant, u64), Vec<u8>>,
}

/// 10 Gbit/s.
const BYTES_PER_MICROSECOND: u64 = 1250;

impl Link {
    pub fn new(impairment: Impairment, seed: u64) -> Link {
        Link { impairment, random: Random(seed), busy: 0, number: 0, underway: BTreeMap::new() }
    }

    pub fn send(&mut self, now: Instant, packet: Vec<u8>) {
        let start = self.busy.max(now.total_micros() as u64 * 1000);
        self.busy = start + packet.len() as u64 * 1000 / BYTES_PER_MICROSECOND;
        let arrives = Instant::from_micros(self.busy.div_ceil(1000) as i64) + self.impairment.delay;
        if self.random.happens(self.impairment.loss) {
            return;
        }
        if self.random.happens(self.impairment.duplicate) {
            self.put(arrives, packet.clone());
        }
        let late = if self.random.happens(self.impairment.reorder) {
            Duration::from_micros(self.random.below(self.impairment.delay.total_micros() + 1000))
        } else {
            Duration::ZERO
        };
        self.put(arrives + late, packet);
    }

    fn put(&mut self, at: Instant, packet: Vec<u8>) {
        self.number += 1;
        self.underway.insert((at, self.number), packet);
    }

    /// A packet that has arrived.
    pub fn arrived(&mut self, now: Instant) -> Option<Vec<u8>> {
        let entry = self.underway.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    pub fn next(&self) -> Option<Instant> {
        self.underway.first_key_value().map(|(&(at, _), _)| at)
    }
}
