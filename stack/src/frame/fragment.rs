//! A frame too long for the link, cut into IP fragments.

use super::{
    Checksum, ETHERNET_HEADER_LEN, IpPacket, Packet, Transport, checksum, classify,
    header::BuildError,
    ipv4::IPV4_HEADER_LEN,
    ipv6::{FRAGMENT, IPV6_HEADER_LEN},
};

const FRAGMENT_HEADER_LEN: usize = 8;

/// Cuts `frame` into frames whose IP packets have at most `mtu` bytes; one that fits is returned as it is.
///
/// The frame's checksums must be whole (a fragment cannot be finished by a device), its IP header plain. `id` must not
/// repeat between two addresses while fragments may be under way (RFC 6864 section 4.3, RFC 8200 section 4.5); IPv4 takes
/// its low 16 bits.
pub fn fragment(frame: Vec<u8>, mtu: u16, id: u32) -> Result<Vec<Vec<u8>>, BuildError> {
    let Ok(Packet::Ip(packet)) = classify(&frame, Checksum::Valid) else { return Err(BuildError::Fragmentation) };
    if packet.bytes.len() <= usize::from(mtu) {
        return Ok(vec![frame]);
    }
    if packet.has_options || matches!(packet.transport, Transport::Fragment(_)) {
        return Err(BuildError::Fragmentation);
    }
    let overhead = packet.header_len + if packet.src.is_ipv6() { FRAGMENT_HEADER_LEN } else { 0 };
    // Every piece but the last is a multiple of eight bytes.
    let piece_len = usize::from(mtu).saturating_sub(overhead) & !7;
    if piece_len == 0 {
        return Err(BuildError::Fragmentation);
    }
    let ethernet = frame.get(..ETHERNET_HEADER_LEN).unwrap_or_default();
    let payload = packet.bytes.get(packet.header_len..).unwrap_or_default();
    let mut frames = Vec::with_capacity(payload.len().div_ceil(piece_len));
    let mut offset = 0;
    for piece in payload.chunks(piece_len) {
        let place = Place { id, offset, more: offset + piece.len() < payload.len() };
        let mut fragment = Vec::with_capacity(ETHERNET_HEADER_LEN + overhead + piece.len());
        fragment.extend_from_slice(ethernet);
        push_header(&mut fragment, &packet, place, piece.len())?;
        fragment.extend_from_slice(piece);
        frames.push(fragment);
        offset += piece.len();
    }
    Ok(frames)
}

/// Where a fragment belongs.
struct Place {
    id: u32,
    /// Bytes; a multiple of eight below 2^16.
    offset: usize,
    more: bool,
}

fn push_header(frame: &mut Vec<u8>, packet: &IpPacket<'_>, place: Place, piece_len: usize) -> Result<(), BuildError> {
    if packet.src.is_ipv4() {
        let mut header = *packet.bytes.first_chunk::<IPV4_HEADER_LEN>().ok_or(BuildError::Fragmentation)?;
        let field = (place.offset / 8) as u16 | if place.more { 0x2000 } else { 0 };
        header[2..4].copy_from_slice(&((IPV4_HEADER_LEN + piece_len) as u16).to_be_bytes());
        header[4..6].copy_from_slice(&(place.id as u16).to_be_bytes());
        header[6..8].copy_from_slice(&field.to_be_bytes());
        header[10..12].fill(0);
        let sum = checksum::sum(&header).checksum();
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        frame.extend_from_slice(&header);
    } else {
        let mut header = *packet.bytes.first_chunk::<IPV6_HEADER_LEN>().ok_or(BuildError::Fragmentation)?;
        let next_header = std::mem::replace(&mut header[6], FRAGMENT);
        header[4..6].copy_from_slice(&((FRAGMENT_HEADER_LEN + piece_len) as u16).to_be_bytes());
        let [high, low] = (place.offset as u16 | u16::from(place.more)).to_be_bytes();
        let [a, b, c, d] = place.id.to_be_bytes();
        frame.extend_from_slice(&header);
        frame.extend_from_slice(&[next_header, 0, high, low, a, b, c, d]);
    }
    Ok(())
}
