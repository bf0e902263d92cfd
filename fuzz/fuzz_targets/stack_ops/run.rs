//! Plays a script and looks at the stack after each operation.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rnet_stack::frame::{Checksum, Gso, Offload, fragment};
use rnet_stack::{
    DATAGRAM_HEADROOM, Duration, Family, FlowId, Flushed, HostIcmp, Instant, Limits, PingId, Readiness, RingClass,
    Stack, UdpId,
};

use crate::config::{GUEST4, GUEST6, REMOTE4, REMOTE6, config};
use crate::edge::Checker;
use crate::ops::{End, Offset, Op, Script};
use crate::rings::PooledRings;
use crate::segment::{ACK, FIN, ip_frame};

const CAPTURED: [&[u8]; 8] = [
    include_bytes!("../../../stack/testdata/arp_request.frame"),
    include_bytes!("../../../stack/testdata/udp6.frame"),
    include_bytes!("../../../stack/testdata/udhcpc_request.frame"),
    include_bytes!("../../../stack/testdata/rs.frame"),
    include_bytes!("../../../stack/testdata/ns_gateway.frame"),
    include_bytes!("../../../stack/testdata/dhclient6_solicit.frame"),
    include_bytes!("../../../stack/testdata/fragment6_last.frame"),
    include_bytes!("../../../stack/testdata/fragment4_first.frame"),
];

const MAX_OPS: usize = 200;

struct Player {
    stack: Stack<PooledRings>,
    edge: Checker,
    now: Instant,
    limits: Limits,
    buffer: Vec<u8>,
}

pub fn run(script: &Script) {
    let limits = Limits {
        tcp_flows: 6,
        tcp_half_open: 3,
        buffer_bytes: if script.roomy { 4 << 20 } else { 5 * RingClass::Small.bytes() },
        udp_mappings: 3,
        icmp_mappings: 2,
    };
    let mtu = if script.small_mtu { 1280 } else { 65520 };
    let mut config = config(mtu, limits);
    config.host_loopback = script.roomy;
    let mut player = Player {
        stack: Stack::new(config, PooledRings::new(), Instant::ZERO),
        edge: Checker { mtu: mtu.into(), ..Checker::default() },
        now: Instant::ZERO,
        limits,
        buffer: vec![0; DATAGRAM_HEADROOM + 65536],
    };
    if script.published {
        for (family, guest) in [(Family::V4, GUEST4), (Family::V6, GUEST6), (Family::V4, GUEST4)] {
            let mapping = player.stack.udp_publish(SocketAddr::new(guest, 5000), &mut player.edge);
            player.edge.udp.insert(mapping.0, family);
        }
        player.edge.published = player.edge.udp.len();
    }
    for op in script.ops.iter().take(MAX_OPS) {
        player.play(op);
        player.check();
    }
    player.end();
}

impl Player {
    fn frame(&mut self, frame: &[u8], offload: Offload) {
        self.stack.handle_frames(self.now, &[(frame, offload)], &mut self.edge);
    }

    fn play(&mut self, op: &Op) {
        let now = self.now;
        match *op {
            Op::Raw { ref bytes, valid } => self.frame(bytes, vouched(valid)),
            Op::Captured { which, ref changes, valid } => {
                let mut frame = CAPTURED[usize::from(which) % CAPTURED.len()].to_vec();
                for &(at, value) in changes {
                    let at = usize::from(at) % frame.len();
                    frame[at] = value;
                }
                self.frame(&frame, vouched(valid));
            }
            Op::Syn { flow, v6, mss, scale, window, options: rest } => {
                let mut options = Vec::new();
                if let Some(mss) = mss {
                    options.extend_from_slice(&[2, 4]);
                    options.extend_from_slice(&mss.to_be_bytes());
                }
                if let Some(scale) = scale {
                    options.extend_from_slice(&[1, 3, 3, scale]);
                }
                if rest[0] > 200 {
                    options.extend_from_slice(&rest);
                }
                let frame = self.edge.guest.syn(flow, v6, window, &options);
                self.frame(&frame, Offload::default());
            }
            Op::Accept { flow, v6, loopback } => {
                let to = self.edge.guest.listen(flow, v6);
                let client = match (v6, loopback) {
                    (false, false) => REMOTE4,
                    (true, false) => REMOTE6,
                    (false, true) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                    (true, true) => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
                };
                let client = SocketAddr::new(client, 7000 + u16::from(flow % 4));
                if let Some(flow) = self.stack.tcp_accepted(now, client, to, &mut self.edge) {
                    self.edge.adopt(flow);
                }
            }
            Op::SynAck { flow, ack, mss, scale, timestamps, window, len } => {
                let mut options = Vec::new();
                if let Some(mss) = mss {
                    options.extend_from_slice(&[2, 4]);
                    options.extend_from_slice(&mss.to_be_bytes());
                }
                if let Some(scale) = scale {
                    options.extend_from_slice(&[1, 3, 3, scale]);
                }
                if timestamps {
                    options.extend_from_slice(&[1, 1, 8, 10, 0, 0, 0, 99, 0, 0, 0, 0]);
                }
                let frame = self.edge.guest.syn_ack(flow, ack, window, &options, &self.buffer[..len.into()]);
                self.frame(&frame, Offload::default());
            }
            Op::Segment { flow, flags, seq, ack, window, len } => {
                let len = usize::from(len).min(65000);
                let frame = self.edge.guest.segment(flow, flags, seq, ack, window, &self.buffer[..len]);
                self.frame(&frame, Offload::default());
            }
            Op::Acknowledge { flow, window, fin } => {
                let flags = if fin { ACK | FIN } else { ACK };
                let frame = self.edge.guest.segment(flow, flags, Offset::Right, Offset::Right, window, &[]);
                self.frame(&frame, Offload::default());
            }
            Op::Udp { port, v6, to, len, segment, ttl, cut } => self.udp(port, v6, to, len, segment, ttl, cut),
            Op::Ping { id, v6, to, len, ttl } => {
                let mut message = vec![if v6 { 128 } else { 8 }, 0, 0, 0, 0, id % 4, 0, 1];
                message.resize(8 + usize::from(len).min(65000), 1);
                let (guest, remote) = ends(v6, to);
                let protocol = if v6 { 58 } else { 1 };
                let frame = ip_frame(guest, remote, protocol, ttl, message, Some(2));
                self.frame(&frame, Offload::default());
            }
            Op::Refuse { connect, open, send } => {
                self.edge.connect = connect.map(Into::into);
                self.edge.open = open.map(Into::into);
                self.edge.send = send.map(Into::into);
            }
            Op::Connected { flow, ready } => {
                let Some(flow) = self.flow(flow, false) else { return };
                self.edge.tcp.get_mut(&flow.0).expect("it was just found").connected = true;
                self.stack.tcp_connected(now, flow, readiness(ready), &mut self.edge);
            }
            Op::ConnectFailed { flow, error } => {
                let Some(flow) = self.flow(flow, false) else { return };
                self.edge.tcp.remove(&flow.0);
                self.stack.tcp_connect_failed(now, flow, error.into(), &mut self.edge);
            }
            Op::HostSends { flow, len, end } => {
                let Some(flow) = self.flow(flow, true) else { return };
                let socket = self.edge.tcp.get_mut(&flow.0).expect("it was just found");
                if socket.end == End::No {
                    socket.arriving += usize::from(len);
                    socket.end = end;
                }
                let ready = socket.ready();
                self.stack.tcp_ready(flow, ready);
            }
            Op::HostTakes { flow, len } => {
                let Some(flow) = self.flow(flow, true) else { return };
                let socket = self.edge.tcp.get_mut(&flow.0).expect("it was just found");
                socket.room += usize::from(len);
                let ready = socket.ready();
                self.stack.tcp_ready(flow, ready);
            }
            // Also for names that are not in use: events may have been queued when a flow ended.
            Op::Ready { flow, ready } => self.stack.tcp_ready(FlowId(flow.into()), readiness(ready)),
            Op::UdpReceived { mapping, from, len, segment } => {
                let v6 = self.edge.udp.get(&u32::from(mapping)) == Some(&Family::V6);
                let from = SocketAddr::new(ends(v6, from).1, 80);
                let segment = (segment > 0).then_some(segment);
                let buffer = &mut self.buffer[..DATAGRAM_HEADROOM + usize::from(len).min(65000)];
                self.stack.udp_received(now, UdpId(mapping.into()), from, buffer, segment, &mut self.edge);
            }
            Op::UdpError { mapping, icmp, to, payload } => {
                let v6 = self.edge.udp.get(&u32::from(mapping)) == Some(&Family::V6);
                let (family, to) = (if v6 { Family::V6 } else { Family::V4 }, ends(v6, to).1);
                let icmp = (icmp.0, icmp.1, icmp.2.into());
                let icmp =
                    HostIcmp::new(family, icmp, SocketAddr::new(to, 80), Some(to), &self.buffer[..payload.into()]);
                self.stack.udp_error(UdpId(mapping.into()), &icmp, &mut self.edge);
            }
            Op::PingReceived { mapping, from, sequence, len } => {
                let v6 = self.edge.ping.get(&u32::from(mapping)) == Some(&Family::V6);
                let data = &self.buffer[..usize::from(len).min(65000)];
                let (from, id) = (ends(v6, from).1, PingId(mapping.into()));
                self.stack.ping_received(now, id, from, sequence, data, &mut self.edge);
            }
            Op::PingError { mapping, icmp, to, payload } => {
                let v6 = self.edge.ping.get(&u32::from(mapping)) == Some(&Family::V6);
                let (family, to) = (if v6 { Family::V6 } else { Family::V4 }, ends(v6, to).1);
                let icmp = (icmp.0, icmp.1, icmp.2.into());
                let icmp = HostIcmp::new(family, icmp, SocketAddr::new(to, 0), None, &self.buffer[..payload.into()]);
                self.stack.ping_error(PingId(mapping.into()), &icmp, &mut self.edge);
            }
            Op::Flush => {
                let _ = self.stack.flush(now, &mut self.edge);
            }
            Op::NextDeadline => {
                if let Some(at) = self.stack.poll_timeout() {
                    self.now = self.now.max(at);
                    self.serve();
                }
            }
            Op::Pass { millis } => self.pass(Duration::from_millis(millis.into())),
        }
    }

    fn udp(&mut self, port: u8, v6: bool, to: u8, len: u16, segment: u16, ttl: u8, cut: bool) {
        let len = 8 + usize::from(len).min(65000);
        let mut datagram = vec![0; len];
        datagram[..2].copy_from_slice(&(5000 + u16::from(port % 6)).to_be_bytes());
        datagram[2..4].copy_from_slice(&if port > 200 { 53u16 } else { 80 }.to_be_bytes());
        datagram[4..6].copy_from_slice(&(len as u16).to_be_bytes());
        let (guest, remote) = ends(v6, to);
        let frame = ip_frame(guest, remote, 17, ttl, datagram, Some(6));
        if cut {
            for piece in fragment(frame, 1280, u32::from(port)).unwrap_or_default() {
                self.frame(&piece, Offload::default());
            }
            return;
        }
        let gso = if segment > 0 { Gso::Udp } else { Gso::None };
        self.frame(&frame, Offload { gso, gso_size: segment, ..Offload::default() });
    }

    /// A flow whose host socket is connected, or not yet.
    fn flow(&self, number: u8, connected: bool) -> Option<FlowId> {
        let flows: Vec<u32> =
            self.edge.tcp.iter().filter(|(_, socket)| socket.connected == connected).map(|(&id, _)| id).collect();
        let at = usize::from(number).checked_rem(flows.len())?;
        Some(FlowId(flows[at]))
    }

    fn serve(&mut self) {
        self.stack.handle_timeout(self.now, &mut self.edge);
        while self.stack.flush(self.now, &mut self.edge) == Flushed::Some {}
        assert!(self.stack.poll_timeout().is_none_or(|at| at > self.now), "a deadline stays due after it was served");
    }

    fn pass(&mut self, time: Duration) {
        while self.stack.flush(self.now, &mut self.edge) == Flushed::Some {}
        let end = self.now + time;
        let mut served = 0;
        while let Some(at) = self.stack.poll_timeout().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.serve();
            served += 1;
        }
        let bound = 100 + 50 * time.secs();
        assert!(served <= bound, "{served} deadlines in {time}");
        self.now = end;
    }

    fn check(&self) {
        let holdings = self.stack.holdings();
        let limits = &self.limits;
        assert!(holdings.tcp_flows <= limits.tcp_flows && holdings.tcp_half_open <= limits.tcp_half_open);
        assert!(holdings.tcp_half_open <= holdings.tcp_flows && holdings.buffer_bytes <= limits.buffer_bytes);
        assert!(holdings.udp_mappings - self.edge.published <= limits.udp_mappings);
        assert!(holdings.icmp_mappings <= limits.icmp_mappings);
        assert!(self.edge.tcp.len() <= holdings.tcp_flows, "a socket without a flow");
        assert_eq!(self.edge.udp.len(), holdings.udp_mappings);
        assert_eq!(self.edge.ping.len(), holdings.icmp_mappings);
        for (&flow, socket) in &self.edge.tcp {
            assert_eq!(self.stack.tcp_connecting(FlowId(flow)), !socket.connected);
        }
    }

    /// With every host connection reset and time to get over it, nothing is left but flows whose host had ended in order
    /// before: they wait for the container, as they should.
    fn end(&mut self) {
        let ended = self.edge.tcp.values().filter(|socket| matches!(socket.end, End::Fin | End::Deaf)).count();
        self.edge.connect = None;
        self.edge.send = None;
        while let Some(flow) = self.flow(0, false) {
            self.edge.tcp.remove(&flow.0);
            self.stack.tcp_connect_failed(self.now, flow, rnet_stack::HostError::Refused, &mut self.edge);
        }
        while let Some(flow) = self.edge.tcp.iter().find(|(_, socket)| socket.end != End::Reset).map(|(&id, _)| id) {
            let socket = self.edge.tcp.get_mut(&flow).expect("it was just found");
            socket.end = End::Reset;
            socket.arriving = 0;
            let ready = socket.ready();
            self.stack.tcp_ready(FlowId(flow), ready);
        }
        // Longer than a container may leave bytes unanswered.
        self.pass(Duration::from_secs(2000));
        self.check();
        let holdings = self.stack.holdings();
        assert!(holdings.tcp_flows <= ended && self.edge.tcp.len() <= ended, "a flow is left for good");
        assert!(ended > 0 || holdings.buffer_bytes == 0);
        let left = (holdings.udp_mappings, holdings.icmp_mappings, holdings.reassembly_bytes);
        assert_eq!(left, (self.edge.published, 0, 0), "something is left for good");
    }
}

fn vouched(valid: bool) -> Offload {
    Offload { checksum: if valid { Checksum::Valid } else { Checksum::Unverified }, ..Offload::default() }
}

fn readiness(bits: u8) -> Readiness {
    Readiness { readable: bits & 1 != 0, writable: bits & 2 != 0, hang_up: bits & 4 != 0 }
}

/// The container's address and some other end's.
fn ends(v6: bool, other: u8) -> (IpAddr, IpAddr) {
    if v6 {
        (GUEST6, REMOTE6)
    } else {
        let other = match other % 5 {
            0 => IpAddr::V4(Ipv4Addr::new(10, 0, 2, 2)),
            1 => IpAddr::V4(Ipv4Addr::new(10, 0, 2, 3)),
            2 => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 8)),
            3 => IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1)),
            _ => REMOTE4,
        };
        (GUEST4, other)
    }
}
