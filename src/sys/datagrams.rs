//! Many small datagrams in one system call, in both directions (recvmmsg(2), sendmmsg(2)).

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use socket2::SockAddr;

use super::messages::{NAME_LEN, socket_addr};

/// Datagrams of one call at the most.
pub const BATCH: usize = 64;

/// Bytes of a datagram, as many as an Ethernet frame carries; of longer ones nothing is kept.
pub const LEN_MAX: usize = 1536;

/// Room for what one call receives.
pub struct Inbox {
    buffer: Box<[u8]>,
    names: Box<[[u8; NAME_LEN]]>,
    /// Who sent each, and its length.
    received: Vec<(SocketAddr, usize)>,
}

impl Default for Inbox {
    fn default() -> Inbox {
        Inbox {
            buffer: vec![0; BATCH * LEN_MAX].into_boxed_slice(),
            names: vec![[0; NAME_LEN]; BATCH].into_boxed_slice(),
            received: Vec::with_capacity(BATCH),
        }
    }
}

impl Inbox {
    /// Receives what a socket holds, up to [`BATCH`] datagrams; says how many. Fewer than that means that it holds no more.
    ///
    /// # Errors
    /// Those of recvmmsg(2), when nothing was received.
    pub fn receive(&mut self, socket: impl AsFd) -> nix::Result<usize> {
        self.received.clear();
        let mut parts = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        // SAFETY: mmsghdr is plain data, for which zeroes are valid.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        let places = self.buffer.chunks_exact_mut(LEN_MAX).zip(self.names.iter_mut());
        for ((place, name), (part, header)) in places.zip(parts.iter_mut().zip(&mut headers)) {
            *part = libc::iovec { iov_base: place.as_mut_ptr().cast(), iov_len: place.len() };
            header.msg_hdr.msg_name = name.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = NAME_LEN as libc::socklen_t;
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
        }
        let fd = socket.as_fd().as_raw_fd();
        // SAFETY: as many headers as are announced; each points to a name and one part of the lengths given, all of which outlive
        // the call and are disjoint.
        let count = Errno::result(unsafe {
            libc::recvmmsg(
                fd,
                headers.as_mut_ptr(),
                BATCH as _,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut::<libc::timespec>(),
            )
        })?;
        let count = usize::try_from(count).unwrap_or(0).min(BATCH);
        for (name, header) in self.names.iter().zip(&headers).take(count) {
            let is_whole = header.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
            let len = if is_whole { (header.msg_len as usize).min(LEN_MAX) } else { 0 };
            // What has no sender is left out by its length, so that places and senders stay together.
            self.received.push(match socket_addr(name) {
                Some(from) => (from, len),
                None => (SocketAddr::from(([0, 0, 0, 0], 0)), 0),
            });
        }
        Ok(count)
    }

    /// What the last call received, from whom.
    pub fn iter(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let places = self.buffer.chunks_exact(LEN_MAX);
        self.received.iter().zip(places).filter_map(|((from, len), place)| Some((*from, place.get(..*len)?)))
    }
}

/// Sends datagrams to where each is to go, as many as one call takes; says how many were.
///
/// # Errors
/// Those of sendmmsg(2), when the first could not be sent.
pub fn send(socket: impl AsFd, messages: &[(SocketAddr, Vec<u8>)]) -> nix::Result<usize> {
    let names: Vec<SockAddr> = messages.iter().take(BATCH).map(|(to, _)| SockAddr::from(*to)).collect();
    let mut parts: Vec<libc::iovec> = messages
        .iter()
        .take(BATCH)
        .map(|(_, bytes)| libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() })
        .collect();
    // SAFETY: mmsghdr is plain data, for which zeroes are valid.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
    for ((name, part), header) in names.iter().zip(&mut parts).zip(&mut headers) {
        header.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
        header.msg_hdr.msg_namelen = name.len();
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: as many headers as there are names and parts, which with the bytes that they point to outlive the call; sending
    // writes to none of them.
    let sent = Errno::result(unsafe {
        libc::sendmmsg(socket.as_fd().as_raw_fd(), headers.as_mut_ptr(), names.len() as _, flags as _)
    })?;
    Ok(usize::try_from(sent).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn many_come_and_go_at_once() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let (a, b) = (UdpSocket::bind(address).unwrap(), UdpSocket::bind(address).unwrap());
            let to = b.local_addr().unwrap();
            let mut inbox = Inbox::default();
            assert_eq!(inbox.receive(&b), Err(Errno::EAGAIN));
            let sent: Vec<(SocketAddr, Vec<u8>)> = (0..70).map(|n| (to, vec![n; n.into()])).collect();
            assert_eq!(send(&a, &sent), Ok(BATCH));
            assert_eq!(send(&a, &sent[BATCH..]), Ok(6));
            assert_eq!(inbox.receive(&b), Ok(BATCH));
            let from = a.local_addr().unwrap();
            let got: Vec<_> = inbox.iter().map(|(from, bytes)| (from, bytes.to_vec())).collect();
            let expected: Vec<_> = (0..BATCH as u8).map(|n| (from, vec![n; n.into()])).collect();
            assert_eq!(got, expected);
            assert_eq!(inbox.receive(&b), Ok(6));
            a.send_to(&vec![7; LEN_MAX + 1], to).unwrap();
            assert_eq!(inbox.receive(&b), Ok(1));
            assert_eq!(inbox.iter().next().unwrap().1, b"", "what is too long is not taken for something shorter");
        }
    }
}
