//! A host that takes offence: every call must be for a socket that is open, every frame must parse.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rnet_stack::frame::{Checksum, ETHERNET_HEADER_LEN, Gso, Offload, Packet, Transport, checksum, classify};
use rnet_stack::{Close, Edge, Family, FlowId, HEADROOM, HostError, Outgoing, PingId, Readiness, UdpId};

use crate::guest::Guest;
use crate::ops::End;
use crate::segment::LINK_MAC;

pub struct Socket {
    pub connected: bool,
    pub shut_down: bool,
    /// Bytes that can be received.
    pub arriving: usize,
    /// Bytes that can be sent.
    pub room: usize,
    pub end: End,
}

impl Socket {
    pub fn ready(&self) -> Readiness {
        let hang_up = self.end != End::No;
        Readiness { readable: self.arriving > 0 || hang_up, writable: self.room > 0 || hang_up, hang_up }
    }
}

#[derive(Default)]
pub struct Checker {
    pub mtu: usize,
    pub guest: Guest,
    pub tcp: BTreeMap<u32, Socket>,
    pub udp: BTreeMap<u32, Family>,
    pub ping: BTreeMap<u32, Family>,
    /// UDP sockets that are never closed.
    pub published: usize,
    pub connect: Option<HostError>,
    pub open: Option<HostError>,
    pub send: Option<HostError>,
}

impl Checker {
    /// Takes the socket of a connection that was accepted.
    pub fn adopt(&mut self, flow: FlowId) {
        let socket = Socket { connected: true, shut_down: false, arriving: 0, room: 20_000, end: End::No };
        assert!(self.tcp.insert(flow.0, socket).is_none(), "opened twice");
    }

    fn socket(&mut self, flow: FlowId) -> &mut Socket {
        self.tcp.get_mut(&flow.0).expect("a call for a socket that is not open")
    }
}

impl Edge for Checker {
    fn transmit(&mut self, buffer: &mut [u8], offload: Offload) {
        buffer[..HEADROOM].fill(0xee);
        let frame = &buffer[HEADROOM..];
        assert_eq!(&frame[6..12], &LINK_MAC.0);
        etherparse::SlicedPacket::from_ethernet(frame).expect("a frame that etherparse understands");
        if offload.gso == Gso::None {
            assert!(frame.len() <= ETHERNET_HEADER_LEN + self.mtu, "{} bytes exceed the MTU", frame.len());
        } else {
            assert!(offload.gso_size > 0 && usize::from(offload.header_len) < frame.len());
            let segment = usize::from(offload.header_len) + usize::from(offload.gso_size);
            assert!(segment <= ETHERNET_HEADER_LEN + self.mtu, "segments of {segment} bytes exceed the MTU");
        }
        if let Checksum::Partial { start, offset } = offload.checksum {
            let (start, offset) = (usize::from(start), usize::from(offset));
            let ip = &frame[ETHERNET_HEADER_LEN..];
            let (addresses, protocol) = if ip[0] >> 4 == 4 { (&ip[12..20], ip[9]) } else { (&ip[8..40], ip[6]) };
            let sum = checksum::sum(addresses)
                + checksum::Sum::word(protocol.into())
                + checksum::Sum::word((frame.len() - start) as u16);
            let found = u16::from_be_bytes([frame[start + offset], frame[start + offset + 1]]);
            assert_eq!(found, sum.partial(), "the pseudo-header's sum");
        }
        let packet = classify(frame, offload.checksum).expect("a frame that we understand ourselves");
        if let Packet::Ip(packet) = packet
            && let Transport::Tcp(segment) = packet.transport
        {
            self.guest.learn(&packet, &segment);
        }
    }

    fn tcp_connect(&mut self, flow: FlowId, _to: SocketAddr) -> Result<(), HostError> {
        if let Some(error) = self.connect {
            return Err(error);
        }
        let socket = Socket { connected: false, shut_down: false, arriving: 0, room: 20_000, end: End::No };
        assert!(self.tcp.insert(flow.0, socket).is_none(), "opened twice");
        Ok(())
    }

    fn tcp_send(&mut self, flow: FlowId, bytes: &[u8]) -> Result<usize, HostError> {
        let error = self.send;
        let socket = self.socket(flow);
        assert!(socket.connected && !socket.shut_down && !bytes.is_empty());
        match (socket.end, error) {
            (End::Reset | End::Deaf, _) => Err(HostError::Reset),
            (_, Some(error)) => Err(error),
            _ if socket.room == 0 => Err(HostError::WouldBlock),
            _ => {
                let sent = bytes.len().min(socket.room);
                socket.room -= sent;
                Ok(sent)
            }
        }
    }

    fn tcp_receive(&mut self, flow: FlowId, space: &mut [u8]) -> Result<usize, HostError> {
        let socket = self.socket(flow);
        assert!(socket.connected && !space.is_empty());
        if socket.arriving > 0 {
            let received = socket.arriving.min(space.len());
            socket.arriving -= received;
            return Ok(received);
        }
        match socket.end {
            End::No => Err(HostError::WouldBlock),
            End::Fin | End::Deaf => Ok(0),
            End::Reset => Err(HostError::Reset),
        }
    }

    fn tcp_shutdown(&mut self, flow: FlowId) {
        let socket = self.socket(flow);
        assert!(socket.connected && !socket.shut_down, "shut down twice, or before it was connected");
        socket.shut_down = true;
    }

    fn tcp_close(&mut self, flow: FlowId, _how: Close) {
        self.tcp.remove(&flow.0).expect("closed a socket that is not open");
    }

    fn udp_open(&mut self, mapping: UdpId, family: Family, _port: u16) -> Result<(), HostError> {
        if let Some(error) = self.open {
            return Err(error);
        }
        assert!(self.udp.insert(mapping.0, family).is_none(), "opened twice");
        Ok(())
    }

    fn udp_send(&mut self, mapping: UdpId, datagram: &Outgoing<'_>) -> Result<(), HostError> {
        assert_eq!(self.udp[&mapping.0], Family::of(datagram.to.ip()));
        assert!(datagram.ttl > 0 && datagram.segment != Some(0));
        self.send.map_or(Ok(()), Err)
    }

    fn udp_close(&mut self, mapping: UdpId) {
        assert!(mapping.0 as usize >= self.published, "a published port was closed");
        self.udp.remove(&mapping.0).expect("closed a socket that is not open");
    }

    fn ping_open(&mut self, mapping: PingId, family: Family) -> Result<(), HostError> {
        if let Some(error) = self.open {
            return Err(error);
        }
        assert!(self.ping.insert(mapping.0, family).is_none(), "opened twice");
        Ok(())
    }

    fn ping_send(&mut self, mapping: PingId, _sequence: u16, datagram: &Outgoing<'_>) -> Result<(), HostError> {
        assert_eq!(self.ping[&mapping.0], Family::of(datagram.to.ip()));
        self.send.map_or(Ok(()), Err)
    }

    fn ping_close(&mut self, mapping: PingId) {
        self.ping.remove(&mapping.0).expect("closed a socket that is not open");
    }
}
