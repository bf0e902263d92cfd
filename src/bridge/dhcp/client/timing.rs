//! When messages are repeated (RFC 2131 section 4.1, RFC 8415 section 15), and a small source of randomness for it.

use std::time::Duration;

/// A time that never comes.
pub const INFINITE: u32 = u32::MAX;
/// The first repetition comes after this; each further one after twice as long.
const FIRST: Duration = Duration::from_secs(1);
/// No longer than this is waited.
const LONGEST: Duration = Duration::from_secs(64);

/// Pseudo-random numbers (xorshift64*); they only spread clients in time and name transactions.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed that is to be random.
    pub fn new(seed: u64) -> Random {
        Random(seed | 1)
    }

    /// The next one.
    pub fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    /// How long to wait for an answer to the `tries`th message, from 0: twice as long as before, a tenth more or less.
    pub fn patience(&mut self, tries: u32) -> Duration {
        let whole = FIRST.saturating_mul(1_u32.checked_shl(tries).unwrap_or(u32::MAX)).min(LONGEST);
        whole * (90 + self.next() % 21) / 100
    }
}

/// How long to wait for an answer while the lease is good until `end`: half of what is left, not less than a minute, or a
/// sixteenth of a short lease.
pub fn until(now: Duration, end: Option<Duration>, lifetime: u32) -> Duration {
    let least = Duration::from_secs(u64::from(lifetime / 16).clamp(1, 60));
    match end {
        None => now + LONGEST,
        Some(end) => (now + (end.saturating_sub(now) / 2).max(least)).min(end),
    }
}
