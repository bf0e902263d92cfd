//! The packet loop: waits for events, hands frames and host events to the stack, and lets the flows that are due act.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll};
use rnet_stack::{FlowId, Flushed, HostIcmp, Instant, PingId, Readiness, Stack, TimestampClock, UdpId};

use super::accept::{Accepted, Listeners};
use super::arena::Arena;
use super::capture::Capture;
use super::dns::{self, NameServer};
use super::edge::HostEdge;
use super::error_queue;
use super::listen::PublishedPorts;
use super::lull::Lull;
use super::orders::Inbox;
use super::report::Report;
use super::resets;
use super::splice::Entrance;
use super::tap_turn::{TapReader, TapState};
use super::team::{End, Member};
use super::token::Source;
use super::udp_turn;
use super::{Error, stack_config};
use crate::config::Network;
use crate::tap::kind::Kind;
use crate::tap::mac;

/// Datagrams that are received from one socket before others get their turn.
const DATAGRAMS_A_TURN: usize = 64;

/// Connections that are accepted before other flows get their turn.
const ACCEPTS_A_TURN: usize = 32;

/// Errors that are taken from one socket's queue in a turn.
const ERRORS_A_TURN: usize = 16;

/// How long the loop goes on after it was told to stop while the container's last bytes are on their way, and how long it
/// waits for a sign of life meanwhile.
const LINGER: Duration = Duration::from_millis(1500);
const LINGER_IDLE: Duration = Duration::from_millis(300);

/// How often it is looked meanwhile whether the splicer is done.
const SPLICE_POLL: Duration = Duration::from_millis(5);

const EVENTS: usize = 256;

/// Sockets whose events said that there is something to receive, until nothing is left.
#[derive(Debug, Default)]
struct Unfinished {
    udp: Vec<UdpId>,
    ping: Vec<PingId>,
    name_server: bool,
}

impl Unfinished {
    fn is_empty(&self) -> bool {
        self.udp.is_empty() && self.ping.is_empty() && !self.name_server
    }

    /// A socket that was not finished may have had an event since.
    fn forget_duplicates(&mut self) {
        self.udp.sort_unstable();
        self.udp.dedup();
        self.ping.sort_unstable();
        self.ping.dedup();
    }
}

/// What one worker has of its own.
pub struct Seat {
    /// A queue of the tap device.
    pub tap: OwnedFd,
    /// The published ports that it serves.
    pub ports: PublishedPorts,
    /// Its line to the name server.
    pub dns: Option<OwnedFd>,
    /// What tells it to stop.
    pub stop: OwnedFd,
    /// What it waits for events with.
    pub poll: Poll,
    /// Its place among others, if there are any.
    pub team: Option<Member>,
    /// Where it gets orders.
    pub orders: Inbox,
    /// Where frames are written to.
    pub capture: Option<Capture>,
}

/// What all workers of a container have in common.
pub struct Common<'a> {
    /// The container's network.
    pub network: &'a Network,
    /// The clock of TCP timestamps.
    pub timestamps: TimestampClock,
    /// When time began.
    pub epoch: Clock,
    /// Where connections are handed over that are to be spliced.
    pub entrance: Option<Arc<Entrance>>,
}

/// One packet loop with its stack and its sockets.
pub struct Worker {
    poll: Poll,
    pub(super) stack: Stack<Arena>,
    pub(super) edge: HostEdge,
    pub(super) listeners: Listeners,
    orders: Inbox,
    pub(super) entrance: Option<Arc<Entrance>>,
    tap: TapReader,
    /// Whether TCP flows wait for another turn.
    flushed: Flushed,
    /// Sockets that may hold more than they could give in their turn.
    unfinished: Unfinished,
    epoch: Clock,
    /// When there last was an event.
    heard: Clock,
    /// Bytes that were spliced, when that was last looked at.
    spliced: u64,
    lull: Lull,
    /// When the loop ends at the latest, once it was told to stop.
    stopping: Option<Clock>,
    /// Kept open: it is watched by its number.
    _stop: OwnedFd,
}

impl Worker {
    /// Prepares everything that needs the host's files or may fail.
    pub fn new(seat: Seat, common: &Common<'_>) -> Result<Worker, Error> {
        let Seat { tap, ports, dns, stop, poll, team, orders, capture } = seat;
        let network = common.network;
        let wrap = |operation: &'static str| move |source: io::Error| Error::SetUp { operation, source };
        let kind = Kind::of(tap.as_fd()).map_err(|errno| wrap("turn on offloads of the tap device")(errno.into()))?;
        nix::fcntl::fcntl(&tap, nix::fcntl::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))
            .map_err(|errno| wrap("make the tap device non-blocking")(errno.into()))?;
        let registry = poll.registry();
        registry
            .register(&mut SourceFd(&tap.as_raw_fd()), Source::Tap.token(), Interest::READABLE)
            .and_then(|()| {
                registry.register(&mut SourceFd(&stop.as_raw_fd()), Source::Stop.token(), Interest::READABLE)
            })
            .map_err(wrap("watch the tap device"))?;
        let registry = registry.try_clone().map_err(wrap("watch host sockets"))?;
        let mut config = stack_config(network, common.timestamps.clone())?;
        if let Some(team) = &team {
            config.limits = team.part(config.limits);
        }
        if let (None, Some(mac)) = (network.mac, mac::of(tap.as_fd())) {
            // A container that has sent nothing yet can be reached all the same.
            config.guest_mac = mac;
        }
        let arena = Arena::new(config.limits.buffer_bytes, config.limits.tcp_flows);
        let stack = Stack::new(config, arena, Instant::ZERO);
        let dns = NameServer::new(dns, &registry).map_err(wrap("watch the name server"))?;
        let mut edge = HostEdge::new(File::from(tap), registry, network.outbound.clone(), kind, team, dns);
        edge.capture = capture;
        let mut worker = Worker {
            stack,
            edge,
            listeners: Listeners::new(network),
            orders,
            entrance: common.entrance.clone(),
            poll,
            tap: TapReader::new(kind),
            flushed: Flushed::All,
            unfinished: Unfinished::default(),
            epoch: common.epoch,
            heard: Clock::now(),
            spliced: 0,
            lull: Lull::new(network.busy_poll, Clock::now()),
            stopping: None,
            _stop: stop,
        };
        worker.open_ports(ports).map_err(wrap("watch published ports"))?;
        Ok(worker)
    }

    /// Runs until it is told to stop or the tap device is gone.
    pub fn run(&mut self) -> Result<End, Error> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let wait = self.wait();
            match self.poll.poll(&mut events, wait) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(Error::Wait(source)),
            }
            if !events.is_empty() {
                self.lull.end(Clock::now());
            }
            let now = self.now();
            if let Some(mac) = self.edge.team.as_mut().and_then(Member::news_of_guest) {
                self.stack.learn(mac);
            }
            for event in &events {
                match Source::of(event.token()) {
                    Some(Source::Tap) => self.tap.state = TapState::MayHaveMore,
                    // What the container sent before it ended is still delivered.
                    Some(Source::Stop) => self.stopping = self.stopping.or(Some(Clock::now() + LINGER)),
                    Some(Source::Tcp(flow)) => self.tcp_event(now, flow, event),
                    Some(Source::Udp(mapping)) => {
                        if event.is_error() {
                            udp_turn::errors(&mut self.stack, &mut self.edge, mapping);
                        }
                        self.unfinished.udp.push(mapping);
                    }
                    Some(Source::Ping(mapping)) => {
                        if event.is_error() {
                            self.ping_errors(mapping);
                        }
                        self.unfinished.ping.push(mapping);
                    }
                    Some(Source::Team) => {
                        self.read_mail(now);
                        self.obey();
                    }
                    Some(Source::NameServer) => self.unfinished.name_server = true,
                    Some(Source::Listener(index)) => self.listeners.ready(index),
                    None => {}
                }
            }
            self.receive_datagrams(now);
            self.accept_clients(now);
            let mut frames = 0;
            if self.tap.state == TapState::MayHaveMore {
                frames = self.tap.turn(now, &mut self.stack, &mut self.edge);
                self.edge.udp.flush();
                if self.tap.state == TapState::Gone {
                    return Ok(End::DeviceGone);
                }
            }
            self.edge.dns.flush();
            if self.stack.poll_timeout().is_some_and(|at| at <= now) {
                self.stack.handle_timeout(now, &mut self.edge);
            }
            self.flushed = self.stack.flush(now, &mut self.edge);
            if !events.is_empty() {
                self.heard = Clock::now();
                self.lull.begin(self.heard, events.iter().count(), frames);
            }
            let done = self.stopping.is_some_and(|end| self.is_done(end));
            let ended = self.edge.team.as_ref().map_or(done.then_some(End::Stopped), |team| team.is_done(done));
            if let Some(end) = ended {
                return Ok(end);
            }
            if self.edge.tcp.reset_delay().is_some() {
                self.edge.tcp.poll_resets(Clock::now());
            }
        }
    }

    /// Whether everything has been delivered that was sent before the order to stop, or nobody can wait any longer.
    fn is_done(&mut self, end: Clock) -> bool {
        let mut settled = true;
        if let Some(entrance) = &self.entrance {
            let counted = entrance.counted();
            settled = counted.unsettled == 0;
            if std::mem::replace(&mut self.spliced, counted.moved) != counted.moved {
                self.heard = Clock::now();
            }
        }
        let quiet = self.heard.elapsed() >= LINGER_IDLE;
        quiet || (settled && self.stack.tcp_settled()) || Clock::now() >= end
    }

    pub(super) fn now(&self) -> Instant {
        // An i64 of microseconds lasts for 292,000 years.
        Instant::from_micros(self.epoch.elapsed().as_micros() as i64)
    }

    /// How long the next wait may last.
    fn wait(&mut self) -> Option<Duration> {
        if self.tap.state == TapState::MayHaveMore || !self.unfinished.is_empty() || self.flushed == Flushed::Some {
            return Some(Duration::ZERO);
        }
        if self.lull.looks(Clock::now()) {
            if self.lull.yields() {
                let _ = nix::sched::sched_yield();
            }
            return Some(Duration::ZERO);
        }
        let now = self.now();
        let timer = self.stack.poll_timeout().map(|at| {
            let micros = at.total_micros().saturating_sub(now.total_micros());
            Duration::from_micros(u64::try_from(micros).unwrap_or(0))
        });
        let splices = self.entrance.is_some();
        let linger = self.stopping.map(|_| if splices { SPLICE_POLL } else { LINGER_IDLE });
        let clients = self.listeners.delay().filter(|_| self.stopping.is_none());
        [timer, clients, self.edge.tcp.reset_delay(), linger].into_iter().flatten().min()
    }

    /// Takes what other workers have read of this one's flows.
    fn read_mail(&mut self, now: Instant) {
        let Some(mail) = self.edge.team.as_mut().map(Member::collect) else { return };
        for packet in mail.iter() {
            self.stack.handle_diverted(now, &packet, &mut self.edge);
        }
        self.edge.udp.flush();
        if let Some(team) = &mut self.edge.team {
            team.read(mail);
        }
    }

    fn tcp_event(&mut self, now: Instant, flow: FlowId, event: &mio::event::Event) {
        let ready = Readiness {
            readable: event.is_readable(),
            writable: event.is_writable(),
            // A read stops short at urgent data too, with more behind it.
            hang_up: event.is_read_closed() || event.is_error() || event.is_priority(),
        };
        if event.is_priority() {
            self.edge.tcp.urgent(flow);
        }
        if !self.stack.tcp_connecting(flow) {
            return self.stack.tcp_ready(flow, ready);
        }
        match self.edge.tcp.outcome(flow, ready) {
            None => {}
            Some(Ok(())) => self.stack.tcp_connected(now, flow, ready, &mut self.edge),
            Some(Err(error)) => {
                self.edge.tcp.forget(flow);
                self.stack.tcp_connect_failed(now, flow, error, &mut self.edge);
            }
        }
    }

    /// Takes the connections that wait at published ports, some in a turn.
    fn accept_clients(&mut self, now: Instant) {
        if self.stopping.is_some() {
            return;
        }
        for _ in 0..ACCEPTS_A_TURN {
            let Some(accepted) = self.listeners.accept() else { return };
            self.accept(now, accepted);
        }
    }

    /// Begins the flow of a client.
    pub(super) fn accept(&mut self, now: Instant, accepted: Accepted) {
        let offered = match &self.entrance {
            Some(entrance) => entrance.offer(accepted),
            None => Some(accepted),
        };
        let Some(Accepted { stream, client, to, rule }) = offered else { return };
        match self.stack.tcp_accepted(now, client, to, &mut self.edge) {
            Some(flow) => self.edge.adopt_tcp(flow, stream, rule),
            None => resets::reset(stream),
        }
    }

    /// Does what it was ordered to do.
    fn obey(&mut self) {
        for order in self.orders.take() {
            order(self);
        }
    }

    /// Gives every socket with something to receive its turn.
    fn receive_datagrams(&mut self, now: Instant) {
        let mut unfinished = std::mem::take(&mut self.unfinished);
        unfinished.forget_duplicates();
        // What a turn leads to marks no other socket: only events do.
        unfinished.udp.retain(|mapping| udp_turn::receive(&mut self.stack, &mut self.edge, now, *mapping));
        unfinished.ping.retain(|mapping| self.receive_replies(now, *mapping));
        if unfinished.name_server {
            unfinished.name_server = dns::receive(&mut self.stack, &mut self.edge);
        }
        self.unfinished = unfinished;
    }

    fn ping_errors(&mut self, mapping: PingId) {
        for _ in 0..ERRORS_A_TURN {
            let Some((socket, family)) = self.edge.ping.socket(mapping) else { return };
            let Some(error) = error_queue::take(socket) else { return };
            let icmp = HostIcmp::new(family, error.icmp, error.to, error.offender, &error.payload);
            self.stack.ping_error(mapping, &icmp, &mut self.edge);
        }
    }

    /// Receives the echo replies that a mapping's socket holds; says whether there may be more.
    fn receive_replies(&mut self, now: Instant, mapping: PingId) -> bool {
        for _ in 0..DATAGRAMS_A_TURN {
            let Some(received) = self.edge.ping.receive(mapping) else { return false };
            let Some(reply) = received else { continue };
            let (from, sequence, data) = (reply.from, reply.sequence, reply.data.to_vec());
            self.stack.ping_received(now, mapping, from, sequence, &data, &mut self.edge);
        }
        true
    }

    /// Tells the other workers of the end.
    pub fn end_others(&self, end: End) {
        if let Some(team) = &self.edge.team {
            team.end(end);
        }
    }

    /// What the worker holds and has counted.
    pub fn report(&self) -> Report {
        Report {
            holdings: self.stack.holdings(),
            counters: self.stack.counters().clone(),
            drops: self.stack.drops().clone(),
            refused_frames: self.edge.refused_frames,
            lost_udp_batches: self.edge.udp.lost(),
            lost_dns_letters: self.edge.dns.lost(),
            accepts_postponed: self.listeners.exhausted(),
            spliced: self.entrance.as_ref().map(|entrance| entrance.counted()).unwrap_or_default(),
        }
    }
}
