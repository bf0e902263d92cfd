//! What a packet loop says of itself at its end.

use rnet_stack::Holdings;
use rnet_stack::event::{Counters, DropCounters};
use tracing::debug;

use super::splice::Counted;

/// What one or several workers held and counted.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What the stack still held.
    pub holdings: Holdings,
    /// What the stack counted.
    pub counters: Counters,
    /// Frames that the stack dropped.
    pub drops: DropCounters,
    /// Frames that the tap device did not take.
    pub refused_frames: u64,
    /// Batches of datagrams that the host did not take.
    pub lost_udp_batches: u64,
    /// Letters that the name server did not take.
    pub lost_dns_letters: u64,
    /// What the splicer held and counted.
    pub spliced: Counted,
    /// How often clients of published ports had to wait because the host was out of descriptors or memory.
    pub accepts_postponed: u64,
}

impl Report {
    /// Adds another worker's.
    pub fn add(&mut self, other: &Report) {
        self.holdings += other.holdings;
        self.counters += &other.counters;
        self.drops += &other.drops;
        self.refused_frames += other.refused_frames;
        self.lost_udp_batches += other.lost_udp_batches;
        self.lost_dns_letters += other.lost_dns_letters;
        self.accepts_postponed += other.accepts_postponed;
        // There is one splicer for all workers.
        self.spliced = other.spliced;
    }

    /// Writes it to the log.
    pub fn log(&self) {
        let counted = |count: &u64| *count > 0;
        let counters = self.counters.iter().filter(|(_, count)| counted(count));
        let drops = self.drops.iter().filter(|(_, count)| counted(count));
        debug!(
            holdings = ?self.holdings,
            counters = counters.map(|(counter, count)| format!("{}={count}", counter.name())).collect::<Vec<_>>().join(" "),
            drops = drops.map(|(reason, count)| format!("{}={count}", reason.name())).collect::<Vec<_>>().join(" "),
            refused_frames = self.refused_frames,
            lost_udp_batches = self.lost_udp_batches,
            lost_dns_letters = self.lost_dns_letters,
            accepts_postponed = self.accepts_postponed,
            spliced = ?self.spliced,
            "packet loop ends"
        );
    }
}
