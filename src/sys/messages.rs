//! Several datagrams in one system call (recvmmsg(2), sendmmsg(2)).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

/// Datagrams that one call receives at the most.
pub const MESSAGES: usize = 16;

/// Payload of the largest datagram, and of a batch that the kernel coalesced (UDP_GRO).
const PAYLOAD_MAX: usize = 65535;

/// A `sockaddr_in6`, the largest address of a datagram.
pub(super) const NAME_LEN: usize = size_of::<libc::sockaddr_in6>();

/// A control message that carries an int, twice as much as is expected.
const CONTROL_LEN: usize = 2 * (size_of::<libc::cmsghdr>() + 8);

/// What was received: from whom, how many bytes, and of how many bytes each datagram is when there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Who sent it.
    pub from: SocketAddr,
    /// Bytes of the payload.
    pub len: usize,
    /// Bytes of each datagram but the last, where the kernel put several together.
    pub segment: Option<u16>,
}

/// Room for the datagrams of one call. Memory is used only as they fill it.
pub struct Messages {
    /// A place for each, with `headroom` bytes in front of its payload.
    buffer: Box<[u8]>,
    headroom: usize,
    received: Vec<Received>,
    /// The place of each that was received.
    places: Vec<usize>,
}

impl Messages {
    /// Room for [`MESSAGES`] datagrams with `headroom` bytes in front of each.
    pub fn new(headroom: usize) -> Messages {
        Messages {
            buffer: vec![0; MESSAGES * place_len(headroom)].into_boxed_slice(),
            headroom,
            received: Vec::with_capacity(MESSAGES),
            places: Vec::with_capacity(MESSAGES),
        }
    }

    /// Receives what a socket holds, up to [`MESSAGES`] datagrams; says how many. Fewer than that means that the socket
    /// holds no more, or an error that it reports anew.
    ///
    /// # Errors
    /// Those of recvmmsg(2), when nothing was received.
    pub fn receive(&mut self, socket: impl AsFd) -> nix::Result<usize> {
        self.received.clear();
        self.places.clear();
        let mut names = [[0u8; NAME_LEN]; MESSAGES];
        let mut controls = [[0u8; CONTROL_LEN]; MESSAGES];
        let mut parts = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; MESSAGES];
        // SAFETY: mmsghdr is plain data, for which zeroes are valid.
        let mut headers: [libc::mmsghdr; MESSAGES] = unsafe { std::mem::zeroed() };
        let places = self.buffer.chunks_exact_mut(place_len(self.headroom));
        for (place, ((name, control), (part, header))) in
            places.zip(names.iter_mut().zip(&mut controls).zip(parts.iter_mut().zip(&mut headers)))
        {
            let space = &mut place[self.headroom..self.headroom + PAYLOAD_MAX];
            *part = libc::iovec { iov_base: space.as_mut_ptr().cast(), iov_len: space.len() };
            let header = &mut header.msg_hdr;
            header.msg_name = name.as_mut_ptr().cast();
            header.msg_namelen = NAME_LEN as libc::socklen_t;
            header.msg_iov = part;
            header.msg_iovlen = 1;
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_LEN as _;
        }
        let fd = socket.as_fd().as_raw_fd();
        let flags = libc::MSG_DONTWAIT;
        // SAFETY: as many headers as are announced; each points to a name, one part and control space of the lengths given,
        // all of which outlive the call and are disjoint.
        let count = Errno::result(unsafe {
            libc::recvmmsg(fd, headers.as_mut_ptr(), MESSAGES as _, flags as _, std::ptr::null_mut())
        })?;
        let count = usize::try_from(count).unwrap_or(0);
        for (place, header) in headers.iter().enumerate().take(count) {
            let Some(from) = socket_addr(&names[place]) else { continue };
            let len = (header.msg_len as usize).min(PAYLOAD_MAX);
            self.received.push(Received { from, len, segment: coalesced(&controls[place]) });
            self.places.push(place);
        }
        Ok(count)
    }

    /// What the last call received, one by one: with the bytes from the headroom to the end of the payload.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Received, &mut [u8])> {
        let headroom = self.headroom;
        let mut places = self.buffer.chunks_exact_mut(place_len(headroom));
        let mut next = 0;
        self.received.iter().zip(&self.places).filter_map(move |(received, place)| {
            let bytes = places.nth(place.checked_sub(next)?)?;
            next = place + 1;
            Some((*received, &mut bytes[..headroom + received.len]))
        })
    }
}

/// Sends datagrams to where the socket is connected to, up to [`MESSAGES`]; says how many of them were taken.
///
/// # Errors
/// Those of sendmmsg(2), about the first of them.
pub fn send<'a>(socket: impl AsFd, messages: impl Iterator<Item = &'a [u8]>) -> nix::Result<usize> {
    let mut parts = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; MESSAGES];
    // SAFETY: mmsghdr is plain data, for which zeroes are valid.
    let mut headers: [libc::mmsghdr; MESSAGES] = unsafe { std::mem::zeroed() };
    let mut count = 0;
    for (message, (part, header)) in messages.zip(parts.iter_mut().zip(&mut headers)) {
        *part = libc::iovec { iov_base: message.as_ptr().cast_mut().cast(), iov_len: message.len() };
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    if count == 0 {
        return Ok(0);
    }
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the first `count` headers each point to one part with the length of a message; parts and messages outlive the
    // call, which only reads them.
    let sent =
        unsafe { libc::sendmmsg(fd, headers.as_mut_ptr(), count, (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _) };
    Ok(usize::try_from(Errno::result(sent)?).unwrap_or(0))
}

/// Bytes from one place to the next: a whole number of cache lines, and no power of two, so that the starts of all places
/// fit into the processor's cache together.
fn place_len(headroom: usize) -> usize {
    (headroom + PAYLOAD_MAX).next_multiple_of(64) + 64
}

/// Reads a `sockaddr_in` or `sockaddr_in6` (ip(7), ipv6(7)).
pub(super) fn socket_addr(name: &[u8; NAME_LEN]) -> Option<SocketAddr> {
    let [family_0, family_1, port_0, port_1, rest @ ..] = name;
    let port = u16::from_be_bytes([*port_0, *port_1]);
    match libc::c_int::from(u16::from_ne_bytes([*family_0, *family_1])) {
        libc::AF_INET => {
            let ip: [u8; 4] = *rest.first_chunk()?;
            Some(SocketAddrV4::new(Ipv4Addr::from(ip), port).into())
        }
        libc::AF_INET6 => {
            let (flow, rest) = rest.split_first_chunk::<4>()?;
            let (ip, rest) = rest.split_first_chunk::<16>()?;
            let scope = u32::from_ne_bytes(*rest.first_chunk()?);
            Some(SocketAddrV6::new(Ipv6Addr::from(*ip), port, u32::from_ne_bytes(*flow), scope).into())
        }
        _ => None,
    }
}

/// The size of the datagrams that the kernel put together (udp(7), UDP_GRO), from the first control message: no other is
/// asked for. Where none came there are zeroes.
fn coalesced(control: &[u8]) -> Option<u16> {
    let (len, rest) = control.split_first_chunk::<{ size_of::<usize>() }>()?;
    let (level, rest) = rest.split_first_chunk::<4>()?;
    let (kind, rest) = rest.split_first_chunk::<4>()?;
    let size = i32::from_ne_bytes(*rest.first_chunk()?);
    let is_whole = usize::from_ne_bytes(*len) >= size_of::<libc::cmsghdr>() + size_of::<i32>();
    let is_size = is_whole && (i32::from_ne_bytes(*level), i32::from_ne_bytes(*kind)) == (libc::SOL_UDP, libc::UDP_GRO);
    u16::try_from(size).ok().filter(|size| is_size && *size > 0)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn pair(address: &str) -> (UdpSocket, UdpSocket) {
        let (a, b) = (UdpSocket::bind(address).unwrap(), UdpSocket::bind(address).unwrap());
        a.connect(b.local_addr().unwrap()).unwrap();
        (a, b)
    }

    fn texts(messages: &mut Messages, headroom: usize) -> Vec<(SocketAddr, Vec<u8>)> {
        messages.iter_mut().map(|(received, bytes)| (received.from, bytes[headroom..].to_vec())).collect()
    }

    #[test]
    fn each_datagram_comes_whole_with_its_sender() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let (a, b) = pair(address);
            let mut messages = Messages::new(100);
            assert_eq!(messages.receive(&b), Err(Errno::EAGAIN));
            let sent: Vec<Vec<u8>> = vec![vec![1; 5], vec![], vec![2; 20_000], vec![3; 700]];
            for payload in &sent {
                a.send(payload).unwrap();
            }
            assert_eq!(messages.receive(&b), Ok(4));
            let from = a.local_addr().unwrap();
            let expected: Vec<_> = sent.into_iter().map(|payload| (from, payload)).collect();
            assert_eq!(texts(&mut messages, 100), expected);
            assert_eq!(messages.receive(&b), Err(Errno::EAGAIN));
            assert!(texts(&mut messages, 100).is_empty());
        }
    }

    #[test]
    fn no_more_than_there_is_room_for() {
        let (a, b) = pair("127.0.0.1:0");
        for number in 0..=MESSAGES {
            a.send(&[number as u8]).unwrap();
        }
        let mut messages = Messages::new(0);
        assert_eq!(messages.receive(&b), Ok(MESSAGES));
        assert_eq!(texts(&mut messages, 0).last().unwrap().1, [MESSAGES as u8 - 1]);
        assert_eq!(messages.receive(&b), Ok(1));
        assert_eq!(texts(&mut messages, 0).last().unwrap().1, [MESSAGES as u8]);
    }

    #[test]
    fn what_the_kernel_put_together_is_known_in_every_call() {
        use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg, setsockopt, sockopt};
        let (a, b) = pair("127.0.0.1:0");
        setsockopt(&b, sockopt::UdpGroSegment, &true).unwrap();
        let mut messages = Messages::new(8);
        for _ in 0..2 {
            a.send(&[9; 30]).unwrap();
            let payload = [std::io::IoSlice::new(&[7; 250])];
            sendmsg::<()>(a.as_raw_fd(), &payload, &[ControlMessage::UdpGsoSegments(&100)], MsgFlags::empty(), None)
                .unwrap();
            assert_eq!(messages.receive(&b), Ok(2));
            let sizes: Vec<_> = messages.iter_mut().map(|(received, _)| (received.len, received.segment)).collect();
            assert_eq!(sizes, [(30, None), (250, Some(100))]);
        }
    }
}
