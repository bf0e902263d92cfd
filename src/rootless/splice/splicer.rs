//! The thread that splices.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Waker};
use nix::sys::resource::{Resource, getrlimit};
use rnet_stack::Family;
use socket2::{SockAddr, Socket};
use tracing::debug;

use super::auto::AutoPorts;
use super::entrance::{Entrance, Entry};
use super::exposed::Listeners;
use super::host_ports::HostPorts;
use super::news::Knowledge;
use super::pairs::Pairs;
use super::relay::Relay;
use super::stock::Stock;
use super::token::Source;
use crate::config::Network;
use crate::rootless::accept::Accepted;
use crate::rootless::lull::Lull;
use crate::rootless::orders::Handle;
use crate::rootless::resets::reset;

const EVENTS: usize = 512;

/// Bytes that count as one message, so that a transfer is no conversation: what it brings next is more the later it is taken.
const PIECE: u64 = 2 << 10;

/// How long clients wait for the agent to make sockets before it is asked again.
const STOCK_RETRY: Duration = Duration::from_millis(50);

/// What the thread works with.
pub struct Splicer {
    pub(super) poll: Poll,
    /// `None` when the agent is gone.
    pub(super) agent: Option<OwnedFd>,
    pub(super) entrance: Arc<Entrance>,
    pub(super) handle: Handle,
    pub(super) pairs: Pairs,
    pub(super) stock: Stock,
    pub(super) knowledge: Knowledge,
    pub(super) auto: AutoPorts,
    pub(super) exposed: Listeners,
    pub(super) relay: Relay,
    /// Those that follow what listens on the host.
    pub(super) host_ports: Option<HostPorts>,
    /// Clients for whom the stock had no socket.
    waiting: Vec<Accepted>,
    /// Whom clients appear as, over IPv4 and IPv6.
    names: [Option<IpAddr>; 2],
    spare: Vec<Entry>,
    lull: Lull,
}

impl Splicer {
    /// Prepares to splice with what `agent` makes; gives what the workers need.
    ///
    /// # Errors
    /// When descriptors are short.
    pub fn new(agent: OwnedFd, network: &Network, handle: Handle) -> io::Result<(Splicer, Arc<Entrance>)> {
        let poll = Poll::new()?;
        let entrance = Entrance::new(Waker::new(poll.registry(), Source::Entrance.token())?);
        poll.registry().register(&mut SourceFd(&agent.as_raw_fd()), Source::Agent.token(), Interest::READABLE)?;
        let (descriptors, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
        // Each has two sockets, and two pipes at the worst, of two ends each.
        let most = usize::try_from(descriptors / 6).unwrap_or(usize::MAX).min(network.limits.tcp_flows).max(1);
        let splicer = Splicer {
            poll,
            agent: Some(agent),
            entrance: Arc::clone(&entrance),
            pairs: Pairs::new(most),
            stock: Stock::new(network, descriptors),
            names: [Family::V4, Family::V6].map(|family| network.loopback_name(family)),
            knowledge: Knowledge::default(),
            auto: AutoPorts::new(network, handle.clone()),
            exposed: Listeners::new(network),
            relay: Relay::new(network),
            host_ports: HostPorts::new(network),
            handle,
            waiting: Vec::new(),
            spare: Vec::new(),
            lull: Lull::new(network.busy_poll, Instant::now()),
        };
        Ok((splicer, entrance))
    }

    /// Starts the thread, which goes on until the process ends.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(mut self) -> io::Result<()> {
        let run = move || {
            let _closing = Closing(Arc::clone(&self.entrance));
            if let Err(error) = self.run() {
                tracing::error!(%error, "connections are spliced no more");
            }
        };
        thread::Builder::new().name("rnet-splice".into()).spawn(run).map(drop)
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        self.replenish();
        loop {
            let wait = self.wait();
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            if !events.is_empty() {
                self.lull.end(Instant::now());
            }
            let before = self.pairs.counted().moved;
            for event in &events {
                match Source::of(event.token()) {
                    Some(Source::Pair(key, end)) => self.pairs.event(key, end, event),
                    Some(Source::Entrance) => self.enter(),
                    Some(Source::Agent) => self.hear(),
                    Some(Source::Listener(place)) => self.exposed.ready(place),
                    Some(Source::Port(place)) => self.relay.port_ready(place),
                    Some(Source::Client(place)) => self.relay.client_ready(place),
                    None => {}
                }
            }
            let now = Instant::now();
            self.follow_host(now);
            self.exposed.turn(&mut self.pairs, self.poll.registry());
            self.relay.turn(now, self.poll.registry());
            self.pairs.turn();
            self.pairs.poll(now);
            self.serve_waiting();
            self.replenish();
            let counted = self.pairs.counted();
            self.entrance.tell(counted);
            if !events.is_empty() {
                let pieces = usize::try_from((counted.moved - before) / PIECE).unwrap_or(usize::MAX);
                self.lull.begin(Instant::now(), events.iter().count(), pieces);
            }
        }
    }

    /// How long the next wait may last.
    fn wait(&mut self) -> Option<Duration> {
        let delay = self.delay();
        if delay == Some(Duration::ZERO) || !self.lull.looks(Instant::now()) {
            return delay;
        }
        if self.lull.yields() {
            let _ = nix::sched::sched_yield();
        }
        Some(Duration::ZERO)
    }

    fn delay(&self) -> Option<Duration> {
        let now = Instant::now();
        let waiting = (!self.waiting.is_empty()).then_some(STOCK_RETRY);
        let host = self.host_ports.as_ref().filter(|_| self.agent.is_some()).map(|host| host.delay(now));
        let delays = [self.pairs.delay(now), self.exposed.delay(now), self.relay.delay(now), waiting, host];
        delays.into_iter().flatten().min()
    }

    /// Takes what the workers have handed over.
    fn enter(&mut self) {
        let mut entries = self.entrance.take(std::mem::take(&mut self.spare));
        for entry in entries.drain(..) {
            match entry {
                Entry::Client(accepted) => self.admit(accepted),
                Entry::Drop(rules) => self.pairs.drop_rules(&rules),
            }
        }
        self.spare = entries;
    }

    /// Connects a client, as soon as there is a socket for that.
    fn admit(&mut self, accepted: Accepted) {
        let port = accepted.client.port();
        self.admit_as(port, accepted);
    }

    /// With a port of its own inside, or with any (0).
    fn admit_as(&mut self, port: u16, accepted: Accepted) {
        if self.pairs.is_full() {
            return self.pairs.refuse(accepted.stream);
        }
        let Some(socket) = self.stock.take(Family::of(accepted.to.ip())) else {
            if self.agent.is_some() && self.waiting.len() < self.pairs.room() {
                self.waiting.push(accepted);
            } else {
                self.pairs.refuse(accepted.stream);
            }
            return;
        };
        let socket = Socket::from(socket);
        let name = self.names[usize::from(accepted.to.is_ipv6())];
        let named = name.map_or(Ok(()), |name| bind(&socket, name, port));
        let to = match name {
            Some(name) if name.is_loopback() => SocketAddr::new(name, accepted.to.port()),
            _ => accepted.to,
        };
        match named.and_then(|()| connect(socket, to)) {
            Ok(other) => {
                let rule = Some(accepted.rule);
                if let Err(error) = self.pairs.add(accepted.stream, other, rule, self.poll.registry()) {
                    debug!(%error, "a client on the loopback is lost");
                }
            }
            // The same pair of ends was there a moment ago.
            Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) && port != 0 => self.admit_as(0, accepted),
            Err(error) => {
                debug!(%error, "a client on the loopback is refused");
                reset(accepted.stream);
            }
        }
    }

    /// Gives those who wait the sockets that have come meanwhile.
    fn serve_waiting(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        for accepted in std::mem::take(&mut self.waiting) {
            self.admit(accepted);
        }
    }

    fn replenish(&mut self) {
        if let Some(agent) = &self.agent {
            self.stock.replenish(agent);
        }
    }

    /// Lets go of all that belongs to the container's network namespace.
    pub(super) fn let_go(&mut self) {
        self.agent = None;
        self.stock.clear();
        for family in [Family::V4, Family::V6] {
            self.entrance.set_open(family, false);
        }
        self.waiting.clear();
    }
}

/// Gives a socket its name: with the client's own port, or with any where that is taken.
fn bind(socket: &Socket, name: IpAddr, port: u16) -> io::Result<()> {
    let bind = |port| socket.bind(&SocketAddr::new(name, port).into());
    bind(port).or_else(|_| bind(0))
}

/// Starts to connect.
pub(super) fn connect(socket: Socket, to: SocketAddr) -> io::Result<mio::net::TcpStream> {
    match socket.connect(&SockAddr::from(to)) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(mio::net::TcpStream::from_std(socket.into())),
    }
}

/// Whatever ends the thread, workers do not wait for it.
struct Closing(Arc<Entrance>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}
