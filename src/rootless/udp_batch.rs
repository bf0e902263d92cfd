//! Datagrams of one sender to one peer that follow each other in a batch of frames, put together so that they leave in one
//! sendmsg(2) with UDP_SEGMENT (udp(7)): a third of the cost of sending each by itself.

use std::net::SocketAddr;

use rnet_stack::{Outgoing, UdpId};

/// Datagrams that the kernel takes in one call on every version that has UDP_SEGMENT (UDP_MAX_SEGMENTS of Linux 4.18).
const DATAGRAMS: usize = 64;

/// Payload bytes that the kernel takes in one call.
const BYTES: usize = 65000;

/// The largest datagram that is put together with others: those that exceed a device's MTU cannot be.
const DATAGRAM_MAX: usize = 1400;

/// Datagrams that wait to leave together. The first of a stream left by itself, so that its fate is known at once.
#[derive(Debug, Default)]
pub struct Batch {
    flow: Option<(UdpId, SocketAddr, u8)>,
    segment: usize,
    payload: Vec<u8>,
    count: usize,
}

impl Batch {
    /// Notes that a datagram was sent, so that those after it may be put together.
    pub fn follow(&mut self, mapping: UdpId, datagram: &Outgoing<'_>) {
        self.payload.clear();
        self.count = 0;
        self.segment = datagram.payload.len();
        let alone = datagram.segment.is_some() || self.segment == 0 || self.segment > DATAGRAM_MAX;
        self.flow = (!alone).then_some((mapping, datagram.to, datagram.ttl));
    }

    /// Takes a datagram if it goes where the ones before it went and has their size; only the last may be shorter.
    pub fn take(&mut self, mapping: UdpId, datagram: &Outgoing<'_>) -> bool {
        let len = datagram.payload.len();
        let whole = self.payload.len() == self.count * self.segment;
        let fits = self.flow == Some((mapping, datagram.to, datagram.ttl))
            && datagram.segment.is_none()
            && (1..=self.segment).contains(&len)
            && whole
            && self.count < DATAGRAMS
            && self.payload.len() + len <= BYTES;
        if fits {
            self.payload.extend_from_slice(datagram.payload);
            self.count += 1;
        }
        fits
    }

    /// What waits, as one send.
    pub fn waiting(&self) -> Option<(UdpId, Outgoing<'_>)> {
        let (mapping, to, ttl) = self.flow.filter(|_| self.count > 0)?;
        let segment = u16::try_from(self.segment).ok().filter(|_| self.count > 1);
        Some((mapping, Outgoing { to, payload: &self.payload, segment, ttl }))
    }

    /// Notes that what waited was sent. While the datagrams keep coming nothing new is learnt by sending the first of each
    /// batch by itself; one that came alone says nothing of those after it.
    pub fn sent(&mut self) {
        if self.count == 0 {
            self.flow = None;
        }
        self.payload.clear();
        self.count = 0;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.flow = None;
        self.payload.clear();
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(payload: &[u8], to: &str) -> Outgoing<'static> {
        Outgoing { to: to.parse().unwrap(), payload: payload.to_vec().leak(), segment: None, ttl: 63 }
    }

    #[test]
    fn only_the_last_may_be_shorter() {
        let mut batch = Batch::default();
        let first = datagram(&[1; 100], "192.0.2.1:9");
        assert!(!batch.take(UdpId(1), &first));
        batch.follow(UdpId(1), &first);
        assert!(batch.waiting().is_none());
        assert!(batch.take(UdpId(1), &first) && batch.take(UdpId(1), &datagram(&[2; 30], "192.0.2.1:9")));
        assert!(!batch.take(UdpId(1), &first));
        let (mapping, waiting) = batch.waiting().unwrap();
        assert_eq!((mapping, waiting.payload.len(), waiting.segment), (UdpId(1), 130, Some(100)));
    }

    #[test]
    fn other_peers_mappings_and_sizes_do_not_mix() {
        let mut batch = Batch::default();
        let first = datagram(&[1; 100], "192.0.2.1:9");
        batch.follow(UdpId(1), &first);
        assert!(!batch.take(UdpId(2), &first));
        assert!(!batch.take(UdpId(1), &datagram(&[1; 100], "192.0.2.1:10")));
        assert!(!batch.take(UdpId(1), &datagram(&[1; 101], "192.0.2.1:9")));
        assert!(!batch.take(UdpId(1), &datagram(&[], "192.0.2.1:9")));
        batch.follow(UdpId(1), &datagram(&[1; 1401], "192.0.2.1:9"));
        assert!(!batch.take(UdpId(1), &datagram(&[1; 1401], "192.0.2.1:9")));
    }

    #[test]
    fn only_what_was_sent_as_a_batch_goes_on_as_one() {
        let mut batch = Batch::default();
        let first = datagram(&[1; 100], "192.0.2.1:9");
        batch.follow(UdpId(1), &first);
        batch.sent();
        assert!(!batch.take(UdpId(1), &first));
        batch.follow(UdpId(1), &first);
        assert!(batch.take(UdpId(1), &first));
        batch.sent();
        assert!(batch.waiting().is_none() && batch.take(UdpId(1), &first));
        assert_eq!(batch.waiting().map(|(_, waiting)| waiting.payload.len()), Some(100));
        batch.clear();
        assert!(batch.waiting().is_none() && !batch.take(UdpId(1), &first));
    }

    #[test]
    fn a_batch_is_bounded() {
        let mut batch = Batch::default();
        let first = datagram(&[1; 1400], "192.0.2.1:9");
        batch.follow(UdpId(1), &first);
        let taken = (0..1000).take_while(|_| batch.take(UdpId(1), &first)).count();
        assert_eq!(taken, BYTES / 1400);
    }
}
