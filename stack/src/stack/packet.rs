//! From a classified packet to its one owner: the link's services, a TCP flow, a UDP mapping or an echo mapping.

use std::net::IpAddr;

use super::Stack;
use crate::Instant;
use crate::edge::{Edge, RingMemory};
use crate::event::{Counter, DropReason};
use crate::flow::FlowKey;
use crate::frame::{
    Checksum, IcmpMessage, IpPacket, MacAddr, Offload, TcpFlags, TcpSegment, Transport, UdpDatagram, classify_ip,
    strip_options,
};
use crate::icmp::{ECHO_REQUEST_V4, ECHO_REQUEST_V6};
use crate::link::IcmpError;
use crate::neighbour::ADVERTISE_INTERVAL;
use crate::policy::{self, Verdict};
use crate::share::{Arrival, Claim, Declined, Diverted};
use crate::tcp::{Dial, Unreachable};
use crate::udp::QuotedDatagram;

impl<M: RingMemory> Stack<M> {
    /// Hands a packet to its owner, which may be another stack.
    pub(super) fn packet<E: Edge>(
        &mut self,
        now: Instant,
        mac: MacAddr,
        arrival: Arrival,
        packet: &IpPacket<'_>,
        offload: Offload,
        edge: &mut E,
    ) -> Result<(), DropReason> {
        self.dispatch(now, mac, packet, offload, edge).or_else(|declined| {
            let diverted = Diverted { mac, packet: packet.bytes, offload };
            declined.settle(arrival, &diverted, &mut self.counters, edge)
        })
    }

    fn dispatch<E: Edge>(
        &mut self,
        now: Instant,
        mac: MacAddr,
        packet: &IpPacket<'_>,
        offload: Offload,
        edge: &mut E,
    ) -> Result<(), Declined> {
        self.is_carried(packet)?;
        match &packet.transport {
            Transport::Tcp(segment) => self.segment(now, packet, segment, edge),
            Transport::Udp(datagram) => self.datagram(now, mac, packet, datagram, offload, edge),
            Transport::Icmpv4(message) => self.icmpv4(now, packet, message, edge),
            Transport::Icmpv6(message) => self.icmpv6(now, mac, packet, message, edge),
            Transport::Fragment(_) => {
                if let Some(lead) = edge.lead() {
                    return Err(Declined::Owned(lead));
                }
                let Some(whole) = self.reassembly.insert(now, packet)? else { return Ok(()) };
                let whole = classify_ip(&whole, Checksum::Unverified)?;
                // However its fragments came, the whole has not been anywhere yet.
                Ok(self.packet(now, mac, Arrival::Direct, &whole, Offload::default(), edge)?)
            }
            Transport::Other(_) => Err(DropReason::Protocol.into()),
        }
    }

    /// Refuses what is switched off. DHCP is none of UDP's, and neighbour discovery none of ping's.
    fn is_carried(&self, packet: &IpPacket<'_>) -> Result<(), DropReason> {
        let transports = &self.config.transports;
        let is_on = match &packet.transport {
            Transport::Tcp(_) => transports.tcp,
            Transport::Udp(datagram) => transports.udp || self.link.is_link_service(packet, datagram),
            Transport::Icmpv4(_) => transports.icmp,
            Transport::Icmpv6(message) => transports.icmp || matches!(message.kind, 133..=137),
            Transport::Fragment(_) | Transport::Other(_) => true,
        };
        if is_on { Ok(()) } else { Err(DropReason::SwitchedOff) }
    }

    /// Says so when a packet may not travel on. The link itself is no hop away.
    fn expired<E: Edge>(&mut self, packet: &IpPacket<'_>, edge: &mut E) -> bool {
        let expired = packet.ttl <= 1 && !policy::is_own(&self.config, packet.dst) && !is_multicast(packet.dst);
        if expired {
            self.wire.error(&self.config, packet, IcmpError::TimeExceeded, &mut self.counters, edge);
        }
        expired
    }

    fn segment<E: Edge>(
        &mut self,
        now: Instant,
        packet: &IpPacket<'_>,
        segment: &TcpSegment<'_>,
        edge: &mut E,
    ) -> Result<(), Declined> {
        if packet.has_options {
            // smoltcp does not look behind IPv6 extension headers.
            let stripped = strip_options(packet);
            let packet = classify_ip(&stripped, Checksum::Valid)?;
            let Transport::Tcp(segment) = packet.transport else { return Err(DropReason::Malformed.into()) };
            return self.segment(now, &packet, &segment, edge);
        }
        let framing = *self.wire.framing();
        let key = FlowKey::of(packet, segment);
        if let Some(id) = self.tcp.find(&key) {
            return Ok(self.tcp.segment(now, id, packet, segment, &framing, edge)?);
        }
        let flags = segment.flags;
        let opens = flags.contains(TcpFlags::SYN)
            && !flags.contains(TcpFlags::ACK)
            && !flags.contains(TcpFlags::RST)
            && !flags.contains(TcpFlags::FIN);
        if !opens || segment.src_port == 0 || segment.dst_port == 0 {
            if is_multicast(packet.dst) {
                return Err(DropReason::Multicast.into());
            }
            if let Some(peer) = edge.owner(&Claim::Tcp(key)) {
                return Err(Declined::Owned(peer));
            }
            self.counters.count(Counter::TcpNoFlow);
            self.tcp.refuse(packet.bytes, &framing, edge);
            return Ok(());
        }
        if self.expired(packet, edge) {
            return Ok(());
        }
        match policy::outbound(&self.config, packet.dst, segment.dst_port) {
            verdict @ (Verdict::Forward(_) | Verdict::Dns) => {
                edge.claim(&Claim::Tcp(key)).map_err(Declined::Owned)?;
                let dial = if let Verdict::Forward(to) = verdict { Dial::Host(to) } else { Dial::NameServer };
                let opened = self.tcp.open(now, packet, segment, dial, &framing, &mut self.counters, edge);
                self.tell(opened, edge);
            }
            Verdict::Refuse => self.tcp.refuse(packet.bytes, &framing, edge),
            Verdict::NoRoute => {
                self.wire.error(&self.config, packet, IcmpError::NoRoute, &mut self.counters, edge);
            }
            Verdict::Drop(reason) => return Err(reason.into()),
        }
        Ok(())
    }

    /// Tells the container by ICMP that its SYN could not be delivered.
    pub(super) fn tell<E: Edge>(&mut self, outcome: Result<(), Unreachable>, edge: &mut E) {
        let Err(Unreachable { packet, error }) = outcome else { return };
        let Some(error) = crate::udp::unreachable(error) else { return };
        if let Ok(packet) = classify_ip(&packet, Checksum::Valid) {
            self.wire.error(&self.config, &packet, error, &mut self.counters, edge);
        }
    }

    fn datagram<E: Edge>(
        &mut self,
        now: Instant,
        mac: MacAddr,
        packet: &IpPacket<'_>,
        datagram: &UdpDatagram<'_>,
        offload: Offload,
        edge: &mut E,
    ) -> Result<(), Declined> {
        if self.link.is_link_service(packet, datagram) {
            if let Some(reply) = self.link.handle_udp(mac, packet, datagram) {
                self.wire.send(reply, edge);
            }
            return Ok(());
        }
        if packet.src.is_unspecified() {
            return Err(DropReason::Address.into());
        }
        if self.expired(packet, edge) {
            return Ok(());
        }
        let (wire, counters) = (&mut self.wire, &mut self.counters);
        self.udp.outgoing(now, &self.config, packet, datagram, offload, wire, counters, edge)
    }

    fn icmpv4<E: Edge>(
        &mut self,
        now: Instant,
        packet: &IpPacket<'_>,
        message: &IcmpMessage<'_>,
        edge: &mut E,
    ) -> Result<(), Declined> {
        match (message.kind, message.code) {
            (ECHO_REQUEST_V4, 0) => self.echo_request(now, packet, message, edge),
            (3, 3) => self.guest_unreachable(message, edge),
            _ => Err(DropReason::Unrelated.into()),
        }
    }

    fn icmpv6<E: Edge>(
        &mut self,
        now: Instant,
        mac: MacAddr,
        packet: &IpPacket<'_>,
        message: &IcmpMessage<'_>,
        edge: &mut E,
    ) -> Result<(), Declined> {
        match (message.kind, message.code) {
            (ECHO_REQUEST_V6, 0) => self.echo_request(now, packet, message, edge),
            (1, 4) => self.guest_unreachable(message, edge),
            (133..=137, _) => {
                if message.kind == 133 {
                    // Advertisements follow it, which one stack is enough for.
                    if let Some(lead) = edge.lead() {
                        return Err(Declined::Owned(lead));
                    }
                    self.advertise_at = Some(now + ADVERTISE_INTERVAL);
                }
                if let IpAddr::V6(src) = packet.src {
                    self.wire.learn_link_local(src);
                }
                if let Some(reply) = self.link.handle_icmpv6(mac, packet, message) {
                    self.wire.send(reply, edge);
                }
                Ok(())
            }
            _ => Err(DropReason::Unrelated.into()),
        }
    }

    fn echo_request<E: Edge>(
        &mut self,
        now: Instant,
        packet: &IpPacket<'_>,
        message: &IcmpMessage<'_>,
        edge: &mut E,
    ) -> Result<(), Declined> {
        if packet.src.is_unspecified() {
            return Err(DropReason::Address.into());
        }
        if self.expired(packet, edge) {
            return Ok(());
        }
        self.echo.request(now, &self.config, packet, message, &mut self.wire, &mut self.counters, edge)
    }

    fn guest_unreachable<E: Edge>(&mut self, message: &IcmpMessage<'_>, edge: &mut E) -> Result<(), Declined> {
        let quoted = QuotedDatagram::parse(message.body).ok_or(DropReason::Unrelated)?;
        self.udp.guest_unreachable(&self.config, &quoted, edge)
    }
}

fn is_multicast(ip: IpAddr) -> bool {
    ip.is_multicast() || ip == IpAddr::V4(std::net::Ipv4Addr::BROADCAST)
}
