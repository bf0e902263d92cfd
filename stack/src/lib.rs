//! The sans-IO core of rnet: a TCP/IP stack that answers for the whole outside world of one container.
//!
//! It opens no sockets, reads no clock and starts no threads: `now`, frames and host events are arguments, and what it
//! wants done outside goes through the [`Edge`] and [`RingMemory`] traits. The same frames, events and times always lead
//! to the same calls, so tests run it in virtual time against simulated hosts.
//!
//! A frame enters by [`Stack::handle_frame`], is classified once (`frame`), and is handed to exactly one owner: the link's
//! own services (`neighbour`), a TCP flow (`tcp`), a UDP mapping (`udp`) or an echo mapping (`icmp`). `policy` judges a
//! destination before a flow to it is admitted. Everything that a container can make the stack hold is bounded by
//! [`Limits`].
#![forbid(unsafe_code)]

mod config;
mod dns;
mod edge;
pub mod event;
pub mod flow;
pub mod frame;
mod icmp;
mod link;
pub mod neighbour;
pub mod policy;
mod share;
mod stack;
mod tcp;
mod udp;

pub use config::{Config, DnsService, Limits, Mapping, Transports};
pub use edge::{
    Close, Edge, Family, FlowId, HEADROOM, HeapRings, HostError, Outgoing, PingId, RingClass, RingMemory, Rings, UdpId,
};
pub use icmp::HostIcmp;
pub use share::{Claim, Diverted, Peer};
pub use stack::{Holdings, Stack, TcpFlow, TcpState, UdpMapping};
pub use tcp::{Flushed, Readiness, TimestampClock};
pub use udp::DATAGRAM_HEADROOM;

pub use smoltcp::socket::tcp::SocketBuffer;
pub use smoltcp::time::{Duration, Instant};
