//! TCP segments made by hand, as the container's kernel would send them: whole Ethernet frames, checksums summed.
//!
//! Shared by the behaviour tests, the benches and the fuzzer.

use std::net::{IpAddr, SocketAddr};

use rnet_stack::frame::{ETHERNET_HEADER_LEN, Ethernet, IpHeader, MacAddr, TCP, checksum, write_ethernet};

/// The container's hardware address.
pub const GUEST_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
/// The link's hardware address.
pub const LINK_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;

/// A segment from the container.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    pub src: SocketAddr,
    pub dst: SocketAddr,
    pub flags: u8,
    pub seq: u32,
    pub ack: u32,
    pub window: u16,
    /// Whole 32-bit words.
    pub options: &'a [u8],
    pub payload: &'a [u8],
}

impl Segment<'_> {
    /// The segment in a frame.
    pub fn frame(&self) -> Vec<u8> {
        let header_len = 20 + self.options.len();
        let mut tcp = Vec::with_capacity(header_len + self.payload.len());
        tcp.extend_from_slice(&self.src.port().to_be_bytes());
        tcp.extend_from_slice(&self.dst.port().to_be_bytes());
        tcp.extend_from_slice(&self.seq.to_be_bytes());
        tcp.extend_from_slice(&self.ack.to_be_bytes());
        tcp.extend_from_slice(&[(header_len as u8 / 4) << 4, self.flags]);
        tcp.extend_from_slice(&self.window.to_be_bytes());
        tcp.extend_from_slice(&[0; 4]);
        tcp.extend_from_slice(self.options);
        tcp.extend_from_slice(self.payload);
        ip_frame(self.src.ip(), self.dst.ip(), TCP, 64, tcp, Some(16))
    }
}

/// A transport in IP in Ethernet, its checksum summed into `checksum_at` where one is named.
pub fn ip_frame(
    src: IpAddr,
    dst: IpAddr,
    protocol: u8,
    ttl: u8,
    mut transport: Vec<u8>,
    checksum_at: Option<usize>,
) -> Vec<u8> {
    let ip = IpHeader::new(src, dst, ttl, 0, None).expect("both ends are of one family");
    if let Some(at) = checksum_at {
        transport[at..at + 2].fill(0);
        let sum = checksum::sum(&transport)
            + if protocol == 1 {
                checksum::Sum::ZERO
            } else {
                checksum::pseudo_header(src, dst, protocol, transport.len())
            };
        let sum = if protocol == 17 { sum.udp_checksum() } else { sum.checksum() };
        transport[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    let mut frame = vec![0; ETHERNET_HEADER_LEN + ip.header_len()];
    frame.extend_from_slice(&transport);
    ip.write(&mut frame[ETHERNET_HEADER_LEN..], protocol).expect("a packet of legal length");
    write_ethernet(&mut frame, Ethernet { src: GUEST_MAC, dst: LINK_MAC }, ip.ethertype())
        .expect("room for the header");
    frame
}
