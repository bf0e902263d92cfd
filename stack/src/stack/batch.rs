//! Several frames at once: bulk of one flow goes to the host in one piece.

use super::Stack;
use crate::Instant;
use crate::edge::{Edge, RingMemory};
use crate::event::Counter;
use crate::flow::FlowKey;
use crate::frame::{IpPacket, MacAddr, Offload, Packet, TcpSegment, Transport, classify, source_mac};
use crate::tcp::{STRAIGHT, end, is_plain};

impl<M: RingMemory> Stack<M> {
    /// Takes frames from the container, in the order in which it sent them.
    pub fn handle_frames<E: Edge>(&mut self, now: Instant, frames: &[(&[u8], Offload)], edge: &mut E) {
        let mut rest = frames;
        while let Some((&(frame, offload), after)) = rest.split_first() {
            let taken = if frame.len() < STRAIGHT { 0 } else { self.run(now, rest, edge) };
            rest = rest.get(taken..).filter(|_| taken > 0).unwrap_or_else(|| {
                self.handle_frame(now, frame, offload, edge);
                after
            });
        }
    }

    /// Takes as many frames from the first on as belong to one flow and may go straight to the host, in one piece; returns
    /// their number.
    fn run<E: Edge>(&mut self, now: Instant, frames: &[(&[u8], Offload)], edge: &mut E) -> usize {
        let mut packets: Vec<(MacAddr, IpPacket<'_>)> = Vec::new();
        let mut key = None;
        for &(frame, offload) in frames {
            let Ok(Packet::Ip(packet)) = classify(frame, offload.checksum) else { break };
            let (Some(mac), Some(segment)) = (source_mac(frame), plain(&packet)) else { break };
            let previous = packets.last().and_then(|(_, packet)| plain(packet));
            if previous.is_some_and(|previous| end(previous) != segment.seq) {
                break;
            }
            let its = FlowKey::of(&packet, segment);
            if *key.get_or_insert(its) != its {
                break;
            }
            packets.push((mac, packet));
        }
        let Some(id) = key.and_then(|key| self.tcp.find(&key)) else { return 0 };
        let run: Vec<_> = packets.iter().filter_map(|(_, packet)| Some((packet, plain(packet)?))).collect();
        let framing = *self.wire.framing();
        if !self.tcp.straight(now, id, &run, &framing, edge) {
            return 0;
        }
        for (mac, _) in &packets {
            self.counters.count(Counter::FramesIn);
            self.hear_of(*mac, edge);
        }
        packets.len()
    }
}

/// The segment of a packet, if it is nothing but payload and an acknowledgement.
fn plain<'p, 'a>(packet: &'p IpPacket<'a>) -> Option<&'p TcpSegment<'a>> {
    match &packet.transport {
        Transport::Tcp(segment) if !packet.has_options && is_plain(segment) => Some(segment),
        _ => None,
    }
}
