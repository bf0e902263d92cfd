//! Spawn mode: a command in namespaces of its own.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::{NO_PORTS, OURS, PROGRAMS, spawn, spawn_python};
use crate::bed::{Bed, FAR4, FAR6, HOST4, HOST6, WORLD4, WORLD6, port};

only!(Plain as_user: has_the_hosts_addresses_and_routes, is_root_and_the_first_process, exits_as_the_command_does,
    both_families_carry_traffic_at_once, a_shell_by_default, several_addresses_and_routes_come_along,
    the_command_is_told_to_end);
only!(Root as_root: root_becomes_somebody_else);

fn has_the_hosts_addresses_and_routes(bed: &Bed) {
    for program in PROGRAMS {
        let out = spawn(bed, program, "--config-net", "ip -o address; ip -o link; ip route; ip -6 route").ok();
        for want in [
            &format!("{HOST4}/24"),
            &format!("{HOST6}/64"),
            &format!("default via {WORLD4} dev eth0"),
            &format!("default via {WORLD6} dev eth0"),
            "mtu 65520",
        ] {
            assert!(out.contains(want), "{program}: no {want:?} in\n{out}");
        }
        // The peer has the copied one beside the kernel's own.
        if program == OURS {
            assert_eq!(out.matches("203.0.113.0/24 dev eth0").count(), 1, "one route to the subnet\n{out}");
        }
    }
}

fn is_root_and_the_first_process(bed: &Bed) {
    for program in PROGRAMS {
        let out = spawn(
            bed,
            program,
            "--config-net",
            "id -u; id -g; echo $$; ls /proc | grep -c '^[0-9]'; cat /proc/self/uid_map",
        )
        .ok();
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[..3], ["0", "0", "1"], "{program}\n{out}");
        let uid = bed.account().uid.to_string();
        assert_eq!(lines[4].split_whitespace().collect::<Vec<_>>(), ["0", &uid, "1"], "{program}\n{out}");
    }
    let out = spawn(bed, OURS, "--config-net", "hostname; ls /proc | grep -c '^[0-9]'").ok();
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("pasta-"), "{out}");
    assert!(lines[1].parse::<u32>().unwrap() < 10, "its own processes alone\n{out}");
    let own = bed.sh("readlink /proc/self/ns/pid").ok();
    assert_eq!(spawn(bed, OURS, "--config-net --no-pidns", "readlink /proc/self/ns/pid").ok(), own);
    for program in PROGRAMS {
        assert_eq!(spawn(bed, program, "--config-net -H box", "hostname").ok(), "box", "{program}");
    }
    // What DHCP can hand out may be too long for the kernel.
    let long = ["label"; 20].join(".");
    let host = bed.sh("hostname").ok();
    assert_eq!(spawn(bed, OURS, &format!("--config-net -H {long}"), "hostname").ok(), host);
}

fn exits_as_the_command_does(bed: &Bed) {
    for program in PROGRAMS {
        spawn(bed, program, "--config-net", "exit 7").output().assert_code(7);
        spawn(bed, program, "--config-net -q", "sh -c 'kill -TERM $$'; exit $?").output().assert_code(143);
    }
    bed.sh("exec /mnt/as/pasta --config-net -- /nonexistent")
        .output()
        .assert_code(1)
        .assert_stderr(&["Failed to start command or shell"]);
}

fn both_families_carry_traffic_at_once(bed: &Bed) {
    let _peer = bed.peer();
    for program in PROGRAMS {
        for host in [FAR4[0], FAR6[0]] {
            let script = format!(
                "s = connect('{host}', ECHO, timeout=9); s.sendall(b'x'); equal(s.recv(1), b'x')
u = udp('{host}'); u.sendto(b'y', ('{host}', {})); check(u.recv(99))",
                port::UDP_WHO
            );
            spawn_python(bed, program, &format!("--config-net {NO_PORTS}"), &script).ok();
        }
        spawn(
            bed,
            program,
            &format!("--config-net {NO_PORTS}"),
            &format!("ping -c1 -W3 {} && ping -c1 -W3 {}", FAR4[0], FAR6[0]),
        )
        .ok();
    }
}

fn a_shell_by_default(bed: &Bed) {
    let out =
        bed.sh("exec /mnt/as/pasta --config-net").stdin("echo $0 $$; ip -o -4 address show eth0; exit 5\n").output();
    out.assert_code(5);
    assert!(out.stdout.starts_with("-/bin/bash 1"), "{out}");
    assert!(out.stdout.contains(HOST4), "{out}");
}

fn several_addresses_and_routes_come_along(bed: &Bed) {
    bed.root(
        crate::bed::Side::Host,
        &format!(
            "ip address add 203.0.113.77/25 dev eth0; ip address add 10.9.8.7/32 dev eth0; ip address add 2001:db8:cafe::77/64 dev eth0 nodad
ip route add 10.1.0.0/16 via {WORLD4} metric 7; ip route add 10.2.0.0/16 via 10.1.0.1 dev eth0 onlink; ip route add 10.3.0.0/16 dev lo
ip route add 2001:db8:1::/48 via {WORLD6}; ip link add d0 type bridge; ip link set d0 up; ip route add 10.4.0.0/16 dev d0"
        ),
    )
    .ok();
    let out = spawn(bed, OURS, &format!("--config-net {NO_PORTS}"), "ip -o address; ip route; ip -6 route").ok();
    for want in [
        HOST4,
        "203.0.113.77/25",
        "10.9.8.7/32",
        HOST6,
        "2001:db8:cafe::77/64",
        "10.1.0.0/16 via 203.0.113.1 dev eth0 metric 7",
        "10.2.0.0/16 via 10.1.0.1 dev eth0 onlink",
        "2001:db8:1::/48 via 2001:db8:cafe::1 dev eth0",
    ] {
        assert!(out.contains(want), "no {want:?} in\n{out}");
    }
    assert!(!out.contains("10.3.0.0") && !out.contains("10.4.0.0"), "routes of other interfaces stay outside\n{out}");
    let out = spawn(
        bed,
        OURS,
        &format!("--config-net --no-copy-addrs --no-copy-routes {NO_PORTS}"),
        "ip -o address; ip route",
    )
    .ok();
    assert!(
        out.contains(HOST4)
            && !out.contains("203.0.113.77")
            && !out.contains("10.1.0.0")
            && out.contains("default via"),
        "{out}"
    );
    bed.root(crate::bed::Side::Host, "ip link del d0").ok();
}

fn the_command_is_told_to_end(bed: &Bed) {
    let process =
        spawn(bed, OURS, "--config-net", "trap 'echo told; exit 4' TERM; echo up; while :; do sleep 0.1; done").spawn();
    process.wait_for("up");
    process.signal(Signal::SIGTERM);
    let out = process.wait(Duration::from_secs(5));
    out.assert_code(4);
    assert!(out.stdout.contains("told"), "{out}");
    // One that handles no signal is spared by the kernel, as the first process of a PID namespace; not by rnet.
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
        let process = bed.sh(&format!("exec {OURS} --config-net -- sleep 60")).spawn();
        std::thread::sleep(Duration::from_millis(500));
        process.signal(signal);
        process.wait(Duration::from_secs(5)).assert_code(code);
    }
    bed.assert_nothing_left();
}

/// The peer of Debian 13 does not work here: it may not write the ids of its namespace after its own have changed.
fn root_becomes_somebody_else(bed: &Bed) {
    let user = bed.sh("exec id -u rnettest").ok();
    let script = format!("cat /proc/self/uid_map /proc/self/gid_map; exec ping -c1 -W3 {}", FAR4[0]);
    for (runas, uid, gid) in [
        ("", "65534", "65534"),
        ("--runas rnettest", user.as_str(), user.as_str()),
        ("--runas 1234:4321", "1234", "4321"),
        ("--runas 0", "0", "0"),
    ] {
        let out = spawn(bed, OURS, &format!("--config-net {runas} {NO_PORTS}"), &script).output();
        out.assert_code(0);
        let words: Vec<&str> = out.stdout.split_whitespace().take(6).collect();
        assert_eq!(words, ["0", uid, "1", "0", gid, "1"], "{runas}\n{out}");
        let note = "Started as root, will change to nobody.";
        assert_eq!(out.stderr.contains(note), runas.is_empty(), "{runas}\n{out}");
    }
    // A directory in which only root may make files.
    let options = format!("--config-net -P /run/pid -l /run/log -p /run/frames {NO_PORTS}");
    spawn(bed, OURS, &options, "true").ok();
    for file in ["pid", "log", "frames"] {
        let text = std::fs::read(bed.path(&format!("/run/{file}"))).unwrap();
        assert!(!text.is_empty(), "/run/{file}");
    }
    // A link does not give away what it leads to.
    bed.sh("rm /run/pid /run/log /run/frames; echo precious >/run/precious; ln -s /run/precious /run/pid").ok();
    bed.sh(&format!("exec {OURS} --config-net -l /run/pid {NO_PORTS} -- true")).output().assert_code(1);
    assert_eq!(bed.sh("stat -c %U /run/precious").ok(), "root");
    bed.sh("rm /run/precious /run/pid").ok();
}
