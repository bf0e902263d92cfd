//! The sans-IO core of rnet: a TCP/IP stack that answers for the whole outside world of one container.
//!
//! It opens no sockets, reads no clock and starts no threads: `now`, frames and host events are arguments.
#![forbid(unsafe_code)]

pub mod event;
pub mod frame;
pub mod neighbour;

pub use smoltcp::time::{Duration, Instant};
