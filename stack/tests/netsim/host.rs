//! The simulated host: sockets as byte pipes of bounded capacity, readiness by edges as epoll tells it.
//!
//! It is strict: a call for a socket that is not open fails the test.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;

use rnet_stack::frame::{MacAddr, Offload};
use rnet_stack::{
    Claim, Close, Diverted, Duration, Edge, Family, FlowId, HEADROOM, HostError, Instant, Outgoing, Peer, PingId,
    Readiness, UdpId,
};

use super::share::Share;

/// Bytes that a host socket takes in either direction before it is full.
pub const CAPACITY: usize = 208 << 10;

/// What becomes of a connect.
#[derive(Clone, Copy, Debug)]
pub enum Connect {
    /// It ends this way after a while.
    After(Duration, Result<(), HostError>),
    /// The call itself fails.
    AtOnce(HostError),
    /// It never ends.
    Never,
}

/// A host connection, with both the stack's end and its peer's.
#[derive(Debug)]
pub struct Conn {
    pub flow: Option<FlowId>,
    connected: bool,
    /// What the peer may read.
    to_peer: VecDeque<u8>,
    /// What the stack may receive.
    from_peer: VecDeque<u8>,
    pub capacity: usize,
    /// The peer has closed its half.
    peer_ended: bool,
    /// The peer has reset the connection.
    peer_reset: bool,
    /// The stack has shut its half down.
    pub shut_down: bool,
    /// How the stack closed it.
    pub closed: Option<Close>,
    /// The stack was told "would block" on send.
    blocked: bool,
    event: bool,
}

impl Conn {
    fn new(flow: FlowId) -> Conn {
        Conn {
            flow: Some(flow),
            connected: false,
            to_peer: VecDeque::new(),
            from_peer: VecDeque::new(),
            capacity: CAPACITY,
            peer_ended: false,
            peer_reset: false,
            shut_down: false,
            closed: None,
            blocked: false,
            event: false,
        }
    }

    /// What the peer reads, at most `len` bytes.
    pub fn peer_read(&mut self, len: usize) -> Vec<u8> {
        let len = len.min(self.to_peer.len());
        let read = self.to_peer.drain(..len).collect();
        if std::mem::take(&mut self.blocked) && len > 0 {
            self.event = true;
        }
        read
    }

    /// Bytes that wait for the peer.
    pub fn peer_pending(&self) -> usize {
        self.to_peer.len()
    }

    /// The peer writes; returns how many bytes went.
    pub fn peer_write(&mut self, bytes: &[u8]) -> usize {
        if self.peer_ended || self.peer_reset || self.closed.is_some() {
            return 0;
        }
        let len = bytes.len().min(self.capacity - self.from_peer.len());
        self.from_peer.extend(&bytes[..len]);
        self.event |= len > 0;
        len
    }

    /// The peer sends FIN.
    pub fn peer_close(&mut self) {
        self.event |= !self.peer_ended;
        self.peer_ended = true;
    }

    /// The peer sends RST.
    pub fn peer_reset(&mut self) {
        self.event |= !self.peer_reset;
        self.peer_reset = true;
        self.to_peer.clear();
    }

    fn ready(&self) -> Readiness {
        let hang_up = self.peer_ended || self.peer_reset;
        Readiness {
            readable: !self.from_peer.is_empty() || hang_up,
            writable: self.to_peer.len() < self.capacity || self.peer_reset,
            hang_up,
        }
    }
}

/// Something that epoll has to tell.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    Connected(FlowId, Readiness),
    Failed(FlowId, HostError),
    Ready(FlowId, Readiness),
}

/// All of the host that the stack can reach.
#[derive(Debug, Default)]
pub struct Host {
    /// Microseconds.
    now: i64,
    pub frames: Vec<(Vec<u8>, Offload)>,
    pub conns: Vec<Conn>,
    by_flow: HashMap<FlowId, usize>,
    outcomes: BTreeMap<(Instant, usize), Result<(), HostError>>,
    /// What becomes of connects to a port; others succeed at once.
    pub plans: HashMap<u16, Connect>,
    pub udp: HashMap<UdpId, (Family, u16)>,
    pub udp_sent: Vec<(UdpId, SocketAddr, Vec<u8>, Option<u16>)>,
    pub udp_error: Option<HostError>,
    pub ping: HashMap<PingId, Family>,
    pub pings_sent: Vec<(PingId, u16, Vec<u8>)>,
    /// The other stacks, if there are any.
    pub share: Option<Share>,
}

impl Host {
    fn now(&self) -> Instant {
        Instant::from_micros(self.now)
    }

    /// Moves the host's clock.
    pub fn set_now(&mut self, now: Instant) {
        self.now = now.total_micros();
    }

    /// What is to be told now.
    pub fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some((&(at, index), &outcome)) = self.outcomes.first_key_value() {
            if at > self.now() {
                break;
            }
            self.outcomes.pop_first();
            let conn = &mut self.conns[index];
            let Some(flow) = conn.flow else { continue };
            match outcome {
                Ok(()) => {
                    conn.connected = true;
                    conn.event = false;
                    events.push(Event::Connected(flow, conn.ready()));
                }
                Err(error) => {
                    // The edge forgets the flow before it tells.
                    conn.flow = None;
                    self.by_flow.remove(&flow);
                    events.push(Event::Failed(flow, error));
                }
            }
        }
        for conn in &mut self.conns {
            if let (true, true, Some(flow)) = (conn.connected, conn.event, conn.flow) {
                conn.event = false;
                events.push(Event::Ready(flow, conn.ready()));
            }
        }
        events
    }

    /// When a connect ends next.
    pub fn next(&self) -> Option<Instant> {
        self.outcomes.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Whether a socket has something to tell already.
    pub fn has_events(&self) -> bool {
        self.conns.iter().any(|conn| conn.connected && conn.event && conn.flow.is_some())
            || self.next().is_some_and(|at| at <= self.now())
    }

    fn conn(&mut self, flow: FlowId) -> &mut Conn {
        let index = *self.by_flow.get(&flow).unwrap_or_else(|| panic!("{flow:?} is not open"));
        &mut self.conns[index]
    }

    /// Takes a connection that was accepted for a flow.
    pub fn adopt(&mut self, flow: FlowId) -> &mut Conn {
        assert!(!self.by_flow.contains_key(&flow), "{flow:?} is open already");
        self.by_flow.insert(flow, self.conns.len());
        self.conns.push(Conn { connected: true, ..Conn::new(flow) });
        self.conns.last_mut().expect("it was just pushed")
    }

    /// Sockets that are open.
    pub fn open(&self) -> usize {
        self.by_flow.len()
    }
}

impl Edge for Host {
    fn transmit(&mut self, buffer: &mut [u8], offload: Offload) {
        buffer[..HEADROOM].fill(0xee);
        self.frames.push((buffer[HEADROOM..].to_vec(), offload));
    }

    fn tcp_connect(&mut self, flow: FlowId, to: SocketAddr) -> Result<(), HostError> {
        assert!(!self.by_flow.contains_key(&flow), "{flow:?} is open already");
        let plan = self.plans.get(&to.port()).copied().unwrap_or(Connect::After(Duration::ZERO, Ok(())));
        if let Connect::AtOnce(error) = plan {
            return Err(error);
        }
        let index = self.conns.len();
        self.conns.push(Conn::new(flow));
        self.by_flow.insert(flow, index);
        if let Connect::After(delay, outcome) = plan {
            self.outcomes.insert((self.now() + delay, index), outcome);
        }
        Ok(())
    }

    fn tcp_send(&mut self, flow: FlowId, bytes: &[u8]) -> Result<usize, HostError> {
        let conn = self.conn(flow);
        assert!(conn.connected && !conn.shut_down && !bytes.is_empty());
        if conn.peer_reset {
            return Err(HostError::Reset);
        }
        let room = conn.capacity - conn.to_peer.len();
        if room == 0 {
            conn.blocked = true;
            return Err(HostError::WouldBlock);
        }
        let len = bytes.len().min(room);
        conn.blocked |= len < bytes.len();
        conn.to_peer.extend(&bytes[..len]);
        Ok(len)
    }

    fn tcp_receive(&mut self, flow: FlowId, space: &mut [u8]) -> Result<usize, HostError> {
        let conn = self.conn(flow);
        assert!(conn.connected && !space.is_empty());
        // As Linux does: what came before an end or a reset is still received.
        if !conn.from_peer.is_empty() {
            let len = space.len().min(conn.from_peer.len());
            for (to, from) in space.iter_mut().zip(conn.from_peer.drain(..len)) {
                *to = from;
            }
            return Ok(len);
        }
        match (conn.peer_reset, conn.peer_ended) {
            (true, _) => Err(HostError::Reset),
            (_, true) => Ok(0),
            _ => Err(HostError::WouldBlock),
        }
    }

    fn tcp_shutdown(&mut self, flow: FlowId) {
        let conn = self.conn(flow);
        assert!(conn.connected && !conn.shut_down, "shut down twice");
        conn.shut_down = true;
    }

    fn tcp_close(&mut self, flow: FlowId, how: Close) {
        let conn = self.conn(flow);
        // A kernel answers an orderly close of a socket with unread bytes by a reset (RFC 1122 section 4.2.2.13).
        let how = if conn.from_peer.is_empty() || conn.peer_reset { how } else { Close::Reset };
        conn.closed = Some(how);
        conn.flow = None;
        self.by_flow.remove(&flow);
    }

    fn udp_open(&mut self, mapping: UdpId, family: Family, port: u16) -> Result<(), HostError> {
        assert!(self.udp.insert(mapping, (family, port)).is_none(), "{mapping:?} is open already");
        Ok(())
    }

    fn udp_send(&mut self, mapping: UdpId, datagram: &Outgoing<'_>) -> Result<(), HostError> {
        assert!(self.udp.contains_key(&mapping), "{mapping:?} is not open");
        if let Some(error) = self.udp_error {
            return Err(error);
        }
        self.udp_sent.push((mapping, datagram.to, datagram.payload.to_vec(), datagram.segment));
        Ok(())
    }

    fn udp_close(&mut self, mapping: UdpId) {
        assert!(self.udp.remove(&mapping).is_some(), "{mapping:?} is not open");
    }

    fn ping_open(&mut self, mapping: PingId, family: Family) -> Result<(), HostError> {
        assert!(self.ping.insert(mapping, family).is_none(), "{mapping:?} is open already");
        Ok(())
    }

    fn ping_send(&mut self, mapping: PingId, sequence: u16, datagram: &Outgoing<'_>) -> Result<(), HostError> {
        assert!(self.ping.contains_key(&mapping), "{mapping:?} is not open");
        self.pings_sent.push((mapping, sequence, datagram.payload.to_vec()));
        Ok(())
    }

    fn ping_close(&mut self, mapping: PingId) {
        assert!(self.ping.remove(&mapping).is_some(), "{mapping:?} is not open");
    }

    fn claim(&mut self, what: &Claim) -> Result<(), Peer> {
        self.share.as_ref().map_or(Ok(()), |share| share.claim(what))
    }

    fn release(&mut self, what: &Claim) {
        if let Some(share) = &self.share {
            share.release(what);
        }
    }

    fn owner(&mut self, what: &Claim) -> Option<Peer> {
        self.share.as_ref()?.owner(what)
    }

    fn lead(&self) -> Option<Peer> {
        self.share.as_ref()?.lead()
    }

    fn divert(&mut self, to: Peer, packet: &Diverted<'_>) -> Result<(), HostError> {
        self.share.as_ref().map_or(Err(HostError::WouldBlock), |share| share.divert(to, packet))
    }

    fn learned(&mut self, mac: MacAddr) {
        if let Some(share) = &self.share {
            share.learned(mac);
        }
    }
}
