//! A UDP mapping's turn: what its host socket holds goes to the container.

use rnet_stack::{HostError, HostIcmp, Instant, RingMemory, Stack, UdpId};

use super::edge::HostEdge;
use super::error_queue;
use super::udp_run::Run;
use crate::sys::messages::MESSAGES;

/// Calls that receive from one socket before others get their turn: 64 datagrams.
const CALLS_A_TURN: usize = 64 / MESSAGES;

/// Errors that are taken from one socket's queue in a turn.
const ERRORS_A_TURN: usize = 16;

/// Receives what a mapping's socket holds; says whether there may be more.
pub fn receive<M: RingMemory>(stack: &mut Stack<M>, edge: &mut HostEdge, now: Instant, mapping: UdpId) -> bool {
    let (mut inbox, mut run) = edge.udp.take_inbox();
    let mut more = true;
    for _ in 0..CALLS_A_TURN {
        match edge.udp.receive(mapping, &mut inbox) {
            Some(Ok(count)) => {
                for (received, bytes) in inbox.iter_mut() {
                    let payload = bytes.len() - received.len;
                    if edge.udp.may_coalesce() && run.push(&received, &bytes[payload..]) {
                        continue;
                    }
                    deliver(stack, edge, now, mapping, &mut run);
                    if !edge.udp.may_coalesce() || !run.push(&received, &bytes[payload..]) {
                        stack.udp_received(now, mapping, received.from, bytes, received.segment, edge);
                    }
                }
                // What came later, or an error that cut the call short, has an event of its own.
                if count < MESSAGES {
                    more = false;
                    break;
                }
            }
            Some(Err(HostError::WouldBlock)) | None => {
                more = false;
                break;
            }
            // An error that was reported for something sent: its details are in the error queue.
            Some(Err(_)) => errors(stack, edge, mapping),
        }
    }
    deliver(stack, edge, now, mapping, &mut run);
    edge.udp.return_inbox((inbox, run));
    more
}

fn deliver<M: RingMemory>(stack: &mut Stack<M>, edge: &mut HostEdge, now: Instant, mapping: UdpId, run: &mut Run) {
    if let Some(run) = run.end() {
        stack.udp_received(now, mapping, run.from, run.bytes, run.segment, edge);
    }
}

/// Takes what a mapping's error queue holds to the container.
pub fn errors<M: RingMemory>(stack: &mut Stack<M>, edge: &mut HostEdge, mapping: UdpId) {
    for _ in 0..ERRORS_A_TURN {
        let Some((socket, family)) = edge.udp.socket(mapping) else { return };
        let Some(error) = error_queue::take(socket) else { return };
        let icmp = HostIcmp::new(family, error.icmp, error.to, error.offender, &error.payload);
        stack.udp_error(mapping, &icmp, edge);
    }
}
