//! Sockets that are made inside for the stack to use.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use nix::sys::socket::{setsockopt, sockopt};
use rnet_stack::Family;
use socket2::{Domain, Socket, Type};

use super::ports::Port;
use super::source::MARK;
use crate::config::{LoopbackSource, Protocol};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;

/// A TCP socket that can be bound to its name, and connect to the container's address over the loopback device there.
pub(super) fn ready(family: Family, name: LoopbackSource) -> io::Result<OwnedFd> {
    let domain = if family == Family::V4 { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::STREAM.nonblocking().cloexec(), Some(socket2::Protocol::TCP))?;
    if name == LoopbackSource::Gateway {
        match family {
            Family::V4 => socket.set_ip_transparent_v4(true)?,
            Family::V6 => socket.set_ip_transparent_v6(true)?,
        }
        socket.set_mark(MARK)?;
        socket.bind_device(Some(b"lo"))?;
    }
    // Only the pair of both ends need be unique: not the port that it is bound to, nor the one that it gets otherwise.
    socket.set_reuse_address(true)?;
    setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_out_of_band_inline(true)?;
    Ok(socket.into())
}

/// The socket of an exposed port at the container's loopback.
pub(super) fn exposed(port: Port) -> io::Result<OwnedFd> {
    let address = SocketAddr::new(loopback(port.family), port.number);
    let (kind, protocol) = match port.protocol {
        Protocol::Tcp => (Type::STREAM, socket2::Protocol::TCP),
        Protocol::Udp => (Type::DGRAM, socket2::Protocol::UDP),
    };
    let socket = Socket::new(Domain::for_address(address), kind.nonblocking().cloexec(), Some(protocol))?;
    if port.family == Family::V6 {
        socket.set_only_v6(true)?;
    }
    if port.protocol == Protocol::Tcp {
        socket.set_reuse_address(true)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_out_of_band_inline(true)?;
    }
    socket.bind(&address.into())?;
    if port.protocol == Protocol::Tcp {
        socket.listen(BACKLOG)?;
    }
    Ok(socket.into())
}

/// The loopback address of a family.
pub fn loopback(family: Family) -> std::net::IpAddr {
    match family {
        Family::V4 => Ipv4Addr::LOCALHOST.into(),
        Family::V6 => Ipv6Addr::LOCALHOST.into(),
    }
}
