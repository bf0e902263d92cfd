//! The few system calls that the standard library lacks. All of this crate's unsafe code stands here.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// The soft limit of descriptors becomes the hard one.
pub fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live rlimit in both calls.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// This process ends when the driver that started it ends.
pub fn die_with_parent() {
    // SAFETY: prctl with integers only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
}

/// Nanoseconds of CLOCK_MONOTONIC: the same in client and server, which run on one machine.
pub fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Sets an integer socket option.
pub fn set_option(socket: &impl AsRawFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    let length = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the option's value is an i32, which lives during the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Starts a TCP connection without waiting for it.
pub fn connect_nonblocking(address: SocketAddr) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: socket() makes a descriptor that nobody else owns.
    let stream = unsafe {
        let fd = libc::socket(family, libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        TcpStream::from_raw_fd(fd)
    };
    // SAFETY: an all-zero sockaddr_storage is valid, and holds either sockaddr.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let length = match address.ip() {
        IpAddr::V4(ip) => {
            // SAFETY: sockaddr_storage is large and aligned enough for sockaddr_in.
            let target = unsafe { &mut *(&raw mut storage).cast::<libc::sockaddr_in>() };
            target.sin_family = libc::AF_INET as _;
            target.sin_port = address.port().to_be();
            target.sin_addr.s_addr = u32::from(ip).to_be();
            size_of::<libc::sockaddr_in>()
        }
        IpAddr::V6(ip) => {
            // SAFETY: as above, for sockaddr_in6.
            let target = unsafe { &mut *(&raw mut storage).cast::<libc::sockaddr_in6>() };
            target.sin6_family = libc::AF_INET6 as _;
            target.sin6_port = address.port().to_be();
            target.sin6_addr.s6_addr = ip.octets();
            size_of::<libc::sockaddr_in6>()
        }
    };
    // SAFETY: the address is initialized for `length` bytes.
    let result = unsafe { libc::connect(stream.as_raw_fd(), (&raw const storage).cast(), length as libc::socklen_t) };
    match io::Error::last_os_error() {
        _ if result == 0 => Ok(stream),
        error if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(stream),
        error => Err(error),
    }
}

/// An epoll instance; edge-triggered, for reading and writing.
pub struct Epoll(OwnedFd);

impl Epoll {
    /// Makes one.
    pub fn new() -> io::Result<Self> {
        // SAFETY: epoll_create1 makes a descriptor that nobody else owns.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        // SAFETY: as above; only a valid descriptor is wrapped.
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) })) }
    }

    /// Watches a descriptor until it is closed.
    pub fn add(&self, socket: &impl AsRawFd, token: u64) -> io::Result<()> {
        let events = (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET) as u32;
        let mut event = libc::epoll_event { events, u64: token };
        let epoll = self.0.as_raw_fd();
        // SAFETY: the event lives during the call.
        let result = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &mut event) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Waits; the tokens that have news.
    pub fn wait(&self, tokens: &mut Vec<u64>, milliseconds: i32) -> io::Result<()> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 256];
        tokens.clear();
        // SAFETY: the kernel writes at most 256 events into the array.
        let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), 256, milliseconds) };
        match count {
            0.. => {
                tokens.extend(events[..count as usize].iter().map(|event| event.u64));
                Ok(())
            }
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
                error => Err(error),
            },
        }
    }
}

/// Room for many datagrams of one size that move in one system call.
pub struct Batch {
    // The headers point into the other two vectors, which are never resized.
    headers: Vec<libc::mmsghdr>,
    _vectors: Vec<libc::iovec>,
    bytes: Vec<u8>,
    slot: usize,
}

impl Batch {
    /// `count` slots of `slot` bytes.
    pub fn new(count: usize, slot: usize) -> Self {
        let mut bytes = vec![0_u8; count * slot];
        let mut vectors: Vec<libc::iovec> = bytes
            .chunks_exact_mut(slot)
            .map(|chunk| libc::iovec { iov_base: chunk.as_mut_ptr().cast(), iov_len: slot })
            .collect();
        let headers = vectors
            .iter_mut()
            .map(|vector| {
                // SAFETY: an all-zero mmsghdr is valid.
                let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
                header.msg_hdr.msg_iov = vector;
                header.msg_hdr.msg_iovlen = 1;
                header
            })
            .collect();
        Self { headers, _vectors: vectors, bytes, slot }
    }

    /// The slots.
    pub fn slots(&mut self) -> std::slice::ChunksExactMut<'_, u8> {
        self.bytes.chunks_exact_mut(self.slot)
    }

    /// Sends all slots; how many went.
    pub fn send(&mut self, socket: RawFd) -> io::Result<usize> {
        let count = self.headers.len() as u32;
        // SAFETY: every header points to a live iovec, which points to a live slot.
        let sent = unsafe { libc::sendmmsg(socket, self.headers.as_mut_ptr(), count, 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(sent as usize) }
    }

    /// Receives what there is, at least one; calls `each` with the bytes of each.
    pub fn receive(&mut self, socket: RawFd, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let count = self.headers.len() as u32;
        let flags = libc::MSG_WAITFORONE;
        // SAFETY: every header points to a live iovec, which points to a live slot.
        let got = unsafe { libc::recvmmsg(socket, self.headers.as_mut_ptr(), count, flags, std::ptr::null_mut()) };
        if got < 0 {
            return Err(io::Error::last_os_error());
        }
        for (header, slot) in self.headers.iter().zip(self.bytes.chunks_exact(self.slot)).take(got as usize) {
            each(&slot[..(header.msg_len as usize).min(slot.len())]);
        }
        Ok(())
    }
}
