//! Datagrams of one peer that a socket holds one behind the other, put together so that they reach the container as one
//! super-frame: the container's kernel then takes them for a third of the cost.

use std::net::SocketAddr;

use super::udp::Received;

/// Datagrams in a run: as many as the kernel cuts a super-frame into (UDP_MAX_SEGMENTS of Linux 4.18).
const DATAGRAMS: usize = 64;

/// Payload bytes of a run: with headers they must fit into one IP packet.
pub const RUN_MAX: usize = 65000;

/// The largest datagram that is put together with others: it must fit into the smallest common MTU by itself.
const DATAGRAM_MAX: usize = 1400;

/// Datagrams received one behind the other into the same buffer.
#[derive(Debug, Default)]
pub struct Run {
    from: Option<SocketAddr>,
    /// Bytes of each datagram, but perhaps the last.
    size: usize,
    len: usize,
    count: usize,
    /// What the kernel had put together already.
    segment: Option<u16>,
    closed: bool,
}

impl Run {
    /// Bytes received so far: where the next datagram is to be received.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Begins a run with a datagram that stands at the start of the buffer.
    pub fn start(&mut self, received: &Received) {
        *self = Run {
            from: Some(received.from),
            size: received.len,
            len: received.len,
            count: 1,
            segment: received.segment,
            closed: received.segment.is_some() || received.len == 0 || received.len > DATAGRAM_MAX,
        };
    }

    /// Adds a datagram that was received right behind the run, if it belongs to it.
    pub fn extend(&mut self, received: &Received) -> bool {
        let fits = !self.closed
            && self.from == Some(received.from)
            && received.segment.is_none()
            && (1..=self.size).contains(&received.len)
            && self.count < DATAGRAMS
            && self.len + received.len <= RUN_MAX;
        if fits {
            self.len += received.len;
            self.count += 1;
            self.closed = received.len < self.size;
        }
        fits
    }

    /// Ends the run: from whom, how many bytes, and of how many bytes each datagram is when there are several.
    pub fn finish(&mut self) -> Option<(SocketAddr, usize, Option<u16>)> {
        let run = std::mem::take(self);
        let together = u16::try_from(run.size).ok().filter(|_| run.count > 1);
        Some((run.from?, run.len, run.segment.or(together)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(len: usize, port: u16) -> Received {
        Received { from: SocketAddr::from(([192, 0, 2, 1], port)), len, segment: None }
    }

    #[test]
    fn a_shorter_datagram_is_the_last() {
        let mut run = Run::default();
        assert!(!run.extend(&received(100, 1)));
        run.start(&received(100, 1));
        assert!(run.extend(&received(100, 1)) && run.extend(&received(40, 1)));
        assert!(!run.extend(&received(40, 1)));
        assert_eq!(run.finish(), Some((received(0, 1).from, 240, Some(100))));
        assert_eq!(run.finish(), None);
    }

    #[test]
    fn other_peers_and_what_the_kernel_put_together_stay_apart() {
        let mut run = Run::default();
        run.start(&received(100, 1));
        assert!(!run.extend(&received(100, 2)));
        assert!(!run.extend(&Received { segment: Some(10), ..received(100, 1) }));
        run.start(&Received { segment: Some(10), ..received(100, 1) });
        assert!(!run.extend(&received(10, 1)));
        assert_eq!(run.finish(), Some((received(0, 1).from, 100, Some(10))));
    }

    #[test]
    fn an_empty_datagram_stands_alone() {
        let mut run = Run::default();
        run.start(&received(0, 1));
        assert!(!run.extend(&received(0, 1)));
        assert_eq!(run.finish(), Some((received(0, 1).from, 0, None)));
    }
}
