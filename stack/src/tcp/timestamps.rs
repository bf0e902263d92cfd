//! The clock of TCP timestamps (RFC 7323) on connections that we open.
//!
//! It ticks once a millisecond, and once for each connection: of two connections of the same name, however close, the later
//! one has later timestamps, so that a container lets it take the place of the former in TIME-WAIT (RFC 6191).

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Instant;

thread_local! {
    /// smoltcp asks a plain function for the time, which has no other place to know it from.
    static SHOWN: Cell<u32> = const { Cell::new(0) };
}

/// The timestamp of what smoltcp emits now.
pub(crate) fn value() -> u32 {
    SHOWN.get()
}

/// A clock. Copies are the same clock: the stacks that serve one container share it.
#[derive(Clone, Debug, Default)]
pub struct TimestampClock(Arc<AtomicU32>);

impl TimestampClock {
    /// Goes beyond every timestamp that was shown.
    pub(crate) fn advance(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Sees to it that [`value`] is this clock's at `now`.
    pub(crate) fn show(&self, now: Instant) {
        let ahead = self.0.load(Ordering::Relaxed);
        SHOWN.set((now.total_millis() as u32).wrapping_add(ahead));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_is_later_than_all_before() {
        let clock = TimestampClock::default();
        let now = Instant::from_millis(5);
        clock.show(now);
        let first = value();
        clock.clone().advance();
        clock.show(now);
        assert_eq!(value(), first + 1);
        clock.show(Instant::from_millis(7));
        assert_eq!(value(), first + 3);
    }
}
