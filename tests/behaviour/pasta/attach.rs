//! Attach mode: a network for namespaces that exist, from readiness to their end.

use std::time::Duration;

use super::{NO_PORTS, OURS, PROGRAMS, attach};
use crate::attach::Container;
use crate::bed::{Bed, FAR4, FAR6, HOST4, Side, eventually};

only!(Plain as_user: is_ready_when_it_returns, by_path_and_user_namespace, pid_file_is_left_behind, ends_with_the_namespace,
    ends_with_its_path, a_signal_ends_it_in_order, foreground_stays, nothing_configured_without_config_net);
only!(Root as_root: joins_namespaces_by_name);

/// The daemons of a network that are still there.
fn running(bed: &Bed) -> Vec<(u32, String)> {
    bed.processes().into_iter().filter(|(_, command)| command.contains("pasta")).collect()
}

fn works(container: &Container<'_>) {
    for host in [FAR4[0], FAR6[0]] {
        container.python(&format!("s = connect('{host}', ECHO, timeout=9); s.sendall(b'x'); equal(s.recv(1), b'x')"));
    }
}

fn is_ready_when_it_returns(bed: &Bed) {
    let _peer = bed.peer();
    for program in PROGRAMS {
        let container = Container::new(bed);
        attach(bed, program, &format!("--config-net -q {NO_PORTS}"), &container);
        assert!(container.sh("ip -o address").contains(&format!("{HOST4}/24")), "{program}");
        works(&container);
        container.end();
        assert!(eventually(Duration::from_secs(4), || running(bed).is_empty()), "{program}: {:?}", running(bed));
    }
}

fn by_path_and_user_namespace(bed: &Bed) {
    let _peer = bed.peer();
    for program in PROGRAMS {
        let container = Container::new(bed);
        let ns = format!("/proc/{}/ns", container.pid);
        let out =
            bed.sh(&format!("exec {program} --config-net -q {NO_PORTS} --userns {ns}/user --netns {ns}/net")).output();
        out.assert_code(0);
        works(&container);
        container.end();
        assert!(eventually(Duration::from_secs(4), || running(bed).is_empty()), "{program}: {:?}", running(bed));
    }
}

fn pid_file_is_left_behind(bed: &Bed) {
    // podman's tests look whether the process of that file is gone, after the container is.
    for program in PROGRAMS {
        let container = Container::new(bed);
        attach(bed, program, &format!("--config-net -q -P /tmp/pasta.pid {NO_PORTS}"), &container);
        let pid: u32 = std::fs::read_to_string(bed.path("/tmp/pasta.pid")).unwrap().trim().parse().unwrap();
        assert!(running(bed).iter().any(|(running, _)| *running == pid), "{program}: {pid} of {:?}", running(bed));
        container.end();
        assert!(eventually(Duration::from_secs(4), || running(bed).is_empty()), "{program}: {:?}", running(bed));
        assert_eq!(std::fs::read_to_string(bed.path("/tmp/pasta.pid")).unwrap().trim(), pid.to_string());
        bed.sh("rm /tmp/pasta.pid").ok();
    }
}

fn ends_with_the_namespace(bed: &Bed) {
    let container = Container::new(bed);
    attach(bed, OURS, "--config-net -q -t auto -T auto", &container);
    container.end();
    bed.assert_nothing_left();
}

fn ends_with_its_path(bed: &Bed) {
    // The process that was named goes; another one stays in the namespace.
    for quits in [true, false] {
        let container = Container::new(bed);
        container.sh("setsid sleep 60 >/dev/null 2>&1 </dev/null & echo");
        bed.note_processes();
        let option = if quits { "" } else { "--no-netns-quit" };
        attach(bed, OURS, &format!("--config-net -q {option} {NO_PORTS}"), &container);
        container.end();
        let gone = eventually(Duration::from_secs(3), || running(bed).is_empty());
        assert_eq!(gone, quits, "{option} {:?}", running(bed));
        bed.sh("kill $(ps -eo pid,args | awk '/[s]leep 60/ { print $1 }')").ok();
        assert!(eventually(Duration::from_secs(4), || running(bed).is_empty()), "{:?}", running(bed));
    }
}

fn a_signal_ends_it_in_order(bed: &Bed) {
    let container = Container::new(bed);
    attach(bed, OURS, &format!("--config-net -q --pid=/tmp/p {NO_PORTS}"), &container);
    bed.sh("kill -TERM $(cat /tmp/p); rm /tmp/p").ok();
    assert!(eventually(Duration::from_secs(3), || running(bed).is_empty()), "{:?}", running(bed));
    assert!(!container.sh("ip -o link").contains("eth0"), "the device went with it");
    let mut process = bed.sh(&format!("exec /mnt/as/pasta -f -q --config-net {NO_PORTS} {}", container.pid)).spawn();
    assert!(eventually(Duration::from_secs(5), || container.sh("ip -o link").contains("eth0")), "{}", process.stderr());
    std::thread::sleep(Duration::from_millis(200));
    assert!(process.is_running(), "{}", process.stderr());
    process.signal(nix::sys::signal::Signal::SIGTERM);
    process.wait(Duration::from_secs(5)).assert_code(0);
    container.end();
}

fn foreground_stays(bed: &Bed) {
    let container = Container::new(bed);
    let mut process = bed.sh(&format!("exec /mnt/as/pasta -f --config-net {NO_PORTS} {}", container.pid)).spawn();
    assert!(eventually(Duration::from_secs(5), || container.sh("ip -o link").contains("eth0")), "{}", process.stderr());
    assert!(process.is_running());
    container.end();
    let out = process.wait(Duration::from_secs(5));
    out.assert_code(0);
    assert!(out.stderr.contains("Template interface: eth0 (IPv4), eth0 (IPv6)"), "{out}");
}

fn nothing_configured_without_config_net(bed: &Bed) {
    for program in PROGRAMS {
        let container = Container::new(bed);
        attach(bed, program, &format!("-q {NO_PORTS}"), &container);
        let out = container.sh("ip -o link show eth0; ip -o link show up; ip -o -4 address; ip route");
        assert!(out.contains("mtu 1500") && out.contains(" lo: ") && !out.contains(HOST4), "{program}\n{out}");
        assert!(!container.sh("ip -o link show up").contains("eth0"), "{program}");
        container.end();
        assert!(eventually(Duration::from_secs(4), || running(bed).is_empty()), "{program}: {:?}", running(bed));
    }
}

fn joins_namespaces_by_name(bed: &Bed) {
    let _peer = bed.peer();
    bed.root(Side::Host, "ip netns add named").ok();
    bed.sh(&format!("exec /mnt/as/pasta --config-net -q {NO_PORTS} --netns named")).output().assert_code(0);
    let script =
        format!("exec ip netns exec named python3 -c \"from peer import *; connect('{}', ECHO).close()\"", FAR4[0]);
    bed.root(Side::Host, &script).ok();
    bed.root(Side::Host, "ip netns del named").ok();
    assert!(eventually(Duration::from_secs(4), || running(bed).is_empty()), "{:?}", running(bed));
}
