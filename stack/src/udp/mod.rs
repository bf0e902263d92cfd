//! UDP: one host socket for each address and port of the container's, whoever it talks to (RFC 4787 section 4.1).

mod clients;
mod published;

use std::net::{IpAddr, SocketAddr};

use crate::config::Config;
use crate::dns;
use crate::edge::{Edge, Family, HEADROOM, HostError, Outgoing, UdpId};
use crate::event::{Counter, Counters, DropReason};
use crate::flow::Mappings;
use crate::frame::{
    Gso, IpHeader, IpPacket, Offload, Ports, UDP, UDP_HEADER_LEN, UDP6_HEADROOM, UdpDatagram, udp, udp_headroom,
    write_udp_frame,
};
use crate::icmp::HostIcmp;
use crate::link::{IcmpError, Wire};
use crate::policy::{self, Verdict};
use crate::share::{Claim, Declined};
use crate::{Duration, Instant};
use clients::Clients;

/// Bytes that a buffer handed to [`crate::Stack::udp_received`] has in front of its payload.
pub const DATAGRAM_HEADROOM: usize = HEADROOM + UDP6_HEADROOM;

/// How long a mapping that was answered may be idle (RFC 4787 section 4.3 recommends five minutes).
const IDLE: Duration = Duration::from_secs(300);

/// How long a mapping that was never answered may be idle.
const IDLE_UNANSWERED: Duration = Duration::from_secs(30);

/// Datagrams in one super-frame: the most that any kernel makes (UDP_MAX_SEGMENTS). A frame that claims more was made by
/// hand, to turn one frame into tens of thousands of system calls.
const SEGMENTS_MAX: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    guest: IpAddr,
    port: u16,
    via: Via,
}

impl Key {
    fn claim(&self) -> Claim {
        Claim::Udp { guest: self.guest, port: self.port }
    }
}

/// Whose words a mapping carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Via {
    /// The container's peers'.
    Direct,
    /// Those of the clients of one more host port that is published to the same port of the container's.
    Further(u32),
}

/// What a mapping has seen. A published one starts as if everything had been seen: it neither expires nor ends.
#[derive(Debug)]
struct Mapping {
    published: bool,
    answered: bool,
    peers: Peers,
}

/// Whom the container has sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peers {
    One(SocketAddr),
    Many,
}

/// All UDP mappings of a container.
pub(crate) struct UdpFlows {
    mappings: Mappings<Key, Mapping>,
    clients: Clients,
}

impl UdpFlows {
    pub(crate) fn new(limit: usize, seed: u64) -> UdpFlows {
        UdpFlows { mappings: Mappings::new(limit, seed), clients: Clients::new(limit, seed) }
    }

    /// Carries a datagram from the container to the host.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn outgoing<E: Edge>(
        &mut self,
        now: Instant,
        config: &Config,
        packet: &IpPacket<'_>,
        datagram: &UdpDatagram<'_>,
        offload: Offload,
        wire: &mut Wire,
        counters: &mut Counters,
        edge: &mut E,
    ) -> Result<(), Declined> {
        let segment = (offload.gso == Gso::Udp && offload.gso_size > 0).then_some(offload.gso_size);
        if segment.is_some_and(|segment| datagram.payload.len() > usize::from(segment) * SEGMENTS_MAX) {
            return Err(DropReason::Malformed.into());
        }
        let guest = SocketAddr::new(packet.src, datagram.src_port);
        let named = SocketAddr::new(packet.dst, datagram.dst_port);
        if let Some((id, to)) = self.clients.real(now, guest, named) {
            send(config, packet, datagram, id, to, segment, wire, counters, edge);
            return Ok(());
        }
        let verdict = policy::outbound(config, packet.dst, datagram.dst_port);
        if !matches!(verdict, Verdict::Forward(_) | Verdict::Dns) {
            // Another stack may know a client by this name.
            let key = Key { guest: packet.src, port: datagram.src_port, via: Via::Direct };
            edge.owner(&key.claim()).map_or(Ok(()), |peer| Err(Declined::Owned(peer)))?;
        }
        let to = match verdict {
            Verdict::Forward(to) => to,
            Verdict::Dns => {
                dns::query(guest, datagram.payload, segment, counters, edge);
                return Ok(());
            }
            Verdict::Refuse => {
                wire.error(config, packet, IcmpError::PortUnreachable, counters, edge);
                return Ok(());
            }
            Verdict::NoRoute => {
                wire.error(config, packet, IcmpError::NoRoute, counters, edge);
                return Ok(());
            }
            Verdict::Drop(reason) => return Err(reason.into()),
        };
        if datagram.dst_port == 0 {
            return Err(DropReason::Address.into());
        }
        let key = Key { guest: packet.src, port: datagram.src_port, via: Via::Direct };
        let found = self.find(now, &key, to);
        if found.is_none() {
            edge.claim(&key.claim()).map_err(Declined::Owned)?;
        }
        let id = match found.map_or_else(|| self.make(now, key, to, counters, edge), Ok) {
            Ok(id) => id,
            Err(error) => {
                edge.release(&key.claim());
                wire.error(config, packet, error, counters, edge);
                return Ok(());
            }
        };
        send(config, packet, datagram, UdpId(id), to, segment, wire, counters, edge);
        Ok(())
    }

    /// The mapping of a key, which is to send to another peer now.
    fn find(&mut self, now: Instant, key: &Key, to: SocketAddr) -> Option<u32> {
        let id = self.mappings.find(key)?;
        let mut idle = IDLE_UNANSWERED;
        if let Some((_, mapping)) = self.mappings.get_mut(id) {
            if mapping.peers != Peers::One(to) {
                mapping.peers = Peers::Many;
            }
            if mapping.answered {
                idle = IDLE;
            }
        }
        self.mappings.touch(id, now, idle);
        Some(id)
    }

    /// Makes the mapping of a key that was claimed.
    fn make<E: Edge>(
        &mut self,
        now: Instant,
        key: Key,
        to: SocketAddr,
        counters: &mut Counters,
        edge: &mut E,
    ) -> Result<u32, IcmpError> {
        let mapping = Mapping { published: false, answered: false, peers: Peers::One(to) };
        let Ok(id) = self.mappings.insert(key, mapping, now + IDLE_UNANSWERED) else {
            counters.count(Counter::UdpMappingLimit);
            return Err(IcmpError::Prohibited);
        };
        if let Err(error) = edge.udp_open(UdpId(id), Family::of(to.ip()), key.port) {
            self.mappings.remove(id);
            counters.count(Counter::HostExhausted);
            return Err(unreachable(error).unwrap_or(IcmpError::Prohibited));
        }
        counters.count(Counter::UdpMappingsOpened);
        Ok(id)
    }

    /// Carries datagrams that came to a mapping's socket into the container. Their payload stands in `buffer` from
    /// [`DATAGRAM_HEADROOM`] on: one datagram, or several of `segment` bytes each but the last.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn incoming<E: Edge>(
        &mut self,
        now: Instant,
        config: &Config,
        id: UdpId,
        from: SocketAddr,
        buffer: &mut [u8],
        segment: Option<u16>,
        wire: &mut Wire,
        edge: &mut E,
    ) -> Result<(), DropReason> {
        let Some((key, mapping)) = self.mappings.get_mut(id.0) else { return Ok(()) };
        let mut key = *key;
        let from = if mapping.published {
            let name = policy::client(config, from, key.guest).ok_or(DropReason::HostSource)?;
            key.guest = wire.guest_for(name.ip(), key.guest);
            let guest = SocketAddr::new(key.guest, key.port);
            if key.via == Via::Direct && name.ip() == from.ip() && policy::leads_to(config, name) {
                name
            } else {
                self.clients.admit(now, guest, (id, from), name).ok_or(DropReason::HostSource)?
            }
        } else {
            let from = sender(config, &key, from).ok_or(DropReason::HostSource)?;
            mapping.answered = true;
            self.mappings.touch(id.0, now, IDLE);
            from
        };

        let Some(payload) = buffer.len().checked_sub(DATAGRAM_HEADROOM) else { return Ok(()) };
        let one = segment.map_or(payload, |segment| payload.min(usize::from(segment)));
        let Some(ip) = wire.ip_header(from.ip(), key.guest, UDP_HEADER_LEN + one) else { return Ok(()) };
        let ports = Ports { src: from.port(), dst: key.port };
        if wire.fits(ip.header_len() + UDP_HEADER_LEN + one) {
            let start = DATAGRAM_HEADROOM - udp_headroom(&ip);
            let gso_size = segment.filter(|segment| usize::from(*segment) < payload);
            let frame = &mut buffer[start..];
            if let Ok(offload) = write_udp_frame(frame, wire.ethernet(), &ip, ports, gso_size) {
                edge.transmit(&mut buffer[start - HEADROOM..], offload);
            }
            return Ok(());
        }
        let payload = &buffer[DATAGRAM_HEADROOM..];
        for datagram in payload.chunks(one.max(1)) {
            if let Ok(frame) = udp(wire.ethernet(), ip, ports, datagram) {
                wire.send(frame, edge);
            }
        }
        Ok(())
    }

    /// Carries an ICMP error that came for a datagram of a mapping's into the container.
    pub(crate) fn host_error<E: Edge>(
        &mut self,
        config: &Config,
        id: UdpId,
        icmp: &HostIcmp<'_>,
        wire: &mut Wire,
        counters: &mut Counters,
        edge: &mut E,
    ) {
        let Some((key, _)) = self.mappings.get(id.0) else { return };
        let to = self.clients.name((id, icmp.to())).or_else(|| sender(config, key, icmp.to()));
        let (Some(error), Some(to)) = (icmp.error(), to) else { return };
        let from = icmp.from(to.ip());
        let ports = Ports { src: key.port, dst: to.port() };
        let ip = IpHeader::new(key.guest, to.ip(), crate::link::HOP_LIMIT, 0, None);
        let Some(Ok(original)) = ip.map(|ip| udp(wire.ethernet(), ip, ports, icmp.payload())) else { return };
        let original = original.get(crate::frame::ETHERNET_HEADER_LEN..).unwrap_or_default();
        wire.error_about(config, key.guest, original, error, from, counters, edge);
    }

    /// Hears from the container that nothing listens at one of its ports any more: if that concerns the only peer it
    /// ever sent to, the host socket is closed, and the host itself tells the peer so from then on.
    pub(crate) fn guest_unreachable<E: Edge>(
        &mut self,
        config: &Config,
        quoted: &QuotedDatagram,
        edge: &mut E,
    ) -> Result<(), Declined> {
        let key = Key { guest: quoted.guest, port: quoted.guest_port, via: Via::Direct };
        let Some(id) = self.mappings.find(&key) else {
            return Err(edge.owner(&key.claim()).map_or(DropReason::Unrelated.into(), Declined::Owned));
        };
        match self.mappings.get(id) {
            Some((_, Mapping { peers: Peers::One(peer), .. })) if sender(config, &key, *peer) == Some(quoted.peer) => {
                self.mappings.remove(id);
                edge.release(&key.claim());
                edge.udp_close(UdpId(id));
                Ok(())
            }
            _ => Err(DropReason::Unrelated.into()),
        }
    }

    pub(crate) fn handle_timeout<E: Edge>(&mut self, now: Instant, edge: &mut E) {
        self.clients.handle_timeout(now);
        while let Some((id, key)) = self.mappings.expire(now) {
            edge.release(&key.claim());
            edge.udp_close(UdpId(id));
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.mappings.next_timeout().into_iter().chain(self.clients.next_timeout()).min()
    }

    pub(crate) fn len(&self) -> usize {
        self.mappings.len()
    }
}

/// Sends what a datagram of the container's carries.
#[allow(clippy::too_many_arguments)]
fn send<E: Edge>(
    config: &Config,
    packet: &IpPacket<'_>,
    datagram: &UdpDatagram<'_>,
    id: UdpId,
    to: SocketAddr,
    segment: Option<u16>,
    wire: &mut Wire,
    counters: &mut Counters,
    edge: &mut E,
) {
    let outgoing = Outgoing { to, payload: datagram.payload, segment, ttl: packet.ttl.saturating_sub(1).max(1) };
    if let Err(error) = edge.udp_send(id, &outgoing) {
        counters.count(Counter::UdpSendFailed);
        if let Some(error) = unreachable(error) {
            wire.error(config, packet, error, counters, edge);
        }
    }
}

/// What the container knows a sender by.
fn sender(config: &Config, key: &Key, from: SocketAddr) -> Option<SocketAddr> {
    policy::inbound(config, from, Family::of(key.guest))
}

/// What the container is to hear of a failed send, if anything.
pub(crate) fn unreachable(error: HostError) -> Option<IcmpError> {
    match error {
        HostError::NetUnreachable => Some(IcmpError::NoRoute),
        HostError::HostUnreachable => Some(IcmpError::HostUnreachable),
        HostError::Prohibited => Some(IcmpError::Prohibited),
        HostError::TooBig(mtu) if mtu > 0 => Some(IcmpError::TooBig(mtu)),
        _ => None,
    }
}

/// The datagram that an ICMP error from the container is about: one that was delivered to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuotedDatagram {
    pub(crate) peer: SocketAddr,
    pub(crate) guest: IpAddr,
    pub(crate) guest_port: u16,
}

impl QuotedDatagram {
    /// Reads the start of the quoted packet: its IP header and the first bytes of its UDP header.
    pub(crate) fn parse(body: &[u8]) -> Option<QuotedDatagram> {
        let (src, dst, transport): (IpAddr, IpAddr, &[u8]) = match body.first()? >> 4 {
            4 => {
                let (header, _) = body.split_first_chunk::<20>()?;
                let len = usize::from(header[0] & 15) * 4;
                let src: [u8; 4] = header[12..16].try_into().ok()?;
                let dst: [u8; 4] = header[16..20].try_into().ok()?;
                (header[9] == UDP).then_some((src.into(), dst.into(), body.get(len.max(20)..)?))?
            }
            6 => {
                let (header, rest) = body.split_first_chunk::<40>()?;
                let src: [u8; 16] = header[8..24].try_into().ok()?;
                let dst: [u8; 16] = header[24..40].try_into().ok()?;
                (header[6] == UDP).then_some((src.into(), dst.into(), rest))?
            }
            _ => return None,
        };
        let (ports, _) = transport.split_first_chunk::<4>()?;
        Some(QuotedDatagram {
            peer: SocketAddr::new(src, u16::from_be_bytes([ports[0], ports[1]])),
            guest: dst,
            guest_port: u16::from_be_bytes([ports[2], ports[3]]),
        })
    }
}
