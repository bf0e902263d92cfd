//! Real clients' questions (see `testdata/README.md`) and the answers to them.

mod arp;
mod dhcpv4;
mod dhcpv6;
mod ndp;

use std::net::IpAddr;

use super::*;
use crate::frame::{Checksum, Packet, classify, source_mac};

const CONTAINER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x64]);
const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 2]);

macro_rules! testdata {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/", $name, ".frame"))
    };
}
use testdata;

fn config() -> LinkConfig {
    LinkConfig {
        mac: MAC,
        mtu: 9000,
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
        search: vec!["rnet.internal".into()],
        answer: Answer::Own,
        lease: None,
        offers: Offers::default(),
        client_name: ClientName::default(),
    }
}

/// A frame as an IP packet, its checksums verified.
fn ip(frame: &[u8]) -> IpPacket<'_> {
    match classify(frame, Checksum::Unverified) {
        Ok(Packet::Ip(packet)) => packet,
        other => panic!("not an IP packet: {other:?}"),
    }
}

fn ask(link: &Link, frame: &[u8]) -> Option<Vec<u8>> {
    link.handle_ip(source_mac(frame).unwrap(), &ip(frame))
}

/// The datagram in a frame with its IP addresses and Ethernet destination.
fn datagram(frame: &[u8]) -> (IpAddr, IpAddr, [u8; 6], UdpDatagram<'_>) {
    let packet = ip(frame);
    let Transport::Udp(datagram) = packet.transport else { panic!("{packet:?}") };
    (packet.src, packet.dst, frame[..6].try_into().unwrap(), datagram)
}

#[test]
fn a_family_that_is_off_gets_no_answer() {
    let v4_only = Link::new(LinkConfig { ipv6: None, ..config() });
    let v6_only = Link::new(LinkConfig { ipv4: None, ..config() });
    for frame in [&testdata!("rs")[..], testdata!("ns_gateway"), testdata!("dhclient6_solicit")] {
        assert_eq!(ask(&v4_only, frame), None);
        assert!(ask(&v6_only, frame).is_some());
    }
    assert_eq!(v4_only.advertise(), None);
    assert_eq!(ask(&v6_only, testdata!("udhcpc_discover")), None);
    assert!(ask(&v4_only, testdata!("udhcpc_discover")).is_some());
}

#[test]
fn a_name_server_that_is_off_is_not_handed_out() {
    let (on, off) = (Link::new(config()), Link::new(LinkConfig { hands_out_dns: false, ..config() }));
    let has = |frame: Vec<u8>, address: &[u8]| frame.windows(address.len()).any(|window| window == address);
    let dns6 = config().ipv6.unwrap().dns.unwrap().octets();
    for (frame, address) in [
        (&testdata!("udhcpc_discover")[..], &[10, 0, 2, 3][..]),
        (testdata!("dhclient6_solicit"), &dns6),
        (testdata!("rs"), &dns6),
    ] {
        assert!(has(ask(&on, frame).unwrap(), address));
        assert!(!has(ask(&off, frame).unwrap(), address));
    }
}

#[test]
fn other_traffic_is_not_for_the_link() {
    let link = Link::new(config());
    for frame in [&testdata!("udp4")[..], testdata!("udp6"), testdata!("ping4"), testdata!("ping6")] {
        assert_eq!(ask(&link, frame), None);
    }
    assert_eq!(ask(&link, testdata!("mld_report")), None);
}

#[test]
fn subnets() {
    let v4 = config().ipv4.unwrap();
    assert_eq!((v4.mask(), v4.broadcast()), ([255, 255, 255, 0].into(), [10, 0, 2, 255].into()));
    assert_eq!(LinkV4 { prefix: 0, ..v4 }.mask(), std::net::Ipv4Addr::UNSPECIFIED);
    assert_eq!(LinkV4 { prefix: 32, ..v4 }.mask(), std::net::Ipv4Addr::BROADCAST);
    let v6 = config().ipv6.unwrap();
    assert_eq!(v6.subnet(), "fd00::".parse::<std::net::Ipv6Addr>().unwrap());
    assert!(LinkV6 { prefix: 0, ..v6 }.contains("2001:db8::1".parse().unwrap()));
    assert!(!LinkV6 { prefix: 128, ..v6 }.contains(v6.gateway));
}
