//! A server that is asked in the clear: by UDP, and by TCP when its answer does not fit or the client came that way.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, recv};
use rnet_dns::wire::{self, flag};
use rnet_dns::{Query, is_answer_to};
use socket2::{SockAddr, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::{Common, Fetched, socket};
use crate::dns::forwarder::Via;

/// A datagram that may be lost is sent again after so long, then after twice as long.
const RESEND: Duration = Duration::from_secs(1);

/// Answers to other questions that are put up with before a socket is given up: somebody guesses.
const WRONG_MAX: usize = 64;

/// A socket is used again so often and for so long, then its port changes. Only one query is under way on each.
const USES: u32 = 64;
const LIFE: Duration = Duration::from_secs(5);

/// Sockets that wait to be used again.
const IDLE_MAX: usize = 64;

/// Bytes of the largest datagram.
const DATAGRAM_MAX: usize = 65535;

/// A server at an address.
pub struct Plain {
    address: SocketAddr,
    common: Rc<Common>,
    idle: RefCell<Vec<Used>>,
}

/// A connected socket, which hears nobody but its server.
struct Used {
    socket: UdpSocket,
    uses: u32,
    since: Instant,
}

thread_local! {
    /// Room to receive into: answers are copied out of it before anybody else gets a turn.
    static ROOM: RefCell<Vec<u8>> = RefCell::new(vec![0; DATAGRAM_MAX]);
}

impl Plain {
    pub fn new(address: SocketAddr, common: Rc<Common>) -> Plain {
        Plain { address, common, idle: RefCell::default() }
    }

    /// Asks and waits for the answer.
    pub async fn ask(&self, query: &Query<'_>, via: Via) -> io::Result<Fetched> {
        let message = query.upstream(self.common.random.number()?);
        if via == Via::Tcp {
            let full = Box::pin(self.ask_tcp(&message)).await?;
            return Ok(Fetched { full, short: None });
        }
        let reply = self.ask_udp(&message).await?;
        if wire::flags(&reply).is_none_or(|flags| flags & flag::TC == 0) {
            return Ok(Fetched { full: reply, short: None });
        }
        // Seldom enough not to make room for it in every query's future.
        match Box::pin(self.ask_tcp(&message)).await {
            Ok(full) => Ok(Fetched { full, short: Some(reply) }),
            // The client may have more luck, or be content.
            Err(_) => Ok(Fetched { full: reply, short: None }),
        }
    }

    async fn ask_udp(&self, message: &[u8]) -> io::Result<Vec<u8>> {
        let mut used = self.take()?;
        used.uses += 1;
        let mut pause = RESEND;
        loop {
            used.socket.send(message).await?;
            if let Ok(reply) = timeout(pause, receive(&used.socket, message)).await {
                let reply = reply?;
                self.put(used);
                return Ok(reply);
            }
            pause *= 2;
        }
    }

    async fn ask_tcp(&self, message: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = self.send_tcp(message).await?;
        for _ in 0..WRONG_MAX {
            let mut reply = vec![0; usize::from(stream.read_u16().await?)];
            stream.read_exact(&mut reply).await?;
            if is_answer_to(message, &reply) {
                return Ok(reply);
            }
        }
        Err(io::Error::other("it answers what it was not asked"))
    }

    /// Asks for a whole zone; its messages are to be read from the connection.
    pub async fn transfer(&self, query: &Query<'_>) -> io::Result<TcpStream> {
        self.send_tcp(&query.upstream(self.common.random.number()?)).await
    }

    async fn send_tcp(&self, message: &[u8]) -> io::Result<TcpStream> {
        let mut stream = socket::connect(&self.common.outbound, self.address).await?;
        let len = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        stream.write_all(&[&len.to_be_bytes(), message].concat()).await?;
        Ok(stream)
    }

    /// A socket at a port that nobody can guess.
    fn take(&self) -> io::Result<Used> {
        let mut idle = self.idle.borrow_mut();
        while !idle.is_empty() {
            let at = usize::from(self.common.random.number()?) % idle.len();
            let used = idle.swap_remove(at);
            if used.since.elapsed() < LIFE {
                return Ok(used);
            }
        }
        let socket = socket::open(&self.common.outbound, self.address, Type::DGRAM)?;
        socket.connect(&SockAddr::from(self.address))?;
        Ok(Used { socket: UdpSocket::from_std(socket.into())?, uses: 0, since: Instant::now() })
    }

    /// Keeps a socket whose query was answered. Others are closed: an answer that comes late finds nobody.
    fn put(&self, used: Used) {
        let mut idle = self.idle.borrow_mut();
        if used.uses < USES && idle.len() < IDLE_MAX {
            idle.push(used);
        }
    }
}

/// Waits for the answer to `message`; whatever else comes is passed over.
async fn receive(socket: &UdpSocket, message: &[u8]) -> io::Result<Vec<u8>> {
    for _ in 0..WRONG_MAX {
        let reply = loop {
            // That nobody listens there is an error of the socket, and nothing to read.
            let ready = socket.ready(Interest::READABLE | Interest::ERROR).await?;
            let which = if ready.is_error() { Interest::ERROR } else { Interest::READABLE };
            let received = ROOM.with_borrow_mut(|room| {
                let receive = || recv(socket.as_raw_fd(), room, MsgFlags::MSG_DONTWAIT).map_err(io::Error::from);
                let len = socket.try_io(which, receive)?;
                Ok(room.get(..len).unwrap_or_default().to_vec())
            });
            match received {
                Err(error) if io::Error::kind(&error) == io::ErrorKind::WouldBlock => {}
                other => break other?,
            }
        };
        if is_answer_to(message, &reply) {
            return Ok(reply);
        }
    }
    Err(io::Error::other("too many answers to other questions"))
}
