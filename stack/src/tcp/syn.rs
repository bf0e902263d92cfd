//! The options of a SYN: read the window scale, read the MSS and put another in its place.
//!
//! smoltcp cuts what it emits to the peer's MSS. The device can cut far better, so smoltcp is shown the largest MSS there
//! is and the true one is kept for the device (gso_size).

use crate::frame::{TcpSegment, checksum};

/// What a peer that names no MSS takes (RFC 9293 section 3.7.1).
pub(crate) const DEFAULT_MSS: u16 = 536;

/// The smallest MSS that is taken at its word: Linux' default `net.ipv4.tcp_min_snd_mss`. A hostile one of 1 byte would
/// turn each byte into a packet.
const MIN_MSS: u16 = 48;

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const MSS_LEN: usize = 4;
const WINDOW_SCALE: u8 = 3;
const WINDOW_SCALE_LEN: usize = 3;
const TIMESTAMPS: u8 = 8;
const TIMESTAMPS_LEN: usize = 10;

/// The largest shift of a window (RFC 7323 section 2.3).
const MAX_SHIFT: u8 = 14;

/// What a SYN tells of the container's end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// The MSS that the container named.
    pub(crate) mss: u16,
    /// The SYN's sequence number.
    pub(crate) seq: u32,
    /// By how many bits the container's windows are shifted, if windows are shifted at all.
    pub(crate) window_shift: Option<u8>,
}

impl Peer {
    /// A container that has not been heard of yet.
    pub(crate) const UNKNOWN: Peer = Peer { mss: DEFAULT_MSS, seq: 0, window_shift: None };
}

/// A SYN, with or without an acknowledgement, as smoltcp is to see it.
#[derive(Debug)]
pub(crate) struct HeldSyn {
    /// The whole IP packet, its MSS option raised.
    pub(crate) packet: Box<[u8]>,
    /// What it tells.
    pub(crate) peer: Peer,
}

impl HeldSyn {
    /// Keeps the IP packet `packet`, whose TCP header starts at `tcp_start`, without data: as long as no cookie vouches for
    /// it (RFC 7413), data in a SYN need not be taken, and is sent again.
    pub(crate) fn new(packet: &[u8], tcp_start: usize, segment: &TcpSegment<'_>) -> HeldSyn {
        let end = (tcp_start + segment.header_len).min(packet.len());
        let mut packet: Box<[u8]> = packet.get(..end).unwrap_or_default().into();
        state_length(&mut packet);
        let options = packet.get_mut(tcp_start + 20..).unwrap_or_default();
        let mss = set_mss(options, u16::MAX - 40).unwrap_or(DEFAULT_MSS).max(MIN_MSS);
        let window_shift = window_shift(options);
        HeldSyn { packet, peer: Peer { mss, seq: segment.seq, window_shift } }
    }
}

/// By how many bits the sender of a SYN with these options shifts its windows, if it can.
pub(crate) fn window_shift(options: &mut [u8]) -> Option<u8> {
    let [shift] = option(options, WINDOW_SCALE, WINDOW_SCALE_LEN)? else { return None };
    Some((*shift).min(MAX_SHIFT))
}

/// Makes the IP header state the length that the packet has.
pub(crate) fn state_length(packet: &mut [u8]) {
    let len = packet.len() as u16;
    if let [first, _, total @ ..] = packet
        && *first >> 4 == 4
        && let Some(field) = total.first_chunk_mut::<2>()
    {
        *field = len.to_be_bytes();
        let header_len = usize::from(*first & 15) * 4;
        if let Some(header) = packet.get_mut(..header_len)
            && header.len() >= 20
        {
            header[10..12].fill(0);
            let sum = checksum::sum(header).checksum();
            header[10..12].copy_from_slice(&sum.to_be_bytes());
        }
    } else if let Some(header) = packet.first_chunk_mut::<40>() {
        header[4..6].copy_from_slice(&len.saturating_sub(40).to_be_bytes());
    }
}

/// Replaces the value of the MSS option, if there is one, and returns the former value.
pub(crate) fn set_mss(options: &mut [u8], mss: u16) -> Option<u16> {
    let value = option(options, MSS, MSS_LEN)?.first_chunk_mut::<2>()?;
    Some(u16::from_be_bytes(std::mem::replace(value, mss.to_be_bytes())))
}

/// Empties the echo of the timestamps option: in a segment without an acknowledgement it is zero (RFC 7323 section 3.2).
pub(crate) fn clear_echo(options: &mut [u8]) {
    if let Some(value) = option(options, TIMESTAMPS, TIMESTAMPS_LEN) {
        value[4..].fill(0);
    }
}

/// The value of the first option of this kind and length.
fn option(options: &mut [u8], kind: u8, len: usize) -> Option<&mut [u8]> {
    let mut rest = options;
    loop {
        match *rest.first()? {
            END => return None,
            NOP => rest = rest.get_mut(1..)?,
            found => {
                let found_len = usize::from(*rest.get(1)?);
                if found == kind && found_len == len {
                    return rest.get_mut(2..len);
                }
                rest = rest.get_mut(found_len.max(2)..)?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_option_behind_others() {
        let mut options = [NOP, 3, 3, 7, MSS, 4, 0x05, 0xb4, END];
        assert_eq!(set_mss(&mut options, 65495), Some(1460));
        assert_eq!(&options[4..8], &[MSS, 4, 0xff, 0xd7]);
    }

    #[test]
    fn nonsense_is_left_alone() {
        for options in [&[][..], &[MSS], &[MSS, 4, 1], &[MSS, 3, 1, 1], &[8, 0], &[8, 200, 1], &[END, MSS, 4, 1, 1]] {
            let mut copy = options.to_vec();
            assert_eq!(set_mss(&mut copy, 9), None, "{options:?}");
            assert_eq!(copy, options);
        }
    }
}
