//! Several stacks that serve one container side by side, each with its own part of the flows.
//!
//! The device hands every stack a part of the frames and keeps a flow with the stack that it reached first, as far as it
//! remembers. So a stack *claims* what it opens under a name that all of them know, and a packet that belongs to nothing
//! of its own is *diverted* to the stack that has claimed it. A packet is diverted once at most.

use std::net::IpAddr;

use crate::edge::Edge;
use crate::event::{Counter, Counters, DropReason};
use crate::flow::FlowKey;
use crate::frame::{MacAddr, Offload};

/// What belongs to one of several stacks, by the name that all of them know it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Claim {
    /// A TCP flow.
    Tcp(FlowKey),
    /// A UDP mapping, whoever it talks to.
    Udp {
        /// The container's address.
        guest: IpAddr,
        /// The container's port.
        port: u16,
    },
    /// An ICMP echo mapping.
    Echo {
        /// The container's address.
        guest: IpAddr,
        /// The identifier of its requests.
        identifier: u16,
    },
}

/// Another stack of the same container, by the number that the edge gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer(pub u32);

/// An IP packet from the container on its way to another stack.
#[derive(Clone, Copy, Debug)]
pub struct Diverted<'a> {
    /// The hardware address that sent it.
    pub mac: MacAddr,
    /// The packet from its IP header on.
    pub packet: &'a [u8],
    /// What the device said of its frame.
    pub offload: Offload,
}

/// How a packet has come to a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// From the container.
    Direct,
    /// From another stack.
    Diverted,
}

/// Why a stack does nothing with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declined {
    /// Nobody is to have it.
    Dropped(DropReason),
    /// It is another stack's.
    Owned(Peer),
}

impl From<DropReason> for Declined {
    fn from(reason: DropReason) -> Declined {
        Declined::Dropped(reason)
    }
}

impl Declined {
    /// Hands a packet that belongs to another stack over to it, unless it has come from one.
    ///
    /// # Errors
    /// Why the packet is dropped instead.
    pub(crate) fn settle<E: Edge>(
        self,
        arrival: Arrival,
        diverted: &Diverted<'_>,
        counters: &mut Counters,
        edge: &mut E,
    ) -> Result<(), DropReason> {
        match (self, arrival) {
            (Declined::Dropped(reason), _) => Err(reason),
            // What it belongs to has changed hands meanwhile. Whoever needs the packet sends it again.
            (Declined::Owned(_), Arrival::Diverted) => Err(DropReason::Astray),
            (Declined::Owned(peer), Arrival::Direct) => {
                edge.divert(peer, diverted).map_err(|_| DropReason::Astray)?;
                counters.count(Counter::Diverted);
                Ok(())
            }
        }
    }
}
