//! Datagrams of one peer that a socket holds one behind the other, put together so that they reach the container as one
//! super-frame: the container's kernel then takes them for a third of the cost.

use std::net::SocketAddr;

use crate::sys::messages::Received;

/// Datagrams in a run: as many as the kernel cuts a super-frame into (UDP_MAX_SEGMENTS of Linux 4.18).
const DATAGRAMS: usize = 64;

/// Payload bytes of a run: with headers they must fit into one IP packet.
const RUN_MAX: usize = 65000;

/// The largest datagram that is put together with others: it must fit into the smallest common MTU by itself.
const DATAGRAM_MAX: usize = 1400;

/// A run of datagrams, in a buffer with headroom.
#[derive(Debug)]
pub struct Run {
    buffer: Box<[u8]>,
    headroom: usize,
    from: Option<SocketAddr>,
    /// Bytes of each datagram, but perhaps the last.
    size: usize,
    len: usize,
    count: usize,
}

/// A run that has ended: from whom, the bytes from the headroom to the end of the payload, and of how many bytes each
/// datagram is when there are several.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// Headroom and payload.
    pub bytes: &'a mut [u8],
    /// Bytes of each datagram but the last.
    pub segment: Option<u16>,
}

impl Run {
    /// An empty run, with `headroom` bytes in front of its payload.
    pub fn new(headroom: usize) -> Run {
        let buffer = vec![0; headroom + RUN_MAX].into_boxed_slice();
        Run { buffer, headroom, from: None, size: 0, len: 0, count: 0 }
    }

    /// Whether a datagram may be in a run at all: not what the kernel has put together, nor what is empty or large.
    pub fn may_hold(received: &Received) -> bool {
        received.segment.is_none() && (1..=DATAGRAM_MAX).contains(&received.len)
    }

    /// Adds a datagram, if it belongs to the run: it begins an empty one, or has the size of those before it, of which only
    /// the last may be shorter.
    pub fn push(&mut self, received: &Received, payload: &[u8]) -> bool {
        if self.count == 0 && Run::may_hold(received) {
            (self.from, self.size) = (Some(received.from), payload.len());
        }
        let fits = self.from == Some(received.from)
            && received.segment.is_none()
            && (1..=self.size).contains(&payload.len())
            && self.len == self.count * self.size
            && self.count < DATAGRAMS;
        let start = self.headroom + self.len;
        match self.buffer.get_mut(start..start + payload.len()).filter(|_| fits) {
            Some(place) => {
                place.copy_from_slice(payload);
                self.len += payload.len();
                self.count += 1;
                true
            }
            None => false,
        }
    }

    /// Ends the run and leaves it empty; `None` if it was.
    pub fn end(&mut self) -> Option<Ended<'_>> {
        let (from, len, count) = (self.from.take()?, self.len, self.count);
        (self.len, self.count) = (0, 0);
        let segment = u16::try_from(self.size).ok().filter(|_| count > 1);
        Some(Ended { from, bytes: self.buffer.get_mut(..self.headroom + len)?, segment })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(run: &mut Run, payload: &[u8], port: u16, segment: Option<u16>) -> bool {
        let from = SocketAddr::from(([192, 0, 2, 1], port));
        run.push(&Received { from, len: payload.len(), segment }, payload)
    }

    fn end(run: &mut Run) -> Option<(u16, Vec<u8>, Option<u16>)> {
        run.end().map(|run| (run.from.port(), run.bytes[4..].to_vec(), run.segment))
    }

    #[test]
    fn a_shorter_datagram_is_the_last() {
        let mut run = Run::new(4);
        assert!(push(&mut run, &[1; 100], 1, None));
        assert!(push(&mut run, &[2; 100], 1, None) && push(&mut run, &[3; 40], 1, None));
        assert!(!push(&mut run, &[4; 40], 1, None));
        let expected = [vec![1; 100], vec![2; 100], vec![3; 40]].concat();
        assert_eq!(end(&mut run), Some((1, expected, Some(100))));
        assert_eq!(end(&mut run), None);
        assert!(push(&mut run, &[5; 7], 1, None));
        assert_eq!(end(&mut run), Some((1, vec![5; 7], None)));
    }

    #[test]
    fn other_peers_sizes_and_what_the_kernel_put_together_stay_apart() {
        let mut run = Run::new(4);
        assert!(!push(&mut run, &[1; 100], 1, Some(10)));
        assert!(!push(&mut run, &[], 1, None) && !push(&mut run, &[1; 1401], 1, None));
        assert_eq!(end(&mut run), None);
        assert!(push(&mut run, &[1; 100], 1, None));
        assert!(!push(&mut run, &[1; 100], 2, None) && !push(&mut run, &[1; 101], 1, None));
        assert!(!push(&mut run, &[], 1, None) && !push(&mut run, &[1; 100], 1, Some(10)));
        assert_eq!(end(&mut run), Some((1, vec![1; 100], None)));
    }

    #[test]
    fn a_run_is_bounded() {
        let mut run = Run::new(4);
        assert_eq!((0..1000).take_while(|_| push(&mut run, &[1; 1400], 1, None)).count(), RUN_MAX / 1400);
        assert!(run.end().is_some());
        assert_eq!((0..1000).take_while(|_| push(&mut run, &[1; 10], 1, None)).count(), DATAGRAMS);
    }
}
