//! The thread that takes orders from another process and hands them to the workers.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use nix::sys::socket::MsgFlags;
use rnet_stack::TcpState;
use socket2::Socket;
use tracing::debug;

use super::wire::{self, Answer, FLOWS_A_PACKET, Order, PACKET_MAX, Place, RULES_A_PACKET, RULES_MAX, Staged};
use super::{Commit, Established, Flow, FlowPlace, FlowState, Gone, Handle, Refused};
use crate::config::{Protocol, Publish};
use crate::rootless::listen::{Ends, Published, PublishedPorts, RuleId};
use crate::rootless::report::Report;
use crate::sys::packets;

/// Starts the thread. It ends when the other process does.
///
/// # Errors
/// When there can be no thread.
pub fn start(line: OwnedFd, handle: Handle) -> io::Result<()> {
    let mut clerk = Clerk { handle, rules: Vec::new(), sockets: PublishedPorts::default() };
    thread::Builder::new().name("rnet-orders".into()).spawn(move || clerk.serve(&line)).map(drop)
}

struct Clerk {
    handle: Handle,
    /// Rules that are staged, and their sockets.
    rules: Vec<Publish>,
    sockets: PublishedPorts,
}

impl Clerk {
    fn serve(&mut self, line: &OwnedFd) {
        let mut buffer = vec![0; PACKET_MAX];
        loop {
            let (length, fds) = match packets::receive(line.as_fd(), &mut buffer, MsgFlags::empty()) {
                Ok((0, _)) => return,
                Ok(received) => received,
                Err(error) => return debug!(%error, "no more orders"),
            };
            let Some((number, json)) = buffer.get(..length).and_then(<[u8]>::split_first_chunk::<4>) else { continue };
            let answer = match serde_json::from_slice(json) {
                Ok(order) => self.obey(order, fds),
                Err(error) => refused(error),
            };
            let mut packet = encode(*number, &answer);
            if packet.len() > PACKET_MAX {
                packet = encode(*number, &refused("the answer is too long"));
            }
            if let Err(error) = packets::send(line.as_fd(), &packet, &[], MsgFlags::empty()) {
                return debug!(%error, "no more orders");
            }
        }
    }

    fn obey(&mut self, order: Order, fds: Vec<OwnedFd>) -> Answer {
        match order {
            Order::Rules { from } => {
                let (generation, rules) = self.handle.rules();
                let more = rules.len() > from.saturating_add(RULES_A_PACKET);
                let part = rules.iter().skip(from).take(RULES_A_PACKET);
                let rules = part.map(|(id, rule)| (id.0, rule.to_string())).collect();
                Answer::Rules { generation, rules, more }
            }
            Order::Stage { rules, sockets } => match self.stage(&rules, sockets, fds) {
                Ok(()) => Answer::Done,
                Err(message) => refused(message),
            },
            Order::Discard => {
                self.discard();
                Answer::Done
            }
            Order::Commit { generation, remove, drop_established } => {
                let established = if drop_established { Established::Drop } else { Established::Keep };
                let (add, sockets) = self.discard();
                let remove = remove.into_iter().map(RuleId).collect();
                match self.handle.commit(Commit { generation, remove, add, sockets, established }) {
                    Ok(added) => Answer::Committed { added: added.into_iter().map(|id| id.0).collect() },
                    Err(error) => {
                        Answer::Refused { changed: matches!(error, Refused::Changed), message: error.to_string() }
                    }
                }
            }
            Order::Free { ports } => {
                let ports = ports.into_iter().map(|(first, last)| first..=last).collect();
                self.handle.free(ports).map_or_else(refused, |()| Answer::Done)
            }
            Order::Flows { from, most } => self.flows(from, most).unwrap_or_else(refused),
            Order::Stats => self.handle.report().map_or_else(refused, |report| Answer::Stats(stats(&report))),
        }
    }

    fn stage(&mut self, rules: &[String], sockets: Vec<Staged>, fds: Vec<OwnedFd>) -> Result<(), String> {
        if sockets.len() != fds.len() {
            return Err(format!(
                "{} of {} sockets came along: raise the limit of descriptors",
                fds.len(),
                sockets.len()
            ));
        }
        if self.rules.len() + rules.len() > RULES_MAX {
            return Err(format!("more than {RULES_MAX} rules"));
        }
        let rules = rules.iter().map(|rule| rule.parse::<Publish>()).collect::<Result<Vec<_>, _>>()?;
        self.rules.extend(rules);
        for (Staged { udp, at, to, rule }, fd) in sockets.into_iter().zip(fds) {
            let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
            let published = Published { socket: Socket::from(fd), ends: Ends { at, to }, rule: RuleId(rule) };
            self.sockets.of_mut(protocol).push(published);
        }
        Ok(())
    }

    fn discard(&mut self) -> (Vec<Publish>, PublishedPorts) {
        (std::mem::take(&mut self.rules), std::mem::take(&mut self.sockets))
    }

    fn flows(&self, from: Place, most: usize) -> Result<Answer, Gone> {
        let protocol = if from.udp { Protocol::Udp } else { Protocol::Tcp };
        let from = FlowPlace { worker: from.worker, protocol, first: from.first };
        let page = self.handle.flows(from, most.clamp(1, FLOWS_A_PACKET))?;
        let next =
            page.next.map(|next| Place { worker: next.worker, udp: next.protocol == Protocol::Udp, first: next.first });
        Ok(Answer::Flows { flows: page.flows.iter().map(flow).collect(), next })
    }
}

fn refused(why: impl ToString) -> Answer {
    Answer::Refused { changed: false, message: why.to_string() }
}

fn encode(number: [u8; 4], answer: &Answer) -> Vec<u8> {
    let mut packet = number.to_vec();
    // Nothing of an answer can fail to be written as JSON.
    let _ = serde_json::to_writer(&mut packet, answer);
    packet
}

fn flow(flow: &Flow) -> wire::Flow {
    let state = match flow.state {
        FlowState::Tcp(TcpState::Connecting) => "connecting",
        FlowState::Tcp(TcpState::Opening) => "opening",
        FlowState::Tcp(TcpState::Open) => "open",
        FlowState::Tcp(TcpState::Draining) => "draining",
        FlowState::Mapped => "mapped",
        FlowState::Published => "published",
    };
    wire::Flow {
        protocol: flow.protocol.to_string(),
        state: state.into(),
        container: flow.guest,
        remote: flow.remote,
        host: flow.host,
        peer: flow.peer,
        rule: flow.rule.map(|rule| rule.0),
    }
}

fn stats(report: &Report) -> wire::Stats {
    let holdings = [
        ("tcp_flows", report.holdings.tcp_flows),
        ("tcp_half_open", report.holdings.tcp_half_open),
        ("buffer_bytes", report.holdings.buffer_bytes),
        ("udp_mappings", report.holdings.udp_mappings),
        ("icmp_mappings", report.holdings.icmp_mappings),
        ("reassembly_bytes", report.holdings.reassembly_bytes),
    ];
    let further = [
        ("refused_frames", report.refused_frames),
        ("lost_udp_batches", report.lost_udp_batches),
        ("accepts_postponed", report.accepts_postponed),
        ("spliced", report.spliced.begun),
        ("spliced_bytes", report.spliced.moved),
        ("spliced_refused", report.spliced.refused),
    ];
    let counters = report.counters.iter().map(|(counter, count)| (counter.name(), count)).chain(further);
    wire::Stats {
        holdings: holdings.into_iter().map(|(name, count)| (name.to_owned(), count as u64)).collect(),
        counters: counters.map(|(name, count)| (name.to_owned(), count)).collect(),
        drops: report.drops.iter().map(|(reason, count)| (reason.name().to_owned(), count)).collect(),
    }
}
