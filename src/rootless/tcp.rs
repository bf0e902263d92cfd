//! Host sockets of TCP flows, and those that wait to be reset until what they sent has arrived.

use std::io::{self, IoSlice, Read, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry};
use rnet_stack::{Close, Family, FlowId, HostError, Readiness};
use socket2::{Protocol, SockAddr, SockRef, Type};

use super::host_error::host_error;
use super::listen::RuleId;
use super::resets::{Resets, reset};
use super::slots::Slots;
use super::sockets;
use super::token::Source;
use crate::config::Outbound;

/// What is sent first may be as long and still goes out at once in one segment, whatever the path (RFC 9293 section
/// 3.7.1), so that Nagle's algorithm has nothing to hold back.
const ONE_SEGMENT: usize = 536;

/// A connected socket, or one that connects. Options are set when they first matter, which for a short connection is never.
struct Stream {
    socket: TcpStream,
    /// Whether anything was sent.
    sent: bool,
    /// Whether Nagle's algorithm is off.
    nodelay: bool,
    /// Whether urgent bytes stay where they are in the stream.
    inline: bool,
    /// The rule that the client came by.
    rule: Option<RuleId>,
}

impl Stream {
    /// Sees to it that `len` bytes are sent at once: the container's own stack has decided what makes a segment.
    fn no_delay(&mut self, len: usize) -> io::Result<()> {
        if !self.nodelay && (self.sent || len > ONE_SEGMENT) {
            self.nodelay = true;
            self.socket.set_nodelay(true)?;
        }
        self.sent = true;
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.no_delay(bytes.len())?;
        self.socket.write(bytes)
    }

    /// Sends what the end of the stream follows at once, in the same segment.
    fn send_last(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sent = true;
        SockRef::from(&self.socket).send_with_flags(bytes, libc::MSG_MORE | libc::MSG_NOSIGNAL)
    }

    fn send_pieces(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.no_delay(usize::MAX)?;
        self.socket.write_vectored(pieces)
    }
}

/// Where a flow's socket comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was made to connect.
    Connect,
    /// It was accepted by this rule, and has got its options from its listener (`listen.rs`).
    Listener(RuleId),
    /// Its other end is in another process of ours: it is no TCP connection and has none of its options.
    Local,
}

/// All TCP sockets of the packet loop.
#[derive(Default)]
pub struct TcpSockets {
    streams: Slots<Stream>,
    resets: Resets,
}

impl TcpSockets {
    /// Starts to connect.
    pub fn connect(
        &mut self,
        flow: FlowId,
        to: std::net::SocketAddr,
        outbound: &Outbound,
        registry: &Registry,
    ) -> Result<(), HostError> {
        self.try_connect(flow, to, outbound, registry).map_err(|error| host_error(&error))
    }

    fn try_connect(
        &mut self,
        flow: FlowId,
        to: std::net::SocketAddr,
        outbound: &Outbound,
        registry: &Registry,
    ) -> io::Result<()> {
        let outbound = sockets::outbound_for(outbound, to.ip());
        let socket = sockets::open(&outbound, Family::of(to.ip()), Type::STREAM, Some(Protocol::TCP), None)?;
        match socket.connect(&SockAddr::from(to)) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        self.adopt(flow, TcpStream::from_std(socket.into()), Origin::Connect, registry)
    }

    /// Takes a socket for a flow.
    pub fn adopt(
        &mut self,
        flow: FlowId,
        mut stream: TcpStream,
        origin: Origin,
        registry: &Registry,
    ) -> io::Result<()> {
        registry.register(
            &mut stream,
            Source::Tcp(flow).token(),
            Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY,
        )?;
        let (has_options, rule) = match origin {
            Origin::Listener(rule) => (true, Some(rule)),
            Origin::Local => (true, None),
            Origin::Connect => (false, None),
        };
        let stream = Stream { socket: stream, sent: false, nodelay: has_options, inline: has_options, rule };
        self.streams.put(flow.0, stream);
        Ok(())
    }

    /// Resets the clients that have come by rules of which `is_gone` is true, and names their flows: each finds its host side
    /// broken as soon as it is told to look.
    pub fn drop_clients(&mut self, is_gone: impl Fn(RuleId) -> bool) -> Vec<FlowId> {
        let gone = self.streams.take_if(|stream| stream.rule.is_some_and(&is_gone));
        gone.into_iter()
            .map(|(flow, stream)| {
                reset(stream.socket);
                FlowId(flow)
            })
            .collect()
    }

    /// A flow's socket and the rule that its client came by.
    pub fn stream(&self, flow: FlowId) -> Option<(&TcpStream, Option<RuleId>)> {
        self.streams.get(flow.0).map(|stream| (&stream.socket, stream.rule))
    }

    /// Tells that urgent bytes came: they stay where they are in the stream, as they do for a receiver that does not ask
    /// for them.
    pub fn urgent(&mut self, flow: FlowId) {
        if let Some(stream) = self.streams.get_mut(flow.0)
            && !std::mem::replace(&mut stream.inline, true)
        {
            // It fails for a socket that is gone, which has no urgent bytes either.
            let _ = SockRef::from(&stream.socket).set_out_of_band_inline(true);
        }
    }

    /// The outcome of a connect that had an event; `None` while it is still running.
    ///
    /// A socket that is neither connected nor has an error to tell, but hangs up, was connected and lost it already.
    pub fn outcome(&mut self, flow: FlowId, ready: Readiness) -> Option<Result<(), HostError>> {
        let stream = &self.streams.get(flow.0)?.socket;
        if ready.writable && !ready.hang_up {
            // Nothing but an established connection can be written to (tcp_poll in net/ipv4/tcp.c).
            return Some(Ok(()));
        }
        match SockRef::from(stream).take_error() {
            Ok(None) => match stream.peer_addr() {
                Ok(_) => Some(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    ready.hang_up.then_some(Err(HostError::Reset))
                }
                Err(error) => Some(Err(host_error(&error))),
            },
            Ok(Some(error)) | Err(error) => Some(Err(host_error(&error))),
        }
    }

    /// Sends bytes.
    pub fn send(&mut self, flow: FlowId, bytes: &[u8]) -> Result<usize, HostError> {
        let stream = self.streams.get_mut(flow.0).ok_or(HostError::Reset)?;
        outcome(stream.send(bytes))
    }

    /// Sends the last bytes of the stream.
    pub fn send_last(&mut self, flow: FlowId, bytes: &[u8]) -> Result<usize, HostError> {
        let stream = self.streams.get_mut(flow.0).ok_or(HostError::Reset)?;
        outcome(stream.send_last(bytes))
    }

    /// Sends pieces of bytes that follow each other.
    pub fn send_pieces(&mut self, flow: FlowId, pieces: &[IoSlice<'_>]) -> Result<usize, HostError> {
        let stream = self.streams.get_mut(flow.0).ok_or(HostError::Reset)?;
        outcome(stream.send_pieces(pieces))
    }

    /// Receives bytes.
    pub fn receive(&mut self, flow: FlowId, space: &mut [u8]) -> Result<usize, HostError> {
        let stream = self.streams.get_mut(flow.0).ok_or(HostError::Reset)?;
        stream.socket.read(space).map_err(|error| host_error(&error))
    }

    /// Ends the stream towards the peer.
    pub fn shutdown(&mut self, flow: FlowId) {
        if let Some(stream) = self.streams.get(flow.0) {
            // It fails when the peer is gone already, which the next receive tells.
            let _ = stream.socket.shutdown(std::net::Shutdown::Write);
        }
    }

    /// Closes the socket of a flow whose connect failed.
    pub fn forget(&mut self, flow: FlowId) {
        drop(self.streams.take(flow.0));
    }

    /// Closes a flow's socket.
    pub fn close(&mut self, flow: FlowId, how: Close, registry: &Registry) {
        let Some(Stream { socket: mut stream, .. }) = self.streams.take(flow.0) else { return };
        if how == Close::Orderly {
            return;
        }
        // The number may be reused at once, so no event of this socket may come under it.
        let _ = registry.deregister(&mut stream);
        self.resets.add(stream);
    }

    /// Resets the connections whose peers have got everything, or have had long enough.
    pub fn poll_resets(&mut self, now: Instant) {
        self.resets.poll(now);
    }

    /// How long until [`TcpSockets::poll_resets`] is to be called, if at all.
    pub fn reset_delay(&self) -> Option<Duration> {
        self.resets.delay()
    }
}

fn outcome(sent: io::Result<usize>) -> Result<usize, HostError> {
    match sent {
        Ok(0) => Err(HostError::WouldBlock),
        Ok(sent) => Ok(sent),
        Err(error) => Err(host_error(&error)),
    }
}
