//! What it costs to say what a frame carries: once per frame, so once per 64 bytes or per 64 KiB.
#![expect(clippy::expect_used, reason = "a bench stops at what cannot be")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use etherparse::PacketBuilder;
use rnet_stack::frame::{Checksum, checksum, classify};

const PARTIAL: Checksum = Checksum::Partial { start: 34, offset: 16 };

fn udp4(payload: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 2, 100], [1, 1, 1, 1], 64).udp(4000, 53);
    builder.write(&mut frame, &vec![7; payload]).expect("a legal length");
    frame
}

fn tcp4(payload: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 2, 100], [1, 1, 1, 1], 64);
    builder.tcp(4000, 80, 1, 1000).ack(1).write(&mut frame, &vec![7; payload]).expect("a legal length");
    frame
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("classify");
    for (name, frame, state) in [
        ("udp 64 B, partial", udp4(22), PARTIAL),
        ("udp 64 B, unverified", udp4(22), Checksum::Unverified),
        ("tcp 1400 B, partial", tcp4(1400), PARTIAL),
        ("tcp 1400 B, unverified", tcp4(1400), Checksum::Unverified),
        ("tcp 64 KB, partial", tcp4(65_495), PARTIAL),
        ("tcp 64 KB, unverified", tcp4(65_495), Checksum::Unverified),
    ] {
        group.throughput(Throughput::Bytes(frame.len() as u64));
        group.bench_function(name, |b| b.iter(|| classify(black_box(&frame), black_box(state)).is_ok()));
    }
    group.finish();

    let mut group = c.benchmark_group("checksum");
    let bytes = vec![0x5a; 65_536];
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("64 KiB", |b| b.iter(|| checksum::sum(black_box(&bytes))));
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
