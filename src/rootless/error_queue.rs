//! ICMP errors that the host received for what a socket sent (ip(7), IP_RECVERR).

use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};

use super::udp::socket_addr;

/// SO_EE_ORIGIN_ICMP and SO_EE_ORIGIN_ICMP6 of linux/errqueue.h: somebody on the way complained.
const FROM_NETWORK: [u8; 2] = [2, 3];

/// One entry of a socket's error queue.
#[derive(Debug)]
pub struct QueuedError {
    /// Type, code and info (the MTU of a too-big).
    pub icmp: (u8, u8, u32),
    /// Where the packet in question went.
    pub to: std::net::SocketAddr,
    /// Who complained.
    pub offender: Option<IpAddr>,
    /// What the packet carried, as far as it was quoted.
    pub payload: Vec<u8>,
}

/// Takes one entry out of a socket's error queue; `None` when it is empty. Entries that come from the host itself, not
/// from the network, are passed over.
pub fn take(socket: BorrowedFd<'_>) -> Option<QueuedError> {
    let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
    let mut buffer = [0; 1500];
    // A queue never holds more than its socket's receive buffer; this bound is for a kernel that says otherwise.
    for _ in 0..1024 {
        let mut space = [IoSliceMut::new(&mut buffer)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut space, Some(&mut control), flags).ok()?;
        let len = message.bytes;
        let to = message.address.as_ref().and_then(socket_addr);
        let error = message.cmsgs().ok().and_then(|mut messages| {
            messages.find_map(|message| match message {
                ControlMessageOwned::Ipv4RecvErr(error, offender) => {
                    let ip = offender.map(|a| IpAddr::V4(Ipv4Addr::from(u32::from_be(a.sin_addr.s_addr))));
                    Some((error, ip))
                }
                ControlMessageOwned::Ipv6RecvErr(error, offender) => {
                    Some((error, offender.map(|a| IpAddr::V6(Ipv6Addr::from(a.sin6_addr.s6_addr)))))
                }
                _ => None,
            })
        });
        if let (Some((error, offender)), Some(to)) = (error, to)
            && FROM_NETWORK.contains(&error.ee_origin)
        {
            let payload = buffer.get(..len).unwrap_or_default().to_vec();
            return Some(QueuedError { icmp: (error.ee_type, error.ee_code, error.ee_info), to, offender, payload });
        }
    }
    None
}
