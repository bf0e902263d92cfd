//! An address at which a network is served, by datagrams and by connections.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rnet_dns::Reply;
use rnet_dns::containers::NetworkId;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::io::unix::AsyncFd;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};

use super::resolver::Resolver;
use super::{connections, datagrams};
use crate::dns::seldom::Seldom;
use crate::sys::watched;

/// Datagrams that come at once wait here; the kernel gives as much of it as `net.core.rmem_max` allows.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Clients that connect at once.
const BACKLOG: i32 = 128;

/// The sockets of one address.
pub struct Listener {
    network: Cell<NetworkId>,
    pub udp: AsyncFd<OwnedFd>,
    pub tcp: TcpListener,
    /// Answers on their way to clients.
    pub outbox: RefCell<Vec<(SocketAddr, Reply)>>,
    /// Told when there is something in the outbox.
    pub posted: Notify,
    /// What goes wrong with the sockets.
    pub troubles: Seldom,
}

/// A listener that serves.
pub struct Running {
    listener: Rc<Listener>,
    tasks: Vec<JoinHandle<()>>,
}

impl Listener {
    /// Opens both sockets.
    ///
    /// # Errors
    /// What netavark's users look for.
    pub fn bind(address: IpAddr, port: u16, network: NetworkId) -> Result<Rc<Listener>, String> {
        let address = SocketAddr::new(address, port);
        let failed = |protocol| {
            move |error: io::Error| format!("failed to bind {protocol} listener on {address}: IO error: {error}")
        };
        let udp = open(address, Type::DGRAM).and_then(|socket| watched::readable(socket.into()));
        let udp = udp.map_err(failed("udp"))?;
        let tcp = open(address, Type::STREAM).and_then(|socket| {
            socket.listen(BACKLOG)?;
            TcpListener::from_std(socket.into())
        });
        let tcp = tcp.map_err(failed("tcp"))?;
        Ok(Rc::new(Listener {
            network: Cell::new(network),
            udp,
            tcp,
            outbox: RefCell::default(),
            posted: Notify::new(),
            troubles: Seldom::default(),
        }))
    }

    /// The network whose queries come here.
    pub fn network(&self) -> NetworkId {
        self.network.get()
    }

    /// Begins to serve.
    pub fn start(self: Rc<Self>, resolver: &Rc<Resolver>) -> Running {
        let tasks = vec![
            spawn_local(datagrams::serve(Rc::clone(&self), Rc::clone(resolver))),
            spawn_local(datagrams::send_posted(Rc::clone(&self))),
            spawn_local(connections::serve(Rc::clone(&self), Rc::clone(resolver))),
        ];
        Running { listener: self, tasks }
    }
}

impl Running {
    /// The network whose queries come here.
    pub fn network(&self) -> NetworkId {
        self.listener.network()
    }

    /// Ends it; its sockets are closed afterwards.
    pub async fn stop(self) {
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

fn open(address: SocketAddr, kind: Type) -> io::Result<Socket> {
    let protocol = if kind == Type::STREAM { Protocol::TCP } else { Protocol::UDP };
    let socket = Socket::new(Domain::for_address(address), kind.nonblocking().cloexec(), Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    match kind {
        // Connections of a server that has just ended are no reason not to start.
        Type::STREAM => socket.set_reuse_address(true)?,
        _ => {
            // A smaller one does as well.
            let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        }
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}
