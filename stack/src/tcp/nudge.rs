//! Wake a smoltcp socket that has lost its retransmission timer.
//!
//! When the container's window closes while data is in flight, smoltcp 0.14 replaces the retransmission timer with the
//! zero-window probe's, and drops that one when the window opens. Whatever Linux discarded meanwhile (since 6.17 it drops
//! whole segments beyond the window) is then never sent again: data waits, and the socket asks for no turn. Three
//! duplicate acknowledgements make it retransmit and arm its timer (RFC 5681 section 3.2).

use super::detour::Detour;
use super::endpoint::Endpoint;
use super::engine::Engine;
use crate::Instant;
use crate::flow::FlowKey;
use crate::frame::{TcpFlags, TcpSegment};

/// What the container's last segment said.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LastSeen {
    seq: u32,
    ack: u32,
    window: u16,
    /// By how many bits its windows are shifted.
    shift: u8,
    /// Whether there was one at all.
    any: bool,
}

const HEADER_V4: usize = 20;
const HEADER_V6: usize = 40;
const TCP_HEADER: usize = 20;
const PROTOCOL_TCP: u8 = 6;

impl LastSeen {
    pub(crate) fn new(shift: u8) -> LastSeen {
        LastSeen { shift, ..LastSeen::default() }
    }

    /// Bytes that the container is ready to take.
    pub(crate) fn window(&self) -> usize {
        usize::from(self.window) << self.shift
    }

    /// Whether a segment says nothing that the last one did not say.
    pub(crate) fn repeats(&self, segment: &TcpSegment<'_>) -> bool {
        let control = TcpFlags(segment.flags.0 & !TcpFlags::PSH.0 & !TcpFlags::URG.0);
        control == TcpFlags::ACK
            && segment.payload.is_empty()
            && self.any
            && (segment.seq, segment.ack, segment.window) == (self.seq, self.ack, self.window)
    }

    /// Remembers a segment.
    pub(crate) fn note(&mut self, segment: &TcpSegment<'_>) {
        if !segment.flags.contains(TcpFlags::ACK) || segment.flags.contains(TcpFlags::RST) {
            return;
        }
        // One that was overtaken says nothing about the container's present state.
        let syn = segment.flags.contains(TcpFlags::SYN);
        if self.any && (syn || (segment.ack.wrapping_sub(self.ack) as i32) < 0) {
            return;
        }
        let flags = u32::from(syn) + u32::from(segment.flags.contains(TcpFlags::FIN));
        // The window of a SYN is not shifted (RFC 7323 section 2.2); what it says is noted as if it were.
        let window = if syn { segment.window >> self.shift } else { segment.window };
        *self = LastSeen {
            seq: segment.seq.wrapping_add(segment.payload.len() as u32).wrapping_add(flags),
            ack: segment.ack,
            window,
            shift: self.shift,
            any: true,
        };
    }

    /// Whether a segment acknowledges something new, or tells another window.
    pub(crate) fn is_outdone_by(&self, segment: &TcpSegment<'_>) -> bool {
        let ahead = segment.ack.wrapping_sub(self.ack) as i32;
        segment.flags.contains(TcpFlags::ACK) && (ahead > 0 || (ahead == 0 && segment.window != self.window))
    }

    /// Tells the socket what a segment acknowledges, as if the segment were the one that it waits for, `expected` by the
    /// socket's own count.
    ///
    /// smoltcp looks at nothing of a segment outside its window, not even the acknowledgement (RFC 9293 section 3.10.7.4
    /// wants that looked at when the window is closed). A container that has sent a few bytes beyond a window that then
    /// closed sends all its acknowledgements from there; with both directions full, neither would ever move again.
    pub(crate) fn acknowledge(
        now: Instant,
        engine: &mut Engine,
        endpoint: &mut Endpoint,
        expected: u32,
        segment: &TcpSegment<'_>,
    ) -> Option<usize> {
        let said = LastSeen { seq: expected, ack: segment.ack, window: segment.window, ..LastSeen::default() };
        let packet = said.acknowledgement(&key(endpoint)?);
        engine.feed(now, &mut endpoint.set, &packet)
    }

    /// Repeats the container's last acknowledgement until the socket retransmits. Returns when it wants its turn.
    pub(crate) fn nudge(
        &self,
        now: Instant,
        detour: Detour,
        engine: &mut Engine,
        endpoint: &mut Endpoint,
    ) -> Option<Instant> {
        let shown = LastSeen { seq: detour.inward(self.seq), ..*self };
        let packet = shown.acknowledgement(&key(endpoint)?);
        // The first may count as news, the next three as duplicates.
        for _ in 0..4 {
            engine.feed(now, &mut endpoint.set, &packet);
        }
        engine.deadline(now, &endpoint.set)
    }

    /// A bare acknowledgement from the container. Its checksums are left empty: nobody looks at them on this side.
    fn acknowledgement(&self, key: &FlowKey) -> Vec<u8> {
        let mut packet = Vec::with_capacity(HEADER_V6 + TCP_HEADER);
        match (key.guest, key.remote) {
            (std::net::IpAddr::V4(src), std::net::IpAddr::V4(dst)) => {
                let total = (HEADER_V4 + TCP_HEADER) as u16;
                packet.extend_from_slice(&[0x45, 0]);
                packet.extend_from_slice(&total.to_be_bytes());
                packet.extend_from_slice(&[0, 0, 0, 0, 64, PROTOCOL_TCP, 0, 0]);
                packet.extend_from_slice(&src.octets());
                packet.extend_from_slice(&dst.octets());
            }
            (std::net::IpAddr::V6(src), std::net::IpAddr::V6(dst)) => {
                packet.extend_from_slice(&[0x60, 0, 0, 0]);
                packet.extend_from_slice(&(TCP_HEADER as u16).to_be_bytes());
                packet.extend_from_slice(&[PROTOCOL_TCP, 64]);
                packet.extend_from_slice(&src.octets());
                packet.extend_from_slice(&dst.octets());
            }
            // A flow's ends are of one family.
            _ => return packet,
        }
        packet.extend_from_slice(&key.guest_port.to_be_bytes());
        packet.extend_from_slice(&key.remote_port.to_be_bytes());
        packet.extend_from_slice(&self.seq.to_be_bytes());
        packet.extend_from_slice(&self.ack.to_be_bytes());
        packet.extend_from_slice(&[0x50, TcpFlags::ACK.0]);
        packet.extend_from_slice(&self.window.to_be_bytes());
        packet.extend_from_slice(&[0; 4]);
        packet
    }
}

/// The flow that an endpoint serves.
pub(super) fn key(endpoint: &mut Endpoint) -> Option<FlowKey> {
    let socket = endpoint.socket();
    let (local, remote) = (socket.local_endpoint()?, socket.remote_endpoint()?);
    Some(FlowKey {
        guest: remote.addr.into(),
        guest_port: remote.port,
        remote: local.addr.into(),
        remote_port: local.port,
    })
}
