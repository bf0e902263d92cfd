//! What the processes say to each other: short messages over a socket pair, one of which carries the tap device.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair,
};

/// Longer texts are cut.
const TEXT_MAX: usize = 4096;

/// One message.
#[derive(Debug)]
pub(super) enum Message {
    /// Go on.
    Go,
    /// The tap device.
    Tap(OwnedFd),
    /// The network is there.
    Ready,
    /// It cannot be done, and why.
    Failed(String),
    /// The command cannot be run: the exit code, and why.
    NotRun(u8, String),
}

/// One end of a connection between two processes.
#[derive(Debug)]
pub(super) struct Channel(OwnedFd);

impl Channel {
    /// Both ends.
    pub(super) fn pair() -> nix::Result<(Channel, Channel)> {
        let (a, b) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((Channel(a), Channel(b)))
    }

    /// The same end once more.
    pub(super) fn try_clone(&self) -> std::io::Result<Channel> {
        self.0.try_clone().map(Channel)
    }

    /// The socket: it hangs up when the other process ends.
    pub(super) fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// Sends a message.
    pub(super) fn send(&self, message: &Message) -> nix::Result<()> {
        let (kind, text, fd): (u8, &str, Option<RawFd>) = match message {
            Message::Go => (b'g', "", None),
            Message::Tap(fd) => (b't', "", Some(fd.as_raw_fd())),
            Message::Ready => (b'r', "", None),
            Message::Failed(text) => (b'f', text, None),
            Message::NotRun(127, text) => (b'n', text, None),
            Message::NotRun(_, text) => (b'x', text, None),
        };
        let text = &text.as_bytes()[..text.len().min(TEXT_MAX)];
        let parts = [IoSlice::new(std::slice::from_ref(&kind)), IoSlice::new(text)];
        let fds = fd.map(|fd| [fd]);
        let rights = fds.as_ref().map(|fds| ControlMessage::ScmRights(fds));
        sendmsg::<()>(self.0.as_raw_fd(), &parts, rights.as_slice(), MsgFlags::MSG_NOSIGNAL, None).map(drop)
    }

    /// Waits for a message; `None` when the other process has ended.
    pub(super) fn receive(&self) -> nix::Result<Option<Message>> {
        let mut bytes = [0; 1 + TEXT_MAX];
        let mut space = cmsg_space!(RawFd);
        let (length, fd) = loop {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            match recvmsg::<()>(self.0.as_raw_fd(), &mut parts, Some(&mut space), flags) {
                Ok(received) => break (received.bytes, first_descriptor(received.cmsgs()?)),
                Err(Errno::EINTR) => {}
                Err(Errno::ECONNRESET) => return Ok(None),
                Err(errno) => return Err(errno),
            }
        };
        let text = || String::from_utf8_lossy(&bytes[1..length]).into_owned();
        Ok(match (bytes.first().filter(|_| length > 0), fd) {
            (None, _) => None,
            (Some(b'g'), _) => Some(Message::Go),
            (Some(b'r'), _) => Some(Message::Ready),
            (Some(b't'), Some(fd)) => Some(Message::Tap(fd)),
            (Some(b'f'), _) => Some(Message::Failed(text())),
            (Some(b'n'), _) => Some(Message::NotRun(127, text())),
            (Some(b'x'), _) => Some(Message::NotRun(126, text())),
            _ => return Err(Errno::EBADMSG),
        })
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn first_descriptor(messages: impl Iterator<Item = ControlMessageOwned>) -> Option<OwnedFd> {
    let mut fds = messages.filter_map(|message| match message {
        ControlMessageOwned::ScmRights(fds) => Some(fds),
        _ => None,
    });
    let fd = fds.next()?.first().copied()?;
    // SAFETY: the kernel has just made it for this process; there is room for one only, so no other is forgotten.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_as_they_were_sent() {
        let (a, b) = Channel::pair().unwrap();
        a.send(&Message::Failed("no".into())).unwrap();
        a.send(&Message::NotRun(127, "not found".into())).unwrap();
        a.send(&Message::Tap(std::fs::File::open("/dev/null").unwrap().into())).unwrap();
        drop(a);
        assert!(matches!(b.receive().unwrap(), Some(Message::Failed(text)) if text == "no"));
        assert!(matches!(b.receive().unwrap(), Some(Message::NotRun(127, text)) if text == "not found"));
        assert!(matches!(b.receive().unwrap(), Some(Message::Tap(_))));
        assert!(b.receive().unwrap().is_none());
    }
}
