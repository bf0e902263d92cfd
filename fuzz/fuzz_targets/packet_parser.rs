//! Any bytes into `classify`: it never panics, and of TCP and UDP it says what etherparse says.
#![no_main]

use etherparse::{LinkSlice, NetSlice, SlicedPacket, TransportSlice};
use libfuzzer_sys::fuzz_target;
use rnet_stack::{
    event::DropReason,
    frame::{
        Checksum, IpPacket, Packet, TcpSegment, Transport, UdpDatagram, checksum, classify, classify_ip, fragment,
        may_answer_with_error, strip_options,
    },
};

fuzz_target!(|data: &[u8]| {
    check(data);
    // Most mutations break the IPv4 header's checksum, and nothing behind it would be reached.
    let mut repaired = data.to_vec();
    if repair(&mut repaired).is_some() {
        check(&repaired);
    }
});

fn check(data: &[u8]) {
    let partial = classify(data, Checksum::Partial { start: 34, offset: 6 });
    let valid = classify(data, Checksum::Valid);
    if let Ok(packet) = classify(data, Checksum::Unverified) {
        assert_eq!(valid.as_ref(), Ok(&packet), "vouching for a checksum changes nothing else");
        assert_eq!(partial.as_ref(), Ok(&packet));
    }
    let ours = match &valid {
        Ok(Packet::Ip(packet)) => {
            properties(data, packet);
            Ok(packet)
        }
        Ok(Packet::Arp(_)) => return,
        Err(reason) => Err(*reason),
    };
    compare(ours, SlicedPacket::from_ethernet(data).ok().as_ref());
}

/// What holds for every packet that is accepted.
fn properties(data: &[u8], packet: &IpPacket<'_>) {
    assert!(packet.header_len <= packet.bytes.len());
    assert_eq!(packet.src.is_ipv4(), packet.dst.is_ipv4());
    may_answer_with_error(packet);
    let plain = strip_options(packet);
    assert!(plain.len() <= packet.bytes.len());
    if matches!(packet.transport, Transport::Fragment(_)) {
        return;
    }
    // Another stripping changes nothing; the protocol number of an unknown transport may be that of a header.
    if !matches!(packet.transport, Transport::Other(_)) {
        let again = classify_ip(&plain, Checksum::Valid).expect("a stripped packet");
        assert_eq!(again.transport, packet.transport);
        assert!(!again.has_options);
    }
    for mtu in [60, 1280] {
        if let Ok(frames) = fragment(data.to_vec(), mtu, 7)
            && frames.len() > 1
        {
            assert!(frames.iter().all(|frame| frame.len() <= 14 + usize::from(mtu)));
        }
    }
}

#[derive(Debug, PartialEq)]
enum Known<'a> {
    Tcp(u16, u16, u32, u32, u8, u16, &'a [u8]),
    Udp(u16, u16, &'a [u8]),
}

fn compare(ours: Result<&IpPacket<'_>, DropReason>, theirs: Option<&SlicedPacket<'_>>) {
    let their_transport = theirs.and_then(known_by_them);
    match ours {
        Ok(packet) if !packet.has_options || packet.src.is_ipv4() => {
            let our_transport = match packet.transport {
                Transport::Tcp(TcpSegment { src_port, dst_port, seq, ack, flags, window, payload, .. }) => {
                    Known::Tcp(src_port, dst_port, seq, ack, flags.0, window, payload)
                }
                Transport::Udp(UdpDatagram { src_port, dst_port, payload }) => Known::Udp(src_port, dst_port, payload),
                // Etherparse wants more of an ICMP timestamp's body, and reads authentication headers.
                _ => return,
            };
            assert_eq!(Some(our_transport), their_transport);
        }
        // Extension headers: etherparse follows their order in the RFC, and only that.
        Ok(_) => {}
        // It doesn't judge checksums, addresses, options or source routes.
        Err(DropReason::Checksum | DropReason::Address | DropReason::SourceRoute | DropReason::HeaderOption) => {}
        Err(reason) => assert_eq!(their_transport, None, "dropped: {reason:?}"),
    }
}

/// The TCP or UDP in a packet without VLAN, fragmentation, options or extension headers, in which etherparse was told every
/// length; `None` for all else.
fn known_by_them<'a>(packet: &SlicedPacket<'a>) -> Option<Known<'a>> {
    let Some(LinkSlice::Ethernet2(_)) = packet.link else { return None };
    if !packet.link_exts.is_empty() {
        return None;
    }
    match packet.net.as_ref()? {
        NetSlice::Ipv4(net) => {
            if net.header().is_fragmenting_payload() || !net.extensions().is_empty() {
                return None;
            }
            // Malformed options are ours to drop alone.
            well_formed_options(net.header().options())?;
        }
        NetSlice::Ipv6(net) => {
            // It takes a payload length of zero for a jumbogram and guesses.
            if net.header().payload_length() == 0 || !net.extensions().is_empty() {
                return None;
            }
        }
        NetSlice::Arp(_) => return None,
    }
    match packet.transport.as_ref()? {
        TransportSlice::Tcp(tcp) => Some(Known::Tcp(
            tcp.source_port(),
            tcp.destination_port(),
            tcp.sequence_number(),
            tcp.acknowledgment_number(),
            tcp.slice()[13],
            tcp.window_size(),
            tcp.payload(),
        )),
        // A length of zero means "to the end" to it.
        TransportSlice::Udp(udp) if udp.length() == 0 => None,
        TransportSlice::Udp(udp) => Some(Known::Udp(udp.source_port(), udp.destination_port(), udp.payload())),
        _ => None,
    }
}

fn well_formed_options(mut options: &[u8]) -> Option<()> {
    while let Some((kind, rest)) = options.split_first() {
        options = match kind {
            0 => return Some(()),
            1 => rest,
            _ => options.get(usize::from(*rest.first().filter(|len| **len >= 2)?)..)?,
        };
    }
    Some(())
}

/// Makes the IPv4 header's checksum right.
fn repair(frame: &mut [u8]) -> Option<()> {
    if frame.get(12..14)? != [8, 0] {
        return None;
    }
    let end = 14 + usize::from(frame.get(14)? & 0xf) * 4;
    let header = frame.get_mut(14..end)?;
    header.get_mut(10..12)?.fill(0);
    let sum = checksum::sum(header).checksum();
    header.get_mut(10..12)?.copy_from_slice(&sum.to_be_bytes());
    Some(())
}
