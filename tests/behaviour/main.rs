//! What rnet does, seen from outside: each test runs the real binary in real namespaces, as root and as an unprivileged user.
//!
//! One room per capability. Every test gets a machine of its own ([`bed::Bed`]) that is taken away whatever happens, and
//! that must be as empty at the end as it was at the start.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[macro_use]
mod bed;

mod aardvark;
mod attach;
mod attach_errors;
mod auto;
mod bad_input;
mod bulk;
mod busy_poll;
mod control;
mod control_commands;
mod control_hostile;
mod control_life;
mod control_ports;
mod debian_13;
mod dhcp;
mod dns;
mod dns_encrypted;
mod dns_fidelity;
mod dns_hostile;
mod dns_names;
mod dns_upstreams;
mod docker;
mod ends;
mod engines;
mod http;
mod icmp;
mod isolation;
mod job_control;
mod limits;
mod netavark;
mod outbound;
mod pasta;
mod podman;
mod published;
mod published_errors;
mod published_tcp;
mod published_udp;
mod run_basics;
mod run_network;
mod slirp4netns;
mod spliced;
mod tcp_connect;
mod tcp_ends;
mod tcp_flow;
mod tcp_raw;
mod threads;
mod udp;
