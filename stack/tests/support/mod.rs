//! What simulators of the container and of the host have in common.

#![allow(dead_code, missing_docs)]

pub mod config;
pub mod random;
pub mod segment;
