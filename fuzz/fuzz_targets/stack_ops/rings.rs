//! Ring memory that is made once and lent anew in each run: a run must not cost megabytes of zeroes.

use std::sync::Mutex;

use rnet_stack::{RingClass, RingMemory, Rings, SocketBuffer};

/// A block of `RingClass::bytes` bytes that was leaked.
struct Block(RingClass, *mut u8);

// SAFETY: the pointer is only used by the one run that has the block.
unsafe impl Send for Block {}

static POOL: Mutex<Vec<Block>> = Mutex::new(Vec::new());

/// The memory of one run. Only one may live at a time.
pub struct PooledRings {
    taken: Vec<bool>,
    lent: Vec<RingClass>,
}

impl PooledRings {
    pub fn new() -> PooledRings {
        PooledRings { taken: vec![false; POOL.lock().expect("no run has panicked").len()], lent: Vec::new() }
    }
}

impl RingMemory for PooledRings {
    fn lend(&mut self, class: RingClass) -> Option<Rings> {
        let mut pool = POOL.lock().expect("no run has panicked");
        let free = (0..pool.len()).find(|&at| !self.taken[at] && pool[at].0 == class);
        let at = free.unwrap_or_else(|| {
            pool.push(Block(class, Box::leak(vec![0; class.bytes()].into_boxed_slice()).as_mut_ptr()));
            self.taken.push(false);
            pool.len() - 1
        });
        self.taken[at] = true;
        let memory = pool[at].1;
        self.lent.push(class);
        // SAFETY: the block was leaked and is `class.bytes()` long; `taken` lends it once in a run, and the stack of the
        // former run, the only other holder, is gone.
        let memory: &'static mut [u8] = unsafe { std::slice::from_raw_parts_mut(memory, class.bytes()) };
        let (receive, transmit) = memory.split_at_mut(class.receive_bytes());
        Some(Rings {
            slot: self.lent.len() - 1,
            receive: SocketBuffer::new(receive),
            transmit: SocketBuffer::new(transmit),
        })
    }

    fn release_pages(&mut self, slot: usize, class: RingClass) {
        assert_eq!(self.lent.get(slot), Some(&class));
    }
}
