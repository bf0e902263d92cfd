//! ICMP: echo through ping sockets (icmp(7)), and errors in both directions.

use std::net::{IpAddr, SocketAddr};

use crate::config::Config;
use crate::edge::{Edge, Family, HostError, Outgoing, PingId};
use crate::event::{Counter, Counters, DropReason};
use crate::flow::Mappings;
use crate::frame::{
    ETHERNET_HEADER_LEN, ICMP_HEADER_LEN, IcmpHeader, IcmpMessage, IpHeader, IpPacket, Ipv4Header, Ipv6Header,
    icmp_echo_reply, icmpv4, icmpv6,
};
use crate::link::{HOP_LIMIT, IcmpError, Wire};
use crate::policy::{self, Verdict};
use crate::share::{Claim, Declined};
use crate::udp::unreachable;
use crate::{Duration, Instant};

/// Echo request over IPv4 (RFC 792).
pub(crate) const ECHO_REQUEST_V4: u8 = 8;
/// Echo request over IPv6 (RFC 4443 section 4.1).
pub(crate) const ECHO_REQUEST_V6: u8 = 128;

/// How long an echo mapping may be idle (RFC 5508 section 3.2 asks for a minute at least).
const IDLE: Duration = Duration::from_secs(60);

/// An ICMP error that the host's error queue holds for something that a mapping sent (ip(7), IP_RECVERR).
#[derive(Clone, Copy, Debug)]
pub struct HostIcmp<'a> {
    /// What it says; `None` for errors that mean nothing to a container.
    error: Option<IcmpError>,
    /// Where the packet in question was sent to.
    to: SocketAddr,
    /// Who complains.
    offender: Option<IpAddr>,
    /// What the packet carried, as far as it was quoted: the datagram's payload, or the echo's ICMP header and data.
    payload: &'a [u8],
}

impl<'a> HostIcmp<'a> {
    /// From the fields of `struct sock_extended_err` (linux/errqueue.h): `ee_type`, `ee_code` and `ee_info`.
    pub fn new(
        family: Family,
        (kind, code, info): (u8, u8, u32),
        to: SocketAddr,
        offender: Option<IpAddr>,
        payload: &'a [u8],
    ) -> HostIcmp<'a> {
        let error = match (family, kind, code) {
            (Family::V4, 3, 0 | 6 | 11) => Some(IcmpError::NoRoute),
            (Family::V4, 3, 3) | (Family::V6, 1, 4) => Some(IcmpError::PortUnreachable),
            (Family::V4, 3, 4) | (Family::V6, 2, _) => Some(IcmpError::TooBig(info)),
            (Family::V4, 3, 9 | 10 | 13) | (Family::V6, 1, 1 | 5 | 6) => Some(IcmpError::Prohibited),
            (Family::V4, 3, _) | (Family::V6, 1, 2 | 3) => Some(IcmpError::HostUnreachable),
            (Family::V6, 1, _) => Some(IcmpError::NoRoute),
            (Family::V4, 11, 0) | (Family::V6, 3, 0) => Some(IcmpError::TimeExceeded),
            _ => None,
        };
        HostIcmp { error, to, offender, payload }
    }

    pub(crate) fn error(&self) -> Option<IcmpError> {
        self.error
    }

    pub(crate) fn to(&self) -> SocketAddr {
        self.to
    }

    pub(crate) fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Under which address the container hears it: a router's own, or that of the destination, `to`, as it is known
    /// inside.
    pub(crate) fn from(&self, to: IpAddr) -> Option<IpAddr> {
        match self.offender {
            Some(offender) if offender != self.to.ip() && !offender.is_loopback() && !offender.is_unspecified() => {
                Some(offender)
            }
            _ => Some(to),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    guest: IpAddr,
    identifier: [u8; 2],
}

impl Key {
    fn claim(&self) -> Claim {
        Claim::Echo { guest: self.guest, identifier: u16::from_be_bytes(self.identifier) }
    }
}

/// All echo mappings of a container.
pub(crate) struct EchoFlows {
    mappings: Mappings<Key, ()>,
}

impl EchoFlows {
    pub(crate) fn new(limit: usize, seed: u64) -> EchoFlows {
        EchoFlows { mappings: Mappings::new(limit, seed) }
    }

    /// Answers an echo request that is meant for the link itself, and carries others to the host.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn request<E: Edge>(
        &mut self,
        now: Instant,
        config: &Config,
        packet: &IpPacket<'_>,
        message: &IcmpMessage<'_>,
        wire: &mut Wire,
        counters: &mut Counters,
        edge: &mut E,
    ) -> Result<(), Declined> {
        if policy::is_own(config, packet.dst) {
            reply(packet.dst, packet.src, message.rest, message.body, wire, edge);
            return Ok(());
        }
        let to = match policy::outbound(config, packet.dst, 0) {
            Verdict::Forward(to) => to,
            Verdict::Drop(reason) => return Err(reason.into()),
            _ => return Err(DropReason::Address.into()),
        };
        let [id0, id1, seq0, seq1] = message.rest;
        let key = Key { guest: packet.src, identifier: [id0, id1] };
        let outgoing = Outgoing { to, payload: message.body, segment: None, ttl: packet.ttl.saturating_sub(1).max(1) };
        let found = self.mappings.find(&key);
        match found {
            Some(id) => self.mappings.touch(id, now, IDLE),
            None => edge.claim(&key.claim()).map_err(Declined::Owned)?,
        }
        let sent = found
            .map_or_else(|| self.make(now, key, counters, edge), Ok)
            .and_then(|id| edge.ping_send(PingId(id), u16::from_be_bytes([seq0, seq1]), &outgoing));
        if let Err(error) = sent
            && let Some(error) = unreachable(error)
        {
            wire.error(config, packet, error, counters, edge);
        }
        Ok(())
    }

    /// Makes the mapping of a key that was claimed.
    fn make<E: Edge>(
        &mut self,
        now: Instant,
        key: Key,
        counters: &mut Counters,
        edge: &mut E,
    ) -> Result<u32, HostError> {
        let Ok(id) = self.mappings.insert(key, (), now + IDLE) else {
            edge.release(&key.claim());
            counters.count(Counter::EchoMappingLimit);
            return Err(HostError::Prohibited);
        };
        if let Err(error) = edge.ping_open(PingId(id), Family::of(key.guest)) {
            self.mappings.remove(id);
            edge.release(&key.claim());
            counters.count(match error {
                HostError::Prohibited => Counter::EchoForbidden,
                _ => Counter::HostExhausted,
            });
            return Err(HostError::Prohibited);
        }
        counters.count(Counter::EchoMappingsOpened);
        Ok(id)
    }

    /// Carries an echo reply that came to a mapping's socket into the container.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn reply<E: Edge>(
        &mut self,
        now: Instant,
        config: &Config,
        id: PingId,
        from: IpAddr,
        sequence: u16,
        data: &[u8],
        wire: &mut Wire,
        edge: &mut E,
    ) -> Result<(), DropReason> {
        let Some((key, ())) = self.mappings.get(id.0) else { return Ok(()) };
        let key = *key;
        let from = policy::inbound(config, SocketAddr::new(from, 0), Family::of(key.guest));
        let from = from.ok_or(DropReason::HostSource)?.ip();
        self.mappings.touch(id.0, now, IDLE);
        let [id0, id1] = key.identifier;
        let [seq0, seq1] = sequence.to_be_bytes();
        reply(from, key.guest, [id0, id1, seq0, seq1], data, wire, edge);
        Ok(())
    }

    /// Carries an ICMP error that came for an echo request of a mapping's into the container.
    pub(crate) fn host_error<E: Edge>(
        &mut self,
        config: &Config,
        id: PingId,
        icmp: &HostIcmp<'_>,
        wire: &mut Wire,
        counters: &mut Counters,
        edge: &mut E,
    ) {
        let Some((key, ())) = self.mappings.get(id.0) else { return };
        let key = *key;
        let to = icmp.to().ip();
        let Some(error) = icmp.error() else { return };
        // The quote begins with the ICMP header as the host sent it, which carries the host's identifier.
        let Some((header, data)) = icmp.payload().split_first_chunk::<ICMP_HEADER_LEN>() else { return };
        let rest = [key.identifier[0], key.identifier[1], header[6], header[7]];
        let ethernet = wire.ethernet();
        let original = match (key.guest, to) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => icmpv4(
                ethernet,
                Ipv4Header { src, dst, ttl: HOP_LIMIT, tos: 0, id: None },
                IcmpHeader { kind: ECHO_REQUEST_V4, code: 0, rest },
                data,
            ),
            (IpAddr::V6(src), IpAddr::V6(dst)) => icmpv6(
                ethernet,
                Ipv6Header { src, dst, hop_limit: HOP_LIMIT, traffic_class: 0 },
                IcmpHeader { kind: ECHO_REQUEST_V6, code: 0, rest },
                data,
            ),
            _ => return,
        };
        let Ok(original) = original else { return };
        let original = original.get(ETHERNET_HEADER_LEN..).unwrap_or_default();
        wire.error_about(config, key.guest, original, error, icmp.from(to), counters, edge);
    }

    pub(crate) fn handle_timeout<E: Edge>(&mut self, now: Instant, edge: &mut E) {
        while let Some((id, key)) = self.mappings.expire(now) {
            edge.release(&key.claim());
            edge.ping_close(PingId(id));
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.mappings.next_timeout()
    }

    pub(crate) fn len(&self) -> usize {
        self.mappings.len()
    }
}

fn reply<E: Edge>(from: IpAddr, guest: IpAddr, rest: [u8; 4], data: &[u8], wire: &mut Wire, edge: &mut E) {
    let Some(ip) = IpHeader::new(from, guest, HOP_LIMIT, 0, None) else { return };
    if let Ok(frame) = icmp_echo_reply(wire.ethernet(), ip, rest, data) {
        wire.send(frame, edge);
    }
}
