//! UDP ports of the host's loopback that are exposed at the container's: each client has a socket of its own on the host, as
//! long as it is heard of.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry};
use slab::Slab;
use tracing::debug;

use super::token::Source;
use crate::agent::Port;
use crate::config::Network;

/// How long a client is remembered that has been answered, and one that has not.
const IDLE: Duration = Duration::from_secs(300);
const IDLE_UNANSWERED: Duration = Duration::from_secs(30);

/// How often it is looked who has been silent for so long.
const LOOK: Duration = Duration::from_secs(10);

/// Datagrams that are carried for one socket before others have their turn.
const DATAGRAMS_A_TURN: usize = 64;

/// The largest datagram.
const DATAGRAM: usize = 65535;

/// A socket inside.
#[derive(Debug)]
struct Inside {
    socket: UdpSocket,
    port: Port,
    to: SocketAddr,
}

/// Who sent to it, and its socket on the host.
#[derive(Debug)]
struct Client {
    socket: UdpSocket,
    port: usize,
    from: SocketAddr,
    until: Instant,
}

/// All exposed UDP ports.
#[derive(Debug)]
pub struct Relay {
    ports: Slab<Inside>,
    clients: Slab<Client>,
    by_name: HashMap<(usize, SocketAddr), usize>,
    most: usize,
    /// Sockets that may hold more.
    ready: VecDeque<Source>,
    look: Option<Instant>,
    buffer: Vec<u8>,
}

impl Relay {
    /// None yet; as many clients as there may be mappings.
    pub fn new(network: &Network) -> Relay {
        Relay {
            ports: Slab::new(),
            clients: Slab::new(),
            by_name: HashMap::new(),
            most: network.limits.udp_mappings,
            ready: VecDeque::new(),
            look: None,
            buffer: vec![0; if network.expose.is_empty() && !network.auto_expose.follows_any() { 0 } else { DATAGRAM }],
        }
    }

    /// Serves a socket inside that leads to the host's end.
    pub fn add(&mut self, port: Port, socket: OwnedFd, to: SocketAddr, registry: &Registry) -> io::Result<()> {
        let place = self.ports.vacant_entry();
        let token = Source::Port(place.key()).token();
        registry.register(&mut SourceFd(&socket.as_raw_fd()), token, Interest::READABLE)?;
        place.insert(Inside { socket: socket.into(), port, to });
        Ok(())
    }

    /// Closes the socket of a port, and those of its clients.
    pub fn remove(&mut self, port: Port) {
        self.ports.retain(|_, inside| inside.port != port);
        self.clients.retain(|_, client| self.ports.contains(client.port));
        self.by_name.retain(|_, place| self.clients.contains(*place));
    }

    /// Notes that a socket inside has had an event.
    pub fn port_ready(&mut self, place: usize) {
        self.note(Source::Port(place));
    }

    /// Notes that a client's socket has had one.
    pub fn client_ready(&mut self, place: usize) {
        self.note(Source::Client(place));
    }

    fn note(&mut self, source: Source) {
        if !self.ready.contains(&source) {
            self.ready.push_back(source);
        }
    }

    /// How long until the next turn.
    pub fn delay(&self, now: Instant) -> Option<Duration> {
        let look = self.look.map(|look| look.saturating_duration_since(now));
        if self.ready.is_empty() { look } else { Some(Duration::ZERO) }
    }

    /// Carries what has come, some from each socket; forgets who has been silent for long.
    pub fn turn(&mut self, now: Instant, registry: &Registry) {
        for _ in 0..self.ready.len() {
            let Some(source) = self.ready.pop_front() else { break };
            let more = match source {
                Source::Port(place) => self.outward(place, now, registry),
                Source::Client(place) => self.inward(place, now),
                _ => false,
            };
            if more {
                self.ready.push_back(source);
            }
        }
        if self.look.is_some_and(|look| look <= now) {
            self.clients.retain(|_, client| client.until > now);
            self.by_name.retain(|_, place| self.clients.contains(*place));
            self.look = (!self.clients.is_empty()).then_some(now + LOOK);
        }
    }

    /// From the container to the host; says whether there may be more.
    fn outward(&mut self, place: usize, now: Instant, registry: &Registry) -> bool {
        for _ in 0..DATAGRAMS_A_TURN {
            let Some(port) = self.ports.get(place) else { return false };
            let to = port.to;
            let (length, from) = match port.socket.recv_from(&mut self.buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // An answer could not be delivered: who asked is gone.
                Err(_) => continue,
            };
            let Some(client) = self.client(place, from, to, now, registry) else { continue };
            let Some(client) = self.clients.get_mut(client) else { continue };
            client.until = client.until.max(now + IDLE_UNANSWERED);
            // What the host refuses is lost, as on any network.
            let _ = client.socket.send(self.buffer.get(..length).unwrap_or_default());
        }
        true
    }

    /// From the host to the container.
    fn inward(&mut self, place: usize, now: Instant) -> bool {
        for _ in 0..DATAGRAMS_A_TURN {
            let Some(client) = self.clients.get_mut(place) else { return false };
            let length = match client.socket.recv(&mut self.buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => continue,
            };
            client.until = now + IDLE;
            let Some(port) = self.ports.get(client.port) else { return false };
            let _ = port.socket.send_to(self.buffer.get(..length).unwrap_or_default(), client.from);
        }
        true
    }

    /// The client of this name; a new one, unless there are too many.
    fn client(
        &mut self,
        port: usize,
        from: SocketAddr,
        to: SocketAddr,
        now: Instant,
        registry: &Registry,
    ) -> Option<usize> {
        if let Some(place) = self.by_name.get(&(port, from)) {
            return Some(*place);
        }
        if self.clients.len() >= self.most {
            debug!("a client of an exposed port is refused: there are {} already", self.most);
            return None;
        }
        let place = self.clients.vacant_entry();
        let socket = UdpSocket::bind(SocketAddr::new(to.ip(), 0)).ok()?;
        socket.connect(to).and_then(|()| socket.set_nonblocking(true)).ok()?;
        let token = Source::Client(place.key()).token();
        registry.register(&mut SourceFd(&socket.as_raw_fd()), token, Interest::READABLE).ok()?;
        let key = place.key();
        place.insert(Client { socket, port, from, until: now + IDLE_UNANSWERED });
        self.by_name.insert((port, from), key);
        self.look = self.look.or(Some(now + LOOK));
        Some(key)
    }

    /// Closes all.
    pub fn clear(&mut self) {
        self.ports.clear();
        self.clients.clear();
        self.by_name.clear();
        self.ready.clear();
        self.look = None;
    }
}
