//! What is due by time: turns of flows with a deadline, and pages of idle rings that go back to the system.

use super::{FlowId, Phase, TcpFlows};
use crate::edge::RingMemory;
use crate::{Duration, Instant};

/// How often idle flows are looked for whose rings still hold pages, and how long they must have been idle.
pub(super) const SWEEP: Duration = Duration::from_secs(2);

impl<M: RingMemory> TcpFlows<M> {
    /// When [`TcpFlows::handle_timeout`] next has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        match (self.timers.next(), self.sweep_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Marks the flows whose deadline has come, and gives back the pages of idle ones.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some(id) = self.timers.pop_due(now) {
            if let Some(flow) = self.flows.get_mut(id as usize) {
                flow.armed.fired();
            }
            self.mark(FlowId(id));
        }
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep(now);
        }
    }

    fn sweep(&mut self, now: Instant) {
        let before = Instant::from_micros(now.total_micros() - SWEEP.total_micros() as i64);
        let TcpFlows { flows, stock, touched, pace, .. } = self;
        // A number stands in the list twice when its flow ended and another took the number; the mark tells.
        touched.retain(|id| {
            let Some(flow) = flows.get_mut(id.0 as usize) else { return false };
            match &mut flow.phase {
                Phase::Open(open) if flow.touched => {
                    flow.touched = false;
                    if open.active > before {
                        return true;
                    }
                    pace.forget(std::mem::take(&mut flow.manner));
                    open.has_gap() || !open.endpoint.release_pages(stock.memory())
                }
                _ => false,
            }
        });
        for id in touched.iter() {
            if let Some(flow) = flows.get_mut(id.0 as usize) {
                flow.touched = true;
            }
        }
        stock.release_idle(before);
        let more = !touched.is_empty() || stock.any_touched();
        self.sweep_at = more.then_some(now + SWEEP);
    }
}
