//! Reproducible randomness (splitmix64).

use std::sync::OnceLock;

#[derive(Clone, Copy, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Whether something of this many in a million happens.
    pub fn happens(&mut self, per_million: u32) -> bool {
        self.below(1_000_000) < u64::from(per_million)
    }
}

/// The longest stream that is ever sent.
const LONGEST: usize = 20 << 20;

/// The stream that every simulated sender sends: any loss, repetition or reordering shows.
pub fn stream() -> &'static [u8] {
    static STREAM: OnceLock<Vec<u8>> = OnceLock::new();
    STREAM.get_or_init(|| {
        let mut random = Random(5);
        (0..LONGEST / 8).flat_map(|_| random.next().to_le_bytes()).collect()
    })
}

/// A piece of that stream.
pub fn bytes(from: usize, len: usize) -> &'static [u8] {
    &stream()[from..from + len]
}
