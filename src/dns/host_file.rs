//! The host's resolv.conf as the name server sees it: it has no files itself, so it asks the supervisor for the text, never more
//! often than every quarter of a second, and only when there are queries. However the file changes, by rename or in place, by
//! another target of a link, or by a mount over it, the next query after that is answered by the new servers; no watch is needed
//! that could be lost.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::MsgFlags;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Mutex, Notify};

use crate::config::ResolvConf;
use crate::config::resolv::LEN_MAX;
use crate::sys::{packets, watched};

/// How long a text is taken for the present one.
const FRESH: Duration = Duration::from_millis(250);

/// How long a query waits for the text. A supervisor that was stopped gives none.
const PATIENCE: Duration = Duration::from_millis(100);

const MISSING: u8 = b'-';
const TEXT: u8 = b'+';

/// What the supervisor answers: what matters of the file, the names of interfaces replaced by their numbers, which the name server
/// cannot look up.
pub fn reply(conf: io::Result<ResolvConf>) -> Vec<u8> {
    match conf {
        Ok(conf) => [&[TEXT], conf.to_text().as_bytes()].concat(),
        Err(_) => vec![MISSING],
    }
}

/// The channel to the supervisor.
pub struct HostFile {
    channel: AsyncFd<OwnedFd>,
    asked: Cell<Option<Instant>>,
    /// The last text that had anything to say.
    text: RefCell<Option<Vec<u8>>>,
    news: Notify,
    turn: Mutex<()>,
}

impl HostFile {
    /// Takes the channel.
    pub fn new(channel: OwnedFd) -> io::Result<HostFile> {
        let channel = watched::readable(channel)?;
        Ok(HostFile {
            channel,
            asked: Cell::new(None),
            text: RefCell::new(None),
            news: Notify::new(),
            turn: Mutex::new(()),
        })
    }

    /// Whether the text may have changed since it was last asked for.
    pub fn is_due(&self) -> bool {
        self.asked.get().is_none_or(|asked| asked.elapsed() >= FRESH)
    }

    /// Asks for the text and waits until it is there, but not for long.
    pub async fn refresh(&self) {
        let _turn = self.turn.lock().await;
        if !self.is_due() {
            // Somebody else has asked meanwhile.
            return;
        }
        let news = self.news.notified();
        if packets::send(self.channel.get_ref().as_fd(), b"?", &[], MsgFlags::MSG_DONTWAIT).is_ok() {
            let _ = tokio::time::timeout(PATIENCE, news).await;
        }
        self.asked.set(Some(Instant::now()));
    }

    /// Hears the supervisor's answers, each new text of which goes to `tell`; returns when the supervisor is gone.
    pub async fn listen(&self, mut tell: impl FnMut(&[u8])) {
        let mut room = vec![0; 1 + 2 * LEN_MAX];
        loop {
            let Ok(mut ready) = self.channel.readable().await else { return };
            match packets::receive(self.channel.get_ref().as_fd(), &mut room, MsgFlags::MSG_DONTWAIT) {
                Ok((len @ 1.., _)) => {
                    let (kind, text) = (room.first(), room.get(1..len).unwrap_or_default());
                    // A file that is gone for a while has changed nothing.
                    if kind == Some(&TEXT) && self.text.borrow().as_deref() != Some(text) {
                        tell(text);
                        *self.text.borrow_mut() = Some(text.to_vec());
                    }
                    self.news.notify_waiters();
                }
                Err(Errno::EAGAIN) => ready.clear_ready(),
                _ => return,
            }
        }
    }
}
