//! DHCPv4 messages as IPv4 packets, for an interface that has no address yet.

use std::net::Ipv4Addr;

/// The ports of RFC 2131.
pub const SERVER_PORT: u16 = 67;
/// The client's.
pub const CLIENT_PORT: u16 = 68;
const IP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const UDP: u8 = 17;
/// More fragments, and the offset.
const FRAGMENT: u16 = 0x3fff;

/// The packet that brings a message to the servers.
pub fn to_servers(from: Ipv4Addr, to: Ipv4Addr, message: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(IP_HEADER + UDP_HEADER + message.len()).ok()?;
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, UDP, 0, 0];
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet.extend(from.octets());
    packet.extend(to.octets());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(CLIENT_PORT.to_be_bytes());
    packet.extend(SERVER_PORT.to_be_bytes());
    packet.extend((length - IP_HEADER as u16).to_be_bytes());
    // No checksum: over IPv4 it may be left out (RFC 768).
    packet.extend([0, 0]);
    packet.extend(message);
    Some(packet)
}

/// The message in a packet to the client's port, if it is one. The UDP checksum is not looked at: between interfaces of one host
/// it is never filled in.
pub fn to_client(packet: &[u8]) -> Option<&[u8]> {
    let &[first, _, len_high, len_low, _, _, frag_high, frag_low, _, protocol, ..] = packet else { return None };
    let header = usize::from(first & 0xf) * 4;
    let length = usize::from(u16::from_be_bytes([len_high, len_low]));
    let whole = u16::from_be_bytes([frag_high, frag_low]) & FRAGMENT == 0;
    if first >> 4 != 4 || header < IP_HEADER || protocol != UDP || !whole {
        return None;
    }
    let datagram = packet.get(header..length)?;
    let &[_, _, port_high, port_low, udp_high, udp_low, ..] = datagram else { return None };
    if u16::from_be_bytes([port_high, port_low]) != CLIENT_PORT {
        return None;
    }
    datagram.get(UDP_HEADER..usize::from(u16::from_be_bytes([udp_high, udp_low])))
}

/// RFC 1071
fn checksum(header: &[u8]) -> u16 {
    let words = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded + (folded >> 16)) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets() {
        let mut packet = to_servers(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, b"abc").unwrap();
        assert_eq!(checksum(&packet[..IP_HEADER]), 0, "the header with its sum");
        assert_eq!(to_client(&packet), None, "another port");
        packet[23] = CLIENT_PORT as u8;
        assert_eq!(to_client(&packet), Some(&b"abc"[..]));
        packet.push(0);
        assert_eq!(to_client(&packet), Some(&b"abc"[..]), "padded by the link");
        for len in 0..packet.len() - 1 {
            assert_eq!(to_client(&packet[..len]), None, "cut to {len}");
        }
        packet[6] = 0x20;
        assert_eq!(to_client(&packet), None, "a fragment");
    }
}
