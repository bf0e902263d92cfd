//! The window that the container is told: what smoltcp has room for, but no more than a flow's part of the device's queue.

use crate::frame::TcpFlags;
use crate::tcp::syn::window_shift;

const ACKNOWLEDGEMENT: usize = 8;
const DATA_OFFSET: usize = 12;
const WINDOW: usize = 14;
const OPTIONS: usize = 20;

/// What the container was told that it may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offered {
    /// The sequence number up to which it may send. It never moves back (RFC 9293 section 3.8.6).
    edge: u32,
    /// Whether the container can do with shifted windows.
    scales: bool,
    /// By how many bits the windows are shifted, as our SYN has named it.
    shift: u8,
    /// The window of our SYN, as long as the container has not told where its stream begins.
    first: u16,
}

impl Offered {
    /// Nothing yet, of a stream whose first byte has the number `first`.
    pub(super) fn new(first: u32, scales: bool) -> Offered {
        Offered { edge: first, scales, shift: 0, first: 0 }
    }

    /// Learns from the container's answer to our SYN where its stream begins, and whether it can do with shifted windows.
    pub(super) fn answered(&mut self, first: u32, scales: bool) {
        self.edge = first.wrapping_add(u32::from(self.first));
        if !scales {
            self.shift = 0;
        }
    }

    /// Lowers the window in an emitted segment to `most` bytes, or to what was offered before.
    pub(super) fn limit(&mut self, segment: &mut [u8], most: usize) {
        let Some(&[offset, flags, high, low]) = segment.get(DATA_OFFSET..).and_then(<[u8]>::first_chunk::<4>) else {
            return;
        };
        let Some(ack) = segment.get(ACKNOWLEDGEMENT..).and_then(<[u8]>::first_chunk::<4>) else { return };
        let (ack, flags) = (u32::from_be_bytes(*ack), TcpFlags(flags));
        let window = u16::from_be_bytes([high, low]);
        if flags.contains(TcpFlags::SYN) {
            let options = segment.get_mut(OPTIONS..usize::from(offset >> 4) * 4).unwrap_or_default();
            let shift = window_shift(options).unwrap_or(0);
            // The window of a SYN is not shifted (RFC 7323 section 2.2).
            if flags.contains(TcpFlags::ACK) {
                self.shift = if self.scales { shift } else { 0 };
                self.advance(ack.wrapping_add(u32::from(window)));
            } else {
                (self.shift, self.first) = (shift, window);
            }
            return;
        }
        if !flags.contains(TcpFlags::ACK) || flags.contains(TcpFlags::RST) {
            return;
        }
        let before = usize::try_from(self.edge.wrapping_sub(ack) as i32).unwrap_or(0);
        let limit = most.max(before).div_ceil(1 << self.shift);
        let window = window.min(u16::try_from(limit).unwrap_or(u16::MAX));
        if let Some(field) = segment.get_mut(WINDOW..).and_then(<[u8]>::first_chunk_mut::<2>) {
            *field = window.to_be_bytes();
        }
        self.advance(ack.wrapping_add(u32::from(window) << self.shift));
    }

    fn advance(&mut self, edge: u32) {
        if (edge.wrapping_sub(self.edge) as i32) > 0 {
            self.edge = edge;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(flags: u8, ack: u32, window: u16) -> Vec<u8> {
        let mut bytes = vec![0; 24];
        bytes[8..12].copy_from_slice(&ack.to_be_bytes());
        bytes[12..16].copy_from_slice(&[6 << 4, flags, (window >> 8) as u8, window as u8]);
        bytes[20..24].copy_from_slice(&[3, 3, 4, 0]);
        bytes
    }

    fn told(offered: &mut Offered, mut bytes: Vec<u8>, most: usize) -> u16 {
        offered.limit(&mut bytes, most);
        u16::from_be_bytes([bytes[14], bytes[15]])
    }

    #[test]
    fn a_window_is_lowered_but_what_was_offered_is_not_taken_back() {
        let mut offered = Offered::new(1000, true);
        assert_eq!(told(&mut offered, segment(0x12, 1000, 65535), 1), 65535, "a SYN is left as it is");
        assert_eq!(told(&mut offered, segment(0x10, 1000, 20000), 1), 4096, "65,535 bytes have been offered already");
        assert_eq!(told(&mut offered, segment(0x10, 66_536, 20000), 32 << 10), 2048);
        assert_eq!(told(&mut offered, segment(0x10, 66_536, 20000), 1 << 20), 20000);
        assert_eq!(told(&mut offered, segment(0x10, 66_536, 0), 1 << 20), 0, "smoltcp may close it");
    }

    #[test]
    fn without_scaling_the_window_is_what_it_says() {
        let mut offered = Offered::new(0, false);
        told(&mut offered, segment(0x12, 0, 100), 1);
        assert_eq!(told(&mut offered, segment(0x10, 100, 65535), 5000), 5000);
    }

    #[test]
    fn a_window_offered_before_the_container_answered_counts_from_its_first_byte() {
        for (scales, told_then) in [(true, 4096), (false, 65535)] {
            let mut offered = Offered::new(1, false);
            told(&mut offered, segment(0x02, 0, 65535), 1);
            offered.answered(1000, scales);
            assert_eq!(told(&mut offered, segment(0x10, 1000, 65535), 1), told_then);
        }
    }

    #[test]
    fn a_reset_and_a_header_cut_short_are_left_alone() {
        let mut offered = Offered::new(0, true);
        assert_eq!(told(&mut offered, segment(0x14, 0, 7), 1), 7);
        for len in 0..20 {
            offered.limit(&mut vec![0xff; len], 1);
        }
    }
}
