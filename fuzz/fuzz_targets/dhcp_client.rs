//! What a DHCP server may send to a container's client, DHCPv4 and DHCPv6, through all its states.
#![no_main]
#![allow(dead_code, unused_imports, reason = "the room is taken as it is, without its callers")]

#[path = "../../src/bridge/dhcp/client/mod.rs"]
mod client;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| client::fuzz::serve(bytes));
