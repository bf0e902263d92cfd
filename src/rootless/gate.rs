//! Listens at the host's published TCP ports only while something listens behind them in the container.
//!
//! A socket that is bound and does not listen keeps its port, and its kernel answers SYNs with RST: the client is refused, as it
//! would be without rnet.

use std::collections::HashSet;
use std::io;
use std::net::{Shutdown, SocketAddr};

use rnet_stack::Family;
use socket2::SockRef;

use super::listen::BACKLOG;
use super::worker::Worker;
use crate::agent::{Port, Ports};
use crate::config::Protocol;

/// What is known of the container's listeners.
#[derive(Clone, Debug, Default)]
pub enum Gate {
    /// Nothing: all ports listen.
    #[default]
    Open,
    /// These are there.
    Listening(Ports),
    /// The container has ended: no port listens.
    Shut,
}

impl Gate {
    /// Whether a port is to listen that leads there.
    pub fn lets_in(&self, to: SocketAddr) -> bool {
        match self {
            Gate::Open => true,
            Gate::Listening(ports) => ports.contains(port(to)),
            Gate::Shut => false,
        }
    }
}

/// A TCP port of the container's.
pub fn port(to: SocketAddr) -> Port {
    Port { protocol: Protocol::Tcp, family: Family::of(to.ip()), number: to.port() }
}

/// Lets a bound socket listen.
pub fn open(socket: SockRef<'_>) -> io::Result<()> {
    // Connections that were here before and are in TIME-WAIT do not keep the port.
    socket.set_reuse_address(true)?;
    socket.listen(BACKLOG)
}

/// Lets a listening socket listen no more; it keeps its port.
pub fn close(socket: SockRef<'_>) -> io::Result<()> {
    // For the kernel that is a disconnect (inet_shutdown of net/ipv4/af_inet.c): the state is CLOSE, the port stays bound.
    socket.shutdown(Shutdown::Read)?;
    // Otherwise another program that sets SO_REUSEADDR could have the port as long as nobody listens.
    socket.set_reuse_address(false)
}

/// A change of what is known.
#[derive(Clone, Debug)]
pub enum Change {
    /// All of it.
    All(Gate),
    /// These ports only.
    Ports(Vec<(Port, bool)>),
}

impl Worker {
    /// Obeys a change. One worker does it for all: they share the sockets.
    pub fn change_gate(&mut self, change: Change) {
        match change {
            Change::All(gate) => self.listeners.set_gate(gate, |_| true),
            Change::Ports(changes) => {
                let Gate::Listening(mut ports) = self.listeners.take_gate() else { return };
                changes.iter().for_each(|(port, is_open)| ports.set(*port, *is_open));
                let changed: HashSet<Port> = changes.into_iter().map(|(port, _)| port).collect();
                self.listeners.set_gate(Gate::Listening(ports), |to| changed.contains(&port(to)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use socket2::{Domain, Socket, Type};

    use super::*;

    fn refused(address: SocketAddr) -> bool {
        TcpStream::connect(address).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    }

    #[test]
    fn a_port_that_does_not_listen_refuses_and_is_kept() {
        // A port that is asked for by its number: one that the kernel chose is let go of.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&free.into()).unwrap();
        for _ in 0..3 {
            open(SockRef::from(&socket)).unwrap();
            let client = TcpStream::connect(free).unwrap();
            let (accepted, _) = socket.accept().unwrap();
            close(SockRef::from(&socket)).unwrap();
            assert!(refused(free));
            // The standard library sets SO_REUSEADDR.
            assert_eq!(TcpListener::bind(free).unwrap_err().kind(), io::ErrorKind::AddrInUse);
            assert_eq!(client.peer_addr().unwrap(), free);
            drop(accepted);
        }
    }
}
