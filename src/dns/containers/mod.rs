//! The name server of container networks, in aardvark-dns' place: what netavark writes into a directory is served at the networks'
//! gateways, and what is not known there is forwarded.
//!
//! Data goes one way: `directory.rs` reads what has changed into the table of names (`rnet_dns::containers`), `server.rs` opens and
//! closes listeners after it, `datagrams.rs` and `connections.rs` bring queries to `resolver.rs`, which asks the table, or one of the
//! forwarders of `upstreams.rs`. `process.rs` is the life of the whole.

mod clients;
mod connections;
mod datagrams;
mod directory;
mod listener;
mod pid_file;
mod process;
mod resolver;
mod rights;
mod server;
mod services;
mod stamp;
mod syslog;
mod upstreams;

pub use process::main;
