//! Packets with descriptors over a socket pair (unix(7), SOCK_SEQPACKET and SCM_RIGHTS).

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair,
};

/// Descriptors that one packet carries at the most (SCM_MAX_FD of linux/net/scm.h).
pub const DESCRIPTORS: usize = 253;

/// Both ends of a connection; each hangs up when the other is closed.
pub fn pair() -> nix::Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

/// Sends a packet whole.
///
/// # Errors
/// EAGAIN where the other end has not read enough yet and `flags` say not to wait; EMSGSIZE when it is too large; EPIPE when the
/// other end is closed; ETOOMANYREFS when too many descriptors of this user are underway.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>], flags: MsgFlags) -> nix::Result<()> {
    let fds: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = (!fds.is_empty()).then_some(ControlMessage::ScmRights(&fds));
    let flags = flags | MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], rights.as_slice(), flags, None).map(drop)
}

/// Receives a packet: how many bytes it has, of which those that found no room are lost, and its descriptors. Zero bytes are the
/// end.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], flags: MsgFlags) -> nix::Result<(usize, Vec<OwnedFd>)> {
    let mut space = cmsg_space!([RawFd; DESCRIPTORS]);
    loop {
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = flags | MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut parts, Some(&mut space), flags) {
            Ok(received) => return Ok((received.bytes, descriptors(received.cmsgs()?))),
            Err(Errno::EINTR) => {}
            Err(Errno::ECONNRESET) => return Ok((0, Vec::new())),
            Err(errno) => return Err(errno),
        }
    }
}

fn descriptors(messages: impl Iterator<Item = ControlMessageOwned>) -> Vec<OwnedFd> {
    let fds = messages.filter_map(|message| match message {
        ControlMessageOwned::ScmRights(fds) => Some(fds),
        _ => None,
    });
    // SAFETY: the kernel has just made each of them for this process, and tells of each once.
    fds.flatten().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_keep_their_ends_and_descriptors() {
        let (a, b) = pair().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        send(a.as_fd(), b"one", &vec![null.as_fd(); DESCRIPTORS], MsgFlags::empty()).unwrap();
        send(a.as_fd(), b"two", &[], MsgFlags::empty()).unwrap();
        drop(a);
        let mut buffer = [0; 10];
        let (len, fds) = receive(b.as_fd(), &mut buffer, MsgFlags::empty()).unwrap();
        assert_eq!((&buffer[..len], fds.len()), (&b"one"[..], DESCRIPTORS));
        assert_eq!(receive(b.as_fd(), &mut buffer, MsgFlags::empty()).unwrap().0, 3);
        assert_eq!(receive(b.as_fd(), &mut buffer, MsgFlags::empty()).unwrap().0, 0);
    }
}
