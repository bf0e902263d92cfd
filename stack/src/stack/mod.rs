//! The whole stack: takes a frame or a host event, finds its one owner, and lets it act.

mod batch;
mod inbound;
mod list;
mod packet;

use std::net::{IpAddr, SocketAddr};

use crate::Instant;
use crate::config::Config;
use crate::edge::{Edge, FlowId, HostError, PingId, RingMemory, UdpId};
use crate::event::{Counter, Counters, DropCounters, DropReason};
use crate::frame::{MacAddr, Offload, Packet, Reassembly, ReassemblyLimits, classify, classify_bare, source_mac};
use crate::icmp::{EchoFlows, HostIcmp};
use crate::link::Wire;
use crate::neighbour::{ADVERTISE_INTERVAL, Link};
use crate::share::{Arrival, Diverted};
use crate::tcp::{Flushed, Readiness, TcpFlows};
use crate::udp::UdpFlows;

pub use list::{TcpFlow, TcpState, UdpMapping};

/// One container's network, as seen from its link.
///
/// The driver calls [`Stack::handle_frame`] and the host event methods, then [`Stack::flush`] once for a batch of them;
/// it waits no longer than until [`Stack::poll_timeout`] and then calls [`Stack::handle_timeout`].
pub struct Stack<M> {
    config: Config,
    wire: Wire,
    link: Link,
    reassembly: Reassembly,
    tcp: TcpFlows<M>,
    udp: UdpFlows,
    echo: EchoFlows,
    counters: Counters,
    drops: DropCounters,
    /// When the next unsolicited router advertisement is due, if the container ever asked for one.
    advertise_at: Option<Instant>,
}

/// How much a stack holds just now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// TCP flows, half-open ones included.
    pub tcp_flows: usize,
    /// Half-open TCP flows.
    pub tcp_half_open: usize,
    /// Bytes of the rings of TCP flows.
    pub buffer_bytes: usize,
    /// UDP mappings.
    pub udp_mappings: usize,
    /// ICMP echo mappings.
    pub icmp_mappings: usize,
    /// Bytes held for incomplete packets.
    pub reassembly_bytes: usize,
}

impl std::ops::AddAssign for Holdings {
    fn add_assign(&mut self, other: Holdings) {
        self.tcp_flows += other.tcp_flows;
        self.tcp_half_open += other.tcp_half_open;
        self.buffer_bytes += other.buffer_bytes;
        self.udp_mappings += other.udp_mappings;
        self.icmp_mappings += other.icmp_mappings;
        self.reassembly_bytes += other.reassembly_bytes;
    }
}

impl<M: RingMemory> Stack<M> {
    /// A stack that takes the memory of its rings from `memory`.
    pub fn new(config: Config, memory: M, now: Instant) -> Stack<M> {
        let limits = config.limits;
        Stack {
            wire: Wire::new(&config),
            link: Link::new(config.link.clone()),
            reassembly: Reassembly::new(ReassemblyLimits::default()),
            tcp: TcpFlows::new(limits, memory, config.seed, config.timestamps.clone(), now),
            udp: UdpFlows::new(limits.udp_mappings, config.seed),
            echo: EchoFlows::new(limits.icmp_mappings, config.seed),
            counters: Counters::default(),
            drops: DropCounters::default(),
            advertise_at: None,
            config,
        }
    }

    /// Takes a frame from the container.
    pub fn handle_frame<E: Edge>(&mut self, now: Instant, frame: &[u8], offload: Offload, edge: &mut E) {
        self.counters.count(Counter::FramesIn);
        let done = match classify(frame, offload.checksum) {
            Ok(Packet::Arp(arp)) => {
                self.hear_of(arp.sender_mac, edge);
                if let Some(reply) = self.link.handle_arp(&arp) {
                    self.wire.send(reply, edge);
                }
                Ok(())
            }
            Ok(Packet::Ip(packet)) => {
                if let Some(mac) = source_mac(frame) {
                    self.hear_of(mac, edge);
                    self.packet(now, mac, Arrival::Direct, &packet, offload, edge)
                } else {
                    Ok(())
                }
            }
            Err(reason) => Err(reason),
        };
        if let Err(reason) = done {
            self.drops.count(reason);
        }
    }

    /// Takes a packet that another stack of the same container has diverted.
    pub fn handle_diverted<E: Edge>(&mut self, now: Instant, diverted: &Diverted<'_>, edge: &mut E) {
        let &Diverted { mac, packet, offload } = diverted;
        self.wire.learn(mac);
        let packet = classify_bare(packet, offload.checksum);
        if let Err(reason) = packet.and_then(|packet| self.packet(now, mac, Arrival::Diverted, &packet, offload, edge))
        {
            self.drops.count(reason);
        }
    }

    /// Learns the container's hardware address from another stack.
    pub fn learn(&mut self, mac: MacAddr) {
        self.wire.learn(mac);
    }

    fn hear_of<E: Edge>(&mut self, mac: MacAddr, edge: &mut E) {
        if self.wire.learn(mac) {
            edge.learned(mac);
        }
    }

    /// Tells that the host side of a flow is connected, and what its socket is ready for.
    pub fn tcp_connected<E: Edge>(&mut self, now: Instant, flow: FlowId, ready: Readiness, edge: &mut E) {
        let framing = *self.wire.framing();
        self.tcp.connected(now, flow, ready, &framing, &mut self.counters, edge);
    }

    /// Tells that the host side of a flow could not connect. The edge forgets the flow.
    pub fn tcp_connect_failed<E: Edge>(&mut self, now: Instant, flow: FlowId, error: HostError, edge: &mut E) {
        let framing = *self.wire.framing();
        let outcome = self.tcp.fail(now, flow, error, &framing, &mut self.counters, edge);
        self.tell(outcome, edge);
    }

    /// Whether the host side of a flow has yet to connect.
    pub fn tcp_connecting(&self, flow: FlowId) -> bool {
        self.tcp.connecting(flow)
    }

    /// Whether all that the container has sent on its TCP flows is with the host, ends included.
    pub fn tcp_settled(&mut self) -> bool {
        self.tcp.settled()
    }

    /// Tells what a connected flow's host socket has become ready for.
    pub fn tcp_ready(&mut self, flow: FlowId, ready: Readiness) {
        self.tcp.host_ready(flow, ready);
    }

    /// Takes datagrams that came to a mapping's host socket. Their payload stands in `buffer` from
    /// [`crate::DATAGRAM_HEADROOM`] on: one datagram, or several of `segment` bytes each but the last.
    pub fn udp_received<E: Edge>(
        &mut self,
        now: Instant,
        mapping: UdpId,
        from: SocketAddr,
        buffer: &mut [u8],
        segment: Option<u16>,
        edge: &mut E,
    ) {
        if let Err(reason) = self.udp.incoming(now, &self.config, mapping, from, buffer, segment, &mut self.wire, edge)
        {
            self.drops.count(reason);
        }
    }

    /// Takes an ICMP error from the error queue of a mapping's host socket.
    pub fn udp_error<E: Edge>(&mut self, mapping: UdpId, icmp: &HostIcmp<'_>, edge: &mut E) {
        self.udp.host_error(&self.config, mapping, icmp, &mut self.wire, &mut self.counters, edge);
    }

    /// Takes what the link's name server answers to an end of the container's. The message stands in `buffer` from
    /// [`crate::DATAGRAM_HEADROOM`] on.
    pub fn dns_answered<E: Edge>(&mut self, to: SocketAddr, buffer: &mut [u8], edge: &mut E) {
        crate::dns::answer(&self.config, to, buffer, &mut self.wire, edge);
    }

    /// Takes an echo reply that came to a mapping's ping socket.
    pub fn ping_received<E: Edge>(
        &mut self,
        now: Instant,
        mapping: PingId,
        from: IpAddr,
        sequence: u16,
        data: &[u8],
        edge: &mut E,
    ) {
        if let Err(reason) = self.echo.reply(now, &self.config, mapping, from, sequence, data, &mut self.wire, edge) {
            self.drops.count(reason);
        }
    }

    /// Takes an ICMP error from the error queue of a mapping's ping socket.
    pub fn ping_error<E: Edge>(&mut self, mapping: PingId, icmp: &HostIcmp<'_>, edge: &mut E) {
        self.echo.host_error(&self.config, mapping, icmp, &mut self.wire, &mut self.counters, edge);
    }

    /// Gives every TCP flow that something happened to its turn: bytes to and from the host, packets to the container.
    /// No flow takes more than its share in one turn; the answer says whether some would go on.
    pub fn flush<E: Edge>(&mut self, now: Instant, edge: &mut E) -> Flushed {
        let framing = *self.wire.framing();
        self.tcp.flush(now, &framing, edge)
    }

    /// When [`Stack::handle_timeout`] is to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [
            self.tcp.next_timeout(),
            self.udp.next_timeout(),
            self.echo.next_timeout(),
            self.reassembly.poll_timeout(),
            self.advertise_at,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due. Call [`Stack::flush`] afterwards.
    pub fn handle_timeout<E: Edge>(&mut self, now: Instant, edge: &mut E) {
        self.tcp.handle_timeout(now);
        self.udp.handle_timeout(now, edge);
        self.echo.handle_timeout(now, edge);
        for _ in 0..self.reassembly.handle_timeout(now) {
            self.drops.count(DropReason::Fragment);
        }
        if self.advertise_at.is_some_and(|at| at <= now) {
            self.advertise_at = Some(now + ADVERTISE_INTERVAL);
            if let Some(advertisement) = self.link.advertise() {
                self.wire.send(advertisement, edge);
            }
        }
    }

    /// How much the stack holds just now.
    pub fn holdings(&self) -> Holdings {
        Holdings {
            tcp_flows: self.tcp.len(),
            tcp_half_open: self.tcp.half_open(),
            buffer_bytes: self.tcp.committed(),
            udp_mappings: self.udp.len(),
            icmp_mappings: self.echo.len(),
            reassembly_bytes: self.reassembly.bytes(),
        }
    }

    /// What was counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Frames dropped, by reason.
    pub fn drops(&self) -> &DropCounters {
        &self.drops
    }

    /// What the stack was told when it was made.
    pub fn config(&self) -> &Config {
        &self.config
    }
}
