//! What the flows cost: finding one of many, and bulk through one, on a virtual clock with an edge that does nothing.
#![expect(clippy::expect_used, reason = "a bench stops at what cannot be")]

use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rnet_stack::frame::{Checksum, Offload, Packet, Transport, classify};
use rnet_stack::{
    Close, Duration, Edge, Family, FlowId, Flushed, HEADROOM, HeapRings, HostError, Instant, Limits, Outgoing, PingId,
    Readiness, RingClass, Stack, UdpId,
};

#[allow(dead_code, missing_docs)]
#[path = "../stack/tests/support/config.rs"]
mod config;
#[allow(dead_code, missing_docs)]
#[path = "../stack/tests/support/segment.rs"]
mod segment;

use config::{GUEST4, REMOTE4};
use segment::{ACK, SYN, Segment};

const READY: Readiness = Readiness { readable: true, writable: true, hang_up: false };
const PARTIAL: Offload = Offload {
    checksum: Checksum::Partial { start: 34, offset: 16 },
    gso: rnet_stack::frame::Gso::None,
    gso_size: 0,
    header_len: 0,
};

/// An edge whose host takes everything and gives as much as it is told to.
#[derive(Default)]
struct Null {
    connecting: Vec<FlowId>,
    /// Bytes that the host still gives.
    gives: usize,
    took: usize,
    /// The sequence number behind the last segment, and the payload that came.
    next: u32,
    came: usize,
}

impl Edge for Null {
    fn transmit(&mut self, buffer: &mut [u8], offload: Offload) {
        if let Ok(Packet::Ip(packet)) = classify(&buffer[HEADROOM..], offload.checksum)
            && let Transport::Tcp(segment) = packet.transport
        {
            let len = segment.payload.len();
            self.next = segment.seq.wrapping_add(len as u32 + u32::from(segment.flags.0 & 3 != 0));
            self.came += len;
        }
    }

    fn tcp_connect(&mut self, flow: FlowId, _to: SocketAddr) -> Result<(), HostError> {
        self.connecting.push(flow);
        Ok(())
    }

    fn tcp_send(&mut self, _flow: FlowId, bytes: &[u8]) -> Result<usize, HostError> {
        self.took += bytes.len();
        Ok(bytes.len())
    }

    fn tcp_receive(&mut self, _flow: FlowId, space: &mut [u8]) -> Result<usize, HostError> {
        let len = space.len().min(self.gives);
        self.gives -= len;
        if len == 0 { Err(HostError::WouldBlock) } else { Ok(len) }
    }

    fn tcp_shutdown(&mut self, _flow: FlowId) {}
    fn tcp_close(&mut self, _flow: FlowId, _how: Close) {}

    fn udp_open(&mut self, _mapping: UdpId, _family: Family, _port: u16) -> Result<(), HostError> {
        Ok(())
    }

    fn udp_send(&mut self, _mapping: UdpId, _datagram: &Outgoing<'_>) -> Result<(), HostError> {
        Ok(())
    }

    fn udp_close(&mut self, _mapping: UdpId) {}

    fn ping_open(&mut self, _mapping: PingId, _family: Family) -> Result<(), HostError> {
        Ok(())
    }

    fn ping_send(&mut self, _mapping: PingId, _sequence: u16, _datagram: &Outgoing<'_>) -> Result<(), HostError> {
        Ok(())
    }

    fn ping_close(&mut self, _mapping: PingId) {}
}

/// A stack with open flows, and the container's end of them.
struct Bench {
    stack: Stack<HeapRings>,
    edge: Null,
    now: Instant,
}

/// The container's end of a flow.
#[derive(Clone, Copy)]
struct End {
    local: SocketAddr,
    remote: SocketAddr,
    seq: u32,
    ack: u32,
}

impl End {
    fn segment(&self, flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
        let End { local: src, remote: dst, seq, ack } = *self;
        Segment { src, dst, flags, seq, ack, window: u16::MAX, options, payload }.frame()
    }
}

impl Bench {
    fn new(flows: usize) -> Bench {
        let limits = Limits {
            tcp_flows: flows,
            // Bulk gets large rings; many flows get small ones.
            buffer_bytes: RingClass::Large.bytes().max(flows * RingClass::Small.bytes()),
            ..Limits::default()
        };
        let stack = Stack::new(config::config(65520, limits), HeapRings, Instant::ZERO);
        Bench { stack, edge: Null::default(), now: Instant::ZERO }
    }

    fn frame(&mut self, frame: &[u8]) {
        self.stack.handle_frame(self.now, frame, PARTIAL, &mut self.edge);
    }

    /// Opens the `number`th flow.
    fn open(&mut self, number: usize) -> End {
        let local = SocketAddr::new(GUEST4, 1024 + (number % 50_000) as u16);
        let remote = SocketAddr::new(REMOTE4, 80 + (number / 50_000) as u16);
        let mut end = End { local, remote, seq: 1, ack: 0 };
        // MSS 65480, window scale 7.
        self.frame(&end.segment(SYN, &[2, 4, 0xff, 0xc8, 1, 3, 3, 7], &[]));
        let flow = self.edge.connecting.pop().expect("the flow connects");
        self.stack.tcp_connected(self.now, flow, READY, &mut self.edge);
        while self.stack.flush(self.now, &mut self.edge) == Flushed::Some {}
        end.seq += 1;
        end.ack = self.edge.next;
        self.frame(&end.segment(ACK, &[], &[]));
        while self.stack.flush(self.now, &mut self.edge) == Flushed::Some {}
        end
    }
}

fn lookup(c: &mut Criterion) {
    let mut group = c.benchmark_group("flow_lookup");
    group.throughput(Throughput::Elements(1));
    for flows in [1, 1_000, 100_000] {
        let mut bench = Bench::new(flows);
        let ends: Vec<End> = (0..flows).map(|number| bench.open(number)).collect();
        // A bare acknowledgement finds its flow, is seen to be nothing new, and is done. In an order that caches dislike.
        let frames: Vec<Vec<u8>> =
            (0..flows.min(4096)).map(|at| ends[at * 7919 % flows].segment(ACK, &[], &[])).collect();
        let mut at = 0;
        group.bench_function(BenchmarkId::from_parameter(flows), |b| {
            b.iter(|| {
                at = (at + 1) % frames.len();
                bench.frame(black_box(&frames[at]));
                if at.is_multiple_of(64) {
                    while bench.stack.flush(bench.now, &mut bench.edge) == Flushed::Some {}
                }
            });
        });
    }
    group.finish();
}

const SUPER: usize = 65_480;

fn bulk(c: &mut Criterion) {
    let mut group = c.benchmark_group("tcp_bulk");
    group.throughput(Throughput::Bytes(SUPER as u64));

    let mut bench = Bench::new(1);
    let mut end = bench.open(0);
    let payload = vec![7; SUPER];
    let mut frame = end.segment(ACK, &[], &payload);
    group.bench_function("out, 64 KB frames", |b| {
        b.iter(|| {
            // Only the sequence number differs; the device leaves the checksum to us, and nobody looks at it.
            frame[38..42].copy_from_slice(&end.seq.to_be_bytes());
            end.seq = end.seq.wrapping_add(SUPER as u32);
            bench.now += Duration::from_micros(10);
            bench.frame(black_box(&frame));
            while bench.stack.flush(bench.now, &mut bench.edge) == Flushed::Some {}
        });
    });
    assert_eq!(bench.edge.took as u32, end.seq.wrapping_sub(2), "every byte arrived");

    let mut bench = Bench::new(1);
    let mut end = bench.open(0);
    let mut acknowledgement = end.segment(ACK, &[], &[]);
    let mut given = 0;
    group.bench_function("in, 64 KB frames", |b| {
        b.iter(|| {
            bench.edge.gives += SUPER;
            given += SUPER;
            bench.now += Duration::from_micros(10);
            bench.stack.tcp_ready(FlowId(0), READY);
            while bench.stack.flush(bench.now, &mut bench.edge) == Flushed::Some {}
            end.ack = bench.edge.next;
            acknowledgement[42..46].copy_from_slice(&end.ack.to_be_bytes());
            bench.frame(black_box(&acknowledgement));
        });
    });
    assert_eq!(bench.edge.came, given, "every byte arrived");
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(std::time::Duration::from_secs(3));
    targets = lookup, bulk
}
criterion_main!(benches);
