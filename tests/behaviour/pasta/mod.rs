//! rnet under the name `pasta`, by the command lines of those who call it. What both share is asked of Debian's own pasta as well.

mod attach;
mod errors;
mod files;
mod host;
mod link;
mod names;
mod ports;
mod spawn;

use crate::attach::Container;
use crate::bed::{Bed, Cmd, Out};

/// rnet by its other name.
const OURS: &str = "/mnt/as/pasta";

/// Whose behaviour is the measure: that of Debian 13, for Debian 12's does less.
const PEER: &str = "/mnt/bin/peer-pasta";

/// Both, for checks that both must pass.
const PROGRAMS: [&str; 2] = [OURS, PEER];

/// No ports at all, as engines have it.
const NO_PORTS: &str = "-t none -u none -T none -U none";

/// `PROGRAM OPTIONS -- sh -c SCRIPT`
fn spawn<'b>(bed: &'b Bed, program: &str, options: &str, script: &str) -> Cmd<'b> {
    let quoted = script.replace('\'', "'\\''");
    bed.sh(&format!("exec {program} {options} -- sh -c '{quoted}'"))
}

/// The same with a Python script, and everything from peer.py at hand.
fn spawn_python<'b>(bed: &'b Bed, program: &str, options: &str, script: &str) -> Cmd<'b> {
    spawn(bed, program, options, &format!("exec python3 -c \"from peer import *\n{script}\""))
}

/// `PROGRAM OPTIONS PID`, which must succeed and leave nobody holding its output.
fn attach(bed: &Bed, program: &str, options: &str, container: &Container<'_>) -> Out {
    let out = bed.sh(&format!("exec {program} {options} {}", container.pid)).output();
    out.assert_code(0);
    assert!(out.closed, "whoever reads the output sees its end when the network is ready\n{out}");
    out
}
