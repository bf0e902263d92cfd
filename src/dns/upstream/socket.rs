//! Sockets to servers, bound to what the configuration says.

use std::io;
use std::net::{IpAddr, SocketAddr};

use rnet_stack::Family;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::config::Outbound;

/// A non-blocking socket for talking to `server`. The host's loopback is reached from any address.
pub fn open(outbound: &Outbound, server: SocketAddr, kind: Type) -> io::Result<Socket> {
    let protocol = if kind == Type::STREAM { Protocol::TCP } else { Protocol::UDP };
    let socket = Socket::new(Domain::for_address(server), kind.nonblocking().cloexec(), Some(protocol))?;
    if server.ip().is_loopback() {
        return Ok(socket);
    }
    if let Some(interface) = outbound.interface(Family::of(server.ip())) {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    let source = match server {
        SocketAddr::V4(_) => outbound.ipv4.map(IpAddr::V4),
        SocketAddr::V6(_) => outbound.ipv6.map(IpAddr::V6),
    };
    if let Some(source) = source {
        socket.bind(&SockAddr::from(SocketAddr::new(source, 0)))?;
    }
    Ok(socket)
}

/// Connects by TCP.
pub async fn connect(outbound: &Outbound, server: SocketAddr) -> io::Result<tokio::net::TcpStream> {
    let socket = open(outbound, server, Type::STREAM)?;
    tokio::net::TcpSocket::from_std_stream(socket.into()).connect(server).await
}
