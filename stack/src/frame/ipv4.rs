//! The IPv4 header (RFC 791): lengths, checksum, options and fragmentation.

use std::net::Ipv4Addr;

use super::{
    Checksum, Fragment, IpPacket, Transport, checksum,
    classify::{check_ipv4, transport},
};
use crate::event::DropReason;

/// Length of an IPv4 header without options, bytes.
pub const IPV4_HEADER_LEN: usize = 20;

const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
const OPTION_LOOSE_SOURCE_ROUTE: u8 = 0x83;
const OPTION_STRICT_SOURCE_ROUTE: u8 = 0x89;

/// Parses an IPv4 packet at the start of `bytes`.
pub(super) fn parse(bytes: &[u8], checksum: Checksum) -> Result<IpPacket<'_>, DropReason> {
    let Some((header, _)) = bytes.split_first_chunk::<IPV4_HEADER_LEN>() else { return Err(DropReason::Truncated) };
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[0] >> 4 != 4 || header_len < IPV4_HEADER_LEN || total_len < header_len {
        return Err(DropReason::Malformed);
    }
    let packet = bytes.get(..total_len).ok_or(DropReason::Truncated)?;
    let (whole_header, payload) = packet.split_at_checked(header_len).ok_or(DropReason::Malformed)?;
    if !checksum::sum(whole_header).verifies() {
        return Err(DropReason::Checksum);
    }
    check_options(whole_header.get(IPV4_HEADER_LEN..).unwrap_or_default())?;

    let src = Ipv4Addr::new(header[12], header[13], header[14], header[15]);
    let dst = Ipv4Addr::new(header[16], header[17], header[18], header[19]);
    let protocol = header[9];
    let transport = match fragment(header, payload)? {
        Some(fragment) => Transport::Fragment(fragment),
        None => transport(protocol, payload, src.into(), dst.into(), checksum)?,
    };
    check_ipv4(src, dst, &transport)?;
    Ok(IpPacket {
        src: src.into(),
        dst: dst.into(),
        ttl: header[8],
        tos: header[1],
        bytes: packet,
        header_len,
        has_options: header_len > IPV4_HEADER_LEN,
        transport,
    })
}

/// The fragment that a packet is, `None` when it is whole.
fn fragment<'a>(header: &[u8; IPV4_HEADER_LEN], payload: &'a [u8]) -> Result<Option<Fragment<'a>>, DropReason> {
    let field = u16::from_be_bytes([header[6], header[7]]);
    let more = field & 0x2000 != 0;
    let offset = usize::from(field & 0x1fff) * 8;
    if !more && offset == 0 {
        return Ok(None);
    }
    if payload.is_empty() || (more && !payload.len().is_multiple_of(8)) {
        return Err(DropReason::Malformed);
    }
    if offset + payload.len() > usize::from(u16::MAX) - IPV4_HEADER_LEN {
        return Err(DropReason::Fragment);
    }
    let id = u32::from(u16::from_be_bytes([header[4], header[5]]));
    Ok(Some(Fragment { id, offset, more, protocol: header[9], payload }))
}

/// Walks the options (RFC 791 section 3.1): each must fit, and none may route the packet (RFC 7126 section 4.3).
fn check_options(mut options: &[u8]) -> Result<(), DropReason> {
    while let Some((&kind, rest)) = options.split_first() {
        options = match kind {
            OPTION_END => return Ok(()),
            OPTION_NOP => rest,
            OPTION_LOOSE_SOURCE_ROUTE | OPTION_STRICT_SOURCE_ROUTE => return Err(DropReason::SourceRoute),
            _ => match rest.first() {
                Some(&len) if len >= 2 => options.get(usize::from(len)..).ok_or(DropReason::Malformed)?,
                _ => return Err(DropReason::Malformed),
            },
        };
    }
    Ok(())
}
