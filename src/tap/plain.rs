//! Frames for a device that does nothing for us: no header before them, segments cut and checksums summed here.

use rnet_stack::frame::checksum::{Sum, pseudo_header_v4, pseudo_header_v6, sum};
use rnet_stack::frame::{Checksum, Gso, Offload};

const ETHERNET_LEN: usize = 14;
const TCP: u8 = 6;
/// FIN and PSH belong to the last segment alone, CWR to the first (RFC 3168 section 6.1.2).
const LAST_ONLY: u8 = 0x09;
const FIRST_ONLY: u8 = 0x80;

/// What cuts frames.
#[derive(Debug, Default)]
pub struct Cutter {
    segment: Vec<u8>,
}

impl Cutter {
    /// Hands over what is to be sent of a frame that leaves work undone; a frame that makes no sense is not sent.
    pub fn cut(&mut self, frame: &mut [u8], offload: Offload, mut send: impl FnMut(&[u8])) {
        match offload.gso {
            Gso::None => {
                if finish(frame, offload.checksum).is_some() {
                    send(frame);
                }
            }
            Gso::Tcp4 | Gso::Tcp6 => {
                let _ = self.tcp(frame, offload, send);
            }
            // A device without offloads is told none of these (`Offloads::Tcp`).
            Gso::Udp => {}
        }
    }

    fn tcp(&mut self, frame: &[u8], offload: Offload, mut send: impl FnMut(&[u8])) -> Option<()> {
        let header_len = usize::from(offload.header_len);
        let (header, payload) = frame.split_at_checked(header_len)?;
        let size = usize::from(offload.gso_size);
        if size == 0 {
            return None;
        }
        let last = payload.len().div_ceil(size).saturating_sub(1);
        for (index, part) in payload.chunks(size).enumerate() {
            self.segment.clear();
            self.segment.extend_from_slice(header);
            self.segment.extend_from_slice(part);
            let offset = index * size;
            let position = Position { index: index as u16, offset: offset as u32, is_last: index == last };
            if offload.gso == Gso::Tcp4 {
                tcp4(&mut self.segment, position)?
            } else {
                tcp6(&mut self.segment, position)?
            }
            send(&self.segment);
        }
        Some(())
    }
}

/// Where a segment stands among those of its frame.
#[derive(Clone, Copy, Debug)]
struct Position {
    index: u16,
    offset: u32,
    is_last: bool,
}

/// Completes a checksum of which only the pseudo-header is summed.
fn finish(frame: &mut [u8], checksum: Checksum) -> Option<()> {
    let Checksum::Partial { start, offset } = checksum else { return Some(()) };
    let total = sum(frame.get(usize::from(start)..)?);
    // The checksum stands at this place in a UDP header; zero would mean that there is none (RFC 768).
    let is_udp = offset == 6;
    let at = usize::from(start) + usize::from(offset);
    let value = if is_udp { total.udp_checksum() } else { total.checksum() };
    put(frame, at, value)
}

fn tcp4(frame: &mut [u8], position: Position) -> Option<()> {
    let packet = frame.get_mut(ETHERNET_LEN..)?;
    let total = u16::try_from(packet.len()).ok()?;
    let header_len = usize::from(packet.first()? & 0xf) * 4;
    put(packet, 2, total)?;
    let id = u16::from_be_bytes(bytes(packet, 4)?);
    put(packet, 4, id.wrapping_add(position.index))?;
    put(packet, 10, 0)?;
    let check = sum(packet.get(..header_len)?).checksum();
    put(packet, 10, check)?;
    let (src, dst): ([u8; 4], [u8; 4]) = (bytes(packet, 12)?, bytes(packet, 16)?);
    let segment = packet.get_mut(header_len..)?;
    let pseudo = pseudo_header_v4(src.into(), dst.into(), TCP, segment.len());
    header(segment, position, pseudo)
}

fn tcp6(frame: &mut [u8], position: Position) -> Option<()> {
    const HEADER_LEN: usize = 40;
    let packet = frame.get_mut(ETHERNET_LEN..)?;
    let payload = u16::try_from(packet.len().checked_sub(HEADER_LEN)?).ok()?;
    put(packet, 4, payload)?;
    let (src, dst): ([u8; 16], [u8; 16]) = (bytes(packet, 8)?, bytes(packet, 24)?);
    let segment = packet.get_mut(HEADER_LEN..)?;
    let pseudo = pseudo_header_v6(src.into(), dst.into(), TCP, segment.len());
    header(segment, position, pseudo)
}

/// The TCP header of one segment.
fn header(segment: &mut [u8], position: Position, pseudo: Sum) -> Option<()> {
    let first = u32::from_be_bytes(bytes(segment, 4)?);
    segment.get_mut(4..8)?.copy_from_slice(&first.wrapping_add(position.offset).to_be_bytes());
    let flags = segment.get_mut(13)?;
    if !position.is_last {
        *flags &= !LAST_ONLY;
    }
    if position.index > 0 {
        *flags &= !FIRST_ONLY;
    }
    put(segment, 16, 0)?;
    let check = (pseudo + sum(segment)).checksum();
    put(segment, 16, check)
}

fn bytes<const N: usize>(from: &[u8], at: usize) -> Option<[u8; N]> {
    from.get(at..)?.first_chunk().copied()
}

fn put(into: &mut [u8], at: usize, value: u16) -> Option<()> {
    into.get_mut(at..at + 2)?.copy_from_slice(&value.to_be_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rnet_stack::frame::{TcpFlags, Transport, classify_ip};

    /// An Ethernet frame with `len` bytes of TCP payload, its checksums undone.
    fn frame(v6: bool, len: usize) -> (Vec<u8>, Offload) {
        let mut frame = vec![0; 12];
        frame.extend_from_slice(if v6 { &[0x86, 0xdd] } else { &[8, 0] });
        if v6 {
            frame.extend_from_slice(&[0x60, 0, 0, 0, 0, 0, 6, 64]);
            frame.extend_from_slice(&"fd00::2".parse::<std::net::Ipv6Addr>().unwrap().octets());
            frame.extend_from_slice(&"fd00::100".parse::<std::net::Ipv6Addr>().unwrap().octets());
        } else {
            frame.extend_from_slice(&[0x45, 0, 0, 0, 0xff, 0xff, 0, 0, 64, 6, 0, 0, 10, 0, 2, 2, 10, 0, 2, 100]);
        }
        // Ports, sequence number close to its end, acknowledgement, FIN PSH ACK CWR.
        frame.extend_from_slice(&[0, 80, 0, 81, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0x50, 0x99, 9, 9, 7, 7, 0, 0]);
        let header_len = frame.len() as u16;
        frame.extend((0..len).map(|n| n as u8));
        let gso = if v6 { Gso::Tcp6 } else { Gso::Tcp4 };
        (frame, Offload { checksum: Checksum::Unverified, gso, gso_size: 100, header_len })
    }

    #[test]
    fn segments_are_whole_packets_one_behind_the_other() {
        for v6 in [false, true] {
            let (mut frame, offload) = frame(v6, 250);
            let mut sent: Vec<Vec<u8>> = Vec::new();
            Cutter::default().cut(&mut frame, offload, |segment| sent.push(segment.to_vec()));
            let mut all = Vec::new();
            for (index, segment) in sent.iter().enumerate() {
                // It verifies all checksums that nobody vouches for.
                let packet = classify_ip(&segment[ETHERNET_LEN..], Checksum::Unverified).unwrap();
                let Transport::Tcp(tcp) = packet.transport else { panic!() };
                let is_last = index == 2;
                assert_eq!(tcp.flags.contains(TcpFlags::FIN), is_last);
                let header_len = usize::from(offload.header_len);
                let number = u32::from_be_bytes(segment[header_len - 16..header_len - 12].try_into().unwrap());
                assert_eq!(number, u32::MAX.wrapping_add(all.len() as u32));
                assert_eq!(
                    segment[header_len - 7] & 0x88,
                    if is_last {
                        8
                    } else if index == 0 {
                        0x80
                    } else {
                        0
                    }
                );
                all.extend_from_slice(&segment[header_len..]);
            }
            assert_eq!(all, (0..250).map(|n| n as u8).collect::<Vec<_>>());
            assert_eq!(sent.len(), 3);
        }
    }

    #[test]
    fn nonsense_is_not_sent() {
        let (mut frame, offload) = frame(false, 250);
        for wrong in [
            Offload { gso_size: 0, ..offload },
            Offload { header_len: 9999, ..offload },
            Offload { header_len: 20, ..offload },
            Offload { gso: Gso::None, checksum: Checksum::Partial { start: 9999, offset: 6 }, ..offload },
            Offload { gso: Gso::Udp, ..offload },
        ] {
            Cutter::default().cut(&mut frame, wrong, |_| panic!("{wrong:?}"));
        }
    }
}
