use std::net::Ipv6Addr;

use super::*;
use crate::frame::{Ethernet, IcmpHeader, Ipv6Header, icmpv6};

fn message(frame: &[u8]) -> (IpAddr, IpAddr, u8, IcmpMessage<'_>) {
    let packet = ip(frame);
    let Transport::Icmpv6(message) = packet.transport else { panic!("{packet:?}") };
    (packet.src, packet.dst, packet.ttl, message)
}

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// A solicitation of the given kind with a body of the caller's.
fn solicitation(src: &str, dst: &str, hop_limit: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    let ip = Ipv6Header { src: address(src), dst: address(dst), hop_limit, traffic_class: 0 };
    let icmp = IcmpHeader { kind, code: 0, rest: [0; 4] };
    icmpv6(Ethernet { src: CONTAINER_MAC, dst: MAC }, ip, icmp, body).unwrap()
}

fn neighbour(src: &str, dst: &str, target: &str) -> Vec<u8> {
    solicitation(src, dst, 255, 135, &address(target).octets())
}

#[test]
fn a_real_neighbour_solicitation() {
    let frame = ask(&Link::new(config()), testdata!("ns_gateway")).unwrap();
    assert_eq!(frame[..6], CONTAINER_MAC.0);
    let (src, dst, hop_limit, message) = message(&frame);
    assert_eq!((src, dst, hop_limit), (address("fd00::2").into(), address("fd00::100").into(), 255));
    // Router, solicited, override; the target and its Ethernet address.
    assert_eq!((message.kind, message.rest), (136, [0xe0, 0, 0, 0]));
    assert_eq!(message.body[..16], address("fd00::2").octets());
    assert_eq!(message.body[16..], [2, 1, 0x52, 0x54, 0, 0, 0, 2]);
}

#[test]
fn duplicate_address_detection() {
    let link = Link::new(config());
    assert_eq!(ask(&link, testdata!("ns_dad")), None, "the container's own link-local address");
    let frame = ask(&link, testdata!("ns_dad_of_dns")).unwrap();
    assert_eq!(frame[..6], [0x33, 0x33, 0, 0, 0, 1]);
    let (_, dst, _, message) = message(&frame);
    assert_eq!((dst, message.rest), (address("ff02::1").into(), [0xa0, 0, 0, 0]));
    let all = Link::new(LinkConfig { answer: Answer::All, ..config() });
    assert_eq!(ask(&all, &neighbour("::", "ff02::1:ff00:7", "fd00::7")), None, "free to take");
    assert_eq!(ask(&all, &neighbour("::", "fd00::2", "fd00::2")), None, "not to the solicited-node address");
}

#[test]
fn which_addresses_are_answered_for() {
    let own = Link::new(config());
    let all = Link::new(LinkConfig { answer: Answer::All, ..config() });
    let answers = |link: &Link, target| ask(link, &neighbour("fe80::64", "ff02::1:ff00:2", target)).is_some();
    for target in ["fd00::2", "fd00::3", "fe80::2"] {
        assert!(answers(&own, target) && answers(&all, target));
    }
    assert!(!answers(&own, "2001:db8::1") && answers(&all, "2001:db8::1"));
    for never in ["fd00::100", "fe80::64", "ff02::1", "::", "::1", "::ffff:192.0.2.1"] {
        assert!(!answers(&own, never) && !answers(&all, never), "{never}");
    }
}

#[test]
fn a_real_router_solicitation() {
    let frame = ask(&Link::new(config()), testdata!("rs")).unwrap();
    let (src, dst, hop_limit, message) = message(&frame);
    assert_eq!((src, dst, hop_limit), (LINK_LOCAL.into(), address("fe80::ff:fe00:64").into(), 255));
    // Hop limit 64, managed and other, 1800 s.
    assert_eq!((message.kind, message.rest), (134, [64, 0xc0, 0x07, 0x08]));
    let mut options = &message.body[8..];
    let mut kinds = Vec::new();
    while let [kind, units, ..] = options {
        let (option, rest) = options.split_at(usize::from(*units) * 8);
        kinds.push(*kind);
        match kind {
            1 => assert_eq!(option[2..], MAC.0),
            5 => assert_eq!(option[4..], 9000u32.to_be_bytes()),
            3 => {
                assert_eq!(option[2..4], [64, 0xc0]);
                assert_eq!(option[16..], address("fd00::").octets());
            }
            25 => assert_eq!(option[8..], address("fd00::3").octets()),
            31 => assert_eq!(option[8..], *b"\x04rnet\x08internal\0\0"),
            _ => panic!("{option:?}"),
        }
        options = rest;
    }
    assert_eq!(kinds, [1, 5, 3, 25, 31]);
}

#[test]
fn advertisements_to_all() {
    let link = Link::new(LinkConfig { search: Vec::new(), ..config() });
    let frame = link.advertise().unwrap();
    let (_, dst, _, message) = message(&frame);
    assert_eq!((dst, message.kind), (address("ff02::1").into(), 134));
    let solicited = ask(&link, &solicitation("::", "ff02::2", 255, 133, &[])).unwrap();
    assert_eq!(solicited, frame);
    let crowded = (0..200).map(|at| format!("domain-{at}.example")).collect();
    assert!(Link::new(LinkConfig { search: crowded, ..config() }).advertise().unwrap().len() <= 14 + 1280);
}

#[test]
fn malformed_solicitations() {
    let link = Link::new(config());
    let target = address("fd00::2").octets();
    let with = |options: &[u8]| solicitation("fe80::64", "fd00::2", 255, 135, &[&target[..], options].concat());
    assert!(ask(&link, &with(&[14, 1, 0, 0, 0, 0, 0, 0])).is_some());
    for malformed in [&[1, 0, 0, 0, 0, 0, 0, 0][..], &[1], &[1, 2, 0, 0, 0, 0, 0, 0]] {
        assert_eq!(ask(&link, &with(malformed)), None);
        assert_eq!(ask(&link, &solicitation("fe80::64", "ff02::2", 255, 133, malformed)), None);
    }
    assert_eq!(ask(&link, &solicitation("fe80::64", "fd00::2", 255, 135, &target[..15])), None);
    assert_eq!(ask(&link, &solicitation("fe80::64", "fd00::2", 254, 135, &target)), None);
    assert_eq!(ask(&link, &solicitation("::", "ff02::2", 255, 133, &[1, 1, 2, 0, 0, 0, 0, 1])), None);
}
