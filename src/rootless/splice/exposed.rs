//! TCP ports of the host's loopback that are exposed at the container's.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use mio::{Interest, Registry};
use rnet_stack::Family;
use slab::Slab;
use socket2::{Domain, Socket, Type};
use tracing::{debug, warn};

use super::pairs::Pairs;
use super::splicer::{Splicer, connect};
use super::token::Source;
use crate::agent::Port;
use crate::config::{Expose, Network, Protocol};
use crate::rootless::resets::reset;

/// Connections that are accepted before others have their turn.
const ACCEPTS_A_TURN: usize = 64;

/// How long nothing is accepted when the host is out of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// A listener inside.
#[derive(Debug)]
struct Listener {
    socket: TcpListener,
    port: Port,
    to: SocketAddr,
}

/// The listeners inside.
#[derive(Debug)]
pub struct Listeners {
    rules: Vec<Expose>,
    listeners: Slab<Listener>,
    /// Those that may have connections waiting.
    ready: VecDeque<usize>,
    paused: Option<Instant>,
}

impl Listeners {
    /// None yet.
    pub fn new(network: &Network) -> Listeners {
        Listeners { rules: network.expose.clone(), listeners: Slab::new(), ready: VecDeque::new(), paused: None }
    }

    /// The host's end behind an exposed port.
    pub fn behind(&self, port: Port) -> Option<SocketAddr> {
        let host = self.rules.iter().find_map(|rule| rule.host_port(port.protocol, port.number))?;
        Some(SocketAddr::new(crate::agent::loopback(port.family), host))
    }

    fn add(&mut self, port: Port, socket: OwnedFd, to: SocketAddr, registry: &Registry) -> io::Result<()> {
        let mut socket = TcpListener::from_std(Socket::from(socket).into());
        let place = self.listeners.vacant_entry();
        registry.register(&mut socket, Source::Listener(place.key()).token(), Interest::READABLE)?;
        place.insert(Listener { socket, port, to });
        Ok(())
    }

    /// Closes the listener of a port; the connections that came by it go on.
    pub fn remove(&mut self, port: Port, registry: &Registry) {
        self.listeners.retain(|_, listener| {
            let stays = listener.port != port;
            if !stays {
                let _ = registry.deregister(&mut listener.socket);
            }
            stays
        });
        self.ready.retain(|place| self.listeners.contains(*place));
    }

    /// Notes that a listener has had an event.
    pub fn ready(&mut self, place: usize) {
        if !self.ready.contains(&place) {
            self.ready.push_back(place);
        }
    }

    /// How long until there may be something to accept.
    pub fn delay(&self, now: Instant) -> Option<Duration> {
        let paused = self.paused.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        (!self.ready.is_empty()).then_some(paused)
    }

    /// Accepts some connections, and connects each to the host's end.
    pub fn turn(&mut self, pairs: &mut Pairs, registry: &Registry) {
        if self.paused.is_some_and(|until| until > Instant::now()) {
            return;
        }
        self.paused = None;
        for _ in 0..ACCEPTS_A_TURN {
            let Some(&place) = self.ready.front() else { return };
            let Some(Listener { socket, to, .. }) = self.listeners.get(place) else {
                self.ready.pop_front();
                continue;
            };
            let client = match socket.accept() {
                Ok((client, _)) => client,
                Err(error) => match error.raw_os_error() {
                    Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                        self.paused = Some(Instant::now() + PAUSE);
                        return;
                    }
                    Some(libc::EAGAIN | libc::EINVAL) => {
                        self.ready.pop_front();
                        continue;
                    }
                    _ => continue,
                },
            };
            self.ready.rotate_left(1);
            if pairs.is_full() {
                pairs.refuse(client);
                continue;
            }
            match open(*to).and_then(|socket| connect(socket, *to)) {
                Ok(other) => {
                    if let Err(error) = pairs.add(client, other, None, registry) {
                        debug!(%error, "a client of an exposed port is lost");
                    }
                }
                Err(error) => {
                    debug!(%error, "a client of an exposed port is refused");
                    reset(client);
                }
            }
        }
    }

    /// Closes all.
    pub fn clear(&mut self) {
        self.listeners.clear();
        self.ready.clear();
    }
}

impl Splicer {
    /// Serves an exposed port.
    pub(super) fn expose(&mut self, port: Port, socket: OwnedFd) {
        let to = match self.exposed.behind(port) {
            Some(to) => to,
            None if self.has_come(port) => SocketAddr::new(crate::agent::loopback(port.family), port.number),
            None => return,
        };
        let added = match port.protocol {
            Protocol::Tcp => self.exposed.add(port, socket, to, self.poll.registry()),
            Protocol::Udp => self.relay.add(port, socket, to, self.poll.registry()),
        };
        if let Err(error) = added {
            warn!(%error, "the exposed port {}/{} is lost", port.number, port.protocol);
        }
    }
}

/// A socket of the host's for a connection.
fn open(to: SocketAddr) -> io::Result<Socket> {
    let family = Family::of(to.ip());
    let domain = if family == Family::V4 { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::STREAM.nonblocking().cloexec(), Some(socket2::Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    socket.set_out_of_band_inline(true)?;
    Ok(socket)
}
