use std::{collections::BTreeMap, net::Ipv4Addr};

use super::*;
use crate::frame::{Ethernet, Ipv4Header, Ports, udp4};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// What a reply says.
struct Reply {
    mac: [u8; 6],
    dst: IpAddr,
    your_address: Ipv4Addr,
    options: BTreeMap<u8, Vec<u8>>,
}

impl Reply {
    fn parse(frame: &[u8]) -> Reply {
        let (src, dst, mac, datagram) = datagram(frame);
        assert_eq!((src, datagram.src_port, datagram.dst_port), (GATEWAY.into(), 67, 68));
        let bytes = datagram.payload;
        assert!(bytes.len() >= 300);
        assert_eq!((&bytes[..4], &bytes[236..240]), (&[2, 1, 6, 0][..], &[99, 130, 83, 99][..]));
        assert_eq!(bytes[28..34], CONTAINER_MAC.0);
        let mut options = BTreeMap::<u8, Vec<u8>>::new();
        let mut rest = &bytes[240..];
        while rest[0] != 255 {
            let (value, after) = rest[2..].split_at(usize::from(rest[1]));
            options.entry(rest[0]).or_default().extend_from_slice(value);
            rest = after;
        }
        let your_address = Ipv4Addr::from(*bytes[16..].first_chunk::<4>().unwrap());
        Reply { mac, dst, your_address, options }
    }

    fn kind(&self) -> u8 {
        self.options[&53][0]
    }
}

/// A question from a client at `src` with the fixed fields and the options that matter.
struct Client {
    src: Ipv4Addr,
    flags: u8,
    address: Ipv4Addr,
    relay: u8,
}

const NEW: Client = Client { src: Ipv4Addr::UNSPECIFIED, flags: 0, address: Ipv4Addr::UNSPECIFIED, relay: 0 };

impl Client {
    fn frame(&self, options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 240];
        bytes[..12].copy_from_slice(&[1, 1, 6, 0, 9, 8, 7, 6, 0, 0, self.flags, 0]);
        bytes[12..16].copy_from_slice(&self.address.octets());
        bytes[24] = self.relay;
        bytes[28..34].copy_from_slice(&CONTAINER_MAC.0);
        bytes[236..].copy_from_slice(&[99, 130, 83, 99]);
        bytes.extend_from_slice(options);
        let ip = Ipv4Header { src: self.src, dst: Ipv4Addr::BROADCAST, ttl: 64, tos: 0, id: None };
        udp4(Ethernet { src: CONTAINER_MAC, dst: MacAddr([255; 6]) }, ip, Ports { src: 68, dst: 67 }, &bytes).unwrap()
    }

    fn ask(&self, options: &[u8]) -> Option<Reply> {
        ask(&Link::new(config()), &self.frame(options)).map(|frame| Reply::parse(&frame))
    }
}

#[test]
fn busybox_gets_a_lease() {
    let link = Link::new(config());
    for (frame, kind) in [(testdata!("udhcpc_discover"), 2), (testdata!("udhcpc_request"), 5)] {
        let reply = Reply::parse(&ask(&link, frame).unwrap());
        assert_eq!((reply.kind(), reply.your_address), (kind, ADDRESS));
        assert_eq!((reply.mac, reply.dst), (CONTAINER_MAC.0, ADDRESS.into()));
        assert_eq!(reply.options[&54], GATEWAY.octets());
        assert_eq!(reply.options[&1], [255, 255, 255, 0]);
        assert_eq!(reply.options[&3], GATEWAY.octets());
        assert_eq!(reply.options[&6], [10, 0, 2, 3]);
        assert_eq!(reply.options[&26], 9000u16.to_be_bytes());
        assert_eq!(reply.options[&51], 86400u32.to_be_bytes());
        assert_eq!(reply.options[&58], 43200u32.to_be_bytes());
        assert_eq!(reply.options[&59], 75600u32.to_be_bytes());
        assert_eq!(reply.options[&28], [10, 0, 2, 255]);
    }
}

#[test]
fn dhclient_comes_back_after_a_reboot() {
    let reply = Reply::parse(&ask(&Link::new(config()), testdata!("dhclient_init_reboot")).unwrap());
    assert_eq!((reply.kind(), reply.your_address), (5, ADDRESS));
    assert_eq!(reply.options[&119], b"\x04rnet\x08internal\0");
}

#[test]
fn requests() {
    const OURS: [u8; 6] = [50, 4, 10, 0, 2, 100];
    const OTHERS: [u8; 6] = [50, 4, 10, 0, 2, 77];
    let request = |rest: &[&[u8]]| [&[53, 1, 3][..], &rest.concat()].concat();
    assert_eq!(NEW.ask(&request(&[&OURS, &[54, 4, 10, 0, 2, 2, 255]])).unwrap().kind(), 5);
    let refusal = NEW.ask(&request(&[&OTHERS])).unwrap();
    assert_eq!((refusal.kind(), refusal.your_address), (6, Ipv4Addr::UNSPECIFIED));
    assert_eq!((refusal.mac, refusal.dst), ([0xff; 6], Ipv4Addr::BROADCAST.into()));
    assert!(!refusal.options.contains_key(&51) && !refusal.options.contains_key(&3));
    assert!(NEW.ask(&request(&[&OURS, &[54, 4, 192, 168, 0, 1]])).is_none(), "another server was chosen");
    assert_eq!(NEW.ask(&request(&[])).unwrap().kind(), 6, "an address of nothing");

    let renewing = Client { src: ADDRESS, address: ADDRESS, ..NEW };
    let reply = renewing.ask(&request(&[])).unwrap();
    assert_eq!((reply.kind(), reply.mac, reply.dst), (5, CONTAINER_MAC.0, ADDRESS.into()));
    let moved = Client { address: [10, 0, 2, 15].into(), ..NEW };
    assert_eq!(moved.ask(&request(&[])).unwrap().kind(), 6);
}

#[test]
fn broadcast_flag_rapid_commit_and_client_identifier() {
    let reply = Client { flags: 0x80, ..NEW }.ask(&[53, 1, 1, 80, 0, 61, 3, 0, 7, 8, 255]).unwrap();
    assert_eq!((reply.mac, reply.dst), ([0xff; 6], Ipv4Addr::BROADCAST.into()));
    assert_eq!((reply.kind(), reply.your_address), (5, ADDRESS));
    assert_eq!((&reply.options[&80][..], &reply.options[&61][..]), (&[][..], &[0, 7, 8][..]));
    assert!(!NEW.ask(&[53, 1, 1, 255]).unwrap().options.contains_key(&80));
}

#[test]
fn inform_gets_parameters_only() {
    let configured = Client { src: [10, 0, 2, 9].into(), address: [10, 0, 2, 9].into(), ..NEW };
    let reply = configured.ask(&[53, 1, 8, 55, 1, 3, 255]).unwrap();
    assert_eq!((reply.kind(), reply.your_address), (5, Ipv4Addr::UNSPECIFIED));
    assert_eq!(reply.dst, IpAddr::from([10, 0, 2, 9]));
    assert!(!reply.options.contains_key(&51));
    assert!(reply.options.contains_key(&26), "the MTU is said unasked");
    assert!(!reply.options.contains_key(&119) && !reply.options.contains_key(&28), "the rest only when asked for");
}

#[test]
fn silence() {
    for kind in [2, 4, 5, 6, 7, 9] {
        assert!(NEW.ask(&[53, 1, kind, 255]).is_none(), "{kind}");
    }
    for malformed in [&[][..], &[255], &[53], &[53, 2, 1], &[53, 0], &[53, 1, 1, 50, 3, 1, 2, 3], &[53, 1, 1, 61, 200]]
    {
        assert!(NEW.ask(malformed).is_none(), "{malformed:?}");
    }
    for address in [[0, 3, 0, 0], [127, 0, 0, 1], [224, 0, 0, 1], [255; 4]] {
        assert!(Client { address: address.into(), ..NEW }.ask(&[53, 1, 8, 255]).is_none(), "no host is at {address:?}");
    }
    assert!(Client { relay: 10, ..NEW }.ask(&[53, 1, 1, 255]).is_none());
    let frame = NEW.frame(&[53, 1, 1, 255]);
    let packet = ip(&frame);
    let Transport::Udp(whole) = packet.transport else { panic!() };
    for len in 0..240 {
        let datagram = UdpDatagram { payload: &whole.payload[..len], ..whole };
        assert_eq!(Link::new(config()).handle_udp(CONTAINER_MAC, &packet, &datagram), None);
    }
}

#[test]
fn a_long_search_list_waits_for_a_client_that_takes_it() {
    let search = (0..40).map(|at| format!("domain-{at}.example")).collect();
    let link = Link::new(LinkConfig { search, ..config() });
    let offer = |options: &[u8]| Reply::parse(&ask(&link, &NEW.frame(options)).unwrap());
    assert!(!offer(&[53, 1, 1, 255]).options.contains_key(&119));
    let list = &offer(&[53, 1, 1, 57, 2, 0x05, 0xdc, 255]).options[&119];
    assert!(list.len() > 255 && list.starts_with(b"\x08domain-0\x07example\0"));
}

#[test]
fn a_gateway_outside_of_the_subnet_gets_a_route() {
    let v4 = LinkV4 { prefix: 32, gateway: GATEWAY, ..config().ipv4.unwrap() };
    let link = Link::new(LinkConfig { ipv4: Some(v4), ..config() });
    let reply = Reply::parse(&ask(&link, &NEW.frame(&[53, 1, 1, 255])).unwrap());
    assert_eq!(reply.options[&121], [32, 10, 0, 2, 2, 0, 0, 0, 0, 0, 10, 0, 2, 2]);
}
