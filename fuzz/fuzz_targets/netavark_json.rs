//! The input of netavark's commands: whatever it is, it is judged and nothing panics; and the rules of what is accepted come back
//! from netlink's form as they were.
#![no_main]
#![allow(dead_code, unused_imports, reason = "the room is taken as it is, without its callers")]

#[path = "../../src/bridge/mod.rs"]
mod bridge;
#[path = "../../src/sys/link_layer.rs"]
pub mod link_layer;
#[path = "../../src/config/netavark.rs"]
mod netavark;

/// What the room expects of the crate.
mod config {
    pub use crate::netavark::{DhcpProxy, Netavark, NetavarkCommand};
}

mod sys {
    pub use crate::link_layer;

    /// No descriptor is passed to a fuzzer.
    pub fn claim_descriptor(_: std::os::fd::RawFd) -> nix::Result<std::os::fd::OwnedFd> {
        Err(nix::errno::Errno::EBADF)
    }
}

libfuzzer_sys::fuzz_target!(|text: &[u8]| bridge::fuzz::judge(text));
