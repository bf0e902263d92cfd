//! Bytes that never passed smoltcp, and the sequence numbers that it therefore does not know of.
//!
//! Bulk from the container goes from its frame straight into the host socket. smoltcp can only count what it has copied into
//! its ring, so it is shown a stream without these bytes: what comes from the container is moved back by their number, what
//! smoltcp acknowledges is moved forward.

use super::syn::state_length;
use crate::frame::{IpPacket, TcpSegment};

const SEQUENCE: usize = 4;
const ACKNOWLEDGEMENT: usize = 8;
const OPTIONS: usize = 20;

const END: u8 = 0;
const NOP: u8 = 1;
/// Selective acknowledgements (RFC 2018 section 3).
const SACK: u8 = 5;

/// How far the container's stream is ahead of what smoltcp saw of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Detour {
    bytes: u32,
}

impl Detour {
    /// Notes bytes that went past smoltcp.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes = self.bytes.wrapping_add(bytes as u32);
    }

    /// Whether smoltcp saw everything.
    pub(crate) fn is_none(self) -> bool {
        self.bytes == 0
    }

    /// The number under which smoltcp knows the container's sequence number `seq`.
    pub(crate) fn inward(self, seq: u32) -> u32 {
        seq.wrapping_sub(self.bytes)
    }

    /// Writes into `room` the packet as smoltcp is to see it: its headers, with `payload` at the sequence number `seq`.
    pub(crate) fn shown(
        self,
        packet: &IpPacket<'_>,
        segment: &TcpSegment<'_>,
        seq: u32,
        payload: &[u8],
        room: &mut Vec<u8>,
    ) {
        let headers = packet.header_len + segment.header_len;
        room.clear();
        room.extend_from_slice(packet.bytes.get(..headers).unwrap_or_default());
        room.extend_from_slice(payload);
        state_length(room);
        put(room.get_mut(packet.header_len..).unwrap_or_default(), SEQUENCE, self.inward(seq));
    }

    /// Makes the TCP header in `segment`, which smoltcp emitted, acknowledge what the container sent.
    pub(crate) fn outward(self, segment: &mut [u8]) {
        if self.is_none() {
            return;
        }
        self.advance(segment, ACKNOWLEDGEMENT);
        let header_len = segment.get(12).map_or(0, |offset| usize::from(offset >> 4) * 4);
        let mut at = OPTIONS;
        while at < header_len {
            let (Some(&kind), len) = (segment.get(at), segment.get(at + 1).copied().unwrap_or(0)) else { return };
            match kind {
                END => return,
                NOP => at += 1,
                _ => {
                    let end = at + usize::from(len.max(2));
                    if kind == SACK {
                        (at + 2..end.min(header_len)).step_by(4).for_each(|edge| self.advance(segment, edge));
                    }
                    at = end;
                }
            }
        }
    }

    fn advance(self, segment: &mut [u8], at: usize) {
        if let Some(field) = segment.get(at..).and_then(<[u8]>::first_chunk::<4>) {
            put(segment, at, u32::from_be_bytes(*field).wrapping_add(self.bytes));
        }
    }
}

fn put(segment: &mut [u8], at: usize, number: u32) {
    if let Some(field) = segment.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>) {
        *field = number.to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_and_selective_ones_are_moved_forward() {
        let mut header = vec![0; 36];
        header[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
        header[12] = 9 << 4;
        header[20..24].copy_from_slice(&[NOP, NOP, NOP, NOP]);
        header[24..26].copy_from_slice(&[SACK, 10]);
        header[26..30].copy_from_slice(&100u32.to_be_bytes());
        header[30..34].copy_from_slice(&200u32.to_be_bytes());
        let mut detour = Detour::default();
        detour.outward(&mut header);
        assert_eq!(header[8..12], u32::MAX.to_be_bytes(), "nothing went past smoltcp yet");
        detour.add(1000);
        detour.outward(&mut header);
        assert_eq!(header[8..12], 999u32.to_be_bytes());
        assert_eq!(header[26..30], 1100u32.to_be_bytes());
        assert_eq!(header[30..34], 1200u32.to_be_bytes());
    }

    #[test]
    fn a_header_cut_short_does_no_harm() {
        let mut detour = Detour::default();
        detour.add(5);
        for len in 0..24 {
            let mut header = vec![0xff; len];
            detour.outward(&mut header);
        }
    }
}
