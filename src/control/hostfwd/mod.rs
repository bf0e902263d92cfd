//! slirp4netns's API socket: published ports are added, told and removed by its JSON, one request a connection.
//!
//! A second language for what the control socket does: the changes themselves are made where that makes them (`change.rs`).

mod book;
mod request;
mod server;

pub(super) use book::Book;
pub(super) use server::serve;
