//! What the processes say to each other: short messages over a socket pair, one of which carries the tap device.

use std::ffi::OsStr;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair,
};

use crate::config::THREADS_MAX;

/// Longer texts are cut.
const TEXT_MAX: usize = 4096;

/// One message.
#[derive(Debug)]
pub(super) enum Message {
    /// Go on.
    Go,
    /// The tap device: a descriptor for each queue, at least one.
    Tap(Vec<OwnedFd>),
    /// The network is there.
    Ready,
    /// The control socket is there, at this path.
    Bound(PathBuf),
    /// The network is to end.
    ShutDown,
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
        let (kind, text, fds): (u8, &[u8], &[OwnedFd]) = match message {
            Message::Go => (b'g', b"", &[]),
            Message::Tap(queues) => (b't', b"", queues),
            Message::Ready => (b'r', b"", &[]),
            Message::Bound(path) => (b'b', path.as_os_str().as_bytes(), &[]),
            Message::ShutDown => (b's', b"", &[]),
            Message::Failed(text) => (b'f', text.as_bytes(), &[]),
            Message::NotRun(127, text) => (b'n', text.as_bytes(), &[]),
            Message::NotRun(_, text) => (b'x', text.as_bytes(), &[]),
        };
        let text = &text[..text.len().min(TEXT_MAX)];
        let parts = [IoSlice::new(std::slice::from_ref(&kind)), IoSlice::new(text)];
        let fds: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = (!fds.is_empty()).then_some(ControlMessage::ScmRights(&fds));
        sendmsg::<()>(self.0.as_raw_fd(), &parts, rights.as_slice(), MsgFlags::MSG_NOSIGNAL, None).map(drop)
    }

    /// Waits for a message; `None` when the other process has ended.
    pub(super) fn receive(&self) -> nix::Result<Option<Message>> {
        let mut bytes = [0; 1 + TEXT_MAX];
        let mut space = cmsg_space!([RawFd; THREADS_MAX]);
        let (length, fds) = loop {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            match recvmsg::<()>(self.0.as_raw_fd(), &mut parts, Some(&mut space), flags) {
                Ok(received) => break (received.bytes, descriptors(received.cmsgs()?)),
                Err(Errno::EINTR) => {}
                Err(Errno::ECONNRESET) => return Ok(None),
                Err(errno) => return Err(errno),
            }
        };
        let text = || String::from_utf8_lossy(&bytes[1..length]).into_owned();
        Ok(match (bytes.first().filter(|_| length > 0), fds) {
            (None, _) => None,
            (Some(b'g'), _) => Some(Message::Go),
            (Some(b'r'), _) => Some(Message::Ready),
            (Some(b'b'), _) => Some(Message::Bound(OsStr::from_bytes(&bytes[1..length]).into())),
            (Some(b's'), _) => Some(Message::ShutDown),
            (Some(b't'), fds) if !fds.is_empty() => Some(Message::Tap(fds)),
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
    fn messages_arrive_as_they_were_sent() {
        let (a, b) = Channel::pair().unwrap();
        a.send(&Message::Failed("no".into())).unwrap();
        a.send(&Message::NotRun(127, "not found".into())).unwrap();
        let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        for queues in [1, THREADS_MAX] {
            a.send(&Message::Tap((0..queues).map(|_| null()).collect())).unwrap();
        }
        drop(a);
        assert!(matches!(b.receive().unwrap(), Some(Message::Failed(text)) if text == "no"));
        assert!(matches!(b.receive().unwrap(), Some(Message::NotRun(127, text)) if text == "not found"));
        for queues in [1, THREADS_MAX] {
            assert!(matches!(b.receive().unwrap(), Some(Message::Tap(fds)) if fds.len() == queues));
        }
        assert!(b.receive().unwrap().is_none());
    }
}
