//! How much the flows with much to say may do before those with little to say get their turn again.
//!
//! Large turns make large writes and few of them, which is what speed is made of; but a flow that waits for a short answer
//! waits for all that is done before it. So large turns are taken only while nobody waits for short answers.

use std::collections::VecDeque;

use crate::edge::FlowId;
use crate::{Duration, Instant};

/// A turn in which a flow moves as many bytes is one of bulk.
const BULK_TURN: usize = 32 << 10;

/// After as many turns with less, a flow is one of short messages again.
const PATIENCE: u8 = 16;

/// How long after a short message another one is expected.
const EXPECT: Duration = Duration::from_millis(100);

/// Bytes that a flow takes from its host socket in a turn, and all of them together: while short messages are about, and
/// while not.
const CAREFUL: Share = Share { flow: 64 << 10, all: 256 << 10 };
const CAREFREE: Share = Share { flow: 1 << 20, all: usize::MAX };

/// Bytes that all flows together may have on their way from the container, in the device's queue: what a short message
/// has to wait for there.
const QUEUED: usize = 2 << 20;

/// A flow may have a whole super-segment on its way, however many flows there are.
const LEAST_WINDOW: usize = 64 << 10;

/// Bytes of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// Of one flow.
    pub(crate) flow: usize,
    /// Of all flows of bulk together.
    pub(crate) all: usize,
}

/// What a flow's last turns were like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// How many turns of short messages are left until it counts as a flow of those.
    bulk: u8,
}

impl Manner {
    pub(crate) fn is_bulk(self) -> bool {
        self.bulk > 0
    }
}

/// The flows whose turn it is, and how much they may do.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Flows of short messages.
    pub(crate) quick: Vec<FlowId>,
    /// Flows of bulk, in the order in which they wait.
    pub(crate) bulk: VecDeque<FlowId>,
    /// How many flows of bulk there are.
    bulk_flows: usize,
    /// Until when short messages are expected.
    expected: Option<Instant>,
}

impl Pace {
    /// Puts a flow at the end of its line.
    pub(crate) fn push(&mut self, id: FlowId, manner: Manner) {
        if manner.is_bulk() {
            self.bulk.push_back(id);
        } else {
            self.quick.push(id);
        }
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.quick.is_empty() && self.bulk.is_empty()
    }

    /// What may be done in a turn.
    pub(crate) fn share(&self, now: Instant) -> Share {
        if self.expected.is_some_and(|until| now < until) { CAREFUL } else { CAREFREE }
    }

    /// The largest window that a flow tells the container.
    pub(crate) fn window(&self) -> usize {
        (QUEUED / self.bulk_flows.max(1)).max(LEAST_WINDOW)
    }

    /// Learns from a turn in which a flow moved as many bytes.
    pub(crate) fn note(&mut self, now: Instant, manner: &mut Manner, moved: usize) {
        if moved >= BULK_TURN {
            self.bulk_flows += usize::from(!manner.is_bulk());
            manner.bulk = PATIENCE;
        } else if moved > 0 && manner.is_bulk() {
            manner.bulk -= 1;
            self.bulk_flows -= usize::from(!manner.is_bulk());
        } else if moved > 0 {
            self.expected = Some(now + EXPECT);
        }
    }

    /// A flow ends.
    pub(crate) fn forget(&mut self, manner: Manner) {
        self.bulk_flows -= usize::from(manner.is_bulk());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_is_careful_while_short_messages_are_about() {
        let mut pace = Pace::default();
        let (mut bulk, mut short) = (Manner::default(), Manner::default());
        pace.note(Instant::ZERO, &mut bulk, BULK_TURN);
        assert!(bulk.is_bulk());
        assert_eq!(pace.share(Instant::ZERO), CAREFREE);
        pace.note(Instant::ZERO, &mut short, 1);
        assert_eq!(pace.share(Instant::ZERO), CAREFUL);
        assert_eq!(pace.share(Instant::ZERO + EXPECT), CAREFREE);
    }

    #[test]
    fn a_flow_of_bulk_has_to_be_quiet_for_a_while_to_be_one_of_short_messages() {
        let mut pace = Pace::default();
        let mut manner = Manner::default();
        pace.note(Instant::ZERO, &mut manner, BULK_TURN);
        for _ in 0..PATIENCE {
            assert!(manner.is_bulk());
            pace.note(Instant::ZERO, &mut manner, 0);
            pace.note(Instant::ZERO, &mut manner, 100);
        }
        assert!(!manner.is_bulk());
        assert_eq!(pace.bulk_flows, 0);
        assert_eq!(pace.share(Instant::ZERO), CAREFREE, "its own tail is no short message");
    }

    #[test]
    fn windows_shrink_with_the_flows_but_not_below_a_super_segment() {
        let mut pace = Pace::default();
        let mut flows = [Manner::default(); 100];
        assert_eq!(pace.window(), QUEUED);
        for (at, manner) in flows.iter_mut().enumerate() {
            pace.note(Instant::ZERO, manner, BULK_TURN);
            assert_eq!(pace.window(), (QUEUED / (at + 1)).max(LEAST_WINDOW));
        }
        flows.iter().for_each(|manner| pace.forget(*manner));
        assert_eq!(pace.window(), QUEUED);
    }
}
