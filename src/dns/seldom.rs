//! What may happen ten thousand times a second and is to be told once a minute.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// How often one kind of thing is told.
const PAUSE: Duration = Duration::from_secs(60);

/// One kind of thing.
#[derive(Debug, Default)]
pub struct Seldom {
    told: Cell<Option<Instant>>,
    untold: Cell<u64>,
}

impl Seldom {
    /// Notes that it has happened. `Some` when it is to be told: how often it has happened untold since it last was.
    pub fn due(&self) -> Option<u64> {
        if self.told.get().is_some_and(|told| told.elapsed() < PAUSE) {
            self.untold.set(self.untold.get() + 1);
            return None;
        }
        self.told.set(Some(Instant::now()));
        Some(self.untold.replace(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_a_minute_with_how_often() {
        let seldom = Seldom::default();
        assert_eq!(seldom.due(), Some(0));
        assert_eq!((seldom.due(), seldom.due()), (None, None));
        seldom.told.set(Instant::now().checked_sub(PAUSE));
        assert_eq!(seldom.due(), Some(2));
    }
}
