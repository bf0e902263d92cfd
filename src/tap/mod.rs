//! The tap device: how it is made, what it leaves to us, and the header that stands before each frame.

pub mod kind;
pub mod mac;
pub mod offload;
mod open;
pub mod plain;
pub mod vnet;

pub use open::{Error, find_or_make, open};
