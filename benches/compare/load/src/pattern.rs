//! The payload that everyone knows: position *n* of any stream has the same byte everywhere.

/// A prime, so that no lost or repeated power of two, MTU or MSS maps the pattern onto itself.
const PERIOD: usize = 65_521;
/// The longest slice that can be had at once.
pub const SPAN: usize = 256 * 1024;
/// Bulk streams are a whole number of these: a stream that was cut short shows.
pub const CHUNK: u64 = 256 * 1024;

/// The pattern, unrolled far enough that a slice never wraps.
pub struct Pattern(Vec<u8>);

impl Pattern {
    /// Makes the pattern (xorshift64*, fixed seed).
    pub fn new() -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut bytes: Vec<u8> = (0..PERIOD)
            .map(|_| {
                state ^= state >> 12;
                state ^= state << 25;
                state ^= state >> 27;
                (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
            })
            .collect();
        while bytes.len() < PERIOD + SPAN {
            bytes.extend_from_within(..PERIOD.min(PERIOD + SPAN - bytes.len()));
        }
        Self(bytes)
    }

    /// The bytes that a stream has at `offset`; `length` at most [`SPAN`].
    pub fn at(&self, offset: u64, length: usize) -> &[u8] {
        let start = (offset % PERIOD as u64) as usize;
        &self.0[start..start + length]
    }

    /// Fills a datagram: its number, then the pattern at a place that depends on the number.
    pub fn fill_datagram(&self, number: u64, datagram: &mut [u8]) {
        let (head, body) = datagram.split_at_mut(8);
        head.copy_from_slice(&number.to_le_bytes());
        body.copy_from_slice(self.at(number.wrapping_mul(7), body.len()));
    }

    /// The number of a datagram whose bytes are right.
    pub fn check_datagram(&self, datagram: &[u8]) -> Option<u64> {
        let (head, body) = datagram.split_first_chunk::<8>()?;
        let number = u64::from_le_bytes(*head);
        (body.len() <= SPAN && body == self.at(number.wrapping_mul(7), body.len())).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_the_same_wherever_it_is_cut() {
        let pattern = Pattern::new();
        let whole = pattern.at(60_000, SPAN);
        assert_eq!(&whole[10_000..20_000], pattern.at(70_000, 10_000));
        assert_ne!(pattern.at(0, 1000), pattern.at(65_536, 1000), "a lost 64 KiB must show");
    }

    #[test]
    fn a_datagram_with_a_changed_byte_is_told() {
        let pattern = Pattern::new();
        let mut datagram = [0; 1400];
        pattern.fill_datagram(123_456, &mut datagram);
        assert_eq!(pattern.check_datagram(&datagram), Some(123_456));
        datagram[700] ^= 1;
        assert_eq!(pattern.check_datagram(&datagram), None);
    }
}
