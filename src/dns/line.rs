//! A line to a packet loop: queries and connections come in letters, answers go back several at a time.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use nix::errno::Errno;
use nix::sys::socket::MsgFlags;
use rnet_dns::letter::{self, Kind, LETTER_MAX, Writer};
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::task::{spawn_local, yield_now};

use super::forwarder::{Ask, Forwarder, Via};
use super::stream::{self, Connections};
use crate::sys::{packets, watched};

/// Letters that are read before answers get their turn.
const LETTERS_A_TURN: usize = 16;

/// One line.
pub struct Line {
    socket: AsyncFd<OwnedFd>,
    outbox: RefCell<Writer>,
    /// Told when an answer waits in the outbox.
    posted: Notify,
    /// Letters that the packet loop did not take.
    lost: Cell<u64>,
}

impl Line {
    /// Takes a line.
    pub fn new(socket: OwnedFd) -> io::Result<Rc<Line>> {
        let socket = watched::readable(socket)?;
        Ok(Rc::new(Line { socket, outbox: RefCell::default(), posted: Notify::new(), lost: Cell::new(0) }))
    }

    /// Serves until the packet loop is gone.
    pub async fn serve(self: Rc<Self>, forwarder: Rc<Forwarder>, connections: Rc<Connections>) {
        let sender = Rc::clone(&self);
        let sender = spawn_local(async move {
            loop {
                sender.posted.notified().await;
                // Whatever else is ready now may have an answer too.
                yield_now().await;
                sender.flush();
            }
        });
        let mut room = vec![0; LETTER_MAX];
        while let Ok(mut ready) = self.socket.readable().await {
            if forwarder.is_host_due() {
                forwarder.follow_host().await;
            }
            let mut outcome = Ok(());
            for _ in 0..LETTERS_A_TURN {
                outcome = self.read(&mut room, &forwarder, &connections);
                if outcome.is_err() {
                    break;
                }
            }
            self.flush();
            match outcome {
                Ok(()) => yield_now().await,
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(_) => break,
            }
        }
        sender.abort();
    }

    /// Reads one letter and does what it asks for.
    fn read(
        self: &Rc<Self>,
        room: &mut [u8],
        forwarder: &Rc<Forwarder>,
        connections: &Rc<Connections>,
    ) -> nix::Result<()> {
        let (len, descriptors) = packets::receive(self.socket.get_ref().as_fd(), room, MsgFlags::MSG_DONTWAIT)?;
        let letter = room.get(..len).unwrap_or_default();
        match (letter::kind(letter), descriptors.into_iter().next()) {
            (Some(Kind::Messages), _) => {
                letter::messages(letter).for_each(|(end, message)| self.query(end, message, forwarder));
            }
            (Some(Kind::Connection), Some(connection)) => {
                let stream = std::os::unix::net::UnixStream::from(connection);
                if let Ok(stream) = UnixStream::from_std(stream) {
                    stream::start(stream, Rc::clone(forwarder), connections);
                }
            }
            _ if len == 0 => return Err(Errno::EPIPE),
            _ => {}
        }
        Ok(())
    }

    fn query(self: &Rc<Self>, end: SocketAddr, message: &[u8], forwarder: &Rc<Forwarder>) {
        match forwarder.ask(message, Via::Udp) {
            Ask::Answered(reply) => self.push(end, &reply),
            Ask::Ignored => {}
            Ask::Asked(asked) => {
                let (line, forwarder) = (Rc::clone(self), Rc::clone(forwarder));
                asked.then(move |reply| {
                    line.push(end, &reply);
                    if forwarder.is_idle() {
                        line.flush();
                    } else {
                        line.posted.notify_one();
                    }
                });
            }
        }
    }

    fn push(&self, end: SocketAddr, reply: &[u8]) {
        if !self.outbox.borrow_mut().push(end, reply) {
            self.flush();
            self.outbox.borrow_mut().push(end, reply);
        }
    }

    /// Sends what waits. What the packet loop does not take is lost; clients ask again.
    fn flush(&self) {
        let mut outbox = self.outbox.borrow_mut();
        if outbox.is_empty() {
            return;
        }
        if packets::send(self.socket.get_ref().as_fd(), outbox.bytes(), &[], MsgFlags::MSG_DONTWAIT).is_err() {
            self.lost.set(self.lost.get() + 1);
        }
        outbox.clear();
    }

    /// Letters that the packet loop did not take.
    pub fn lost(&self) -> u64 {
        self.lost.get()
    }
}
