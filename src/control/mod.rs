//! The control socket: what may be asked of a running network, by whom, and how its instances are found.
//!
//! A process of its own (`process`) serves it, in the host's network and with the caller's rights: it opens the sockets of ports
//! that are published while the container runs, and hands them to the stack, which may not. The shapes of requests and replies
//! are in docs/control.md.

mod answer;
mod change;
pub mod client;
pub mod commands;
mod fault;
mod hostfwd;
pub mod instances;
mod line;
pub mod process;
pub mod protocol;
pub mod runtime;
mod server;
pub mod socket;
mod table;
