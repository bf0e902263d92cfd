//! Builders against `classify`, and against etherparse as a second opinion.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;

use crate::frame::*;

const ETHERNET: Ethernet = Ethernet { src: MacAddr([2, 0, 0, 0, 0, 1]), dst: MacAddr([2, 0, 0, 0, 0, 2]) };
const V4: Ipv4Header =
    Ipv4Header { src: Ipv4Addr::new(10, 0, 2, 2), dst: Ipv4Addr::new(10, 0, 2, 100), ttl: 61, tos: 0xb9, id: Some(7) };
const V6: Ipv6Header = Ipv6Header {
    src: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2),
    dst: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x100),
    hop_limit: 61,
    traffic_class: 0xb9,
};
const PORTS: Ports = Ports { src: 53, dst: 40000 };

fn ip(frame: &[u8]) -> IpPacket<'_> {
    match classify(frame, Checksum::Unverified) {
        Ok(Packet::Ip(packet)) => packet,
        other => panic!("not an IP packet: {other:?}"),
    }
}

fn ip_header() -> impl Strategy<Value = IpHeader> {
    let v4 = (any::<[u8; 4]>(), any::<[u8; 4]>(), any::<[u8; 2]>(), any::<Option<u16>>()).prop_map(
        |(mut src, mut dst, [ttl, tos], id)| {
            src[0] = 10;
            dst[0] = 192;
            IpHeader::V4(Ipv4Header { src: src.into(), dst: dst.into(), ttl, tos, id })
        },
    );
    let v6 = (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<[u8; 2]>()).prop_map(|(mut src, mut dst, [ttl, tos])| {
        src[0] = 0x20;
        dst[0] = 0xfd;
        IpHeader::V6(Ipv6Header { src: src.into(), dst: dst.into(), hop_limit: ttl, traffic_class: tos })
    });
    prop_oneof![v4, v6]
}

fn assert_header(header: &IpHeader, packet: &IpPacket<'_>) {
    let (src, dst, ttl, tos): (IpAddr, IpAddr, u8, u8) = match *header {
        IpHeader::V4(v4) => (v4.src.into(), v4.dst.into(), v4.ttl, v4.tos),
        IpHeader::V6(v6) => (v6.src.into(), v6.dst.into(), v6.hop_limit, v6.traffic_class),
    };
    assert_eq!((packet.src, packet.dst, packet.ttl, packet.tos), (src, dst, ttl, tos));
    assert_eq!((packet.has_options, packet.header_len), (false, header.header_len()));
}

proptest! {
    #[test]
    fn udp_comes_back(
        header in ip_header(), src in any::<u16>(), dst in any::<u16>(),
        payload in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        let frame = udp(ETHERNET, header, Ports { src, dst }, &payload).unwrap();
        let packet = ip(&frame);
        assert_header(&header, &packet);
        prop_assert_eq!(
            packet.transport,
            Transport::Udp(UdpDatagram { src_port: src, dst_port: dst, payload: &payload })
        );
        let second = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(TransportSlice::Udp(udp)) = second.transport else { panic!() };
        prop_assert_eq!((udp.source_port(), udp.destination_port(), udp.payload()), (src, dst, &payload[..]));
        let sum = match second.net {
            Some(NetSlice::Ipv4(net)) => {
                prop_assert_eq!(net.header().to_header().calc_header_checksum(), net.header().header_checksum());
                udp.to_header().calc_checksum_ipv4(&net.header().to_header(), udp.payload())
            }
            Some(NetSlice::Ipv6(net)) => udp.to_header().calc_checksum_ipv6(&net.header().to_header(), udp.payload()),
            _ => panic!(),
        };
        prop_assert_eq!(sum.unwrap(), udp.checksum());
    }

    #[test]
    fn icmp_comes_back(
        header in ip_header(), [kind, code] in any::<[u8; 2]>(), rest in any::<[u8; 4]>(),
        body in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        let icmp = IcmpHeader { kind, code, rest };
        let expected = IcmpMessage { kind, code, rest, body: &body };
        let (frame, expected) = match header {
            IpHeader::V4(v4) => (icmpv4(ETHERNET, v4, icmp, &body), Transport::Icmpv4(expected)),
            IpHeader::V6(v6) => (icmpv6(ETHERNET, v6, icmp, &body), Transport::Icmpv6(expected)),
        };
        let frame = frame.unwrap();
        assert_header(&header, &ip(&frame));
        prop_assert_eq!(ip(&frame).transport, expected);
    }

    #[test]
    fn the_device_completes_a_partial_checksum(
        header in ip_header(), payload in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        let whole = udp(ETHERNET, header, PORTS, &payload).unwrap();
        let mut frame = vec![0xaa; udp_headroom(&header)];
        frame.extend_from_slice(&payload);
        let offload = write_udp_frame(&mut frame, ETHERNET, &header, PORTS, None).unwrap();
        let Checksum::Partial { start, offset } = offload.checksum else { panic!() };
        let at = usize::from(start + offset);
        let sum = checksum::sum(&frame[usize::from(start)..]).udp_checksum();
        frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        prop_assert_eq!(frame, whole);
    }
}

#[test]
fn super_frames_state_their_segments() {
    let mut frame = vec![1; UDP6_HEADROOM + 3000];
    let header = IpHeader::V6(V6);
    let offload = write_udp_frame(&mut frame, ETHERNET, &header, PORTS, Some(1400)).unwrap();
    let checksum = Checksum::Partial { start: 54, offset: 6 };
    assert_eq!(offload, Offload { checksum, gso: Gso::Udp, gso_size: 1400, header_len: 62 });
    let Ok(Packet::Ip(packet)) = classify(&frame, checksum) else { panic!() };
    assert!(matches!(packet.transport, Transport::Udp(datagram) if datagram.payload.len() == 3000));
    for one in [Some(3000), Some(0), None] {
        assert_eq!(write_udp_frame(&mut frame, ETHERNET, &header, PORTS, one).unwrap().gso, Gso::None);
    }
}

#[test]
fn limits_of_length_and_room() {
    assert!(udp4(ETHERNET, V4, PORTS, &[0; 65507]).is_ok());
    assert_eq!(udp4(ETHERNET, V4, PORTS, &[0; 65508]), Err(BuildError::TooLong(65536)));
    assert!(udp6(ETHERNET, V6, PORTS, &[0; 65527]).is_ok());
    assert_eq!(udp6(ETHERNET, V6, PORTS, &[0; 65528]), Err(BuildError::TooLong(65576)));
    for header in [IpHeader::V4(V4), IpHeader::V6(V6)] {
        for len in 0..udp_headroom(&header) {
            let built = write_udp_frame(&mut vec![0; len], ETHERNET, &header, PORTS, None);
            assert!(matches!(built, Err(BuildError::NoRoom(_))), "{len}");
        }
    }
}

#[test]
fn errors_quote_what_fits() {
    let original = vec![0x45; 2000];
    let unreachable = IcmpHeader { kind: 3, code: 3, rest: [0; 4] };
    let frame = icmpv4_error(ETHERNET, V4, unreachable, &original).unwrap();
    assert_eq!(ip(&frame).bytes.len(), 576);
    assert_eq!(ip(&icmpv4_error(ETHERNET, V4, unreachable, &original[..40]).unwrap()).bytes.len(), 68);
    let too_big = IcmpHeader { kind: 2, code: 0, rest: 1280u32.to_be_bytes() };
    let frame = icmpv6_error(ETHERNET, V6, too_big, &original).unwrap();
    assert_eq!(ip(&frame).bytes.len(), 1280);
    assert!(!may_answer_with_error(&ip(&frame)));
    assert!(may_answer_with_error(&ip(&udp4(ETHERNET, V4, PORTS, b"").unwrap())));
}

#[test]
fn echo_replies() {
    let frame = icmp_echo_reply(ETHERNET, IpHeader::V4(V4), [0, 1, 0, 2], b"ping").unwrap();
    let expected = IcmpMessage { kind: 0, code: 0, rest: [0, 1, 0, 2], body: b"ping" };
    assert_eq!(ip(&frame).transport, Transport::Icmpv4(expected));
    let frame = icmp_echo_reply(ETHERNET, IpHeader::V6(V6), [0, 1, 0, 2], b"ping").unwrap();
    assert_eq!(ip(&frame).transport, Transport::Icmpv6(IcmpMessage { kind: 129, ..expected }));
}

#[test]
fn link_answers() {
    let request =
        ArpPacket { operation: ArpOperation::Request, sender_mac: ETHERNET.dst, sender_ip: V4.dst, target_ip: V4.src };
    let frame = arp_reply(ETHERNET.src, V4.src, &request).unwrap();
    let expected =
        ArpPacket { operation: ArpOperation::Reply, sender_mac: ETHERNET.src, sender_ip: V4.src, target_ip: V4.dst };
    assert_eq!(classify(&frame, Checksum::Unverified), Ok(Packet::Arp(expected)));
    assert_eq!(source_mac(&frame), Some(ETHERNET.src));

    let frame = neighbour_advertisement(ETHERNET, V6.src, V6.dst, V6.src, Solicited::Yes).unwrap();
    let Transport::Icmpv6(message) = ip(&frame).transport else { panic!() };
    assert_eq!((message.kind, message.rest, ip(&frame).ttl), (136, [0xe0, 0, 0, 0], 255));
    assert_eq!(message.body[16..], [2, 1, 2, 0, 0, 0, 0, 1]);
}

#[test]
fn options_are_stripped() {
    let mut frame = udp4(ETHERNET, V4, PORTS, b"payload").unwrap();
    let plain = frame[14..].to_vec();
    frame.splice(34..34, [1, 1, 1, 0]);
    frame[14] = 0x46;
    frame[17] += 4;
    frame[24..26].fill(0);
    let sum = checksum::sum(&frame[14..38]).checksum();
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    assert!(ip(&frame).has_options);
    assert_eq!(strip_options(&ip(&frame)), plain);
    assert_eq!(strip_options(&classify_ip(&plain, Checksum::Unverified).unwrap()), plain);

    let mut frame = udp6(ETHERNET, V6, PORTS, b"payload").unwrap();
    let plain = frame[14..].to_vec();
    frame.splice(54..54, [60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0]);
    frame[19] += 16;
    frame[20] = 0;
    assert!(ip(&frame).has_options);
    assert_eq!(strip_options(&ip(&frame)), plain);
}
