//! Fragments put together again, within bounds of count, bytes and time (RFC 791 section 3.2, RFC 8200 section 4.5).

use std::net::IpAddr;

use super::{Fragment, IPV4_HEADER_LEN, IPV6_HEADER_LEN, IpHeader, IpPacket, Transport};
use crate::{Duration, Instant, event::DropReason};

/// How much reassembly may hold, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReassemblyLimits {
    /// Packets that may be incomplete at once.
    pub packets: usize,
    /// Bytes held for them in total.
    pub bytes: usize,
    /// How long a packet may take from its first fragment on (RFC 791 section 3.2 suggests 15 s).
    pub time_out: Duration,
}

impl Default for ReassemblyLimits {
    fn default() -> Self {
        ReassemblyLimits { packets: 32, bytes: 2 << 20, time_out: Duration::from_secs(15) }
    }
}

/// The packets of which some fragments are here.
#[derive(Debug)]
pub struct Reassembly {
    limits: ReassemblyLimits,
    partial: Vec<Partial>,
    /// The capacity of all buffers together.
    bytes: usize,
}

/// What tells the fragments of one packet from those of others (RFC 791 section 3.2; IPv6 has no protocol in it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    protocol: Option<u8>,
}

#[derive(Debug)]
struct Partial {
    key: Key,
    deadline: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    Gathering(Gathering),
    /// Two fragments overlapped: what still comes of this packet is dropped as well (RFC 5722 section 4).
    Poisoned,
}

/// The fragments so far, at their places.
#[derive(Debug, Default)]
struct Gathering {
    /// Room for the IP header, then the payload.
    buffer: Vec<u8>,
    /// Filled ranges of the payload, ascending, neither touching nor overlapping.
    filled: Vec<(usize, usize)>,
    /// Length of the payload, once the last fragment was here.
    total: Option<usize>,
    /// What the first fragment says: TTL, type of service, protocol.
    first: Option<(u8, u8, u8)>,
}

/// Buffers grow by this many bytes, so that in-order fragments don't copy what is there each time.
const GROWTH: usize = 16 << 10;

impl Reassembly {
    /// Nothing to put together yet.
    pub fn new(limits: ReassemblyLimits) -> Reassembly {
        Reassembly { limits, partial: Vec::new(), bytes: 0 }
    }

    /// Takes a packet that is a [`Transport::Fragment`]; returns the whole IP packet, with a plain header, when it was the
    /// last that lacked.
    ///
    /// Fails with [`DropReason::Fragment`] when it overlaps another, contradicts the packet's length, or finds no room; a
    /// full table refuses the newest packet and keeps the older ones. A repeated fragment with equal bytes is ignored.
    pub fn insert(&mut self, now: Instant, packet: &IpPacket<'_>) -> Result<Option<Vec<u8>>, DropReason> {
        let Transport::Fragment(fragment) = &packet.transport else { return Err(DropReason::Fragment) };
        let protocol = packet.src.is_ipv4().then_some(fragment.protocol);
        let key = Key { src: packet.src, dst: packet.dst, id: fragment.id, protocol };
        let at = match self.partial.iter().position(|partial| partial.key == key) {
            Some(at) => at,
            None if self.partial.len() < self.limits.packets => {
                let deadline = now + self.limits.time_out;
                self.partial.push(Partial { key, deadline, state: State::Gathering(Gathering::default()) });
                self.partial.len() - 1
            }
            None => return Err(DropReason::Fragment),
        };
        let Some(Partial { state, .. }) = self.partial.get_mut(at) else { return Err(DropReason::Fragment) };
        let State::Gathering(gathering) = state else { return Err(DropReason::Fragment) };

        let held = gathering.buffer.capacity();
        let room = self.limits.bytes.saturating_sub(self.bytes);
        let outcome = gathering.insert(packet, fragment, room);
        self.bytes += gathering.buffer.capacity() - held;
        match outcome {
            Ok(Added::Complete) => {
                let whole = std::mem::take(gathering);
                self.bytes -= whole.buffer.capacity();
                self.partial.swap_remove(at);
                whole.finish(&key).map(Some)
            }
            Ok(Added::Incomplete) => Ok(None),
            Err(Refused::NoRoom) => {
                // Only a packet that just began leaves nothing worth keeping.
                if gathering.filled.is_empty() {
                    self.partial.swap_remove(at);
                }
                Err(DropReason::Fragment)
            }
            Err(Refused::Contradiction) => {
                self.bytes -= gathering.buffer.capacity();
                *state = State::Poisoned;
                Err(DropReason::Fragment)
            }
        }
    }

    /// When [`Reassembly::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.partial.iter().map(|partial| partial.deadline).min()
    }

    /// Gives up the packets whose time is over; returns how many incomplete ones those were.
    pub fn handle_timeout(&mut self, now: Instant) -> usize {
        let mut expired = 0;
        let bytes = &mut self.bytes;
        self.partial.retain(|partial| {
            let over = partial.deadline <= now;
            if let (true, State::Gathering(gathering)) = (over, &partial.state) {
                *bytes -= gathering.buffer.capacity();
                expired += 1;
            }
            !over
        });
        expired
    }

    /// Packets that are incomplete.
    pub fn packets(&self) -> usize {
        self.partial.len()
    }

    /// Bytes held for them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

enum Added {
    Complete,
    Incomplete,
}

enum Refused {
    /// The buffer may not grow.
    NoRoom,
    /// The fragment overlaps another with other bytes, or disagrees about the length.
    Contradiction,
}

impl Gathering {
    fn insert(&mut self, packet: &IpPacket<'_>, fragment: &Fragment<'_>, room: usize) -> Result<Added, Refused> {
        let header_len = header_len(packet.src);
        let (start, end) = (fragment.offset, fragment.offset + fragment.payload.len());
        let reach = self.filled.last().map_or(0, |&(_, end)| end);
        let fits = match (self.total, fragment.more) {
            (Some(total), true) => end <= total,
            (Some(total), false) => end == total,
            (None, true) => true,
            (None, false) => end >= reach,
        };
        if !fits {
            return Err(Refused::Contradiction);
        }
        let place = header_len + start..header_len + end;
        let next = self.filled.partition_point(|&(_, filled_end)| filled_end <= start);
        if self.filled.get(next).is_some_and(|&(filled_start, _)| filled_start < end) {
            let within = self.filled.get(next).is_some_and(|&(a, b)| a <= start && end <= b);
            let repeated = within && self.buffer.get(place) == Some(fragment.payload);
            return if repeated { Ok(Added::Incomplete) } else { Err(Refused::Contradiction) };
        }
        self.grow(place.end, room)?;
        if let Some(place) = self.buffer.get_mut(place) {
            place.copy_from_slice(fragment.payload);
        }
        self.fill(next, start, end);
        if !fragment.more {
            self.total = Some(end);
        }
        if start == 0 {
            self.first = Some((packet.ttl, packet.tos, fragment.protocol));
        }
        let whole = self.total.is_some_and(|total| self.filled == [(0, total)]);
        Ok(if whole { Added::Complete } else { Added::Incomplete })
    }

    fn grow(&mut self, len: usize, room: usize) -> Result<(), Refused> {
        if len > self.buffer.capacity() {
            let capacity = len.next_multiple_of(GROWTH);
            if capacity - self.buffer.capacity() > room {
                return Err(Refused::NoRoom);
            }
            self.buffer.reserve_exact(capacity - self.buffer.len());
        }
        if len > self.buffer.len() {
            self.buffer.resize(len, 0);
        }
        Ok(())
    }

    /// Notes a new range before the one at `next`, joined with those that it touches.
    fn fill(&mut self, next: usize, start: usize, end: usize) {
        // A range that ends where this one starts sorts before `next`.
        let touches_before = next.checked_sub(1).filter(|&at| self.filled.get(at).is_some_and(|&(_, e)| e == start));
        let touches_after = self.filled.get(next).is_some_and(|&(s, _)| s == end);
        match (touches_before.and_then(|at| self.filled.get_mut(at)), touches_after) {
            (Some(before), false) => before.1 = end,
            (Some(_), true) => {
                let (_, after_end) = self.filled.remove(next);
                if let Some(before) = self.filled.get_mut(next - 1) {
                    before.1 = after_end;
                }
            }
            (None, true) => {
                if let Some(after) = self.filled.get_mut(next) {
                    after.0 = start;
                }
            }
            (None, false) => self.filled.insert(next, (start, end)),
        }
    }

    /// The whole packet, with a header made from the first fragment's.
    fn finish(mut self, key: &Key) -> Result<Vec<u8>, DropReason> {
        let (ttl, tos, protocol) = self.first.ok_or(DropReason::Fragment)?;
        let header = IpHeader::new(key.src, key.dst, ttl, tos, None).ok_or(DropReason::Fragment)?;
        header.write(&mut self.buffer, protocol).map_err(|_| DropReason::Fragment)?;
        Ok(self.buffer)
    }
}

fn header_len(src: IpAddr) -> usize {
    match src {
        IpAddr::V4(_) => IPV4_HEADER_LEN,
        IpAddr::V6(_) => IPV6_HEADER_LEN,
    }
}
