//! Ping sockets of echo mappings (icmp(7)): echo requests without privileges.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry};
use nix::sys::socket::{setsockopt, sockopt};
use rnet_stack::{Family, HostError, Outgoing, PingId};
use socket2::{Protocol, SockAddr, Socket, Type};

use super::host_error::host_error;
use super::slots::Slots;
use super::sockets::{self, HopLimit};
use super::token::Source;
use crate::config::Outbound;

const HEADER_LEN: usize = 8;
const ECHO_REQUEST_V4: u8 = 8;
const ECHO_REPLY_V4: u8 = 0;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;

/// All ping sockets of the packet loop.
pub struct PingSockets {
    sockets: Slots<PingSocket>,
    buffer: Vec<u8>,
}

struct PingSocket {
    socket: Socket,
    family: Family,
    ttl: HopLimit,
}

/// An echo reply.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// Who answered.
    pub from: IpAddr,
    /// The sequence number of the request.
    pub sequence: u16,
    /// The data of the request.
    pub data: &'a [u8],
}

impl Default for PingSockets {
    fn default() -> Self {
        PingSockets { sockets: Slots::default(), buffer: vec![0; 65536] }
    }
}

impl PingSockets {
    /// Opens a mapping's ping socket.
    ///
    /// # Errors
    /// EACCES when the host's `net.ipv4.ping_group_range` leaves our groups out.
    pub fn open(
        &mut self,
        mapping: PingId,
        family: Family,
        outbound: &Outbound,
        registry: &Registry,
    ) -> io::Result<()> {
        let protocol = match family {
            Family::V4 => Protocol::ICMPV4,
            Family::V6 => Protocol::ICMPV6,
        };
        let socket = sockets::open(outbound, family, Type::DGRAM, Some(protocol), None)?;
        match family {
            Family::V4 => setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?,
            Family::V6 => setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?,
        }
        registry.register(&mut SourceFd(&socket.as_raw_fd()), Source::Ping(mapping).token(), Interest::READABLE)?;
        self.sockets.put(mapping.0, PingSocket { socket, family, ttl: HopLimit::UNKNOWN });
        Ok(())
    }

    /// Sends an echo request. The kernel puts the identifier and the checksum in.
    pub fn send(&mut self, mapping: PingId, sequence: u16, datagram: &Outgoing<'_>) -> Result<(), HostError> {
        let socket = self.sockets.get_mut(mapping.0).ok_or(HostError::Reset)?;
        socket.ttl.set(&socket.socket, socket.family, datagram.ttl);
        let kind = match socket.family {
            Family::V4 => ECHO_REQUEST_V4,
            Family::V6 => ECHO_REQUEST_V6,
        };
        let [seq0, seq1] = sequence.to_be_bytes();
        let mut message = Vec::with_capacity(HEADER_LEN + datagram.payload.len());
        message.extend_from_slice(&[kind, 0, 0, 0, 0, 0, seq0, seq1]);
        message.extend_from_slice(datagram.payload);
        let to = SockAddr::from(datagram.to);
        let sent = match socket.socket.send_to(&message, &to) {
            // An error for an earlier request was reported; its details are in the error queue.
            Err(error)
                if error.raw_os_error().is_some_and(|code| super::udp::pending(nix::errno::Errno::from_raw(code))) =>
            {
                socket.socket.send_to(&message, &to)
            }
            sent => sent,
        };
        sent.map(drop).map_err(|error| host_error(&error))
    }

    /// Receives one message; `Some(None)` for one that is no echo reply, `None` when there is nothing more.
    pub fn receive(&mut self, mapping: PingId) -> Option<Option<Reply<'_>>> {
        let PingSockets { sockets, buffer, .. } = self;
        let socket = sockets.get_mut(mapping.0)?;
        let expected = match socket.family {
            Family::V4 => ECHO_REPLY_V4,
            Family::V6 => ECHO_REPLY_V6,
        };
        let (len, from) =
            match nix::sys::socket::recvfrom::<nix::sys::socket::SockaddrStorage>(socket.socket.as_raw_fd(), buffer) {
                Ok((len, Some(from))) => (len, super::udp::socket_addr(&from)?),
                Ok((_, None)) => return Some(None),
                Err(error) if super::udp::pending(error) => return Some(None),
                Err(_) => return None,
            };
        let Some((header, data)) = buffer.get(..len)?.split_first_chunk::<HEADER_LEN>() else { return Some(None) };
        if header[0] != expected {
            return Some(None);
        }
        Some(Some(Reply { from: from.ip(), sequence: u16::from_be_bytes([header[6], header[7]]), data }))
    }

    /// A mapping's socket and its family, for its error queue.
    pub fn socket(&self, mapping: PingId) -> Option<(std::os::fd::BorrowedFd<'_>, Family)> {
        self.sockets.get(mapping.0).map(|socket| (socket.socket.as_fd(), socket.family))
    }

    /// Closes a mapping's socket.
    pub fn close(&mut self, mapping: PingId) {
        drop(self.sockets.take(mapping.0));
    }
}
