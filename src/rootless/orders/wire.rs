//! Orders that come from another process, which opens the sockets of published ports with the caller's rights.
//!
//! Each order is a packet of JSON behind four bytes that its answer repeats, at most [`PACKET_MAX`] long. Sockets come along as
//! descriptors, in as many packets as they need: they are staged, and a commit puts all of them into service or none.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Bytes of a packet.
pub const PACKET_MAX: usize = 64 << 10;

/// Rules that one container may have: as many as a packet holds the numbers of, and far more than anybody writes.
pub const RULES_MAX: usize = 4096;

/// Rules in one packet.
pub const RULES_A_PACKET: usize = 512;

/// Flows in one packet.
pub const FLOWS_A_PACKET: usize = 128;

/// What is to be done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Order {
    /// Tell the rules, from this place in their list on.
    Rules {
        /// How many to leave out.
        from: usize,
    },
    /// Keep rules and sockets for a commit.
    Stage {
        /// Rules, in the order in which they are added.
        rules: Vec<String>,
        /// What the descriptors that come along are, in their order.
        sockets: Vec<Staged>,
    },
    /// Forget and close what was staged.
    Discard,
    /// Add the rules that were staged, and remove others.
    Commit {
        /// The generation of the rules that it is meant for.
        generation: u64,
        /// Rules to be removed.
        remove: Vec<u32>,
        /// Whether to reset the connections that clients have by them.
        drop_established: bool,
    },
    /// Close what the container has opened for itself at UDP ports of the host's.
    Free {
        /// The first and the last of each range.
        ports: Vec<(u16, u16)>,
    },
    /// Tell of flows.
    Flows {
        /// Where to begin.
        from: Place,
        /// How many at the most.
        most: usize,
    },
    /// Tell what is held and was counted.
    Stats,
}

/// A socket that is staged.
#[derive(Debug, Serialize, Deserialize)]
pub struct Staged {
    /// UDP, or else TCP.
    pub udp: bool,
    /// The host's end.
    pub at: SocketAddr,
    /// The container's end.
    pub to: SocketAddr,
    /// The place of its rule among those that are staged.
    pub rule: u32,
}

/// What came of an order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// It was done.
    Done,
    /// It was not done.
    Refused {
        /// Whether it would be done if it were made anew from the present rules.
        changed: bool,
        /// Why.
        message: String,
    },
    /// Rules.
    Rules {
        /// How often they were changed.
        generation: u64,
        /// Number and text of each.
        rules: Vec<(u32, String)>,
        /// Whether there are more behind them.
        more: bool,
    },
    /// The numbers of the rules that were added.
    Committed {
        /// In the order in which they were staged.
        added: Vec<u32>,
    },
    /// Flows.
    Flows {
        /// Some of them.
        flows: Vec<Flow>,
        /// Where the list goes on.
        next: Option<Place>,
    },
    /// What is held and was counted.
    Stats(Stats),
}

/// Where the list of flows goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The thread.
    pub worker: usize,
    /// Its UDP mappings, behind its TCP flows.
    pub udp: bool,
    /// The least number.
    pub first: u32,
}

/// A flow.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Flow {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// `connecting`, `opening`, `open` or `draining` for TCP; `mapped` or `published` for UDP.
    pub state: String,
    /// The container's end.
    pub container: SocketAddr,
    /// The other end as the container sees it.
    pub remote: Option<SocketAddr>,
    /// The host socket's own end.
    pub host: Option<SocketAddr>,
    /// The host socket's other end.
    pub peer: Option<SocketAddr>,
    /// The number of the rule that it came by.
    pub rule: Option<u32>,
}

/// What is held and was counted, since the network began.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stats {
    /// What there is just now.
    pub holdings: BTreeMap<String, u64>,
    /// What was counted.
    pub counters: BTreeMap<String, u64>,
    /// Frames from the container that were dropped, by reason.
    pub drops: BTreeMap<String, u64>,
}
