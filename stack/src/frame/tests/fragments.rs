//! Fragmentation and reassembly undo each other; reassembly keeps its bounds.

use proptest::prelude::*;

use crate::{Duration, Instant, event::DropReason, frame::*};

const ETHERNET: Ethernet = Ethernet { src: MacAddr([2, 0, 0, 0, 0, 1]), dst: MacAddr([2, 0, 0, 0, 0, 2]) };
const PORTS: Ports = Ports { src: 53, dst: 40000 };
const START: Instant = Instant::from_micros_const(1_000_000);

fn header(family: u8) -> IpHeader {
    let (src, dst) = match family {
        4 => ("10.0.2.2".parse().unwrap(), "10.0.2.100".parse().unwrap()),
        _ => ("fd00::2".parse().unwrap(), "fd00::100".parse().unwrap()),
    };
    IpHeader::new(src, dst, 64, 3, None).unwrap()
}

fn ip(frame: &[u8]) -> IpPacket<'_> {
    match classify(frame, Checksum::Unverified) {
        Ok(Packet::Ip(packet)) => packet,
        other => panic!("not an IP packet: {other:?}"),
    }
}

/// The fragments of a UDP packet whose payload counts up from `seed`.
fn pieces(family: u8, len: usize, mtu: u16, id: u32, seed: u8) -> (Vec<u8>, Vec<Vec<u8>>) {
    let payload: Vec<u8> = (0..len).map(|at| (at as u8).wrapping_add(seed)).collect();
    let frame = udp(ETHERNET, header(family), PORTS, &payload).unwrap();
    (frame[14..].to_vec(), fragment(frame, mtu, id).unwrap())
}

fn reassembly() -> Reassembly {
    Reassembly::new(ReassemblyLimits::default())
}

proptest! {
    #[test]
    fn any_order_gives_the_whole(
        family in prop_oneof![Just(4u8), Just(6)], len in 0usize..65507, mtu in 600u16..9000,
        id in any::<u32>(), order in any::<u64>(), repeat in any::<prop::sample::Index>(),
    ) {
        let (whole, mut frames) = pieces(family, len, mtu, id, 0);
        prop_assert!(frames.iter().all(|frame| frame.len() <= 14 + usize::from(mtu)));
        if frames.len() == 1 {
            prop_assert_eq!(&frames[0][14..], &whole[..]);
            return Ok(());
        }
        // A shuffle by a small generator, and one fragment twice.
        let mut state = order | 1;
        for at in (1..frames.len()).rev() {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            frames.swap(at, (state >> 33) as usize % (at + 1));
        }
        let last = frames.pop().unwrap();
        frames.push(frames[repeat.index(frames.len())].clone());
        frames.push(last);

        let mut reassembly = reassembly();
        let (last, first) = frames.split_last().unwrap();
        for frame in first {
            prop_assert_eq!(reassembly.insert(START, &ip(frame)), Ok(None));
        }
        let packet = reassembly.insert(START, &ip(last)).unwrap().unwrap();
        prop_assert_eq!((reassembly.packets(), reassembly.bytes(), reassembly.poll_timeout()), (0, 0, None));
        prop_assert_eq!(packet, whole);
    }
}

#[test]
fn the_whole_is_classified() {
    for family in [4, 6] {
        let (_, frames) = pieces(family, 5000, 1500, 9, 0);
        assert_eq!(frames.len(), 4);
        let mut reassembly = reassembly();
        let whole = frames.iter().find_map(|frame| reassembly.insert(START, &ip(frame)).unwrap()).unwrap();
        let packet = classify_ip(&whole, Checksum::Unverified).unwrap();
        assert!(matches!(packet.transport, Transport::Udp(datagram) if datagram.payload.len() == 5000));
        assert_eq!((packet.ttl, packet.tos), (64, 3));
    }
}

#[test]
fn overlap_poisons_the_packet() {
    let (_, frames) = pieces(6, 5000, 1500, 9, 0);
    let (_, others) = pieces(6, 5000, 1300, 9, 1);
    let mut reassembly = reassembly();
    assert_eq!(reassembly.insert(START, &ip(&frames[0])), Ok(None));
    assert_eq!(reassembly.insert(START, &ip(&others[1])), Err(DropReason::Fragment));
    assert_eq!(reassembly.bytes(), 0);
    for frame in &frames {
        assert_eq!(reassembly.insert(START, &ip(frame)), Err(DropReason::Fragment));
    }
    assert_eq!(reassembly.handle_timeout(START + Duration::from_secs(15)), 0);
    assert_eq!(reassembly.packets(), 0);
}

#[test]
fn contradicting_lengths_poison_the_packet() {
    let (_, long) = pieces(4, 5000, 1500, 9, 0);
    let (_, short) = pieces(4, 2500, 1500, 9, 0);
    let mut reassembly = reassembly();
    assert_eq!(reassembly.insert(START, &ip(&long[3])), Ok(None));
    assert_eq!(reassembly.insert(START, &ip(&short[1])), Err(DropReason::Fragment));
}

#[test]
fn time_out() {
    let mut reassembly = reassembly();
    let (_, frames) = pieces(4, 5000, 1500, 9, 0);
    assert_eq!(reassembly.insert(START, &ip(&frames[0])), Ok(None));
    let later = START + Duration::from_secs(5);
    let (_, others) = pieces(4, 5000, 1500, 10, 0);
    assert_eq!(reassembly.insert(later, &ip(&others[0])), Ok(None));
    let deadline = START + Duration::from_secs(15);
    assert_eq!(reassembly.poll_timeout(), Some(deadline));
    assert_eq!(reassembly.handle_timeout(deadline - Duration::from_micros(1)), 0);
    assert_eq!(reassembly.handle_timeout(deadline), 1);
    assert_eq!((reassembly.packets(), reassembly.poll_timeout()), (1, Some(later + Duration::from_secs(15))));
}

#[test]
fn a_full_table_refuses_the_newest() {
    let mut reassembly = reassembly();
    for id in 0..32 {
        assert_eq!(reassembly.insert(START, &ip(&pieces(4, 3000, 1500, id, 0).1[0])), Ok(None));
    }
    let (_, newest) = pieces(4, 3000, 1500, 32, 0);
    assert_eq!(reassembly.insert(START, &ip(&newest[0])), Err(DropReason::Fragment));
    let (_, frames) = pieces(4, 3000, 1500, 31, 0);
    assert_eq!(reassembly.insert(START, &ip(&frames[1])), Ok(None));
    assert!(reassembly.insert(START, &ip(&frames[2])).unwrap().is_some());
    assert_eq!(reassembly.insert(START, &ip(&newest[0])), Ok(None));
}

#[test]
fn bytes_are_bounded() {
    let limits = ReassemblyLimits { bytes: 40 << 10, ..ReassemblyLimits::default() };
    let mut reassembly = Reassembly::new(limits);
    let insert = |reassembly: &mut Reassembly, id, at: usize| {
        reassembly.insert(START, &ip(&pieces(4, 60000, 1500, id, 0).1[at]))
    };
    assert_eq!(insert(&mut reassembly, 1, 0), Ok(None));
    assert_eq!(insert(&mut reassembly, 1, 40), Err(DropReason::Fragment));
    assert_eq!(insert(&mut reassembly, 2, 1), Ok(None));
    assert_eq!(insert(&mut reassembly, 3, 1), Err(DropReason::Fragment));
    assert_eq!((reassembly.packets(), reassembly.bytes()), (2, 32 << 10));
}

#[test]
fn what_cannot_be_cut() {
    let (_, frames) = pieces(4, 3000, 1500, 1, 0);
    assert_eq!(fragment(frames[0].clone(), 600, 1), Err(BuildError::Fragmentation));
    let frame = udp(ETHERNET, header(6), PORTS, &[0; 100]).unwrap();
    assert_eq!(fragment(frame, 55, 1), Err(BuildError::Fragmentation));
    assert_eq!(fragment(vec![0; 100], 55, 1), Err(BuildError::Fragmentation));
}
