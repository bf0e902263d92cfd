//! Whether the packet loop looks for the next event for a while before it sleeps: being woken takes longer than most answers.
//!
//! Unless told otherwise it is done with the time of a processor that has nothing else to do, and begins only when messages have come and gone quickly several times in a row, one at a time, and ends when they no longer do.

use std::time::{Duration, Instant};

use crate::config::BusyPoll;

/// How long is looked, and what a gap may be to have been worth it.
const LOOK: Duration = Duration::from_micros(50);

/// A gap that was slept through and was no longer than this would have been shorter without the sleep.
const SHORT_SLEEP: Duration = Duration::from_micros(120);

/// What short gaps in a row are worth at most, how much it takes to look, and what a long gap costs.
const CREDIT_MAX: u8 = 16;
const CREDIT_TO_LOOK: u8 = 8;
const CREDIT_LOST: u8 = 4;

/// Events and frames of a turn in which no more than a message or two have come.
const EVENTS: usize = 2;
const FRAMES: usize = 4;

/// The time between one turn of the packet loop and the next.
#[derive(Debug)]
pub struct Lull {
    poll: BusyPoll,
    /// When the last turn was over.
    since: Instant,
    /// Whether no more than a message or two came in it.
    light: bool,
    /// Whether it was looked for the next event all the time since.
    awake: bool,
    credit: u8,
}

impl Lull {
    /// One for a loop that begins now.
    pub fn new(poll: BusyPoll, now: Instant) -> Lull {
        Lull { poll, since: now, light: false, awake: false, credit: 0 }
    }

    /// Tells of a turn that is over, with as many events and frames.
    pub fn begin(&mut self, now: Instant, events: usize, frames: usize) {
        self.since = now;
        self.light = events <= EVENTS && frames <= FRAMES;
        self.awake = true;
    }

    /// Whether the next event is to be looked for without sleeping.
    pub fn looks(&mut self, now: Instant) -> bool {
        let gap = now.saturating_duration_since(self.since);
        self.awake = match self.poll {
            BusyPoll::For(time) => gap < time,
            BusyPoll::Auto => self.light && self.credit >= CREDIT_TO_LOOK && gap < LOOK,
        };
        self.awake
    }

    /// Whether whoever waits for this processor has it before each look; somebody who gave a time wants it spent.
    pub fn yields(&self) -> bool {
        self.poll == BusyPoll::Auto
    }

    /// Tells of events that have come.
    pub fn end(&mut self, now: Instant) {
        let gap = now.saturating_duration_since(self.since);
        let is_short = gap < if self.awake { LOOK } else { SHORT_SLEEP };
        self.credit = if is_short && self.light {
            (self.credit + 1).min(CREDIT_MAX)
        } else {
            self.credit.saturating_sub(CREDIT_LOST)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages, each after a gap of as many microseconds; says whether the loop would look for one more.
    fn looks_after(poll: BusyPoll, gaps: &[u64], events: usize) -> bool {
        let mut now = Instant::now();
        let mut lull = Lull::new(poll, now);
        for gap in gaps {
            lull.begin(now, events, 1);
            lull.looks(now);
            now += Duration::from_micros(*gap);
            lull.looks(now);
            lull.end(now);
        }
        lull.begin(now, events, 1);
        lull.looks(now)
    }

    #[test]
    fn it_looks_while_messages_go_to_and_fro_quickly() {
        assert!(!looks_after(BusyPoll::Auto, &[30; 7], 1), "a few may be chance");
        assert!(looks_after(BusyPoll::Auto, &[30; 8], 1));
        assert!(looks_after(BusyPoll::Auto, &[&[30; 16][..], &[500]].concat(), 1), "one that was late");
        assert!(!looks_after(BusyPoll::Auto, &[&[30; 16][..], &[500; 3]].concat(), 1));
        assert!(!looks_after(BusyPoll::Auto, &[1000; 100], 1), "nobody would notice");
        assert!(!looks_after(BusyPoll::Auto, &[30; 100], 3), "many at once wait for each other, not for us");
    }

    #[test]
    fn it_sleeps_when_nothing_comes() {
        let start = Instant::now();
        let mut lull = Lull::new(BusyPoll::Auto, start);
        for _ in 0..CREDIT_MAX {
            lull.begin(start, 1, 1);
            lull.end(start);
        }
        lull.begin(start, 1, 1);
        assert!(lull.looks(start + LOOK / 2));
        assert!(!lull.looks(start + LOOK));
    }

    #[test]
    fn a_given_time_is_kept_to() {
        let time = Duration::from_millis(1);
        for (poll, looks) in [(BusyPoll::For(time), true), (BusyPoll::For(Duration::ZERO), false)] {
            assert_eq!(looks_after(poll, &[5000; 3], 9), looks);
        }
    }
}
