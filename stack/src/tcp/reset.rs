//! The reset that answers a segment for which there is no flow (RFC 9293 section 3.10.7.1).

use std::net::IpAddr;

use crate::frame::{IPV4_HEADER_LEN, IPV6_HEADER_LEN, IpHeader, TCP, TcpFlags};
use crate::link::HOP_LIMIT;

const TCP_HEADER_LEN: usize = 20;

/// Writes the reset that `packet` calls for at the start of `out`, an IP packet as well; returns its length. The checksum of
/// its TCP header is left empty. `None` where no reset may be sent.
///
/// `packet` has a plain IP header: no options, no extension headers.
pub(crate) fn answer(packet: &[u8], out: &mut [u8]) -> Option<usize> {
    let (src, dst, ip_len): (IpAddr, IpAddr, usize) = match packet.first()? >> 4 {
        4 => {
            let addresses = packet.get(12..20)?.first_chunk::<8>()?;
            let [a, b, c, d, e, f, g, h] = *addresses;
            ([a, b, c, d].into(), [e, f, g, h].into(), IPV4_HEADER_LEN)
        }
        6 => {
            let src = *packet.get(8..24)?.first_chunk::<16>()?;
            let dst = *packet.get(24..40)?.first_chunk::<16>()?;
            (src.into(), dst.into(), IPV6_HEADER_LEN)
        }
        _ => return None,
    };
    let segment = packet.get(ip_len..)?;
    let header = segment.first_chunk::<TCP_HEADER_LEN>()?;
    let flags = TcpFlags(header[13]);
    if flags.contains(TcpFlags::RST) || src.is_unspecified() || src.is_multicast() || dst.is_multicast() {
        return None;
    }
    let payload = segment.len().checked_sub(usize::from(header[12] >> 4) * 4)?;
    let controls = u32::from(flags.contains(TcpFlags::SYN)) + u32::from(flags.contains(TcpFlags::FIN));
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (seq, ack, flags) = if flags.contains(TcpFlags::ACK) {
        (word(8), 0, TcpFlags::RST.0)
    } else {
        (0, word(4).wrapping_add(payload as u32).wrapping_add(controls), TcpFlags::RST.0 | TcpFlags::ACK.0)
    };

    let len = ip_len + TCP_HEADER_LEN;
    let out = out.get_mut(..len)?;
    out.fill(0);
    IpHeader::new(dst, src, HOP_LIMIT, 0, None)?.write(out, TCP).ok()?;
    let reset = out.get_mut(ip_len..)?;
    reset[..2].copy_from_slice(&header[2..4]);
    reset[2..4].copy_from_slice(&header[..2]);
    reset[4..8].copy_from_slice(&seq.to_be_bytes());
    reset[8..12].copy_from_slice(&ack.to_be_bytes());
    reset[12] = ((TCP_HEADER_LEN / 4) as u8) << 4;
    reset[13] = flags;
    Some(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Checksum, TcpSegment, Transport, classify_ip};

    fn answered(flags: u8, payload: &[u8]) -> Option<(u32, u32, u8, u16, u16)> {
        let mut packet = vec![0; 40];
        packet.extend_from_slice(payload);
        let header = IpHeader::new([10, 0, 2, 100].into(), [192, 0, 2, 1].into(), 64, 0, None).unwrap();
        header.write(&mut packet, TCP).unwrap();
        packet[20..24].copy_from_slice(&[0x9c, 0x40, 0, 80]);
        packet[24..28].copy_from_slice(&5000u32.to_be_bytes());
        packet[28..32].copy_from_slice(&777u32.to_be_bytes());
        packet[32..34].copy_from_slice(&[0x50, flags]);
        let mut out = [0xff; 64];
        let len = answer(&packet, &mut out)?;
        let reply = classify_ip(&out[..len], Checksum::Valid).unwrap();
        let Transport::Tcp(TcpSegment { src_port, dst_port, seq, ack, flags, .. }) = reply.transport else { panic!() };
        Some((seq, ack, flags.0, src_port, dst_port))
    }

    #[test]
    fn follows_the_two_rules() {
        let (ack, syn, fin, rst, psh) = (0x10, 0x02, 0x01, 0x04, 0x08);
        assert_eq!(answered(ack | psh, b"data"), Some((777, 0, rst, 80, 40000)));
        assert_eq!(answered(syn, b""), Some((0, 5001, rst | ack, 80, 40000)));
        assert_eq!(answered(psh | fin, b"data"), Some((0, 5005, rst | ack, 80, 40000)));
        assert_eq!(answered(rst, b""), None);
        assert_eq!(answered(rst | ack, b""), None);
    }
}
