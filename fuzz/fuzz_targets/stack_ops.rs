//! Sequences of frames, host events and time against the whole stack.
//!
//! Whatever comes, it does not panic, holds no more than its limits, calls the edge only for sockets that are open,
//! sends only frames that parse, and does not ask for its turn over and over.
#![no_main]

#[allow(dead_code)]
#[path = "../../stack/tests/support/config.rs"]
mod config;
#[path = "stack_ops/edge.rs"]
mod edge;
#[path = "stack_ops/guest.rs"]
mod guest;
#[path = "stack_ops/ops.rs"]
mod ops;
#[path = "stack_ops/rings.rs"]
mod rings;
#[path = "stack_ops/run.rs"]
mod run;
#[allow(dead_code)]
#[path = "../../stack/tests/support/segment.rs"]
mod segment;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: ops::Script| run::run(&script));
