//! The IPv6 header and its chain of extension headers (RFC 8200), followed for a bounded number of steps.

use std::net::Ipv6Addr;

use super::{
    Checksum, Fragment, IpPacket, Transport,
    classify::{check_ipv6, transport},
};
use crate::event::DropReason;

/// Length of an IPv6 header without extension headers, bytes.
pub const IPV6_HEADER_LEN: usize = 40;

/// Extension headers that a packet may have; real ones have two or three.
const MAX_EXTENSION_HEADERS: usize = 8;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
pub(super) const FRAGMENT: u8 = 44;
const NO_NEXT_HEADER: u8 = 59;
const DESTINATION_OPTIONS: u8 = 60;

const OPTION_PAD1: u8 = 0;
/// The two bits of an option's type that say what becomes of a packet whose receiver doesn't know it: zero means "skip".
const OPTION_UNKNOWN_ACTION: u8 = 0xc0;

/// Parses an IPv6 packet at the start of `bytes`.
pub(super) fn parse(bytes: &[u8], checksum: Checksum) -> Result<IpPacket<'_>, DropReason> {
    let Some((header, _)) = bytes.split_first_chunk::<IPV6_HEADER_LEN>() else { return Err(DropReason::Truncated) };
    let [version, class, _, _, len_high, len_low, next_header, hop_limit, addresses @ ..] = header;
    let payload_len = usize::from(u16::from_be_bytes([*len_high, *len_low]));
    // A payload of zero is a jumbogram (RFC 2675), which no tap makes, or nothing at all.
    if version >> 4 != 6 || payload_len == 0 {
        return Err(DropReason::Malformed);
    }
    let packet = bytes.get(..IPV6_HEADER_LEN + payload_len).ok_or(DropReason::Truncated)?;
    let payload = packet.get(IPV6_HEADER_LEN..).unwrap_or_default();
    let ([src, dst], []) = addresses.as_chunks::<16>() else { return Err(DropReason::Truncated) };
    let (src, dst) = (Ipv6Addr::from(*src), Ipv6Addr::from(*dst));

    let (transport, transport_at) = match follow(*next_header, payload)? {
        End::Fragment(fragment, at) => (Transport::Fragment(fragment), at),
        End::Transport(protocol, at) => {
            let payload = payload.get(at..).ok_or(DropReason::Malformed)?;
            (transport(protocol, payload, src.into(), dst.into(), checksum)?, at)
        }
    };
    check_ipv6(src, dst, &transport)?;
    Ok(IpPacket {
        src: src.into(),
        dst: dst.into(),
        ttl: *hop_limit,
        tos: (version << 4) | (class >> 4),
        bytes: packet,
        header_len: IPV6_HEADER_LEN + transport_at,
        has_options: transport_at > 0,
        transport,
    })
}

/// Where a chain of extension headers ends; offsets are bytes behind the fixed header.
enum End<'a> {
    Transport(u8, usize),
    Fragment(Fragment<'a>, usize),
}

/// Follows the extension headers in `payload` to the transport or to a fragment.
fn follow(mut next_header: u8, payload: &[u8]) -> Result<End<'_>, DropReason> {
    let mut at = 0;
    for step in 0..=MAX_EXTENSION_HEADERS {
        let rest = payload.get(at..).ok_or(DropReason::Malformed)?;
        match next_header {
            // Only the first header may be hop-by-hop options (RFC 8200 section 4.1).
            HOP_BY_HOP if step > 0 => return Err(DropReason::Malformed),
            HOP_BY_HOP | DESTINATION_OPTIONS => check_options(extension(rest)?)?,
            ROUTING => check_routing(extension(rest)?)?,
            FRAGMENT => {
                if let Some(fragment) = fragment(rest)? {
                    return Ok(End::Fragment(fragment, at + 8));
                }
                // An atomic fragment is a whole packet (RFC 6946), and its header has a fixed length.
                next_header = *rest.first().ok_or(DropReason::Malformed)?;
                at += 8;
                continue;
            }
            NO_NEXT_HEADER => return Err(DropReason::Protocol),
            protocol => return Ok(End::Transport(protocol, at)),
        }
        at += extension(rest)?.len();
        next_header = *rest.first().ok_or(DropReason::Malformed)?;
    }
    Err(DropReason::Malformed)
}

/// The extension header at the start of `bytes`: its second byte is its length in units of eight bytes, less one.
fn extension(bytes: &[u8]) -> Result<&[u8], DropReason> {
    let len = bytes.get(1).ok_or(DropReason::Malformed)?;
    bytes.get(..(usize::from(*len) + 1) * 8).ok_or(DropReason::Malformed)
}

/// Walks the options of a hop-by-hop or destination options header (RFC 8200 section 4.2).
fn check_options(header: &[u8]) -> Result<(), DropReason> {
    let mut options = header.get(2..).unwrap_or_default();
    while let Some((&kind, rest)) = options.split_first() {
        if kind == OPTION_PAD1 {
            options = rest;
            continue;
        }
        if kind & OPTION_UNKNOWN_ACTION != 0 {
            return Err(DropReason::HeaderOption);
        }
        let len = usize::from(*rest.first().ok_or(DropReason::Malformed)?);
        options = rest.get(1 + len..).ok_or(DropReason::Malformed)?;
    }
    Ok(())
}

/// Refuses a routing header that has anywhere left to go, and type 0 altogether (RFC 5095).
fn check_routing(header: &[u8]) -> Result<(), DropReason> {
    match header {
        [_, _, kind, segments_left, ..] if *kind != 0 && *segments_left == 0 => Ok(()),
        _ => Err(DropReason::SourceRoute),
    }
}

/// The fragment whose header starts `bytes` (RFC 8200 section 4.5), `None` when it is atomic.
fn fragment(bytes: &[u8]) -> Result<Option<Fragment<'_>>, DropReason> {
    let Some((header, payload)) = bytes.split_first_chunk::<8>() else { return Err(DropReason::Malformed) };
    let [protocol, _, offset_high, offset_low, id @ ..] = *header;
    let field = u16::from_be_bytes([offset_high, offset_low]);
    let (offset, more) = (usize::from(field & 0xfff8), field & 1 != 0);
    if !more && offset == 0 {
        return Ok(None);
    }
    if payload.is_empty() || (more && !payload.len().is_multiple_of(8)) {
        return Err(DropReason::Malformed);
    }
    if offset + payload.len() > usize::from(u16::MAX) {
        return Err(DropReason::Fragment);
    }
    Ok(Some(Fragment { id: u32::from_be_bytes(id), offset, more, protocol, payload }))
}
