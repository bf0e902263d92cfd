//! Any sequence of fragments and time into `Reassembly`: it never panics, and keeps its bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rnet_stack::{
    Duration, Instant,
    frame::{Checksum, Fragment, IpPacket, Reassembly, ReassemblyLimits, Transport, classify_ip},
};

const LIMITS: ReassemblyLimits = ReassemblyLimits { packets: 4, bytes: 128 << 10, time_out: Duration::from_secs(15) };

static BYTES: [u8; 2048] = [0x11; 2048];

fuzz_target!(|data: &[u8]| {
    let mut reassembly = Reassembly::new(LIMITS);
    let mut now = Instant::from_micros_const(0);
    for [what, place_high, place_low, len] in data.as_chunks::<4>().0 {
        if what & 0x80 != 0 {
            now += Duration::from_secs(u64::from(*len));
            reassembly.handle_timeout(now);
            assert!(reassembly.poll_timeout().is_none_or(|deadline| deadline > now));
            continue;
        }
        let v6 = what & 0x40 != 0;
        let more = what & 0x20 != 0;
        let offset = usize::from(u16::from_be_bytes([*place_high, *place_low]) & 0x1fff) * 8;
        let len = (usize::from(*len) + 1) * if more { 8 } else { 1 };
        // As `classify` guarantees.
        let most = if v6 { 65535 } else { 65515 };
        if (offset == 0 && !more) || offset + len > most {
            continue;
        }
        let (src, dst) = if v6 {
            ("fd00::100".parse().unwrap(), "fd00::2".parse().unwrap())
        } else {
            ("10.0.2.100".parse().unwrap(), "10.0.2.2".parse().unwrap())
        };
        let fragment = Fragment { id: u32::from(what & 7), offset, more, protocol: 17, payload: &BYTES[..len] };
        let packet = IpPacket {
            src,
            dst,
            ttl: 64,
            tos: 0,
            bytes: &[],
            header_len: 0,
            has_options: false,
            transport: Transport::Fragment(fragment),
        };
        if let Ok(Some(whole)) = reassembly.insert(now, &packet) {
            // Whatever is in it, its header is right.
            let _ = classify_ip(&whole, Checksum::Valid);
            assert!(whole[if v6 { 40 } else { 20 }..].iter().all(|byte| *byte == 0x11), "a hole");
        }
        assert!(reassembly.packets() <= LIMITS.packets && reassembly.bytes() <= LIMITS.bytes);
    }
    now += Duration::from_secs(1000);
    reassembly.handle_timeout(now);
    assert_eq!((reassembly.packets(), reassembly.bytes(), reassembly.poll_timeout()), (0, 0, None));
});
