//! Messages over a socket pair that keeps them apart, each with a descriptor or without (unix(7)).

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair,
};

/// Two ends between which messages go. Neither blocks.
pub fn pair() -> nix::Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK)
}

/// Sends a message; EAGAIN when too much waits at the other end.
pub fn send(socket: impl AsFd, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> nix::Result<()> {
    let parts = [IoSlice::new(bytes)];
    let fds: Vec<RawFd> = descriptor.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = (!fds.is_empty()).then_some(ControlMessage::ScmRights(&fds));
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    loop {
        match sendmsg::<()>(socket.as_fd().as_raw_fd(), &parts, rights.as_slice(), flags, None) {
            Err(Errno::EINTR) => {}
            other => return other.map(drop),
        }
    }
}

/// Receives a message: its length, and the descriptor that came along. A length of zero says that the other end is gone;
/// EAGAIN that nothing is there.
pub fn receive(socket: impl AsFd, room: &mut [u8]) -> nix::Result<(usize, Option<OwnedFd>)> {
    let mut space = cmsg_space!([RawFd; 1]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    loop {
        let mut parts = [IoSliceMut::new(room)];
        let received = match recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut parts, Some(&mut space), flags) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        let mut descriptors = Vec::new();
        for message in received.cmsgs()? {
            if let ControlMessageOwned::ScmRights(fds) = message {
                // SAFETY: the kernel has just made each of them for this process, and tells of each once.
                descriptors.extend(fds.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
        return Ok((received.bytes, descriptors.pop()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_apart_and_bring_descriptors() {
        let (a, b) = pair().unwrap();
        let mut room = [0; 100];
        assert_eq!(receive(&b, &mut room).unwrap_err(), Errno::EAGAIN);
        let null = std::fs::File::open("/dev/null").unwrap();
        send(&a, b"one", None).unwrap();
        send(&a, b"two", Some(null.as_fd())).unwrap();
        assert!(matches!(receive(&b, &mut room), Ok((3, None))));
        assert!(matches!(receive(&b, &mut room), Ok((3, Some(_)))));
        assert_eq!(&room[..3], b"two");
        let sent = (0..10_000).take_while(|_| send(&a, &[7; 1000], None).is_ok()).count();
        assert!((10..10_000).contains(&sent), "{sent}");
        drop(a);
        for _ in 0..sent {
            assert!(matches!(receive(&b, &mut room), Ok((100, None))));
        }
        assert!(matches!(receive(&b, &mut room), Ok((0, None)) | Err(Errno::ECONNRESET)));
    }
}
