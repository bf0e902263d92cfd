//! Container, link, stack and host together, turned as the packet loop turns them.

use std::cell::Cell;
use std::rc::Rc;

use rnet_stack::{Duration, Flushed, HeapRings, Instant, Limits, RingClass, RingMemory, Rings, SocketBuffer, Stack};

use smoltcp::iface::SocketHandle;

use super::guest::{Guest, deliver};
use super::host::{Event, Host};
use super::link::{Impairment, Link};
use crate::support::config::{GUEST4, GUEST6, REMOTE4, REMOTE6, config};

/// Ring memory that counts.
#[derive(Clone, Debug, Default)]
pub struct CountingRings {
    pub lent: Rc<Cell<usize>>,
    pub released: Rc<Cell<usize>>,
}

impl RingMemory for CountingRings {
    fn lend(&mut self, class: RingClass) -> Option<Rings> {
        self.lent.set(self.lent.get() + 1);
        let Rings { receive, transmit, .. } = HeapRings.lend(class)?;
        let (receive, transmit): (SocketBuffer<'static>, SocketBuffer<'static>) = (receive, transmit);
        Some(Rings { slot: self.lent.get(), receive, transmit })
    }

    fn release_pages(&mut self, slot: usize, _class: RingClass) {
        assert!(slot > 0 && slot <= self.lent.get());
        self.released.set(self.released.get() + 1);
    }
}

/// What an application of the simulation did in its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It got everything that it wanted.
    Done,
    /// It read or wrote something.
    Moved,
    /// It could do nothing.
    Waits,
}

impl Step {
    pub fn moved(moved: bool) -> Step {
        if moved { Step::Moved } else { Step::Waits }
    }
}

/// The whole simulation.
pub struct World {
    pub now: Instant,
    pub stack: Stack<CountingRings>,
    pub host: Host,
    pub guest: Guest,
    up: Link,
    down: Link,
    mtu: u16,
    /// Times that the stack's timers were served.
    pub timeouts: u64,
}

/// Who opens a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opener {
    /// The container.
    Guest,
    /// A client of a published port.
    Client,
}

/// The two families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ip {
    V4,
    V6,
}

/// Turns that may happen at one moment of virtual time before that counts as spinning.
const TURNS_AT_ONCE: u32 = 100_000;

impl World {
    pub fn new(ip: Ip, mtu: u16, impairment: Impairment, limits: Limits) -> World {
        World {
            now: Instant::ZERO,
            stack: Stack::new(config(mtu, limits), CountingRings::default(), Instant::ZERO),
            host: Host::default(),
            guest: Guest::new(if ip == Ip::V4 { GUEST4 } else { GUEST6 }, mtu, 7),
            up: Link::new(impairment, 11),
            down: Link::new(impairment, 13),
            mtu,
            timeouts: 0,
        }
    }

    /// A world whose link is as good as a tap.
    pub fn perfect() -> World {
        World::new(Ip::V4, 1500, Impairment::default(), Limits::default())
    }

    /// Opens the first connection; it is the host's first too. The container's buffers have `buffer` bytes.
    pub fn open(&mut self, ip: Ip, opener: Opener, buffer: usize) -> SocketHandle {
        let (guest, remote) = if ip == Ip::V4 { (GUEST4, REMOTE4) } else { (GUEST6, REMOTE6) };
        match opener {
            Opener::Guest => self.guest.connect(40000, (remote, 80).into(), buffer),
            Opener::Client => {
                let handle = self.guest.listen(80, buffer);
                let flow =
                    self.stack.tcp_accepted(self.now, (remote, 40000).into(), (guest, 80).into(), &mut self.host);
                self.host.adopt(flow.expect("no bound is reached"));
                handle
            }
        }
    }

    /// One turn of the packet loop, then one of the container's kernel. Says whether anything happened.
    pub fn turn(&mut self) -> bool {
        let now = self.now;
        self.host.set_now(now);
        let mut moved = false;
        for event in self.host.events() {
            moved = true;
            match event {
                Event::Connected(flow, ready) => self.stack.tcp_connected(now, flow, ready, &mut self.host),
                Event::Failed(flow, error) => self.stack.tcp_connect_failed(now, flow, error, &mut self.host),
                Event::Ready(flow, ready) => self.stack.tcp_ready(flow, ready),
            }
        }
        let arrived: Vec<_> = std::iter::from_fn(|| self.up.arrived(now)).take(64).collect();
        moved |= !arrived.is_empty();
        let frames: Vec<_> = arrived.iter().map(|frame| (&frame[..], self.guest.offload(frame))).collect();
        self.stack.handle_frames(now, &frames, &mut self.host);
        if self.stack.poll_timeout().is_some_and(|at| at <= now) {
            moved = true;
            self.timeouts += 1;
            self.stack.handle_timeout(now, &mut self.host);
        }
        while self.stack.flush(now, &mut self.host) == Flushed::Some {}
        assert!(self.stack.poll_timeout().is_none_or(|at| at > now), "a deadline stays due after it was served");
        for (frame, offload) in std::mem::take(&mut self.host.frames) {
            for packet in deliver(&frame, offload, self.mtu.into()) {
                self.down.send(now, packet);
            }
        }
        while let Some(packet) = self.down.arrived(now) {
            moved = true;
            self.guest.receive(packet);
        }
        for frame in self.guest.poll(now) {
            moved = true;
            self.up.send(now, frame);
        }
        moved
    }

    fn next(&mut self) -> Option<Instant> {
        let guest = self.guest.next(self.now);
        [self.up.next(), self.down.next(), self.host.next(), self.stack.poll_timeout(), guest]
            .into_iter()
            .flatten()
            .min()
    }

    /// Runs until `application` is done; fails when nothing can happen any more, or at `limit`.
    pub fn run(&mut self, limit: Duration, mut application: impl FnMut(&mut World) -> Step) {
        let end = self.now + limit;
        let mut turns = 0;
        loop {
            let step = application(self);
            if step == Step::Done {
                return;
            }
            let moved = self.turn() || step == Step::Moved || self.host.has_events();
            turns += 1;
            assert!(turns < TURNS_AT_ONCE, "spins at {}", self.now);
            if moved {
                continue;
            }
            let next = self.next().unwrap_or_else(|| panic!("stalled at {}: nothing is left to happen", self.now));
            assert!(next <= end, "not done at {}; next at {next}; {:?}", self.now, self.stack.holdings());
            if next > self.now {
                turns = 0;
            }
            self.now = self.now.max(next);
        }
    }

    /// Lets time pass with nobody doing anything.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            while self.turn() || self.host.has_events() {}
            match self.next() {
                Some(next) if next <= end => self.now = self.now.max(next),
                _ => break,
            }
        }
        self.now = end;
        while self.turn() {}
    }
}
