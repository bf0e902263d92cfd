//! rnet gives containers a network.
pub mod config;
pub mod rootless;

fn main() {}
