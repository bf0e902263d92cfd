//! Headers of TCP, UDP and ICMP: lengths are checked, checksums are the caller's.

use super::{IcmpMessage, TcpFlags, TcpSegment, UdpDatagram};
use crate::event::DropReason;

/// ICMP's protocol number.
pub const ICMPV4: u8 = 1;
/// TCP's protocol number.
pub const TCP: u8 = 6;
/// UDP's protocol number.
pub const UDP: u8 = 17;
/// ICMPv6's next header value.
pub const ICMPV6: u8 = 58;

/// A TCP segment that fills `bytes` (RFC 9293 section 3.1).
pub(super) fn tcp(bytes: &[u8]) -> Result<TcpSegment<'_>, DropReason> {
    let Some((header, _)) = bytes.split_first_chunk::<20>() else { return Err(DropReason::Truncated) };
    let header_len = usize::from(header[12] >> 4) * 4;
    if header_len < header.len() {
        return Err(DropReason::Malformed);
    }
    Ok(TcpSegment {
        src_port: u16::from_be_bytes([header[0], header[1]]),
        dst_port: u16::from_be_bytes([header[2], header[3]]),
        seq: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        ack: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        flags: TcpFlags(header[13]),
        window: u16::from_be_bytes([header[14], header[15]]),
        header_len,
        payload: bytes.get(header_len..).ok_or(DropReason::Malformed)?,
    })
}

/// A UDP datagram at the start of `bytes`, the bytes that its checksum covers, and the checksum field (RFC 768).
pub(super) fn udp(bytes: &[u8]) -> Result<(UdpDatagram<'_>, &[u8], u16), DropReason> {
    let Some((header, _)) = bytes.split_first_chunk::<8>() else { return Err(DropReason::Truncated) };
    let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let covered = bytes.get(..len).ok_or(DropReason::Malformed)?;
    let payload = covered.get(header.len()..).ok_or(DropReason::Malformed)?;
    let datagram = UdpDatagram {
        src_port: u16::from_be_bytes([header[0], header[1]]),
        dst_port: u16::from_be_bytes([header[2], header[3]]),
        payload,
    };
    Ok((datagram, covered, u16::from_be_bytes([header[6], header[7]])))
}

/// An ICMP message of either version that fills `bytes` (RFC 792, RFC 4443 section 2.1).
pub(super) fn icmp(bytes: &[u8]) -> Result<IcmpMessage<'_>, DropReason> {
    let Some((header, body)) = bytes.split_first_chunk::<8>() else { return Err(DropReason::Truncated) };
    let [kind, code, _, _, a, b, c, d] = *header;
    Ok(IcmpMessage { kind, code, rest: [a, b, c, d], body })
}
