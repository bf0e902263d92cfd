//! One direction of a spliced connection.

use std::io::Read;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};

use mio::net::TcpStream;
use nix::errno::Errno;
use nix::fcntl::{SpliceFFlags, splice};
use nix::sys::socket::{MsgFlags, recv, send};

use super::pipes::{PIPE_BYTES, Pipe, Pipes};

/// Times that a way is filled in one turn before others have theirs.
const FILLS_A_TURN: usize = 4;

/// Bytes that are copied at once past an urgent one: the pipe takes them whole (PIPE_BUF of pipe(7)).
const COPY: usize = 4096;

/// From one socket to another.
#[derive(Debug, Default)]
pub struct Way {
    /// Held while something is in it.
    pipe: Option<Pipe>,
    /// Bytes in the pipe.
    level: usize,
    /// What events have said of the socket that is read, and nothing has belied since.
    pub readable: bool,
    /// And of the one that is written.
    pub writable: bool,
    /// The end of the stream, or of the connection, has been announced.
    pub closing: bool,
    /// Urgent data has been announced: at its mark the kernel splices nothing.
    pub urgent: bool,
    /// The end of the stream has been read.
    ended: bool,
    /// It has been passed on, or there is nobody to pass anything on to.
    pub closed: bool,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// With nothing left to do before the next event.
    Idle,
    /// With more to do.
    More,
    /// For want of a pipe.
    Starved,
    /// The socket that is read is broken; all that it had sent has been passed on.
    SourceBroken,
    /// The socket that is written is broken.
    SinkBroken,
}

impl Way {
    /// With all to be tried out.
    pub fn new() -> Way {
        Way { readable: true, writable: true, ..Way::default() }
    }

    /// Moves what can be moved, some in a turn; adds the number of bytes to `moved`.
    pub fn turn(&mut self, from: &TcpStream, to: &TcpStream, pipes: &mut Pipes, moved: &mut u64) -> Turn {
        if self.closed {
            return Turn::Idle;
        }
        let mut fills = 0;
        loop {
            if self.level > 0 {
                match self.drain(to, moved) {
                    Ok(true) => {}
                    Ok(false) => return Turn::Idle,
                    Err(_) => return Turn::SinkBroken,
                }
                continue;
            }
            if self.ended {
                self.closed = true;
                self.put_away(pipes);
                let shut = to.shutdown(Shutdown::Write);
                return if shut.is_ok() { Turn::Idle } else { Turn::SinkBroken };
            }
            if !self.readable {
                self.put_away(pipes);
                return Turn::Idle;
            }
            if fills == FILLS_A_TURN {
                return Turn::More;
            }
            fills += 1;
            if self.pipe.is_none() {
                self.pipe = pipes.take();
                if self.pipe.is_none() {
                    return Turn::Starved;
                }
            }
            if self.pipe.as_ref().is_some_and(Pipe::is_small) && !self.urgent {
                match self.hand_over(from, to, pipes.copy(), moved) {
                    Some(Turn::Idle) => {
                        self.put_away(pipes);
                        return Turn::Idle;
                    }
                    Some(turn) => return turn,
                    None => continue,
                }
            }
            if self.fill(from).is_err() {
                return Turn::SourceBroken;
            }
        }
    }

    /// Fills the empty pipe.
    fn fill(&mut self, from: &TcpStream) -> nix::Result<()> {
        let Some(pipe) = &self.pipe else { return Ok(()) };
        match splice(from, None, &pipe.writer, None, PIPE_BYTES, SpliceFFlags::SPLICE_F_NONBLOCK) {
            Ok(0) => self.ended = true,
            Ok(length) => {
                self.level = length;
                // Each byte may have a slot of its own. With slots to spare it stopped because there was no more.
                self.readable = length >= pipe.slots || self.closing || self.urgent;
            }
            Err(Errno::EAGAIN) if self.urgent => self.copy(from)?,
            Err(Errno::EAGAIN) => self.readable = false,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        Ok(())
    }

    /// Copies from one socket to the other what the other takes. What it does not take stays in the first: nothing is held in between.
    fn hand_over(&mut self, from: &TcpStream, to: &TcpStream, room: &mut [u8], moved: &mut u64) -> Option<Turn> {
        if !self.writable {
            return Some(Turn::Idle);
        }
        let length = match recv(from.as_raw_fd(), room, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
            Ok(0) => {
                self.ended = true;
                return None;
            }
            Ok(length) => length,
            Err(Errno::EAGAIN) => {
                self.readable = false;
                return None;
            }
            Err(Errno::EINTR) => return None,
            Err(_) => return Some(Turn::SourceBroken),
        };
        let peeked = room.get(..length).unwrap_or_default();
        let mut taken = match send(to.as_raw_fd(), peeked, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
            Ok(taken) => taken,
            Err(Errno::EAGAIN) => {
                self.writable = false;
                return Some(Turn::Idle);
            }
            Err(Errno::EINTR) => return None,
            Err(_) => return Some(Turn::SinkBroken),
        };
        *moved += taken as u64;
        while taken > 0 {
            // Throws them away where they are (tcp(7)).
            let flags = MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT;
            match recv(from.as_raw_fd(), room.get_mut(..taken).unwrap_or_default(), flags) {
                Ok(length @ 1..) => taken = taken.saturating_sub(length),
                Err(Errno::EINTR) => {}
                Ok(0) | Err(_) => return Some(Turn::SourceBroken),
            }
        }
        None
    }

    /// Copies what splice(2) stops short at: an urgent byte, which stays in the stream (SO_OOBINLINE).
    fn copy(&mut self, mut from: &TcpStream) -> nix::Result<()> {
        let Some(pipe) = &self.pipe else { return Ok(()) };
        let mut bytes = [0; COPY];
        match from.read(&mut bytes) {
            Ok(0) => self.ended = true,
            Ok(length) => {
                self.level = nix::unistd::write(&pipe.writer, bytes.get(..length).unwrap_or_default())?;
                if self.level < length {
                    return Err(Errno::EIO);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                (self.readable, self.urgent) = (false, false)
            }
            Err(error) => return Err(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))),
        }
        Ok(())
    }

    /// Passes on what is in the pipe; says whether any of it was taken.
    fn drain(&mut self, to: &TcpStream, moved: &mut u64) -> nix::Result<bool> {
        let Some(pipe) = self.pipe.as_ref().filter(|_| self.writable) else { return Ok(false) };
        match splice(&pipe.reader, None, to.as_fd(), None, self.level, SpliceFFlags::SPLICE_F_NONBLOCK) {
            Ok(0) | Err(Errno::EAGAIN) => self.writable = false,
            Ok(length) => {
                self.level -= length.min(self.level);
                *moved += length as u64;
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        Ok(self.writable)
    }

    /// Gives the pipe back.
    pub fn put_away(&mut self, pipes: &mut Pipes) {
        if let Some(pipe) = self.pipe.take() {
            match std::mem::take(&mut self.level) {
                0 => pipes.give_back(pipe),
                _ => pipes.discard(pipe),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream as StdStream};
    use std::time::{Duration, Instant};

    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use nix::unistd::pipe2;

    use super::*;

    /// Both ends of a connection, the first of which does not block.
    fn connection() -> (TcpStream, StdStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = StdStream::connect(listener.local_addr().unwrap()).unwrap();
        let (here, _) = listener.accept().unwrap();
        here.set_nonblocking(true).unwrap();
        (TcpStream::from_std(here), there)
    }

    fn pipe_of(bytes: i32) -> Pipe {
        let (reader, writer) = pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).unwrap();
        let size = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(bytes)).unwrap();
        Pipe { reader, writer, slots: size as usize / 4096 }
    }

    /// Sends bytes and the end through a way whose pipes are of a size, to somebody who reads slowly; what arrives is the same.
    fn passes_all(pipe_bytes: i32) {
        let mut pipes = Pipes::new(0);
        let pipe = pipe_of(pipe_bytes);
        assert_eq!(pipe.is_small(), pipe_bytes < 65536);
        pipes.adopt(pipe);
        let ((from, mut client), (to, mut server)) = (connection(), connection());
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
        let sent = bytes.clone();
        let sender = std::thread::spawn(move || client.write_all(&sent).unwrap());
        let receiver = std::thread::spawn(move || {
            let (mut all, mut piece) = (Vec::new(), vec![0; 50_000]);
            while let Ok(length @ 1..) = server.read(&mut piece) {
                all.extend_from_slice(&piece[..length]);
                std::thread::sleep(Duration::from_micros(200));
            }
            all
        });
        let (mut way, mut moved) = (Way::new(), 0);
        let deadline = Instant::now() + Duration::from_secs(20);
        while !way.closed {
            assert!(Instant::now() < deadline, "stands still after {moved} bytes");
            match way.turn(&from, &to, &mut pipes, &mut moved) {
                Turn::More => {}
                Turn::Idle => {
                    std::thread::sleep(Duration::from_micros(100));
                    (way.readable, way.writable) = (true, true);
                }
                other => panic!("{other:?}"),
            }
        }
        sender.join().unwrap();
        assert!(receiver.join().unwrap() == bytes, "other bytes have arrived");
        assert_eq!(moved, bytes.len() as u64);
    }

    #[test]
    fn bytes_pass_through_a_pipe() {
        passes_all(65536);
    }

    #[test]
    fn bytes_pass_a_pipe_that_is_too_small_to_use() {
        passes_all(8192);
    }
}
