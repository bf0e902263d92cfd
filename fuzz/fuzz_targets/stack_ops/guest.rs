//! What the container knows of its flows, learned from the frames that it gets, so that its segments can be right.

use std::net::SocketAddr;

use rnet_stack::frame::{IpPacket, TcpFlags, TcpSegment};

use crate::config::{GUEST4, GUEST6, REMOTE4, REMOTE6};
use crate::ops::Offset;
use crate::segment::{ACK, FIN, SYN, Segment};

pub const FLOWS: u8 = 8;
const FIRST_PORT: u16 = 40000;

#[derive(Clone, Copy, Default)]
pub struct GuestFlow {
    v6: bool,
    /// The other end, where it is not the usual one.
    client: Option<SocketAddr>,
    /// The next byte to be sent.
    next: u32,
    /// The next byte expected.
    expected: u32,
}

#[derive(Default)]
pub struct Guest {
    flows: [GuestFlow; FLOWS as usize],
}

impl Guest {
    fn ends(&self, flow: u8) -> (SocketAddr, SocketAddr) {
        let state = &self.flows[flow as usize];
        let (guest, remote) = if state.v6 { (GUEST6, REMOTE6) } else { (GUEST4, REMOTE4) };
        let remote = state.client.unwrap_or(SocketAddr::new(remote, 80));
        (SocketAddr::new(guest, FIRST_PORT + u16::from(flow)), remote)
    }

    pub fn syn(&mut self, flow: u8, v6: bool, window: u16, options: &[u8]) -> Vec<u8> {
        let flow = flow % FLOWS;
        self.flows[flow as usize].v6 = v6;
        self.flows[flow as usize].client = None;
        let seq = self.flows[flow as usize].next.wrapping_add(100_000);
        let (src, dst) = self.ends(flow);
        self.flows[flow as usize].next = seq.wrapping_add(1);
        Segment { src, dst, flags: SYN, seq, ack: 0, window, options, payload: &[] }.frame()
    }

    /// Lets a client connect to a flow's end; returns that end.
    pub fn listen(&mut self, flow: u8, v6: bool) -> SocketAddr {
        let flow = flow % FLOWS;
        self.flows[flow as usize].v6 = v6;
        self.flows[flow as usize].client = None;
        self.ends(flow).0
    }

    /// The answer to the SYN that came last.
    pub fn syn_ack(&mut self, flow: u8, ack: Offset, window: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
        let flow = flow % FLOWS;
        let (src, dst) = self.ends(flow);
        let state = &mut self.flows[flow as usize];
        let (seq, ack) = (state.next.wrapping_add(100_000), ack.from(state.expected));
        state.next = seq.wrapping_add(1);
        Segment { src, dst, flags: SYN | ACK, seq, ack, window, options, payload }.frame()
    }

    pub fn segment(&mut self, flow: u8, flags: u8, seq: Offset, ack: Offset, window: u16, payload: &[u8]) -> Vec<u8> {
        let flow = flow % FLOWS;
        let (src, dst) = self.ends(flow);
        let state = &mut self.flows[flow as usize];
        let (seq, ack) = (seq.from(state.next), ack.from(state.expected));
        if seq == state.next {
            state.next = seq.wrapping_add(payload.len() as u32 + u32::from(flags & FIN != 0));
        }
        Segment { src, dst, flags, seq, ack, window, options: &[], payload }.frame()
    }

    /// Learns from a segment that the stack sent.
    pub fn learn(&mut self, packet: &IpPacket<'_>, segment: &TcpSegment<'_>) {
        let Some(flow) = segment.dst_port.checked_sub(FIRST_PORT).filter(|&flow| flow < FLOWS.into()) else { return };
        let state = &mut self.flows[flow as usize];
        if packet.dst.is_ipv6() != state.v6 || segment.flags.contains(TcpFlags::RST) {
            return;
        }
        if segment.flags.contains(TcpFlags::SYN) && !segment.flags.contains(TcpFlags::ACK) {
            state.client = Some(SocketAddr::new(packet.src, segment.src_port));
        }
        let flags = u32::from(segment.flags.contains(TcpFlags::SYN)) + u32::from(segment.flags.contains(TcpFlags::FIN));
        let end = segment.seq.wrapping_add(segment.payload.len() as u32).wrapping_add(flags);
        if segment.flags.contains(TcpFlags::SYN) || end.wrapping_sub(state.expected) < 1 << 31 {
            state.expected = end;
        }
    }
}
