//! Files that are written: captures, logs, process ids.

use super::{NO_PORTS, OURS, PROGRAMS, attach, spawn};
use crate::attach::Container;
use crate::bed::{Bed, FAR4};

only!(Plain as_user: frames_are_captured, a_log_file_of_a_bounded_size, a_pid_file_of_a_command);

fn frames_are_captured(bed: &Bed) {
    for program in PROGRAMS {
        let script = format!("ping -c1 -W3 {}", FAR4[0]);
        spawn(bed, program, &format!("--config-net -p /tmp/frames.pcap {NO_PORTS}"), &script).ok();
        let out = bed.sh("tcpdump -n -r /tmp/frames.pcap 2>/dev/null").ok();
        assert!(out.contains("ICMP echo request") && out.contains("ICMP echo reply"), "{program}\n{out}");
        bed.sh("rm /tmp/frames.pcap").ok();
    }
}

fn a_log_file_of_a_bounded_size(bed: &Bed) {
    let container = Container::new(bed);
    attach(bed, OURS, &format!("--config-net -l /tmp/pasta.log --log-size 16384 {NO_PORTS}"), &container);
    let text = std::fs::read_to_string(bed.path("/tmp/pasta.log")).unwrap();
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("pasta 20") && first.ends_with(')'), "{text}");
    assert!(text.contains(": info:    Template interface: eth0"), "{text}");
    assert!(text.len() <= 16384);
    container.end();
    bed.sh("rm /tmp/pasta.log").ok();
}

fn a_pid_file_of_a_command(bed: &Bed) {
    let process =
        spawn(bed, OURS, &format!("--config-net -P /tmp/pid {NO_PORTS}"), "sleep 0.3; echo up; sleep 9").spawn();
    process.wait_for("up");
    let pid: u32 = std::fs::read_to_string(bed.path("/tmp/pid")).unwrap().trim().parse().unwrap();
    assert_eq!(pid, process.pid_in_bed());
    drop(process);
    bed.sh("rm /tmp/pid").ok();
}
