//! Accepts the connections of clients at published TCP ports.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry};
use slab::Slab;
use socket2::SockRef;
use tracing::warn;

use super::gate::{self, Gate};
use super::listen::{Ends, Published, RuleId};
use super::token::Source;
use crate::config::Network;

/// How long nothing is accepted when the host is out of descriptors or memory: the connections wait with the kernel.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections in a row that are lost before they are accepted.
const LOST_AT_ONCE: usize = 64;

/// Connections that are taken from listeners which go: as many as one backlog holds, and another.
const WAITING_MAX: usize = 8192;

/// What becomes of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Nothing changes.
    Stays,
    /// It belongs to another rule and leads to another end from now on.
    Becomes(RuleId, SocketAddr),
    /// It is closed.
    Goes,
}

/// A connection.
#[derive(Debug)]
pub struct Accepted {
    /// Its socket.
    pub stream: TcpStream,
    /// The client's address.
    pub client: SocketAddr,
    /// The container's end that it is for.
    pub to: SocketAddr,
    /// The rule that it came by.
    pub rule: RuleId,
}

/// The listeners of one packet loop.
#[derive(Debug)]
pub struct Listeners {
    /// The container's own addresses: what listens at others is not known.
    own: [Option<IpAddr>; 2],
    listeners: Slab<Listener>,
    /// Those that may have connections waiting, in turn.
    ready: VecDeque<u32>,
    /// Which of them listen.
    gate: Gate,
    /// Nothing is accepted before then.
    paused: Option<Instant>,
    /// How often the host was out of descriptors or memory.
    exhausted: u64,
}

#[derive(Debug)]
struct Listener {
    socket: TcpListener,
    ends: Ends,
    rule: RuleId,
    /// Whether it is in `ready`.
    ready: bool,
    /// Whether it listens, as far as this worker has seen to it.
    listens: bool,
}

impl Listener {
    /// Listens, or listens no more, as the gate has it for the container's own addresses.
    fn obey(&mut self, gate: &Gate, own: &[Option<IpAddr>; 2]) {
        let is_known = own.contains(&Some(self.ends.to.ip()));
        let listens = gate.lets_in(self.ends.to) || (!is_known && !matches!(gate, Gate::Shut));
        if listens == self.listens {
            return;
        }
        let socket = SockRef::from(&self.socket);
        match if listens { gate::open(socket) } else { gate::close(socket) } {
            Ok(()) => self.listens = listens,
            Err(error) => {
                warn!(%error, "the published port {} cannot be {}", self.ends.at, if listens { "opened" } else { "closed" })
            }
        }
    }
}

impl Listeners {
    /// None, for a container.
    pub fn new(network: &Network) -> Listeners {
        Listeners {
            own: [
                network.ipv4.map(|subnet| IpAddr::V4(subnet.address)),
                network.ipv6.map(|subnet| IpAddr::V6(subnet.address)),
            ],
            listeners: Slab::new(),
            ready: VecDeque::new(),
            gate: Gate::default(),
            paused: None,
            exhausted: 0,
        }
    }

    /// Watches a listening socket.
    pub fn add(&mut self, published: Published, registry: &Registry) -> io::Result<()> {
        let Published { socket, ends, rule } = published;
        let mut socket = TcpListener::from_std(socket.into());
        let place = self.listeners.vacant_entry();
        registry.register(&mut socket, Source::Listener(place.key() as u32).token(), Interest::READABLE)?;
        let mut listener = Listener { socket, ends, rule, ready: false, listens: true };
        listener.obey(&self.gate, &self.own);
        place.insert(listener);
        Ok(())
    }

    /// Gives each listener of which `settle` wants it another rule and another end, and takes those out that it wants gone.
    /// The connections that wait at those are returned: to their clients they are established.
    pub fn settle(&mut self, registry: &Registry, settle: impl Fn(Ends, RuleId) -> Settled) -> Vec<Accepted> {
        let mut waiting = Vec::new();
        self.listeners.retain(|_, listener| match settle(listener.ends, listener.rule) {
            Settled::Stays => true,
            Settled::Becomes(rule, to) => {
                (listener.rule, listener.ends.to) = (rule, to);
                listener.obey(&self.gate, &self.own);
                true
            }
            Settled::Goes => {
                while waiting.len() < WAITING_MAX
                    && let Ok((stream, client)) = listener.socket.accept()
                {
                    waiting.push(Accepted { stream, client, to: listener.ends.to, rule: listener.rule });
                }
                // Another worker may still hold the same socket.
                let _ = registry.deregister(&mut listener.socket);
                false
            }
        });
        self.ready.retain(|index| self.listeners.contains(*index as usize));
        waiting
    }

    /// What is known of the container's listeners; nothing, until [`Listeners::set_gate`].
    pub fn take_gate(&mut self) -> Gate {
        std::mem::take(&mut self.gate)
    }

    /// Opens and closes the listeners that lead to ends of which `concerns` is true.
    pub fn set_gate(&mut self, gate: Gate, concerns: impl Fn(SocketAddr) -> bool) {
        self.gate = gate;
        for (_, listener) in &mut self.listeners {
            if concerns(listener.ends.to) {
                listener.obey(&self.gate, &self.own);
            }
        }
    }

    /// Notes that a listener has had an event.
    pub fn ready(&mut self, index: u32) {
        if let Some(listener) = self.listeners.get_mut(index as usize)
            && !std::mem::replace(&mut listener.ready, true)
        {
            self.ready.push_back(index);
        }
    }

    /// How long until there may be something to accept, if that is known.
    pub fn delay(&self) -> Option<Duration> {
        let paused = || self.paused.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        (!self.ready.is_empty()).then(paused)
    }

    /// Accepts a connection, from the listeners in turn.
    pub fn accept(&mut self) -> Option<Accepted> {
        if self.ready.is_empty() || self.is_paused() {
            return None;
        }
        for _ in 0..LOST_AT_ONCE {
            let index = *self.ready.front()?;
            let Some(listener) = self.listeners.get_mut(index as usize) else {
                self.ready.pop_front();
                continue;
            };
            match listener.socket.accept() {
                Ok((stream, client)) => {
                    self.ready.rotate_left(1);
                    return Some(Accepted { stream, client, to: listener.ends.to, rule: listener.rule });
                }
                Err(error) => match error.raw_os_error() {
                    // It has been told to listen no more.
                    Some(libc::EAGAIN | libc::EINVAL) => {
                        listener.ready = false;
                        self.ready.pop_front();
                    }
                    Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                        self.pause(&error);
                        return None;
                    }
                    // The connection, or the network it came by, was lost before it was accepted (accept(2)).
                    _ => {}
                },
            }
        }
        None
    }

    fn is_paused(&mut self) -> bool {
        if self.paused.is_some_and(|until| Instant::now() < until) {
            return true;
        }
        self.paused = None;
        false
    }

    fn pause(&mut self, error: &io::Error) {
        if self.exhausted == 0 {
            warn!(%error, "clients of published ports have to wait; `ulimit -Hn` bounds how many there can be at once");
        }
        self.exhausted += 1;
        self.paused = Some(Instant::now() + PAUSE);
    }

    /// How often the host was out of descriptors or memory.
    pub fn exhausted(&self) -> u64 {
        self.exhausted
    }
}
