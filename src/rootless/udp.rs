//! Host sockets of UDP mappings.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry};
use nix::sys::socket::{
    ControlMessage, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage, sendmsg, setsockopt, sockopt,
};
use rnet_stack::{DATAGRAM_HEADROOM, Family, HostError, Outgoing, UdpId};
use socket2::{Protocol, Socket, Type};

use super::host_error::host_error;
use super::listen::{Ends, Published, RuleId};
use super::slots::Slots;
use super::sockets::{self, HopLimit};
use super::token::Source;
use super::udp_batch::Batch;
use super::udp_run::Run;
use crate::config::Outbound;
use crate::sys::messages::Messages;
use crate::tap::offload::Offloads;

/// Room for the datagrams that the kernel holds for a mapping: bursts must outlast a turn of the loop.
const RECEIVE_BUFFER: usize = 1 << 20;

/// All UDP sockets of the packet loop.
pub struct UdpSockets {
    sockets: Slots<UdpSocket>,
    inbox: Option<(Messages, Run)>,
    offloads: Offloads,
    batch: Batch,
    /// Batches that the host did not take.
    lost: u64,
}

struct UdpSocket {
    socket: Socket,
    family: Family,
    ttl: HopLimit,
    /// What it is the socket of, if it was published.
    published: Option<(Ends, RuleId)>,
}

impl UdpSockets {
    /// No sockets yet. Without UDP offloads on the tap nothing is coalesced that would have to be cut again.
    pub fn new(offloads: Offloads) -> UdpSockets {
        UdpSockets { sockets: Slots::default(), inbox: None, offloads, batch: Batch::default(), lost: 0 }
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
        self.adopt(mapping, family, socket, None, registry)
    }

    /// Takes the socket of a published port for a mapping.
    pub fn publish(&mut self, mapping: UdpId, published: Published, registry: &Registry) -> io::Result<()> {
        let Published { socket, ends, rule } = published;
        // What is behind it may be of the other family.
        self.adopt(mapping, Family::of(ends.at.ip()), socket, Some((ends, rule)), registry)
    }

    fn adopt(
        &mut self,
        mapping: UdpId,
        family: Family,
        socket: Socket,
        published: Option<(Ends, RuleId)>,
        registry: &Registry,
    ) -> io::Result<()> {
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
        self.sockets.put(mapping.0, UdpSocket { socket, family, ttl: HopLimit::UNKNOWN, published });
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
        match batch.waiting().map(|(mapping, datagrams)| self.send_now(mapping, &datagrams)) {
            Some(Err(_)) => {
                self.lost += 1;
                batch.clear();
            }
            _ => batch.sent(),
        }
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

    /// Receives what the socket holds, into what [`UdpSockets::take_inbox`] gave; says how many datagrams came.
    pub fn receive(&mut self, mapping: UdpId, inbox: &mut Messages) -> Option<Result<usize, HostError>> {
        let socket = self.sockets.get(mapping.0)?;
        Some(inbox.receive(&socket.socket).map_err(|error| host_error(&error.into())))
    }

    /// Whether datagrams may be handed to the tap device several at once.
    pub fn may_coalesce(&self) -> bool {
        self.offloads == Offloads::TcpAndUdp
    }

    /// Room to receive into, made at the first use; put back with [`UdpSockets::return_inbox`].
    pub fn take_inbox(&mut self) -> (Messages, Run) {
        self.inbox.take().unwrap_or_else(|| (Messages::new(DATAGRAM_HEADROOM), Run::new(DATAGRAM_HEADROOM)))
    }

    /// Puts the room back.
    pub fn return_inbox(&mut self, inbox: (Messages, Run)) {
        self.inbox = Some(inbox);
    }

    /// A mapping's socket and its family, for its error queue.
    pub fn socket(&self, mapping: UdpId) -> Option<(std::os::fd::BorrowedFd<'_>, Family)> {
        self.sockets.get(mapping.0).map(|socket| (socket.socket.as_fd(), socket.family))
    }

    /// The published ports.
    pub fn published(&self) -> impl Iterator<Item = (UdpId, Ends, RuleId)> {
        self.sockets.iter().filter_map(|(id, socket)| socket.published.map(|(ends, rule)| (UdpId(id), ends, rule)))
    }

    /// The host's end of a mapping.
    pub fn local_addr(&self, mapping: UdpId) -> Option<SocketAddr> {
        self.sockets.get(mapping.0)?.socket.local_addr().ok()?.as_socket()
    }

    /// The rule that has published a mapping's port.
    pub fn rule(&self, mapping: UdpId) -> Option<RuleId> {
        self.sockets.get(mapping.0)?.published.map(|(_, rule)| rule)
    }

    /// Gives a published port to another rule.
    pub fn rename(&mut self, mapping: UdpId, to: RuleId) {
        if let Some((_, rule)) = self.sockets.get_mut(mapping.0).and_then(|socket| socket.published.as_mut()) {
            *rule = to;
        }
    }

    /// Takes the socket of a published port back.
    pub fn take(&mut self, mapping: UdpId, registry: &Registry) -> Option<Published> {
        self.flush();
        self.batch.clear();
        let UdpSocket { socket, published, .. } = self.sockets.take(mapping.0)?;
        let (ends, rule) = published?;
        // It may be watched under another number soon.
        let _ = registry.deregister(&mut SourceFd(&socket.as_raw_fd()));
        Some(Published { socket, ends, rule })
    }

    /// Closes a mapping's socket.
    pub fn close(&mut self, mapping: UdpId) {
        self.flush();
        self.batch.clear();
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
