use std::net::Ipv4Addr;

use super::*;
use crate::frame::{ArpOperation, ArpPacket};

fn request(sender: [u8; 4], target: [u8; 4]) -> ArpPacket {
    ArpPacket {
        operation: ArpOperation::Request,
        sender_mac: CONTAINER_MAC,
        sender_ip: sender.into(),
        target_ip: target.into(),
    }
}

const CONTAINER: [u8; 4] = [10, 0, 2, 100];

#[test]
fn a_real_request() {
    let Ok(Packet::Arp(packet)) = classify(testdata!("arp_request"), Checksum::Unverified) else { panic!() };
    let frame = Link::new(config()).handle_arp(&packet).unwrap();
    assert_eq!(frame[..6], CONTAINER_MAC.0);
    let Ok(Packet::Arp(reply)) = classify(&frame, Checksum::Unverified) else { panic!() };
    assert_eq!((reply.operation, reply.sender_mac, reply.sender_ip), (ArpOperation::Reply, MAC, [10, 0, 2, 2].into()));
    assert_eq!(reply.target_ip, Ipv4Addr::from(CONTAINER));
}

#[test]
fn which_addresses_are_answered_for() {
    let own = Link::new(config());
    let all = Link::new(LinkConfig { answer: Answer::All, ..config() });
    let answers = |link: &Link, sender, target| link.handle_arp(&request(sender, target)).is_some();
    for target in [[10, 0, 2, 2], [10, 0, 2, 3]] {
        assert!(answers(&own, CONTAINER, target) && answers(&all, CONTAINER, target));
        assert!(answers(&own, [0; 4], target) && answers(&all, [0; 4], target), "probes for our own addresses");
    }
    for target in [[10, 0, 2, 7], [1, 1, 1, 1]] {
        assert!(!answers(&own, CONTAINER, target) && answers(&all, CONTAINER, target));
        assert!(!answers(&all, [0; 4], target), "a probe finds the address free");
        assert!(!answers(&all, target, target), "an announcement is no question");
    }
    for never in [CONTAINER, [0; 4], [255; 4], [224, 0, 0, 1], [127, 0, 0, 1]] {
        assert!(!answers(&own, [10, 0, 2, 50], never) && !answers(&all, [10, 0, 2, 50], never));
    }
    let reply = ArpPacket { operation: ArpOperation::Reply, ..request(CONTAINER, [10, 0, 2, 2]) };
    assert_eq!(own.handle_arp(&reply), None);
}
