//! The two traits by which the stack reaches the world: frames and host sockets ([`Edge`]), and ring memory
//! ([`RingMemory`]). The real ones make system calls; tests and fuzzers hand in simulated ones.

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};

use smoltcp::socket::tcp::SocketBuffer;

use crate::frame::{MacAddr, Offload};
use crate::share::{Claim, Diverted, Peer};

/// Bytes in front of a frame that [`Edge::transmit`] may overwrite with a device header.
pub const HEADROOM: usize = 16;

/// Names a TCP flow for as long as it lives; reused afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId(pub u32);

/// Names a UDP mapping for as long as it lives; reused afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UdpId(pub u32);

/// Names an ICMP echo mapping for as long as it lives; reused afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PingId(pub u32);

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(addr: IpAddr) -> Family {
        if addr.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// Why the host did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostError {
    /// Not now: the host will tell when it is ready again.
    WouldBlock,
    /// The peer refused or nothing listens there (ECONNREFUSED).
    Refused,
    /// The peer reset the connection, or it was aborted (ECONNRESET, EPIPE, …).
    Reset,
    /// No route to the network (ENETUNREACH).
    NetUnreachable,
    /// The host does not answer its neighbours (EHOSTUNREACH).
    HostUnreachable,
    /// Policy of the host forbids it (EACCES, EPERM).
    Prohibited,
    /// Nobody answered in time (ETIMEDOUT).
    TimedOut,
    /// The datagram exceeds what the path carries (EMSGSIZE); the path's MTU in bytes where known, else 0.
    TooBig(u32),
    /// The host is out of descriptors, ports or memory.
    Exhausted,
}

/// How a host socket is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// In order: what was sent is delivered, then FIN.
    Orderly,
    /// Abortively: what was sent is delivered as far as the peer takes it soon, then RST.
    Reset,
}

/// A datagram on its way to a host socket.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Where to.
    pub to: SocketAddr,
    /// Payload: one datagram, or several of `segment` bytes each but the last.
    pub payload: &'a [u8],
    /// Bytes of one datagram when `payload` holds several.
    pub segment: Option<u16>,
    /// Time to live or hop limit that it has left.
    pub ttl: u8,
}

/// What the stack needs done outside: frames written and host sockets worked.
///
/// No call may block. Errors are outcomes, not faults.
pub trait Edge {
    /// Hands a frame to the container. The Ethernet header starts at `buffer[HEADROOM]`; what is before it may be
    /// overwritten.
    fn transmit(&mut self, buffer: &mut [u8], offload: Offload);

    /// Starts to connect a TCP socket for a flow; the outcome is told by `Stack::tcp_connected` or
    /// `Stack::tcp_connect_failed` later. An error is an outcome that is known at once.
    fn tcp_connect(&mut self, flow: FlowId, to: SocketAddr) -> Result<(), HostError>;
    /// Sends bytes on a flow's host socket; returns how many it took, at least one.
    fn tcp_send(&mut self, flow: FlowId, bytes: &[u8]) -> Result<usize, HostError>;

    /// Sends the last bytes before [`Edge::tcp_shutdown`] or an orderly [`Edge::tcp_close`]: what is the end of the stream
    /// may go with them.
    ///
    /// # Errors
    /// As for [`Edge::tcp_send`].
    fn tcp_send_last(&mut self, flow: FlowId, bytes: &[u8]) -> Result<usize, HostError> {
        self.tcp_send(flow, bytes)
    }

    /// Sends pieces of bytes that follow each other. Returns how many bytes were taken, of all pieces together.
    ///
    /// # Errors
    /// As for [`Edge::tcp_send`], when nothing was taken.
    fn tcp_send_pieces(&mut self, flow: FlowId, pieces: &[IoSlice<'_>]) -> Result<usize, HostError> {
        let mut sent = 0;
        for piece in pieces {
            match self.tcp_send(flow, piece) {
                Ok(taken) => {
                    sent += taken;
                    if taken < piece.len() {
                        break;
                    }
                }
                Err(error) if sent == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(sent)
    }
    /// Receives bytes from a flow's host socket; 0 is the end of the stream.
    fn tcp_receive(&mut self, flow: FlowId, space: &mut [u8]) -> Result<usize, HostError>;
    /// Tells the flow's host peer that no more data comes (FIN).
    fn tcp_shutdown(&mut self, flow: FlowId);
    /// Closes a flow's host socket. The flow's name may be reused at once.
    fn tcp_close(&mut self, flow: FlowId, how: Close);

    /// Hands a query to the link's name server. Whatever that answers to the container's end `from` comes by
    /// `Stack::dns_answered`. The default is for an edge that has no name server.
    ///
    /// # Errors
    /// When the query is lost: the name server does not keep up.
    fn dns_query(&mut self, _from: SocketAddr, _query: &[u8]) -> Result<(), HostError> {
        Err(HostError::WouldBlock)
    }
    /// Connects a flow to the link's name server, in the place of [`Edge::tcp_connect`].
    ///
    /// # Errors
    /// As for [`Edge::tcp_connect`].
    fn dns_connect(&mut self, _flow: FlowId) -> Result<(), HostError> {
        Err(HostError::Refused)
    }

    /// Opens a UDP socket for a mapping, at the container's own `port` where that is free.
    fn udp_open(&mut self, mapping: UdpId, family: Family, port: u16) -> Result<(), HostError>;
    /// Sends datagrams.
    fn udp_send(&mut self, mapping: UdpId, datagram: &Outgoing<'_>) -> Result<(), HostError>;
    /// Closes a mapping's socket. The mapping's name may be reused at once.
    fn udp_close(&mut self, mapping: UdpId);

    /// Opens a ping socket (icmp(7)).
    fn ping_open(&mut self, mapping: PingId, family: Family) -> Result<(), HostError>;
    /// Sends an echo request with this sequence number and data.
    fn ping_send(&mut self, mapping: PingId, sequence: u16, datagram: &Outgoing<'_>) -> Result<(), HostError>;
    /// Closes a mapping's ping socket. The mapping's name may be reused at once.
    fn ping_close(&mut self, mapping: PingId);

    /// Makes something the stack's own before it is opened; tells whose it is already. The default is for a stack that
    /// serves its container alone, as that of all that follows.
    fn claim(&mut self, _what: &Claim) -> Result<(), Peer> {
        Ok(())
    }
    /// Gives up what was claimed.
    fn release(&mut self, _what: &Claim) {}
    /// The other stack that has claimed this, if one has.
    fn owner(&mut self, _what: &Claim) -> Option<Peer> {
        None
    }
    /// The stack that does what only one can do: puts fragments together, advertises itself as router. `None` for this
    /// one.
    fn lead(&self) -> Option<Peer> {
        None
    }
    /// Hands a packet to another stack, which takes it by `Stack::handle_diverted`.
    ///
    /// # Errors
    /// [`HostError::WouldBlock`] when too much waits there already.
    fn divert(&mut self, _to: Peer, _packet: &Diverted<'_>) -> Result<(), HostError> {
        Err(HostError::WouldBlock)
    }
    /// Tells that the container's hardware address has become known or is another now: the other stacks hear of it by
    /// `Stack::learn`.
    fn learned(&mut self, _mac: MacAddr) {}
}

/// The sizes that the rings of a flow come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RingClass {
    /// For thousands of flows at once.
    Small,
    /// For hundreds.
    Medium,
    /// For the ordinary few: large enough that wrapping around is rare.
    Large,
}

impl RingClass {
    /// Every class, the smallest first.
    pub const ALL: [RingClass; 3] = [RingClass::Small, RingClass::Medium, RingClass::Large];

    /// Bytes of the ring that holds what the container sent.
    pub const fn receive_bytes(self) -> usize {
        match self {
            RingClass::Small => 16 << 10,
            RingClass::Medium => 128 << 10,
            RingClass::Large => 512 << 10,
        }
    }

    /// Bytes of the ring that holds what goes to the container.
    pub const fn transmit_bytes(self) -> usize {
        match self {
            RingClass::Small => 16 << 10,
            RingClass::Medium => 256 << 10,
            RingClass::Large => 1 << 20,
        }
    }

    /// Bytes of both rings.
    pub const fn bytes(self) -> usize {
        self.receive_bytes() + self.transmit_bytes()
    }
}

/// The two rings of one flow, lent by a [`RingMemory`].
pub struct Rings {
    /// Names them towards the lender.
    pub slot: usize,
    /// Holds what the container sent.
    pub receive: SocketBuffer<'static>,
    /// Holds what goes to the container.
    pub transmit: SocketBuffer<'static>,
}

/// Where the memory of rings comes from. Rings are lent for good: the stack keeps them for later flows.
pub trait RingMemory {
    /// Lends the rings of one flow; `None` when there is no memory left.
    fn lend(&mut self, class: RingClass) -> Option<Rings>;

    /// Tells that the rings of `slot` hold nothing now: their pages may be given back to the system, whatever they
    /// contain is not read again before it is written.
    fn release_pages(&mut self, slot: usize, class: RingClass);
}

/// Ring memory from the ordinary heap, for tests and fuzzers.
#[derive(Debug, Default)]
pub struct HeapRings;

impl RingMemory for HeapRings {
    fn lend(&mut self, class: RingClass) -> Option<Rings> {
        Some(Rings {
            slot: 0,
            receive: SocketBuffer::new(vec![0; class.receive_bytes()]),
            transmit: SocketBuffer::new(vec![0; class.transmit_bytes()]),
        })
    }

    fn release_pages(&mut self, _slot: usize, _class: RingClass) {}
}
