//! The tap device: how it is opened and what stands before each frame.

pub mod offload;
pub mod vnet;
