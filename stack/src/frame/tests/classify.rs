//! Classification against packets made by etherparse and against headers made wrong by hand.

use etherparse::PacketBuilder;

use crate::event::DropReason;
use crate::frame::*;

const A4: [u8; 4] = [10, 0, 2, 100];
const B4: [u8; 4] = [93, 184, 215, 14];
const A6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];
const B6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const PARTIAL: Checksum = Checksum::Partial { start: 34, offset: 16 };

fn ethernet() -> etherparse::PacketBuilderStep<etherparse::Ethernet2Header> {
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
}

fn udp4(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    ethernet().ipv4(A4, B4, 64).udp(4000, 53).write(&mut frame, payload).unwrap();
    frame
}

fn udp6(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    ethernet().ipv6(A6, B6, 64).udp(4000, 53).write(&mut frame, payload).unwrap();
    frame
}

fn ip(frame: &[u8]) -> IpPacket<'_> {
    match classify(frame, Checksum::Unverified) {
        Ok(Packet::Ip(packet)) => packet,
        other => panic!("not an IP packet: {other:?}"),
    }
}

fn dropped(frame: &[u8]) -> DropReason {
    classify(frame, Checksum::Unverified).unwrap_err()
}

/// Makes an IPv4 header checksum right again after a change.
fn fix_ipv4(frame: &mut [u8]) {
    let end = 14 + usize::from(frame[14] & 0xf) * 4;
    frame[24..26].fill(0);
    let sum = checksum::sum(&frame[14..end]).checksum();
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
}

/// An IPv6 frame with a chain of headers behind the fixed one.
fn chain6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = udp6(b"")[..54].to_vec();
    frame[18..20].copy_from_slice(&(payload.len() as u16).to_be_bytes());
    frame[20] = next_header;
    frame.extend_from_slice(payload);
    frame
}

#[test]
fn tcp_over_both_families() {
    for v6 in [false, true] {
        let mut frame = Vec::new();
        if v6 {
            ethernet().ipv6(A6, B6, 7).tcp(1000, 80, 1234, 500).ack(99).psh().write(&mut frame, b"hello").unwrap();
        } else {
            ethernet().ipv4(A4, B4, 7).tcp(1000, 80, 1234, 500).ack(99).psh().write(&mut frame, b"hello").unwrap();
        }
        let packet = ip(&frame);
        assert_eq!((packet.ttl, packet.has_options, packet.bytes.len()), (7, false, frame.len() - 14));
        let Transport::Tcp(segment) = packet.transport else { panic!("{packet:?}") };
        assert_eq!((segment.src_port, segment.dst_port, segment.seq, segment.ack), (1000, 80, 1234, 99));
        assert_eq!((segment.flags, segment.window), (TcpFlags(0x18), 500));
        assert_eq!((segment.header_len, segment.payload), (20, &b"hello"[..]));
        *frame.last_mut().unwrap() ^= 1;
        assert_eq!(dropped(&frame), DropReason::Checksum);
        assert!(classify(&frame, PARTIAL).is_ok());
        assert!(classify(&frame, Checksum::Valid).is_ok());
    }
}

#[test]
fn traffic_class_is_put_together() {
    let mut frame = udp6(b"x");
    frame[14] = 0x6b;
    frame[15] = 0x8f;
    assert_eq!(ip(&frame).tos, 0xb8);
}

#[test]
fn padding_is_trimmed() {
    for mut frame in [udp4(b"ab"), udp6(b"ab")] {
        let len = frame.len();
        frame.resize(len + 30, 0xee);
        let packet = ip(&frame);
        assert_eq!(packet.bytes.len(), len - 14);
        assert!(matches!(packet.transport, Transport::Udp(UdpDatagram { payload: b"ab", .. })));
    }
}

#[test]
fn every_truncation_is_an_error() {
    for frame in [udp4(b"abcdef"), udp6(b"abcdef")] {
        for len in 0..frame.len() {
            assert_eq!(dropped(&frame[..len]), DropReason::Truncated);
        }
    }
}

#[test]
fn udp_lengths_and_missing_checksums() {
    let mut frame = udp4(b"abcd");
    frame[40..42].fill(0);
    assert!(matches!(ip(&frame).transport, Transport::Udp(_)));
    for wrong in [0u8, 7, 13] {
        frame[39] = wrong;
        assert_eq!(dropped(&frame), DropReason::Malformed);
    }
    frame[39] = 10;
    assert!(matches!(ip(&frame).transport, Transport::Udp(UdpDatagram { payload: b"ab", .. })));

    let mut frame = udp6(b"abcd");
    frame[60..62].fill(0);
    assert_eq!(dropped(&frame), DropReason::Checksum);
    assert!(classify(&frame, PARTIAL).is_ok());
}

#[test]
fn ipv4_header_is_judged_whatever_the_offload() {
    let mut frame = udp4(b"abcd");
    frame[22] ^= 1;
    assert_eq!(classify(&frame, PARTIAL).unwrap_err(), DropReason::Checksum);
    frame[14] = 0x44;
    assert_eq!(dropped(&frame), DropReason::Malformed);
    frame[14] = 0x65;
    assert_eq!(dropped(&frame), DropReason::Malformed);
    let mut frame = udp4(b"abcd");
    frame[16..18].fill(0);
    fix_ipv4(&mut frame);
    assert_eq!(dropped(&frame), DropReason::Malformed);
}

#[test]
fn a_super_frame_fills_the_length_field() {
    for v6 in [false, true] {
        let payload = vec![7; 65535 - if v6 { 8 } else { 28 }];
        let frame = if v6 { udp6(&payload) } else { udp4(&payload) };
        let Ok(Packet::Ip(packet)) = classify(&frame, PARTIAL) else { panic!() };
        assert!(matches!(packet.transport, Transport::Udp(datagram) if datagram.payload == payload));
        ip(&frame);
    }
}

#[test]
fn ipv4_options() {
    let with = |options: [u8; 4]| {
        let mut frame = udp4(b"abcd");
        frame.splice(34..34, options);
        frame[14] = 0x46;
        frame[17] += 4;
        fix_ipv4(&mut frame);
        frame
    };
    let frame = with([1, 0x94, 2, 0]);
    let packet = ip(&frame);
    assert_eq!((packet.has_options, packet.header_len), (true, 24));
    assert!(matches!(packet.transport, Transport::Udp(UdpDatagram { payload: b"abcd", .. })));
    for source_route in [0x83, 0x89] {
        assert_eq!(dropped(&with([source_route, 3, 4, 0])), DropReason::SourceRoute);
    }
    for malformed in [[7, 0, 0, 0], [7, 1, 0, 0], [7, 5, 0, 0], [1, 1, 1, 7]] {
        assert_eq!(dropped(&with(malformed)), DropReason::Malformed);
    }
}

#[test]
fn ipv4_fragments() {
    let with = |field: u16, len: usize| {
        let mut frame = udp4(&vec![0; len - 8]);
        frame[18..20].copy_from_slice(&0xabcdu16.to_be_bytes());
        frame[20..22].copy_from_slice(&field.to_be_bytes());
        fix_ipv4(&mut frame);
        frame
    };
    let frame = with(0x2000 | 3, 16);
    let Transport::Fragment(fragment) = ip(&frame).transport else { panic!() };
    assert_eq!((fragment.id, fragment.offset, fragment.more, fragment.protocol), (0xabcd, 24, true, 17));
    assert_eq!(fragment.payload, &frame[34..]);
    assert_eq!(classify_ip(&frame[14..], Checksum::Valid).unwrap_err(), DropReason::Fragment);
    assert_eq!(dropped(&with(0x2000, 17)), DropReason::Malformed);
    assert!(matches!(ip(&with(1, 17)).transport, Transport::Fragment(_)));
    assert_eq!(dropped(&with(0x1fff, 16)), DropReason::Fragment);
    assert!(matches!(ip(&with(0x4000, 17)).transport, Transport::Udp(_)));
}

#[test]
fn ipv6_extension_headers() {
    let udp = &udp6(b"abcd")[54..];
    let options = [60, 0, 1, 4, 0, 0, 0, 0];
    let last = [17, 0, 5, 2, 0, 0, 1, 0];
    let frame = chain6(0, &[&options, &last, udp].concat());
    let packet = ip(&frame);
    assert_eq!((packet.has_options, packet.header_len), (true, 56));
    assert!(matches!(packet.transport, Transport::Udp(UdpDatagram { payload: b"abcd", .. })));

    let routing = |kind, left| chain6(43, &[&[17, 0, kind, left, 0, 0, 0, 0], udp].concat());
    assert!(matches!(ip(&routing(4, 0)).transport, Transport::Udp(_)));
    assert_eq!(dropped(&routing(4, 1)), DropReason::SourceRoute);
    assert_eq!(dropped(&routing(0, 0)), DropReason::SourceRoute);

    assert_eq!(dropped(&chain6(59, &[0])), DropReason::Protocol);
    assert_eq!(dropped(&chain6(59, &[])), DropReason::Malformed);
    assert_eq!(dropped(&chain6(60, &[17, 0, 0xc2, 4, 0, 0, 0, 0])), DropReason::HeaderOption);
    assert_eq!(dropped(&chain6(60, &[17, 0, 1, 5, 0, 0, 0, 0])), DropReason::Malformed);
    assert_eq!(dropped(&chain6(60, &[17, 1, 1, 4, 0, 0, 0, 0])), DropReason::Malformed);
    assert_eq!(dropped(&chain6(60, &[0, 0, 1, 4, 0, 0, 0, 0].repeat(2))), DropReason::Malformed);
    assert_eq!(dropped(&chain6(60, &[60, 0, 1, 4, 0, 0, 0, 0].repeat(20))), DropReason::Malformed);
    let eight = [[60, 0, 1, 4, 0, 0, 0, 0].repeat(7), vec![17, 0, 1, 4, 0, 0, 0, 0], udp.to_vec()].concat();
    assert!(matches!(ip(&chain6(60, &eight)).transport, Transport::Udp(_)));
}

#[test]
fn ipv6_fragments() {
    let udp = &udp6(b"abcd")[54..];
    let with = |field: u16, piece: &[u8]| {
        let [high, low] = field.to_be_bytes();
        chain6(44, &[&[17, 0, high, low, 1, 2, 3, 4], piece].concat())
    };
    let atomic = with(0, udp);
    let packet = ip(&atomic);
    assert_eq!((packet.has_options, packet.header_len), (true, 48));
    assert!(matches!(packet.transport, Transport::Udp(UdpDatagram { payload: b"abcd", .. })));

    let frame = with(17, &udp[..8]);
    let Transport::Fragment(fragment) = ip(&frame).transport else { panic!() };
    let expected = Fragment { id: 0x01020304, offset: 16, more: true, protocol: 17, payload: &udp[..8] };
    assert_eq!(fragment, expected);
    assert_eq!(dropped(&with(1, &udp[..7])), DropReason::Malformed);
    assert_eq!(dropped(&with(8, &[])), DropReason::Malformed);
    assert_eq!(dropped(&with(0xfff8, &udp[..8])), DropReason::Fragment);
}

#[test]
fn addresses() {
    let from4 = |src, dst, dst_port| {
        let mut frame = Vec::new();
        ethernet().ipv4(src, dst, 64).udp(68, dst_port).write(&mut frame, b"").unwrap();
        classify(&frame, Checksum::Unverified).err()
    };
    for src in [[224, 0, 0, 1], [255; 4], [127, 0, 0, 1], [0; 4], [0, 1, 2, 3]] {
        assert_eq!(from4(src, B4, 53), Some(DropReason::Address), "{src:?}");
    }
    for dst in [[127, 9, 9, 9], [0; 4], [0, 0, 0, 1]] {
        assert_eq!(from4(A4, dst, 53), Some(DropReason::Address), "{dst:?}");
    }
    assert_eq!(from4([0; 4], [255; 4], 67), None);
    assert_eq!(from4(A4, [224, 0, 0, 251], 5353), None);

    let from6 = |src: &str, dst: &str, kind| {
        let (src, dst) = (src.parse::<std::net::Ipv6Addr>().unwrap(), dst.parse::<std::net::Ipv6Addr>().unwrap());
        let mut frame = Vec::new();
        let builder = ethernet().ipv6(src.octets(), dst.octets(), 255);
        builder.icmpv6_raw(kind, 0, [0; 4]).write(&mut frame, &[0; 16]).unwrap();
        classify(&frame, Checksum::Unverified).err()
    };
    for src in ["ff02::1", "::1", "::ffff:1.2.3.4", "::"] {
        assert_eq!(from6(src, "2001:db8::1", 128), Some(DropReason::Address), "{src}");
    }
    for dst in ["::1", "::", "::ffff:127.0.0.1"] {
        assert_eq!(from6("fd00::100", dst, 128), Some(DropReason::Address), "{dst}");
    }
    assert_eq!(from6("::", "ff02::1:ff00:100", 135), None);
    assert_eq!(from6("::", "ff02::2", 133), None);
}

#[test]
fn icmp_and_other_protocols() {
    let mut frame = Vec::new();
    ethernet().ipv4(A4, B4, 64).icmpv4_echo_request(7, 9).write(&mut frame, b"ping").unwrap();
    let expected = IcmpMessage { kind: 8, code: 0, rest: [0, 7, 0, 9], body: b"ping" };
    assert_eq!(ip(&frame).transport, Transport::Icmpv4(expected));
    frame[23] = 58;
    fix_ipv4(&mut frame);
    assert_eq!(ip(&frame).transport, Transport::Other(58));

    let mut frame = Vec::new();
    ethernet().ipv6(A6, B6, 64).icmpv6_echo_request(7, 9).write(&mut frame, b"ping").unwrap();
    let expected = IcmpMessage { kind: 128, code: 0, rest: [0, 7, 0, 9], body: b"ping" };
    assert_eq!(ip(&frame).transport, Transport::Icmpv6(expected));
    frame[60] ^= 4;
    assert_eq!(dropped(&frame), DropReason::Checksum);
}

#[test]
fn tcp_data_offset() {
    let mut frame = Vec::new();
    ethernet().ipv4(A4, B4, 64).tcp(1, 2, 3, 4).write(&mut frame, b"abc").unwrap();
    for wrong in [0x40, 0x60, 0xf0] {
        frame[46] = wrong;
        assert_eq!(dropped(&frame), DropReason::Malformed);
    }
}

#[test]
fn arp_and_ether_types() {
    let mut frame = [0xff; 6].to_vec();
    frame.extend_from_slice(&[2, 0, 0, 0, 0, 1, 8, 6]);
    frame.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 2, 100, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2]);
    let expected = ArpPacket {
        operation: ArpOperation::Request,
        sender_mac: MacAddr([2, 0, 0, 0, 0, 1]),
        sender_ip: A4.into(),
        target_ip: [10, 0, 2, 2].into(),
    };
    assert_eq!(classify(&frame, Checksum::Unverified), Ok(Packet::Arp(expected)));
    assert_eq!(source_mac(&frame), Some(expected.sender_mac));
    assert_eq!(dropped(&frame[..41]), DropReason::Truncated);
    frame[21] = 3;
    assert_eq!(dropped(&frame), DropReason::Malformed);
    frame[14] = 9;
    assert_eq!(dropped(&frame), DropReason::Malformed);
    for other in [[0x81, 0x00], [0x88, 0xa8], [0, 46]] {
        frame[12..14].copy_from_slice(&other);
        assert_eq!(dropped(&frame), DropReason::EtherType);
    }
}
