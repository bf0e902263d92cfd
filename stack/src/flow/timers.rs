//! Deadlines of many flows: at most one entry each, the earliest first.

use std::collections::BTreeSet;

use crate::Instant;

/// Deadlines, one at most for each `id`. The owner of an id remembers what it armed in an [`Armed`].
#[derive(Debug, Default)]
pub struct Timers {
    queue: BTreeSet<(Instant, u32)>,
}

/// The deadline that an id has in the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Armed(Option<Instant>);

impl Timers {
    /// Sees to it that `id` comes due at `deadline` or earlier.
    ///
    /// A deadline later than the armed one is left until that one fires and its owner asks again: most deadlines move
    /// on long before they are reached, and moving an entry each time would cost more than firing once for nothing.
    pub fn arm(&mut self, id: u32, armed: &mut Armed, deadline: Instant) {
        match armed.0 {
            Some(earlier) if earlier <= deadline => return,
            Some(later) => {
                self.queue.remove(&(later, id));
            }
            None => {}
        }
        self.queue.insert((deadline, id));
        armed.0 = Some(deadline);
    }

    /// Takes away the deadline of an id that ends.
    pub fn disarm(&mut self, id: u32, armed: &mut Armed) {
        if let Some(at) = armed.0.take() {
            self.queue.remove(&(at, id));
        }
    }

    /// The next deadline.
    pub fn next(&self) -> Option<Instant> {
        self.queue.first().map(|&(at, _)| at)
    }

    /// Takes out one id that is due. Its owner must note with [`Armed::fired`] that nothing is armed any more.
    pub fn pop_due(&mut self, now: Instant) -> Option<u32> {
        match self.queue.first() {
            Some(&(at, id)) if at <= now => {
                self.queue.pop_first();
                Some(id)
            }
            _ => None,
        }
    }

    /// Takes out the id whose deadline is the first, due or not. Its owner must note it as with [`Timers::pop_due`].
    pub fn pop_first(&mut self) -> Option<u32> {
        self.queue.pop_first().map(|(_, id)| id)
    }

    /// How many deadlines are queued.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether no deadline is queued.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

impl Armed {
    /// Notes that the entry was taken out by [`Timers::pop_due`].
    pub fn fired(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: i64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn an_earlier_deadline_replaces_and_a_later_one_waits() {
        let mut timers = Timers::default();
        let mut armed = Armed::default();
        timers.arm(7, &mut armed, ms(100));
        timers.arm(7, &mut armed, ms(500));
        assert_eq!(timers.next(), Some(ms(100)));
        timers.arm(7, &mut armed, ms(50));
        assert_eq!((timers.next(), timers.len()), (Some(ms(50)), 1));
        assert_eq!(timers.pop_due(ms(49)), None);
        assert_eq!(timers.pop_due(ms(50)), Some(7));
        armed.fired();
        assert!(timers.is_empty());
    }

    #[test]
    fn disarming_leaves_nothing() {
        let mut timers = Timers::default();
        let mut armed = Armed::default();
        timers.arm(1, &mut armed, ms(10));
        timers.disarm(1, &mut armed);
        assert!(timers.is_empty());
        timers.disarm(1, &mut armed);
    }
}
