//! The stack with a container whose frames are made by hand, for tests in which each segment matters.

use std::net::{IpAddr, SocketAddr};

use rnet_stack::frame::{Offload, Packet, Transport, classify};
use rnet_stack::{Duration, Flushed, Instant, Limits, Stack};

use super::host::{Connect, Event, Host};
use super::world::CountingRings;
use crate::support::config::{GUEST4, REMOTE4, config};
use crate::support::segment::{ACK, SYN, Segment};

/// A packet that came to the container.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub at: Instant,
    pub src: IpAddr,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Tcp { src_port: u16, dst_port: u16, flags: u8, seq: u32, ack: u32, window: u16, payload: Vec<u8> },
    Icmp(u8, u8),
    Udp { src_port: u16, dst_port: u16, payload: Vec<u8> },
    Other,
}

impl Seen {
    /// Flags, sequence number, acknowledgement and payload of a segment.
    pub fn tcp(&self) -> (u8, u32, u32, &[u8]) {
        match &self.what {
            What::Tcp { flags, seq, ack, payload, .. } => (*flags, *seq, *ack, payload),
            other => panic!("not a segment: {other:?}"),
        }
    }

    pub fn flags(&self) -> u8 {
        self.tcp().0
    }
}

/// Stack and host, with the container's side by hand.
pub struct Raw {
    pub now: Instant,
    pub stack: Stack<CountingRings>,
    pub rings: CountingRings,
    pub host: Host,
    /// What came to the container in the last turn, as it was.
    pub frames: Vec<(Vec<u8>, Offload)>,
}

impl Raw {
    pub fn new(limits: Limits) -> Raw {
        let rings = CountingRings::default();
        Raw {
            now: Instant::ZERO,
            stack: Stack::new(config(1500, limits), rings.clone(), Instant::ZERO),
            rings,
            host: Host::default(),
            frames: Vec::new(),
        }
    }

    pub fn plan(&mut self, port: u16, plan: Connect) {
        self.host.plans.insert(port, plan);
    }

    /// Hands a frame over without a turn afterwards.
    pub fn feed(&mut self, frame: &[u8]) {
        self.host.set_now(self.now);
        self.stack.handle_frame(self.now, frame, Offload::default(), &mut self.host);
    }

    /// Sends a frame and returns what comes at once.
    pub fn send(&mut self, frame: &[u8]) -> Vec<Seen> {
        self.feed(frame);
        self.turn()
    }

    /// Lets everybody act who can; returns what came to the container.
    pub fn turn(&mut self) -> Vec<Seen> {
        self.host.set_now(self.now);
        loop {
            let events = self.host.events();
            for event in &events {
                match *event {
                    Event::Connected(flow, ready) => self.stack.tcp_connected(self.now, flow, ready, &mut self.host),
                    Event::Failed(flow, error) => {
                        self.stack.tcp_connect_failed(self.now, flow, error, &mut self.host);
                    }
                    Event::Ready(flow, ready) => self.stack.tcp_ready(flow, ready),
                }
            }
            let due = self.stack.poll_timeout().is_some_and(|at| at <= self.now);
            if due {
                self.stack.handle_timeout(self.now, &mut self.host);
            }
            while self.stack.flush(self.now, &mut self.host) == Flushed::Some {}
            if events.is_empty() && !due {
                break;
            }
        }
        let frames = std::mem::take(&mut self.host.frames);
        let seen = frames.iter().map(|(frame, offload)| self.seen(frame, *offload)).collect();
        self.frames = frames;
        seen
    }

    /// Lets time pass, one deadline after the other; returns what came to the container.
    pub fn pass(&mut self, time: Duration) -> Vec<Seen> {
        let end = self.now + time;
        let mut seen = self.turn();
        while let Some(next) =
            [self.stack.poll_timeout(), self.host.next()].into_iter().flatten().min().filter(|&at| at <= end)
        {
            self.now = self.now.max(next);
            seen.extend(self.turn());
        }
        self.now = end;
        seen
    }

    fn seen(&self, frame: &[u8], offload: Offload) -> Seen {
        let Ok(Packet::Ip(packet)) = classify(frame, offload.checksum) else { panic!("not an IP packet") };
        let what = match &packet.transport {
            Transport::Tcp(segment) => What::Tcp {
                src_port: segment.src_port,
                dst_port: segment.dst_port,
                flags: segment.flags.0,
                seq: segment.seq,
                ack: segment.ack,
                window: segment.window,
                payload: segment.payload.to_vec(),
            },
            Transport::Udp(datagram) => What::Udp {
                src_port: datagram.src_port,
                dst_port: datagram.dst_port,
                payload: datagram.payload.to_vec(),
            },
            Transport::Icmpv4(message) | Transport::Icmpv6(message) => What::Icmp(message.kind, message.code),
            _ => What::Other,
        };
        Seen { at: self.now, src: packet.src, what }
    }
}

/// The container's end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct End {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// The next byte to be sent.
    pub seq: u32,
    /// The next byte expected.
    pub ack: u32,
    pub window: u16,
}

/// MSS 1460, window scale 7.
pub const SYN_OPTIONS: [u8; 8] = [2, 4, 5, 0xb4, 1, 3, 3, 7];
/// What the windows of an [`End`] are shifted by.
pub const SHIFT: u32 = 7;

impl End {
    pub fn new(port: u16, remote_port: u16) -> End {
        End {
            local: (GUEST4, port).into(),
            remote: (REMOTE4, remote_port).into(),
            seq: 1000,
            ack: 0,
            window: (60_000 >> SHIFT) as u16,
        }
    }

    pub fn syn(&self) -> Vec<u8> {
        let (src, dst) = (self.local, self.remote);
        let segment = Segment {
            src,
            dst,
            flags: SYN,
            seq: self.seq,
            ack: 0,
            window: 60_000,
            options: &SYN_OPTIONS,
            payload: &[],
        };
        segment.frame()
    }

    pub fn segment(&self, flags: u8, payload: &[u8]) -> Vec<u8> {
        let End { local: src, remote: dst, seq, ack, window } = *self;
        Segment { src, dst, flags, seq, ack, window, options: &[], payload }.frame()
    }

    /// Goes through the handshake; the host has connected afterwards.
    pub fn open(port: u16, remote_port: u16, raw: &mut Raw) -> End {
        let mut end = End::new(port, remote_port);
        let answer = raw.send(&end.syn());
        let [answer] = &answer[..] else { panic!("one SYN-ACK, not {answer:?}") };
        let (flags, seq, ack, _) = answer.tcp();
        assert_eq!((flags, ack), (SYN | ACK, end.seq + 1));
        end.seq += 1;
        end.ack = seq.wrapping_add(1);
        assert_eq!(raw.send(&end.segment(ACK, &[])), []);
        end
    }

    /// Sends payload and moves on.
    pub fn write(&mut self, flags: u8, payload: &[u8], raw: &mut Raw) -> Vec<Seen> {
        let frame = self.segment(flags, payload);
        self.seq = self.seq.wrapping_add(payload.len() as u32 + u32::from(flags & 3 != 0));
        raw.send(&frame)
    }

    /// Takes in what came in order; returns its bytes and whether a FIN came with it.
    pub fn take(&mut self, seen: &[Seen]) -> (Vec<u8>, bool) {
        let (mut bytes, mut end) = (Vec::new(), false);
        for packet in seen {
            let (flags, seq, _, payload) = packet.tcp();
            if seq == self.ack {
                bytes.extend_from_slice(payload);
                end |= flags & 1 != 0;
                self.ack = seq.wrapping_add(payload.len() as u32 + u32::from(flags & 1 != 0));
            }
        }
        (bytes, end)
    }
}
