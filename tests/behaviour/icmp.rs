//! ICMP: echoes through the host's ping sockets, and errors.

use std::time::Duration;

use crate::bed::{BOTH, Bed, FAR_UNREACHABLE, GATEWAY4, GATEWAY6, SILENT, Side, UNREACHABLE, WORLD4, eventually};

both!(
    ping_is_answered,
    pings_of_every_size_are_answered,
    pings_at_once_do_not_mix,
    the_gateway_answers,
    an_unreachable_host_is_reported,
    silence_stays_silence,
    forbidden_ping_sockets_are_said_once,
);

fn ping_is_answered(bed: &Bed) {
    for host in BOTH {
        let out = bed.run("", &format!("ping -n -c 3 -i 0.2 -W 2 {host}")).ok();
        assert!(out.contains("3 packets transmitted, 3 received, 0% packet loss"), "{out}");
        assert!(!out.contains("DUP"), "{out}");
    }
}

fn pings_of_every_size_are_answered(bed: &Bed) {
    for host in BOTH {
        for mtu in [1280, 65520] {
            for size in [0, 1, 1400, 1473, 9000, 60000] {
                let out =
                    bed.run(&format!("--mtu {mtu}"), &format!("ping -n -c 2 -i 0.2 -W 2 -s {size} {host}")).output();
                assert!(
                    out.code() == 0 && out.stdout.contains(" 0% packet loss"),
                    "{host}, {size} bytes, MTU {mtu}\n{out}"
                );
            }
        }
    }
}

fn pings_at_once_do_not_mix(bed: &Bed) {
    let script = format!("for n in 1 2 3 4 5 6 7 8; do ping -n -q -c 5 -i 0.1 -W 2 {WORLD4} & done; wait");
    let out = bed.run("", &script).ok();
    assert_eq!(out.matches("5 packets transmitted, 5 received, 0% packet loss").count(), 8, "{out}");
    assert!(!out.contains("duplicates"), "{out}");
}

fn the_gateway_answers(bed: &Bed) {
    for host in [GATEWAY4, GATEWAY6] {
        let out = bed.run("", &format!("ping -n -c 2 -i 0.2 -W 2 {host}")).ok();
        assert!(out.contains("2 received, 0% packet loss"), "{out}");
    }
}

fn an_unreachable_host_is_reported(bed: &Bed) {
    for host in UNREACHABLE.iter().chain(&FAR_UNREACHABLE) {
        let out = bed.run("", &format!("ping -n -c 2 -i 0.2 -W 2 {host}")).output();
        assert!(out.code() != 0, "{out}");
        let text = format!("{}{}", out.stdout, out.stderr).to_lowercase();
        assert!(text.contains("unreachable") || text.contains("no route"), "{host}\n{out}");
    }
}

fn silence_stays_silence(bed: &Bed) {
    for host in SILENT {
        let out = bed.run("", &format!("ping -n -c 2 -i 0.2 -W 1 {host}")).output();
        out.assert_code(1);
        assert!(out.stdout.contains("2 packets transmitted, 0 received, 100% packet loss"), "{out}");
    }
}

fn forbidden_ping_sockets_are_said_once(bed: &Bed) {
    bed.root(Side::Host, "echo '1 0' >/proc/sys/net/ipv4/ping_group_range").ok();
    let script =
        format!("ping -n -c 3 -i 0.2 -W 1 {} ; ping -n -c 3 -i 0.2 -W 1 {}; echo done; sleep 2", BOTH[0], BOTH[1]);
    let process = bed.run("", &script).spawn();
    process.wait_for("done");
    let warned = || process.stderr().lines().filter(|line| line.contains("ping_group_range")).count();
    assert!(eventually(Duration::from_secs(2), || warned() > 0), "no warning: {}", process.stderr());
    let out = process.wait(Duration::from_secs(10));
    let warnings = out.stderr.lines().filter(|line| line.contains("ping_group_range")).count();
    assert_eq!(warnings, 1, "one warning\n{out}");
    // Answered with an error, not with a forged echo and not with silence.
    assert_eq!(out.stdout.matches(" 0 received").count(), 2, "{out}");
    assert!(
        out.stdout.contains("filtered") || out.stdout.contains("prohibited") || out.stdout.contains("Unreachable"),
        "{out}"
    );
}
