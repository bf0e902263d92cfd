//! The ports from which a server is asked: several queries at once from each, sent and received several in a system call.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use rnet_dns::{Query, is_answer_to, wire};
use socket2::{SockAddr, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::sleep;

use super::{Common, socket};
use crate::sys::messages::{self, MESSAGES, Messages};
use crate::sys::watched;

/// A port is used for so many queries and for so long, then another takes its place.
const USES: u32 = 32;
const LIFE: Duration = Duration::from_secs(5);

/// Answers to other questions, one after the other, that are put up with before a port is given up: somebody guesses.
const WRONG_MAX: usize = 64;

/// How often what waits for too long is looked for.
const SWEEP: Duration = Duration::from_millis(100);

/// What comes of asking.
pub enum Outcome {
    /// An answer to the question.
    Reply(Vec<u8>),
    /// Nothing, for as long as was to be waited.
    Silence,
    /// The server cannot be asked.
    Failed(io::Error),
}

/// What is done with an outcome.
pub type Then = Box<dyn FnOnce(Outcome)>;

/// The ports from which one server is asked.
pub struct Ports {
    address: SocketAddr,
    common: Rc<Common>,
    /// The one that takes queries.
    open: RefCell<Option<Rc<Port>>>,
    /// Those that wait for the last answers.
    closing: RefCell<Vec<Rc<Port>>>,
    is_swept: Cell<bool>,
}

/// A connected socket, which hears nobody but its server.
struct Port {
    socket: AsyncFd<OwnedFd>,
    since: Instant,
    uses: Cell<u32>,
    wrong: Cell<usize>,
    asked: RefCell<HashMap<u16, Asked>>,
    /// Numbers of the queries that are to be sent.
    outbox: RefCell<Vec<u16>>,
    /// Told when there is something to be sent.
    posted: Notify,
    tasks: RefCell<Vec<AbortHandle>>,
}

struct Asked {
    message: Vec<u8>,
    end: Instant,
    then: Then,
}

thread_local! {
    /// Room to receive into: answers are copied out of it before anybody else gets a turn.
    static ROOM: RefCell<Messages> = RefCell::new(Messages::new(0));
}

impl Ports {
    pub fn new(address: SocketAddr, common: Rc<Common>) -> Rc<Ports> {
        Rc::new(Ports {
            address,
            common,
            open: RefCell::default(),
            closing: RefCell::default(),
            is_swept: Cell::new(false),
        })
    }

    /// Asks, and does `then` with what comes of it within `patience`.
    pub fn ask(self: &Rc<Self>, query: &Query<'_>, patience: Duration, then: Then) {
        let begun = self.port().and_then(|port| Ok((port.unused_id(&self.common)?, port)));
        let (id, port) = match begun {
            Ok(begun) => begun,
            Err(error) => return then(Outcome::Failed(error)),
        };
        port.uses.set(port.uses.get() + 1);
        let asked = Asked { message: query.upstream(id), end: Instant::now() + patience, then };
        port.asked.borrow_mut().insert(id, asked);
        port.outbox.borrow_mut().push(id);
        if port.asked.borrow().len() > 1 {
            // Who asks next in this turn is sent along.
            port.posted.notify_one();
        } else {
            port.flush();
        }
        if !self.is_swept.replace(true) {
            spawn_local(Rc::clone(self).sweep());
        }
    }

    /// The port for a query: the same for all until it is worn, so that they are sent and received together.
    fn port(&self) -> io::Result<Rc<Port>> {
        let mut open = self.open.borrow_mut();
        if let Some(port) = open.as_ref().filter(|port| !port.is_worn()) {
            return Ok(Rc::clone(port));
        }
        let mut closing = self.closing.borrow_mut();
        closing.extend(open.take());
        close_idle(&mut closing);
        let port = Port::open(&self.common, self.address)?;
        *open = Some(Rc::clone(&port));
        Ok(port)
    }

    /// Tells those that have waited for long enough, and closes what is worn, as long as there is a port.
    async fn sweep(self: Rc<Self>) {
        loop {
            sleep(SWEEP).await;
            let now = Instant::now();
            let ports: Vec<_> = self.open.borrow().iter().chain(self.closing.borrow().iter()).cloned().collect();
            ports.iter().for_each(|port| port.expire(now));
            let mut open = self.open.borrow_mut();
            let mut closing = self.closing.borrow_mut();
            closing.extend(open.take_if(|port| port.is_worn()));
            close_idle(&mut closing);
            if open.is_none() && closing.is_empty() {
                return self.is_swept.set(false);
            }
        }
    }
}

impl Port {
    fn open(common: &Common, address: SocketAddr) -> io::Result<Rc<Port>> {
        let socket = socket::open(&common.outbound, address, Type::DGRAM)?;
        socket.connect(&SockAddr::from(address))?;
        let port = Rc::new(Port {
            socket: watched::readable(socket.into())?,
            since: Instant::now(),
            uses: Cell::new(0),
            wrong: Cell::new(0),
            asked: RefCell::default(),
            outbox: RefCell::default(),
            posted: Notify::new(),
            tasks: RefCell::default(),
        });
        let (sender, receiver) = (Rc::clone(&port).send(), Rc::clone(&port).receive());
        port.tasks.replace(vec![spawn_local(sender).abort_handle(), spawn_local(receiver).abort_handle()]);
        Ok(port)
    }

    fn close(&self) {
        self.tasks.borrow_mut().drain(..).for_each(|task| task.abort());
    }

    fn is_worn(&self) -> bool {
        self.uses.get() >= USES || self.wrong.get() >= WRONG_MAX || self.since.elapsed() >= LIFE
    }

    /// A number that no query at this port has.
    fn unused_id(&self, common: &Common) -> io::Result<u16> {
        loop {
            let id = common.random.number()?;
            if !self.asked.borrow().contains_key(&id) {
                return Ok(id);
            }
        }
    }

    /// Sends what waits to be sent. Those who ask in the same turn of the runtime are sent together.
    async fn send(self: Rc<Self>) {
        loop {
            self.posted.notified().await;
            self.flush();
        }
    }

    fn flush(&self) {
        let mut ids = self.outbox.take();
        while !ids.is_empty() {
            let sent = {
                let asked = self.asked.borrow();
                ids.retain(|id| asked.contains_key(id));
                let messages = ids.iter().filter_map(|id| Some(asked.get(id)?.message.as_slice()));
                messages::send(self.socket.get_ref(), messages)
            };
            match sent {
                Ok(count) => drop(ids.drain(..count.min(ids.len()))),
                Err(errno) if is_of_one(errno) => self.end([ids.remove(0)], errno),
                Err(errno) => self.end_all(errno),
            }
        }
    }

    /// Receives answers.
    async fn receive(self: Rc<Self>) {
        // That nobody listens there is an error of the socket, and nothing to read.
        while let Ok(mut ready) = self.socket.ready(Interest::READABLE | Interest::ERROR).await {
            let mut answered = Vec::with_capacity(MESSAGES);
            let received = ROOM.with_borrow_mut(|room| {
                let received = room.receive(self.socket.get_ref());
                if received.is_ok() {
                    answered.extend(room.iter_mut().filter_map(|(_, reply)| self.answered(reply)));
                }
                received
            });
            for (then, reply) in answered {
                then(Outcome::Reply(reply));
            }
            match received {
                Ok(MESSAGES) => {}
                Ok(_) | Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(Errno::EINTR) => {}
                Err(errno) => self.end_all(errno),
            }
            if self.wrong.get() >= WRONG_MAX {
                self.end_all(Errno::EBADMSG);
            }
        }
    }

    /// Who waits for a datagram, if it answers a query.
    fn answered(&self, reply: &[u8]) -> Option<(Then, Vec<u8>)> {
        let mut asked = self.asked.borrow_mut();
        let id = wire::id(reply).filter(|id| asked.get(id).is_some_and(|asked| is_answer_to(&asked.message, reply)));
        match id.and_then(|id| asked.remove(&id)) {
            Some(asked) => {
                self.wrong.set(0);
                Some((asked.then, reply.to_vec()))
            }
            None => {
                self.wrong.set(self.wrong.get() + 1);
                None
            }
        }
    }

    fn expire(&self, now: Instant) {
        let expired: Vec<_> = self.asked.borrow_mut().extract_if(|_, asked| asked.end <= now).collect();
        expired.into_iter().for_each(|(_, asked)| (asked.then)(Outcome::Silence));
    }

    fn end_all(&self, errno: Errno) {
        let ids: Vec<u16> = self.asked.borrow().keys().copied().collect();
        self.end(ids, errno);
    }

    fn end(&self, ids: impl IntoIterator<Item = u16>, errno: Errno) {
        for id in ids {
            let asked = self.asked.borrow_mut().remove(&id);
            if let Some(asked) = asked {
                (asked.then)(Outcome::Failed(errno.into()));
            }
        }
    }
}

/// Closes those at which nobody waits.
fn close_idle(ports: &mut Vec<Rc<Port>>) {
    ports.extract_if(.., |port| port.asked.borrow().is_empty()).for_each(|port| port.close());
}

/// Whether an error of sending concerns one datagram and not the way to the server.
fn is_of_one(errno: Errno) -> bool {
    matches!(errno, Errno::EMSGSIZE | Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM | Errno::EPERM | Errno::EINTR)
}
