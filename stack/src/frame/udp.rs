//! UDP frames: built whole, or finished in place around a payload that was received behind its headroom.

use super::{
    Checksum, ETHERNET_HEADER_LEN, Gso, IPV4_HEADER_LEN, IPV6_HEADER_LEN, Offload, UDP, checksum,
    header::{
        BuildError, Ethernet, IpHeader, Ipv4Header, Ipv6Header, Ports, UDP_HEADER_LEN, write_ethernet, write_udp,
    },
};

/// Bytes before the payload of a UDP frame over IPv4.
pub const UDP4_HEADROOM: usize = ETHERNET_HEADER_LEN + IPV4_HEADER_LEN + UDP_HEADER_LEN;
/// Bytes before the payload of a UDP frame over IPv6.
pub const UDP6_HEADROOM: usize = ETHERNET_HEADER_LEN + IPV6_HEADER_LEN + UDP_HEADER_LEN;

/// Byte of a UDP header where its checksum is.
const CHECKSUM_AT: u16 = 6;

/// A UDP frame over IPv4 with all checksums in place.
pub fn udp4(ethernet: Ethernet, ip: Ipv4Header, ports: Ports, payload: &[u8]) -> Result<Vec<u8>, BuildError> {
    udp(ethernet, IpHeader::V4(ip), ports, payload)
}

/// A UDP frame over IPv6 with all checksums in place.
pub fn udp6(ethernet: Ethernet, ip: Ipv6Header, ports: Ports, payload: &[u8]) -> Result<Vec<u8>, BuildError> {
    udp(ethernet, IpHeader::V6(ip), ports, payload)
}

/// A UDP frame over either family with all checksums in place.
pub fn udp(ethernet: Ethernet, ip: IpHeader, ports: Ports, payload: &[u8]) -> Result<Vec<u8>, BuildError> {
    let mut frame = vec![0; udp_headroom(&ip) + payload.len()];
    if let Some(place) = frame.get_mut(udp_headroom(&ip)..) {
        place.copy_from_slice(payload);
    }
    write_headers(&mut frame, ethernet, &ip, ports, Completion::Whole)?;
    Ok(frame)
}

/// Writes the headers of a UDP frame whose payload already stands at [`udp_headroom`], and says what the device has to
/// finish: the checksum, of which only the pseudo-header is summed here.
///
/// A payload longer than `gso_size` becomes a super-frame that the device cuts into datagrams of `gso_size` bytes, the
/// last one shorter perhaps; the lengths in its headers are those of the whole, as the kernel wants it
/// (VIRTIO_NET_HDR_GSO_UDP_L4).
pub fn write_udp_frame(
    frame: &mut [u8],
    ethernet: Ethernet,
    ip: &IpHeader,
    ports: Ports,
    gso_size: Option<u16>,
) -> Result<Offload, BuildError> {
    let headroom = udp_headroom(ip);
    write_headers(frame, ethernet, ip, ports, Completion::Partial)?;
    let payload_len = frame.len().saturating_sub(headroom);
    // Both are below a hundred.
    let (start, header_len) = ((headroom - UDP_HEADER_LEN) as u16, headroom as u16);
    let checksum = Checksum::Partial { start, offset: CHECKSUM_AT };
    Ok(match gso_size {
        Some(gso_size) if gso_size > 0 && payload_len > usize::from(gso_size) => {
            Offload { checksum, gso: Gso::Udp, gso_size, header_len }
        }
        _ => Offload { checksum, gso: Gso::None, gso_size: 0, header_len: 0 },
    })
}

/// Bytes before the payload of a UDP frame with this header: [`UDP4_HEADROOM`] or [`UDP6_HEADROOM`].
pub const fn udp_headroom(ip: &IpHeader) -> usize {
    ETHERNET_HEADER_LEN + ip.header_len() + UDP_HEADER_LEN
}

/// Who finishes the UDP checksum.
enum Completion {
    /// It is whole when the function returns.
    Whole,
    /// The device adds the sum over header and payload.
    Partial,
}

fn write_headers(
    frame: &mut [u8],
    ethernet: Ethernet,
    ip: &IpHeader,
    ports: Ports,
    completion: Completion,
) -> Result<(), BuildError> {
    write_ethernet(frame, ethernet, ip.ethertype())?;
    let packet = frame.get_mut(ETHERNET_HEADER_LEN..).unwrap_or_default();
    ip.write(packet, UDP)?;
    let datagram = packet.get_mut(ip.header_len()..).unwrap_or_default();
    let pseudo_header = ip.pseudo_header(UDP, datagram.len());
    write_udp(datagram, ports, pseudo_header.partial())?;
    if let Completion::Whole = completion {
        // The field counts as zero while summing.
        write_udp(datagram, ports, 0)?;
        let sum = (pseudo_header + checksum::sum(datagram)).udp_checksum();
        write_udp(datagram, ports, sum)?;
    }
    Ok(())
}
