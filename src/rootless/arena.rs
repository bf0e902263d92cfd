//! Memory for the rings of TCP flows: address space reserved once, pages taken by use and given back when idle.

use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous};
use rnet_stack::{RingClass, RingMemory, Rings, SocketBuffer};

/// Ring memory in one reservation for each class.
pub struct Arena {
    classes: [Option<Reservation>; RingClass::ALL.len()],
}

/// Address space for `slots` pairs of rings. It lives as long as the process: rings are lent for good.
struct Reservation {
    start: NonNull<u8>,
    slots: usize,
    lent: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and nobody else knows of it.
unsafe impl Send for Reservation {}

impl Arena {
    /// Reserves address space for as many flows of each class as `budget` bytes allow, `flows` at most. Memory is used
    /// only as rings fill.
    pub fn new(budget: usize, flows: usize) -> Arena {
        Arena { classes: RingClass::ALL.map(|class| Reservation::new(class, (budget / class.bytes()).min(flows))) }
    }
}

impl Reservation {
    fn new(class: RingClass, slots: usize) -> Option<Reservation> {
        let len = NonZeroUsize::new(slots.checked_mul(class.bytes())?)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe { mmap_anonymous(None, len, protection, flags) }.ok()?;
        // Huge pages would make the first byte of a ring cost two megabytes. Failing to refuse them is harmless.
        // SAFETY: the range is the mapping just made, and the advice changes no contents.
        let _ = unsafe { madvise(start, len.get(), MmapAdvise::MADV_NOHUGEPAGE) };
        Some(Reservation { start: start.cast(), slots, lent: 0 })
    }

    /// Where a slot begins; `None` for a slot that does not exist.
    fn slot(&self, slot: usize, class: RingClass) -> Option<NonNull<u8>> {
        if slot >= self.slots {
            return None;
        }
        // SAFETY: `slot` is below the number of slots that the mapping was made for, so the offset stays inside it.
        Some(unsafe { self.start.add(slot * class.bytes()) })
    }
}

impl RingMemory for Arena {
    fn lend(&mut self, class: RingClass) -> Option<Rings> {
        let reservation = self.classes[class as usize].as_mut()?;
        let slot = reservation.lent;
        let start = reservation.slot(slot, class)?;
        reservation.lent += 1;
        // SAFETY: `lent` only grows, so no two calls hand out the same slot; the two slices are disjoint halves of it; the
        // mapping is never unmapped, is readable and writable, and anonymous memory is initialised to zero.
        let (receive, transmit) = unsafe {
            (
                std::slice::from_raw_parts_mut(start.as_ptr(), class.receive_bytes()),
                std::slice::from_raw_parts_mut(start.as_ptr().add(class.receive_bytes()), class.transmit_bytes()),
            )
        };
        Some(Rings { slot, receive: SocketBuffer::new(receive), transmit: SocketBuffer::new(transmit) })
    }

    fn release_pages(&mut self, slot: usize, class: RingClass) {
        let Some(start) = self.classes[class as usize].as_ref().and_then(|reservation| reservation.slot(slot, class))
        else {
            return;
        };
        // SAFETY: the range is one whole slot of a private anonymous mapping of ours, a multiple of the page size long.
        // Its rings hold nothing (the caller's promise), so nobody reads what becomes zero before writing it anew.
        let _ = unsafe { madvise(start.cast(), class.bytes(), MmapAdvise::MADV_DONTNEED) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lends_as_many_rings_as_the_budget_allows_and_no_more() {
        let mut arena = Arena::new(4 * RingClass::Small.bytes(), 3);
        let mut slots: Vec<usize> = (0..3).map(|_| arena.lend(RingClass::Small).unwrap().slot).collect();
        slots.dedup();
        assert_eq!(slots.len(), 3);
        assert!(arena.lend(RingClass::Small).is_none());
        assert!(arena.lend(RingClass::Large).is_none());
    }

    #[test]
    fn rings_can_be_written_again_after_their_pages_went_back() {
        let mut arena = Arena::new(RingClass::Small.bytes(), 1);
        let mut rings = arena.lend(RingClass::Small).unwrap();
        assert_eq!(rings.transmit.enqueue_slice(&[7; 9000]), 9000);
        rings.transmit.clear();
        arena.release_pages(rings.slot, RingClass::Small);
        assert_eq!(rings.transmit.enqueue_slice(&[8; 9000]), 9000);
        assert_eq!(rings.transmit.dequeue_many(9000), &[8; 9000]);
    }
}
