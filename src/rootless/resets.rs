//! Connections that are to be reset when what was sent by them has arrived.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use socket2::SockRef;

use super::outq::unacknowledged;

/// How long a reset waits for the peer to acknowledge what was sent before.
const GRACE: Duration = Duration::from_secs(2);

/// How often it is looked at meanwhile.
const POLL: Duration = Duration::from_millis(5);

/// How many resets wait at once; beyond that they are sent without waiting.
const WAITING: usize = 256;

/// Resets that wait.
#[derive(Debug, Default)]
pub struct Resets(Vec<(TcpStream, Instant)>);

impl Resets {
    /// Resets a connection that is watched no more, as soon as its peer has got everything.
    pub fn add(&mut self, stream: TcpStream) {
        if unacknowledged(stream.as_fd()) > 0 && self.0.len() < WAITING {
            self.0.push((stream, Instant::now() + GRACE));
        } else {
            reset(stream);
        }
    }

    /// Resets the connections whose peers have got everything, or have had long enough.
    pub fn poll(&mut self, now: Instant) {
        let mut at = 0;
        while let Some((stream, limit)) = self.0.get(at) {
            if *limit <= now || unacknowledged(stream.as_fd()) == 0 {
                let (stream, _) = self.0.swap_remove(at);
                reset(stream);
            } else {
                at += 1;
            }
        }
    }

    /// How long until [`Resets::poll`] is to be called, if at all.
    pub fn delay(&self) -> Option<Duration> {
        (!self.0.is_empty()).then_some(POLL)
    }
}

/// Closing a socket with a linger time of zero sends RST (socket(7), SO_LINGER).
pub fn reset(stream: TcpStream) {
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}
