//! A deterministic simulation in virtual time: a container's TCP and a host's sockets, with the stack between them.
//!
//! The container is a second smoltcp, or segments made by hand where they must be exact; the host is byte pipes with
//! epoll's edges. Nothing sleeps, everything is seeded, and whatever stalls runs into a bound of virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod close;
mod connect;
mod datagrams;
mod guest;
mod host;
mod inbound;
mod link;
mod random_ends;
mod raw;
mod share;
mod table;
mod transfer;
mod window;
mod world;
