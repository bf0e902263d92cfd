//! The sans-IO core of rnet's name server.
//!
//! It opens no sockets and reads no clock: messages and times are arguments. What a container sends is judged by
//! [`Query::judge`]; the answer comes from [`Hosts`], from the [`Cache`], or from an upstream server that [`Routes`] and
//! [`Health`] choose. Messages are passed on as the bytes that they are: types that nobody has heard of, names of any bytes and
//! options that are not for rnet come through as they were sent.
#![forbid(unsafe_code)]

mod cache;
pub mod containers;
mod health;
mod hosts;
pub mod letter;
mod name;
mod query;
mod rebind;
mod reply;
mod routes;
pub mod wire;

pub use cache::{Cache, Cached};
pub use health::Health;
pub use hosts::Hosts;
pub use name::{BadName, Name};
pub use query::{Edns, Query, Unfit};
pub use rebind::is_rebinding;
pub use reply::{Ede, Rcode, Reply, failure, fit, is_answer_to, rcode_of, refusal};
pub use routes::Routes;
