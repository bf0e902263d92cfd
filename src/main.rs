//! rnet gives containers a network.
pub mod config;
pub mod rootless;
pub mod tap;

fn main() {}
