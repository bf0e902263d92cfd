//! The stack's edge to the real world: frames go to the tap device, flows to host sockets.

use std::fs::File;
use std::io::{self, IoSlice};
use std::net::SocketAddr;

use mio::Registry;
use mio::net::TcpStream;
use rnet_stack::frame::{MacAddr, Offload};
use rnet_stack::{Claim, Close, Diverted, Edge, Family, FlowId, HEADROOM, HostError, Outgoing, Peer, PingId, UdpId};
use tracing::warn;

use super::capture::Capture;
use super::dns::NameServer;
use super::host_error::host_error;
use super::listen::{Published, RuleId};
use super::ping::PingSockets;
use super::tcp::{Origin, TcpSockets};
use super::team::Member;
use super::udp::UdpSockets;
use super::wire::Wire;
use crate::config::Outbound;
use crate::tap::kind::Kind;

/// The tap device and all host sockets.
pub struct HostEdge {
    /// The tap device.
    pub tap: File,
    /// Frames that the tap device did not take.
    pub refused_frames: u64,
    /// Sockets of TCP flows.
    pub tcp: TcpSockets,
    /// Sockets of UDP mappings.
    pub udp: UdpSockets,
    /// Sockets of echo mappings.
    pub ping: PingSockets,
    /// The name server.
    pub dns: NameServer,
    /// Where frames are written to.
    pub capture: Option<Capture>,
    /// The other workers, if there are any.
    pub team: Option<Member>,
    wire: Wire,
    registry: Registry,
    outbound: Outbound,
    warned_of_ping: bool,
}

impl HostEdge {
    /// An edge without sockets.
    pub fn new(
        tap: File,
        registry: Registry,
        outbound: Outbound,
        kind: Kind,
        team: Option<Member>,
        dns: NameServer,
    ) -> HostEdge {
        HostEdge {
            tap,
            refused_frames: 0,
            tcp: TcpSockets::default(),
            wire: Wire::of(kind),
            udp: UdpSockets::new(kind.offloads()),
            ping: PingSockets::default(),
            dns,
            capture: None,
            team,
            registry,
            outbound,
            warned_of_ping: false,
        }
    }

    /// Takes the socket of a client's connection. One that cannot be watched is closed, which its flow finds out.
    pub fn adopt_tcp(&mut self, flow: FlowId, stream: TcpStream, rule: RuleId) {
        if let Err(error) = self.tcp.adopt(flow, stream, Origin::Listener(rule), &self.registry) {
            warn!(%error, "a client of a published port is lost");
        }
    }

    /// Takes the socket of a published UDP port.
    pub fn publish_udp(&mut self, mapping: UdpId, published: Published) -> io::Result<()> {
        self.udp.publish(mapping, published, &self.registry)
    }

    /// Gives the socket of a published UDP port back.
    pub fn take_udp(&mut self, mapping: UdpId) -> Option<Published> {
        self.udp.take(mapping, &self.registry)
    }

    /// What events are waited for with.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}

impl Edge for HostEdge {
    fn transmit(&mut self, buffer: &mut [u8], offload: Offload) {
        if let Some(capture) = &mut self.capture
            && !capture.write(buffer.get(HEADROOM..).unwrap_or_default())
        {
            self.capture = None;
        }
        // A device may be down or gone; the latter is seen when it is read.
        self.refused_frames += self.wire.transmit(&mut self.tap, buffer, offload);
    }

    fn tcp_connect(&mut self, flow: FlowId, to: SocketAddr) -> Result<(), HostError> {
        self.tcp.connect(flow, to, &self.outbound, &self.registry)
    }

    fn tcp_send(&mut self, flow: FlowId, bytes: &[u8]) -> Result<usize, HostError> {
        self.tcp.send(flow, bytes)
    }

    fn tcp_send_last(&mut self, flow: FlowId, bytes: &[u8]) -> Result<usize, HostError> {
        self.tcp.send_last(flow, bytes)
    }

    fn tcp_send_pieces(&mut self, flow: FlowId, pieces: &[IoSlice<'_>]) -> Result<usize, HostError> {
        self.tcp.send_pieces(flow, pieces)
    }

    fn tcp_receive(&mut self, flow: FlowId, space: &mut [u8]) -> Result<usize, HostError> {
        self.tcp.receive(flow, space)
    }

    fn tcp_shutdown(&mut self, flow: FlowId) {
        self.tcp.shutdown(flow);
    }

    fn tcp_close(&mut self, flow: FlowId, how: Close) {
        self.tcp.close(flow, how, &self.registry);
    }

    fn dns_query(&mut self, from: SocketAddr, query: &[u8]) -> Result<(), HostError> {
        self.dns.query(from, query)
    }

    fn dns_connect(&mut self, flow: FlowId) -> Result<(), HostError> {
        let stream = self.dns.connect()?;
        self.tcp.adopt(flow, stream, Origin::Local, &self.registry).map_err(|error| host_error(&error))
    }

    fn udp_open(&mut self, mapping: UdpId, family: Family, port: u16) -> Result<(), HostError> {
        let opened = self.udp.open(mapping, family, port, &self.outbound, &self.registry);
        opened.map_err(|error| host_error(&error))
    }

    fn udp_send(&mut self, mapping: UdpId, datagram: &Outgoing<'_>) -> Result<(), HostError> {
        self.udp.send(mapping, datagram)
    }

    fn udp_close(&mut self, mapping: UdpId) {
        self.udp.close(mapping);
    }

    fn ping_open(&mut self, mapping: PingId, family: Family) -> Result<(), HostError> {
        let opened = self.ping.open(mapping, family, &self.outbound, &self.registry);
        opened.map_err(|error| {
            if error.raw_os_error() == Some(libc::EACCES) && !self.warned_of_ping {
                self.warned_of_ping = true;
                warn!(
                    "ping does not work: the host allows this user no ping sockets; \
                     to allow them: sysctl -w net.ipv4.ping_group_range='0 2147483647'"
                );
            }
            host_error(&error)
        })
    }

    fn ping_send(&mut self, mapping: PingId, sequence: u16, datagram: &Outgoing<'_>) -> Result<(), HostError> {
        self.ping.send(mapping, sequence, datagram)
    }

    fn ping_close(&mut self, mapping: PingId) {
        self.ping.close(mapping);
    }

    fn claim(&mut self, what: &Claim) -> Result<(), Peer> {
        self.team.as_ref().map_or(Ok(()), |team| team.claim(what))
    }

    fn release(&mut self, what: &Claim) {
        if let Some(team) = &self.team {
            team.release(what);
        }
    }

    fn owner(&mut self, what: &Claim) -> Option<Peer> {
        self.team.as_ref()?.owner(what)
    }

    fn lead(&self) -> Option<Peer> {
        self.team.as_ref()?.lead()
    }

    fn divert(&mut self, to: Peer, packet: &Diverted<'_>) -> Result<(), HostError> {
        self.team.as_ref().map_or(Err(HostError::WouldBlock), |team| team.divert(to, packet))
    }

    fn learned(&mut self, mac: MacAddr) {
        if let Some(team) = &mut self.team {
            team.learned(mac);
        }
    }
}
