//! Host sockets of UDP mappings.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage, recvmsg, sendmsg,
    setsockopt, sockopt,
};
use rnet_stack::{DATAGRAM_HEADROOM, Family, HostError, Outgoing, UdpId};
use socket2::{Protocol, Socket, Type};

use super::host_error::host_error;
use super::slots::Slots;
use super::sockets::{self, HopLimit};
use super::token::Source;
use super::udp_batch::Batch;
use super::udp_run::RUN_MAX;
use crate::config::Outbound;
use crate::tap::offload::Offloads;

/// Payload of the largest datagram, and of a batch that the kernel coalesced (UDP_GRO).
const PAYLOAD_MAX: usize = 65535;

/// Room for the datagrams that the kernel holds for a mapping: bursts must outlast a turn of the loop.
const RECEIVE_BUFFER: usize = 1 << 20;

/// All UDP sockets of the packet loop.
pub struct UdpSockets {
    sockets: Slots<UdpSocket>,
    buffer: Box<[u8]>,
    control: Vec<u8>,
    offloads: Offloads,
    batch: Batch,
    /// Batches that the host did not take.
    lost: u64,
}

struct UdpSocket {
    socket: Socket,
    family: Family,
    ttl: HopLimit,
}

/// What was received: from whom, how many bytes, and of how many bytes each datagram is when there are several.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Who sent it.
    pub from: SocketAddr,
    /// Bytes of the payload.
    pub len: usize,
    /// Bytes of each datagram but the last.
    pub segment: Option<u16>,
}

impl UdpSockets {
    /// No sockets yet. Without UDP offloads on the tap nothing is coalesced that would have to be cut again.
    pub fn new(offloads: Offloads) -> UdpSockets {
        UdpSockets {
            sockets: Slots::default(),
            buffer: vec![0; DATAGRAM_HEADROOM + RUN_MAX + PAYLOAD_MAX].into_boxed_slice(),
            control: nix::cmsg_space!(i32, libc::sock_extended_err, libc::sockaddr_in6),
            offloads,
            batch: Batch::default(),
            lost: 0,
        }
    }

    /// Opens a mapping's socket, at `port` where that is possible.
    pub fn open(
        &mut self,
        mapping: UdpId,
        family: Family,
        port: u16,
        outbound: &Outbound,
        registry: &Registry,
    ) -> io::Result<()> {
        let socket = sockets::open(outbound, family, Type::DGRAM, Some(Protocol::UDP), Some(port))?;
        self.adopt(mapping, family, socket, registry)
    }

    /// Takes a socket for a mapping.
    pub fn adopt(&mut self, mapping: UdpId, family: Family, socket: Socket, registry: &Registry) -> io::Result<()> {
        match family {
            Family::V4 => setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?,
            Family::V6 => setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?,
        }
        if self.offloads == Offloads::TcpAndUdp {
            // A kernel before Linux 5.0 has no such option; datagrams then come one by one.
            let _ = setsockopt(&socket, sockopt::UdpGroSegment, &true);
        }
        // The host's limit (net.core.rmem_max) may allow less.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        registry.register(&mut SourceFd(&socket.as_raw_fd()), Source::Udp(mapping).token(), Interest::READABLE)?;
        self.sockets.put(mapping.0, UdpSocket { socket, family, ttl: HopLimit::UNKNOWN });
        Ok(())
    }

    /// Sends datagrams, or keeps them to be sent with others until [`UdpSockets::flush`].
    pub fn send(&mut self, mapping: UdpId, datagram: &Outgoing<'_>) -> Result<(), HostError> {
        if self.batch.take(mapping, datagram) {
            return Ok(());
        }
        self.flush();
        self.send_now(mapping, datagram)?;
        self.batch.follow(mapping, datagram);
        Ok(())
    }

    /// Sends what was kept.
    pub fn flush(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        if let Some((mapping, datagrams)) = batch.waiting()
            && self.send_now(mapping, &datagrams).is_err()
        {
            self.lost += 1;
        }
        batch.clear();
        self.batch = batch;
    }

    /// Batches that the host did not take.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn send_now(&mut self, mapping: UdpId, datagram: &Outgoing<'_>) -> Result<(), HostError> {
        let socket = self.sockets.get_mut(mapping.0).ok_or(HostError::Reset)?;
        socket.ttl.set(&socket.socket, socket.family, datagram.ttl);
        let payload = [IoSlice::new(datagram.payload)];
        let segment = datagram.segment.filter(|segment| usize::from(*segment) < datagram.payload.len());
        let control: &[ControlMessage<'_>] = match &segment {
            Some(segment) => &[ControlMessage::UdpGsoSegments(segment)],
            None => &[],
        };
        let send = || {
            let fd = socket.socket.as_raw_fd();
            match datagram.to {
                SocketAddr::V4(to) => sendmsg(fd, &payload, control, MsgFlags::empty(), Some(&SockaddrIn::from(to))),
                SocketAddr::V6(to) => sendmsg(fd, &payload, control, MsgFlags::empty(), Some(&SockaddrIn6::from(to))),
            }
        };
        match send().or_else(|error| if pending(error) { send() } else { Err(error) }) {
            Ok(_) => Ok(()),
            Err(nix::errno::Errno::EIO | nix::errno::Errno::EINVAL) if segment.is_some() => {
                self.send_one_by_one(mapping, datagram)
            }
            Err(error) => Err(host_error(&error.into())),
        }
    }

    /// Some devices cannot cut datagrams (no checksum offload, or datagrams larger than their MTU).
    fn send_one_by_one(&mut self, mapping: UdpId, datagram: &Outgoing<'_>) -> Result<(), HostError> {
        let size = usize::from(datagram.segment.unwrap_or(u16::MAX)).max(1);
        let mut outcome = Ok(());
        for payload in datagram.payload.chunks(size) {
            outcome = outcome.and(self.send_now(mapping, &Outgoing { payload, segment: None, ..*datagram }));
        }
        outcome
    }

    /// Receives once, at `place` bytes behind the headroom of the buffer.
    pub fn receive(&mut self, mapping: UdpId, place: usize) -> Option<Result<Received, HostError>> {
        let UdpSockets { sockets, buffer, control, .. } = self;
        let socket = sockets.get(mapping.0)?;
        let mut space = [io::IoSliceMut::new(buffer.get_mut(DATAGRAM_HEADROOM + place..)?)];
        let fd = socket.socket.as_raw_fd();
        let message = match recvmsg::<SockaddrStorage>(fd, &mut space, Some(control), MsgFlags::empty()) {
            Ok(message) => message,
            Err(error) => return Some(Err(host_error(&error.into()))),
        };
        let segment = message.cmsgs().ok().and_then(|mut messages| {
            messages.find_map(|message| match message {
                ControlMessageOwned::UdpGroSegments(size) => u16::try_from(size).ok().filter(|size| *size > 0),
                _ => None,
            })
        });
        let from = message.address.as_ref().and_then(socket_addr)?;
        Some(Ok(Received { from, len: message.bytes, segment }))
    }

    /// Whether datagrams may be handed to the tap device several at once.
    pub fn may_coalesce(&self) -> bool {
        self.offloads == Offloads::TcpAndUdp
    }

    /// The buffer with what was received; put back with [`UdpSockets::return_buffer`].
    pub fn take_buffer(&mut self) -> Box<[u8]> {
        std::mem::take(&mut self.buffer)
    }

    /// Puts the buffer back.
    pub fn return_buffer(&mut self, buffer: Box<[u8]>) {
        self.buffer = buffer;
    }

    /// A mapping's socket and its family, for its error queue.
    pub fn socket(&self, mapping: UdpId) -> Option<(std::os::fd::BorrowedFd<'_>, Family)> {
        self.sockets.get(mapping.0).map(|socket| (socket.socket.as_fd(), socket.family))
    }

    /// Closes a mapping's socket.
    pub fn close(&mut self, mapping: UdpId) {
        self.flush();
        // Closing the only descriptor takes it out of epoll.
        drop(self.sockets.take(mapping.0));
    }
}

/// Whether an error is not this datagram's but one that came for an earlier one (IP_RECVERR reports it once).
pub fn pending(error: nix::errno::Errno) -> bool {
    use nix::errno::Errno;
    matches!(error, Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::EPROTO | Errno::ENOPROTOOPT)
}

/// The socket address in a kernel address.
pub fn socket_addr(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddr::V4((*v4).into()));
    }
    storage.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into()))
}
