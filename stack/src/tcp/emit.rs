//! Finish an IP packet that smoltcp emitted into a frame for the device: Ethernet header, checksum and segmentation left
//! to the device, the true MSS in a SYN.

use crate::edge::HEADROOM;
use crate::frame::checksum::{self, Sum};
use crate::frame::{Checksum, ETHERNET_HEADER_LEN, Gso, MacAddr, Offload};

use super::engine::IP_START;

/// What is said towards the container in every frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Framing {
    /// The container's hardware address.
    pub(crate) guest: MacAddr,
    /// The link's own hardware address.
    pub(crate) own: MacAddr,
    /// MTU of the tap device in bytes.
    pub(crate) mtu: u16,
    /// The largest window that a flow may open, bytes.
    pub(crate) window: usize,
}

const TCP_PROTOCOL: u16 = 6;
const TCP_CHECKSUM_OFFSET: usize = 16;

/// Turns `buffer`, which holds an IP packet with a TCP segment at [`IP_START`], into a frame that starts at
/// [`HEADROOM`]. Payload beyond `mss` bytes, or what the link carries, is left to the device to cut.
///
/// `None` when the packet is no such thing, which smoltcp never emits.
pub(crate) fn finish(buffer: &mut [u8], framing: &Framing, mss: u16) -> Option<Offload> {
    let ethernet = buffer.get_mut(HEADROOM..IP_START)?;
    ethernet[..6].copy_from_slice(&framing.guest.0);
    ethernet[6..12].copy_from_slice(&framing.own.0);
    let packet = buffer.get_mut(IP_START..)?;
    let (ip_len, ethertype, gso) = match packet.first()? >> 4 {
        4 => (20, [0x08, 0x00], Gso::Tcp4),
        6 => (40, [0x86, 0xdd], Gso::Tcp6),
        _ => return None,
    };
    let (ip, segment) = packet.split_at_mut_checked(ip_len)?;
    let segment_len = segment.len();
    let tcp_len = usize::from(segment.get(12)? >> 4) * 4;
    let flags = *segment.get(13)?;
    if tcp_len < 20 || segment_len < tcp_len {
        return None;
    }
    if flags & 0x02 != 0 {
        let advertised = framing.mtu.saturating_sub(ip_len as u16 + 20);
        super::syn::set_mss(&mut segment[20..tcp_len], advertised);
        if flags & 0x10 == 0 {
            super::syn::clear_echo(&mut segment[20..tcp_len]);
        }
    }
    let addresses = if ip_len == 20 { &ip[12..20] } else { &ip[8..40] };
    let pseudo = checksum::sum(addresses) + Sum::word(TCP_PROTOCOL) + Sum::word(segment_len as u16);
    segment[TCP_CHECKSUM_OFFSET..TCP_CHECKSUM_OFFSET + 2].copy_from_slice(&pseudo.partial().to_be_bytes());
    buffer[IP_START - 2..IP_START].copy_from_slice(&ethertype);

    let transport = ETHERNET_HEADER_LEN + ip_len;
    let checksum = Checksum::Partial { start: transport as u16, offset: TCP_CHECKSUM_OFFSET as u16 };
    let payload = segment_len - tcp_len;
    // An MSS counts no options (RFC 6691), and a container may name one beyond what its link carries.
    let mss =
        mss.saturating_sub((tcp_len - 20) as u16).min(framing.mtu.saturating_sub((ip_len + tcp_len) as u16)).max(1);
    Some(if payload > usize::from(mss) {
        Offload { checksum, gso, gso_size: mss, header_len: (transport + tcp_len) as u16 }
    } else {
        Offload { checksum, ..Offload::default() }
    })
}
