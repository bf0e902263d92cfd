//! Host sockets as flows need them: non-blocking, and bound to what the configuration says.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rnet_stack::Family;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::config::Outbound;

/// A non-blocking socket of `kind`, bound to the configured interface and, with `port`, to the configured address.
pub fn open(
    outbound: &Outbound,
    family: Family,
    kind: Type,
    protocol: Option<Protocol>,
    port: Option<u16>,
) -> io::Result<Socket> {
    let domain = match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    };
    let socket = Socket::new(domain, kind.nonblocking().cloexec(), protocol)?;
    if family == Family::V6 {
        socket.set_only_v6(true)?;
    }
    if let Some(interface) = outbound.interface(family) {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    let chosen = match family {
        Family::V4 => outbound.ipv4.map(IpAddr::V4),
        Family::V6 => outbound.ipv6.map(IpAddr::V6),
    };
    let any = match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    match (chosen, port) {
        (Some(ip), port) => bind(&socket, ip, port.unwrap_or(0))?,
        (None, Some(port)) => bind(&socket, any, port)?,
        (None, None) => {}
    }
    Ok(socket)
}

/// Binds to `port`, or to any other where that one is taken or not ours to take.
fn bind(socket: &Socket, ip: IpAddr, port: u16) -> io::Result<()> {
    let first = socket.bind(&SockAddr::from(SocketAddr::new(ip, port)));
    match first {
        Err(error) if port != 0 && matches!(error.raw_os_error(), Some(libc::EADDRINUSE | libc::EACCES)) => {
            socket.bind(&SockAddr::from(SocketAddr::new(ip, 0)))
        }
        other => other,
    }
}

/// The host's own loopback is on no other interface, and its servers expect clients from there, if nothing else is asked for.
pub fn outbound_for(outbound: &Outbound, to: IpAddr) -> Outbound {
    match to.is_loopback() {
        true if outbound.to_loopback => Outbound { ipv4: outbound.ipv4, ipv6: outbound.ipv6, ..Outbound::default() },
        true => Outbound::default(),
        false => outbound.clone(),
    }
}

/// The hop limit that a socket last had set, so that it is set only when it changes.
#[derive(Clone, Copy, Debug)]
pub struct HopLimit(u8);

impl HopLimit {
    /// A socket that was just made: the host's default, taken as unknown.
    pub const UNKNOWN: HopLimit = HopLimit(0);

    /// Sees to it that what is sent next has this hop limit.
    pub fn set(&mut self, socket: &Socket, family: Family, ttl: u8) {
        if self.0 == ttl {
            return;
        }
        let set = match family {
            Family::V4 => socket.set_ttl_v4(u32::from(ttl)),
            Family::V6 => socket.set_unicast_hops_v6(u32::from(ttl)),
        };
        if set.is_ok() {
            self.0 = ttl;
        }
    }
}
