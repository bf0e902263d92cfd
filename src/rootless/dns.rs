//! A worker's line to the name server, a process of its own: queries go there and answers come back several at a time, and
//! connections go there as descriptors.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, socketpair};
use rnet_dns::letter::{self, Kind, LETTER_MAX, Writer};
use rnet_stack::{DATAGRAM_HEADROOM, HostError, RingMemory, Stack};

use super::edge::HostEdge;
use super::token::Source;
use crate::sys::packets;

/// Letters that are read before others get their turn.
const LETTERS_A_TURN: usize = 8;

/// The line, if there is a name server.
#[derive(Default)]
pub struct NameServer {
    line: Option<OwnedFd>,
    /// Queries that wait to be sent together.
    outbox: Writer,
    room: Option<Room>,
    /// Letters that the name server did not take.
    lost: u64,
}

/// Room for a letter, and for an answer with the headers that go in front of it.
struct Room {
    letter: Box<[u8]>,
    answer: Vec<u8>,
}

impl NameServer {
    /// Takes the line.
    pub fn new(line: Option<OwnedFd>, registry: &Registry) -> io::Result<NameServer> {
        if let Some(line) = &line {
            registry.register(&mut SourceFd(&line.as_raw_fd()), Source::NameServer.token(), Interest::READABLE)?;
        }
        Ok(NameServer { line, ..NameServer::default() })
    }

    /// Takes a query from an end of the container's; it leaves with [`NameServer::flush`].
    pub fn query(&mut self, from: SocketAddr, query: &[u8]) -> Result<(), HostError> {
        if self.line.is_none() {
            return Err(HostError::WouldBlock);
        }
        if !self.outbox.push(from, query) {
            self.flush();
            if !self.outbox.push(from, query) {
                return Err(HostError::WouldBlock);
            }
        }
        Ok(())
    }

    /// Sends what waits. Whatever the name server does not take is lost, as it is on any network.
    pub fn flush(&mut self) {
        if self.outbox.is_empty() {
            return;
        }
        if let Some(line) = &self.line
            && packets::send(line.as_fd(), self.outbox.bytes(), &[], MsgFlags::MSG_DONTWAIT).is_err()
        {
            self.lost += 1;
        }
        self.outbox.clear();
    }

    /// Makes a connection whose other end is the name server's.
    pub fn connect(&mut self) -> Result<TcpStream, HostError> {
        let line = self.line.as_ref().ok_or(HostError::Refused)?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let made = socketpair(AddressFamily::Unix, SockType::Stream, None, flags);
        let (ours, theirs) = made.map_err(|_| HostError::Exhausted)?;
        packets::send(line.as_fd(), &[Kind::Connection as u8], &[theirs.as_fd()], MsgFlags::MSG_DONTWAIT)
            .map_err(|_| HostError::Exhausted)?;
        // What is done to it below is what any connected stream socket can do.
        Ok(TcpStream::from_std(std::net::TcpStream::from(ours)))
    }

    /// Letters that the name server did not take.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

/// Carries answers to the container; says whether there may be more.
pub fn receive<M: RingMemory>(stack: &mut Stack<M>, edge: &mut HostEdge) -> bool {
    let room = || Room { letter: vec![0; LETTER_MAX].into_boxed_slice(), answer: Vec::new() };
    let mut room = edge.dns.room.take().unwrap_or_else(room);
    let mut more = true;
    for _ in 0..LETTERS_A_TURN {
        let Some(line) = &edge.dns.line else { break };
        let letter = match packets::receive(line.as_fd(), &mut room.letter, MsgFlags::MSG_DONTWAIT) {
            Ok((len @ 1.., _)) => room.letter.get(..len).unwrap_or_default(),
            Err(Errno::EAGAIN) => {
                more = false;
                break;
            }
            // There is no name server any more, and none will come.
            _ => {
                edge.dns.line = None;
                more = false;
                break;
            }
        };
        for (to, answer) in letter::messages(letter) {
            room.answer.clear();
            room.answer.resize(DATAGRAM_HEADROOM, 0);
            room.answer.extend_from_slice(answer);
            stack.dns_answered(to, &mut room.answer, edge);
        }
    }
    edge.dns.room = Some(room);
    more
}
