//! Any bytes to the link's services: both DHCP servers, neighbour discovery and ARP. They never panic, and what they answer
//! is a frame that `classify` accepts, checksums and all.
//!
//! The first byte chooses: 0 and 1 make the rest a DHCPv4 or DHCPv6 message, 2 the body of an ICMPv6 message whose type
//! is its first byte, anything else a whole frame.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rnet_stack::{
    frame::{Checksum, IcmpMessage, IpPacket, MacAddr, Packet, Transport, UdpDatagram, classify, source_mac},
    neighbour::{Answer, ClientName, LINK_LOCAL, Link, LinkConfig, LinkV4, LinkV6, Offers},
};

const CONTAINER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x64]);

fn link(answer: Answer) -> Link {
    Link::new(LinkConfig {
        lease: None,
        mac: MacAddr([0x52, 0x54, 0, 0, 0, 2]),
        mtu: 65520,
        ipv4: Some(LinkV4 {
            address: [10, 0, 2, 100].into(),
            prefix: 24,
            gateway: [10, 0, 2, 2].into(),
            dns: Some([10, 0, 2, 3].into()),
        }),
        ipv6: Some(LinkV6 {
            address: "fd00::100".parse().unwrap(),
            prefix: 64,
            gateway: "fd00::2".parse().unwrap(),
            dns: Some("fd00::3".parse().unwrap()),
                link_local: LINK_LOCAL,
        }),
        hands_out_dns: true,
            resolvers: Vec::new(),
        search: (0..20).map(|at| format!("domain-{at}.example")).collect(),
        answer,
        offers: Offers::default(),
        client_name: ClientName::default(),
    })
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    for answer in [Answer::Own, Answer::All] {
        let link = link(answer);
        let reply = match choice {
            0 => datagram(&link, "0.0.0.0", "255.255.255.255", 67, rest),
            1 => datagram(&link, "fe80::64", "ff02::1:2", 547, rest),
            2 => discovery(&link, rest),
            _ => frame(&link, rest),
        };
        if let Some(reply) = reply {
            classify(&reply, Checksum::Unverified).expect("our own frame");
        }
    }
});

fn datagram(link: &Link, src: &str, dst: &str, dst_port: u16, payload: &[u8]) -> Option<Vec<u8>> {
    let datagram = UdpDatagram { src_port: dst_port + 1, dst_port, payload };
    link.handle_ip(CONTAINER, &packet(src, dst, Transport::Udp(datagram)))
}

fn discovery(link: &Link, bytes: &[u8]) -> Option<Vec<u8>> {
    let (kind, body) = bytes.split_first()?;
    let message = IcmpMessage { kind: *kind, code: 0, rest: [0; 4], body };
    let from_nobody = link.handle_ip(CONTAINER, &packet("::", "ff02::1:ff00:2", Transport::Icmpv6(message)));
    let packet = packet("fe80::64", "ff02::1:ff00:2", Transport::Icmpv6(message));
    link.handle_ip(CONTAINER, &packet).or(from_nobody)
}

fn frame(link: &Link, frame: &[u8]) -> Option<Vec<u8>> {
    match classify(frame, Checksum::Valid).ok()? {
        Packet::Arp(packet) => link.handle_arp(&packet),
        Packet::Ip(packet) => link.handle_ip(source_mac(frame)?, &packet),
    }
}

fn packet<'a>(src: &str, dst: &str, transport: Transport<'a>) -> IpPacket<'a> {
    IpPacket {
        src: src.parse().unwrap(),
        dst: dst.parse().unwrap(),
        ttl: 255,
        tos: 0,
        bytes: &[],
        header_len: 0,
        has_options: false,
        transport,
    }
}
