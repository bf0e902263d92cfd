//! A smoltcp socket with its rings, and the stock of those that wait for the next flow.
//!
//! Sockets are kept rather than made anew: their rings were lent for good, and the memory that was used last is the
//! memory that is still in the caches.

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, State};
use smoltcp::wire::{IpEndpoint, IpListenEndpoint};

use super::engine::Engine;
use super::timestamps;
use crate::edge::{RingClass, RingMemory};
use crate::flow::FlowKey;
use crate::{Duration, Instant};

/// How long the acknowledgement of a small segment may wait for data to ride on.
pub(crate) const ACK_DELAY: Duration = Duration::from_millis(10);

/// As many bytes are acknowledged once a batch rather than after [`ACK_DELAY`]: their sender is filling the window and
/// waits for it.
pub(crate) const BULK: usize = 4096;

/// A socket in a set of its own.
pub(crate) struct Endpoint {
    pub(crate) set: SocketSet<'static>,
    handle: SocketHandle,
    class: RingClass,
    slot: usize,
    /// Whether the rings were written since their pages were last given back.
    touched: bool,
}

impl Endpoint {
    fn new(memory: &mut impl RingMemory, class: RingClass) -> Option<Endpoint> {
        let rings = memory.lend(class)?;
        let mut socket = Socket::new(rings.receive, rings.transmit);
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(Some(ACK_DELAY));
        let mut set = SocketSet::new(Vec::with_capacity(1));
        let handle = set.add(socket);
        Some(Endpoint { set, handle, class, slot: rings.slot, touched: true })
    }

    pub(crate) fn socket(&mut self) -> &mut Socket<'static> {
        self.set.get_mut::<Socket>(self.handle)
    }

    pub(crate) fn state(&self) -> State {
        self.set.get::<Socket>(self.handle).state()
    }

    /// Prepares the socket to take the SYN of the flow `key`.
    pub(crate) fn listen(&mut self, key: &FlowKey) -> bool {
        self.touched = true;
        let socket = self.socket();
        // An aborted socket must forget its former peer before it can listen again.
        socket.abort();
        // The socket may have served a flow that we opened, which uses timestamps.
        socket.set_tsval_generator(None);
        socket.listen(IpListenEndpoint { addr: Some(key.remote.into()), port: key.remote_port }).is_ok()
    }

    /// Makes the socket open the flow `key` towards the container.
    ///
    /// With timestamps: they tell a container that still remembers the last connection of the same name (TIME-WAIT) that
    /// this one is new (RFC 6191); without them half of these connections would wait for a second SYN.
    pub(crate) fn connect(&mut self, engine: &mut Engine, key: &FlowKey) -> bool {
        self.touched = true;
        let socket = self.socket();
        socket.abort();
        socket.set_tsval_generator(Some(timestamps::value));
        let local = IpListenEndpoint { addr: Some(key.remote.into()), port: key.remote_port };
        let remote = IpEndpoint { addr: key.guest.into(), port: key.guest_port };
        socket.connect(engine.context(), remote, local).is_ok()
    }

    /// Notes that bytes went into a ring.
    pub(crate) fn touch(&mut self) {
        self.touched = true;
    }

    /// Gives the pages of empty rings back. Says whether nothing is left to give back.
    pub(crate) fn release_pages(&mut self, memory: &mut impl RingMemory) -> bool {
        if !self.touched {
            return true;
        }
        let socket = self.socket();
        if socket.send_queue() > 0 || socket.recv_queue() > 0 {
            return false;
        }
        self.touched = false;
        memory.release_pages(self.slot, self.class);
        true
    }
}

/// Endpoints that are not in use, and the budget of ring bytes of those that are.
pub(crate) struct Stock<M> {
    memory: M,
    idle: [Vec<(Box<Endpoint>, Instant)>; RingClass::ALL.len()],
    committed: usize,
    budget: usize,
    /// Endpoints in use.
    in_use: usize,
    /// How many may be in use.
    flows: usize,
}

impl<M: RingMemory> Stock<M> {
    pub(crate) fn new(memory: M, budget: usize, flows: usize) -> Stock<M> {
        Stock { memory, idle: Default::default(), committed: 0, budget, in_use: 0, flows }
    }

    /// Takes an endpoint of the largest class that leaves enough of the budget for all the flows that may still come.
    pub(crate) fn take(&mut self) -> Option<Box<Endpoint>> {
        let reserve = self.flows.saturating_sub(self.in_use + 1).saturating_mul(RingClass::Small.bytes());
        let left = self.budget.saturating_sub(self.committed);
        let class = RingClass::ALL
            .into_iter()
            .rev()
            .find(|class| class.bytes() + reserve <= left)
            .or((RingClass::Small.bytes() <= left).then_some(RingClass::Small))?;
        let endpoint = match self.idle[class as usize].pop() {
            Some((endpoint, _)) => endpoint,
            None => Box::new(Endpoint::new(&mut self.memory, class)?),
        };
        self.committed += class.bytes();
        self.in_use += 1;
        Some(endpoint)
    }

    /// Takes an endpoint back.
    pub(crate) fn put(&mut self, now: Instant, endpoint: Box<Endpoint>) {
        self.committed = self.committed.saturating_sub(endpoint.class.bytes());
        self.in_use = self.in_use.saturating_sub(1);
        self.idle[endpoint.class as usize].push((endpoint, now));
    }

    /// Gives back the pages of endpoints that nobody took since `before`.
    pub(crate) fn release_idle(&mut self, before: Instant) {
        for (endpoint, since) in self.idle.iter_mut().flatten() {
            if *since <= before && endpoint.touched {
                endpoint.touched = false;
                self.memory.release_pages(endpoint.slot, endpoint.class);
            }
        }
    }

    /// Whether an endpoint waits whose pages were not given back.
    pub(crate) fn any_touched(&self) -> bool {
        self.idle.iter().flatten().any(|(endpoint, _)| endpoint.touched)
    }

    pub(crate) fn memory(&mut self) -> &mut M {
        &mut self.memory
    }

    /// Bytes of the rings in use.
    pub(crate) fn committed(&self) -> usize {
        self.committed
    }
}
