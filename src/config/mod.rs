//! The configuration that front ends make and backends obey. Everything in here has been validated.

mod network;

pub use network::{Limits, Network, Outbound, Subnet};
