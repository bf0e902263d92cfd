//! A netlink connection (netlink(7)): requests, dumps and batches, each answered before the next is sent.

use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;

use super::attribute::Attributes;

/// linux/netlink.h
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// The length of a message's header.
pub const HEADER: usize = 16;

/// NLM_F_DUMP
pub const DUMP: u16 = 0x300;
/// NLM_F_CREATE
pub const CREATE: u16 = 0x400;
/// NLM_F_EXCL
pub const EXCL: u16 = 0x200;
/// NLM_F_REPLACE
pub const REPLACE: u16 = 0x100;
/// NLM_F_APPEND
pub const APPEND: u16 = 0x800;

/// Room for what comes at once. The kernel puts as much of a dump into one datagram as it has seen room for, up to 32 KiB.
const ROOM: usize = 256 << 10;

/// A dump that keeps being interrupted by changes is given up after so many attempts.
const DUMP_ATTEMPTS: usize = 20;

/// A message that came from the kernel: its type, flags and what follows the header.
#[derive(Clone, Debug)]
pub struct Answer {
    /// nlmsg_type
    pub kind: u16,
    /// After the netlink header.
    pub body: Vec<u8>,
}

/// A connection to the network namespace that it was made in.
pub struct NetlinkSocket {
    socket: Socket,
    sequence: u32,
    /// What was received last.
    room: Vec<u8>,
}

impl NetlinkSocket {
    /// Connects to a netlink family in the caller's network namespace.
    pub fn open(family: isize) -> std::io::Result<NetlinkSocket> {
        let mut socket = Socket::new(family)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Answers of 300 links or 3000 rules come in pieces; a large buffer only saves the kernel waiting.
        let _ = socket.set_rx_buf_sz(4_u32 << 20);
        // Old kernels do not have it, and check less.
        let _ = socket.set_netlink_get_strict_chk(true);
        Ok(NetlinkSocket { socket, sequence: 0, room: Vec::with_capacity(ROOM) })
    }

    /// Sends a request and waits for its acknowledgement.
    pub fn request(&mut self, kind: u16, flags: u16, body: &[u8]) -> nix::Result<()> {
        self.ask(kind, flags | NLM_F_ACK, body).map(drop)
    }

    /// Sends a request that is answered by messages, and collects them.
    pub fn get(&mut self, kind: u16, body: &[u8]) -> nix::Result<Vec<Answer>> {
        self.ask(kind, NLM_F_ACK, body)
    }

    /// Asks for all that there is, again while it changes meanwhile.
    pub fn dump(&mut self, kind: u16, body: &[u8]) -> nix::Result<Vec<Answer>> {
        for _ in 0..DUMP_ATTEMPTS {
            match self.ask(kind, DUMP, body) {
                Err(Errno::EINTR) => {}
                other => return other,
            }
        }
        Err(Errno::EINTR)
    }

    fn ask(&mut self, kind: u16, flags: u16, body: &[u8]) -> nix::Result<Vec<Answer>> {
        self.sequence += 1;
        let message = message(kind, flags | NLM_F_REQUEST, self.sequence, body);
        self.socket.send(&message, 0).map_err(errno)?;
        let (mut answers, mut interrupted) = (Vec::new(), false);
        loop {
            self.receive()?;
            for part in Parts(&self.room) {
                if part.sequence != self.sequence {
                    continue;
                }
                interrupted |= part.flags & NLM_F_DUMP_INTR != 0;
                match part.kind {
                    NLMSG_DONE | NLMSG_ERROR => {
                        return match error_code(part.body) {
                            0 if interrupted => Err(Errno::EINTR),
                            0 => Ok(answers),
                            code => Err(Errno::from_raw(-code)),
                        };
                    }
                    kind => answers.push(Answer { kind, body: part.body.to_vec() }),
                }
            }
        }
    }

    fn receive(&mut self) -> nix::Result<()> {
        self.room.clear();
        self.room.reserve(ROOM);
        let most = self.room.capacity();
        let length = self.socket.recv(&mut self.room, libc::MSG_TRUNC).map_err(errno)?;
        if length > most { Err(Errno::EMSGSIZE) } else { Ok(()) }
    }

    /// Sends several messages as one datagram, one of which must ask for an acknowledgement (nfnetlink answers all
    /// together, in order). Errors come back by the position of their message; an empty list means that all went well.
    pub fn batch(&mut self, messages: &Batch) -> nix::Result<Vec<(usize, Errno)>> {
        let needed = messages.bytes.len();
        // The datagram must fit the send buffer; only root may go past net.core.wmem_max.
        send_buffer(&self.socket, needed);
        self.sequence = self.sequence.wrapping_add(1_000_000);
        let mut bytes = messages.bytes.clone();
        for (index, &at) in messages.starts.iter().enumerate() {
            bytes[at + 8..at + 12].copy_from_slice(&(self.sequence + index as u32).to_ne_bytes());
        }
        self.socket.send(&bytes, 0).map_err(errno)?;
        let mut failures = Vec::new();
        loop {
            self.receive()?;
            for part in Parts(&self.room) {
                let index = part.sequence.wrapping_sub(self.sequence) as usize;
                if part.kind != NLMSG_ERROR || index >= messages.starts.len() {
                    continue;
                }
                let code = error_code(part.body);
                if code != 0 {
                    failures.push((index, Errno::from_raw(-code)));
                }
                // What is wrong with the batch as a whole is said of its first message, and nothing follows.
                if messages.acknowledged == Some(index) || (index == 0 && code != 0) {
                    return Ok(failures);
                }
            }
        }
    }
}

/// Messages that are sent as one datagram.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    starts: Vec<usize>,
    acknowledged: Option<usize>,
}

impl Batch {
    /// Adds a message that is only answered when it fails, or also when it succeeds.
    pub fn push(&mut self, kind: u16, flags: u16, acknowledge: bool, body: &[u8]) {
        let flags = flags | NLM_F_REQUEST | if acknowledge { NLM_F_ACK } else { 0 };
        if acknowledge {
            self.acknowledged = Some(self.starts.len());
        }
        self.starts.push(self.bytes.len());
        self.bytes.extend(message(kind, flags, 0, body));
    }
}

fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend_from_slice(&((HEADER + body.len()) as u32).to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&sequence.to_ne_bytes());
    bytes.extend_from_slice(&0_u32.to_ne_bytes());
    bytes.extend_from_slice(body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A family's own header followed by attributes.
pub fn body(header: &[u8], attributes: &Attributes) -> Vec<u8> {
    [header, attributes.bytes()].concat()
}

struct Part<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    body: &'a [u8],
}

/// The messages of one datagram.
struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let header: [u8; HEADER] = self.0.get(..HEADER)?.try_into().ok()?;
        let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let body = self.0.get(HEADER..len)?;
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(Part {
            kind: u16::from_ne_bytes([header[4], header[5]]),
            flags: u16::from_ne_bytes([header[6], header[7]]),
            sequence: u32::from_ne_bytes([header[8], header[9], header[10], header[11]]),
            body,
        })
    }
}

/// The number at the start of NLMSG_ERROR and NLMSG_DONE: zero, or a negative errno.
fn error_code(body: &[u8]) -> i32 {
    body.get(..4).and_then(|code| code.try_into().ok()).map_or(0, i32::from_ne_bytes)
}

fn send_buffer(socket: &Socket, needed: usize) {
    use std::os::fd::{AsRawFd, BorrowedFd};

    use nix::sys::socket::{setsockopt, sockopt};
    // The kernel counts its own structures too.
    let wanted = needed.saturating_mul(2).max(256 << 10);
    // SAFETY: the socket stays open for as long as the borrow is used here.
    let fd = unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) };
    if setsockopt(&fd, sockopt::SndBufForce, &wanted).is_err() {
        let _ = setsockopt(&fd, sockopt::SndBuf, &wanted);
    }
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}
