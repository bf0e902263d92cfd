//! The name server: answers what containers ask, from what it knows itself, from its cache, or by asking others.
//!
//! What is to be said to whom is decided by the crate `rnet-dns`; here are its sockets. `Forwarder` turns a query into an
//! answer and knows nothing of where the query came from, so it serves rootless networks, whose queries come over lines from the
//! packet loops (`line.rs`), as well as listeners of its own. It runs in one thread of a process of its own.

pub mod containers;
mod flights;
pub mod forwarder;
pub mod host_file;
mod line;
mod process;
mod random;
mod seldom;
mod stream;
mod upstream;

pub use process::{Prepared, serve};
