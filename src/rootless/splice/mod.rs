//! The fast path of connections that stay on this host: from its loopback to the container, and from the container's loopback to
//! the host's.
//!
//! A thread of its own moves their bytes from one socket to another by splice(2), through a pipe, without the TCP/IP stack. The
//! sockets in the container's network namespace are made by the agent there.

mod auto;
mod entrance;
mod exposed;
mod host_ports;
mod news;
mod pair;
mod pairs;
mod pipes;
mod relay;
mod splicer;
mod stock;
mod token;
mod way;

pub use entrance::Entrance;
pub use pairs::Counted;
pub use splicer::Splicer;
