//! What the container cannot reach, and what rnet gives up once the tap is there.

use std::path::PathBuf;
use std::time::Duration;

use crate::bed::{Bed, GATEWAY4, GATEWAY6, HOST4, HOST6, Proc, Side, eventually};

both!(
    the_hosts_loopback_cannot_be_reached,
    the_hosts_own_addresses_can_be_reached,
    the_hosts_loopback_can_be_opened_at_the_gateway,
    the_stack_holds_no_rights,
    the_stack_sees_no_files,
    abstract_sockets_are_out_of_reach,
);

/// A web server on each of the host's loopback addresses; none may be heard of inside.
fn loopback_servers(bed: &Bed) {
    bed.http(Side::Host, 8001, "127.0.0.1");
    bed.http(Side::Host, 8002, "::1");
    bed.root(
        Side::Host,
        "exec python3 -c \"from peer import *
s = udp('127.0.0.1', timeout=None, bind=('127.0.0.1', 8003))
while True: data, peer = s.recvfrom(100); s.sendto(b'from loopback', peer)\"",
    )
    .keep();
    let up = || bed.root(Side::Host, "ss -Hlun 'sport = 8003'").ok().contains("8003");
    assert!(eventually(Duration::from_secs(5), up), "the UDP server does not listen");
}

fn the_hosts_loopback_cannot_be_reached(bed: &Bed) {
    loopback_servers(bed);
    // Through a raw route too: a container that is root inside can send any address out of the tap.
    let script = format!(
        "import subprocess
run = lambda line: subprocess.run(line, shell=True, check=True)
def tries(host):
    for port in (8001, 8002):
        outcome, took = attempt(host, port, timeout=2)
        check(outcome != 'connected', 'TCP', host, port, outcome)
    s = udp(host, timeout=1)
    try: s.sendto(b'x', (host, 8003)); check(False, 'UDP', host, s.recvfrom(100))
    except OSError: pass
for host in ('{GATEWAY4}', '{GATEWAY6}', '10.0.2.3', 'fd00::3', '0.0.0.0', '::', '127.0.0.1', '127.0.0.2', '::1', '::ffff:127.0.0.1', '::ffff:0.0.0.0'): tries(host)
# Now with the container's own loopback out of the way, so that the packets reach rnet.
run('echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet; echo 1 >/proc/sys/net/ipv4/conf/tap0/route_localnet')
run('ip route del local 127.0.0.0/8 dev lo table local; ip route del local 127.0.0.1 dev lo table local; ip address del 127.0.0.1/8 dev lo || true')
run('ip route add 127.0.0.0/8 dev tap0 src 10.0.2.100 || ip route add 127.0.0.0/8 via {GATEWAY4} dev tap0 onlink')
for host in ('127.0.0.1', '127.0.0.53'): tries(host)"
    );
    bed.run_python("", &script).limit(90).ok();
}

fn the_hosts_own_addresses_can_be_reached(bed: &Bed) {
    // As from any other machine; only what listens on loopback is private.
    bed.http(Side::Host, 8000, "::");
    for host in [HOST4, HOST6] {
        bed.run_python("", &format!("equal(attempt('{host}', 8000)[0], 'connected')")).ok();
    }
}

fn the_hosts_loopback_can_be_opened_at_the_gateway(bed: &Bed) {
    loopback_servers(bed);
    let script = format!(
        "equal(attempt('{GATEWAY4}', 8001)[0], 'connected'); equal(attempt('{GATEWAY6}', 8002)[0], 'connected')
equal(attempt('{GATEWAY4}', 9)[0], 'ECONNREFUSED')
s = udp('{GATEWAY4}'); s.sendto(b'x', ('{GATEWAY4}', 8003)); equal(s.recvfrom(100), (b'from loopback', ('{GATEWAY4}', 8003)))"
    );
    bed.run_python("--host-loopback", &script).ok();
}

/// The directories in /proc of rnet's processes while `rnet run` runs, the one with the tap first.
fn stack_process(bed: &Bed) -> (Proc, Vec<PathBuf>) {
    let process = bed.run("", "echo up; exec sleep 60").spawn();
    process.wait_for("up");
    std::thread::sleep(Duration::from_millis(300));
    let mut found: Vec<PathBuf> = bed
        .processes()
        .into_iter()
        .map(|(pid, _)| bed.path(&format!("/proc/{pid}")))
        .filter(|dir| std::fs::read_to_string(dir.join("comm")).is_ok_and(|comm| comm.starts_with("rnet")))
        .collect();
    let has_tap = |dir: &PathBuf| {
        let links = std::fs::read_dir(dir.join("fd")).into_iter().flatten().flatten();
        links.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|path| path.ends_with("net/tun"))
    };
    found.sort_by_key(|dir| !has_tap(dir));
    assert!(
        found.first().is_some_and(has_tap),
        "no process of rnet's holds the tap: {found:?} of {:?}",
        bed.processes()
    );
    assert_eq!(found.iter().filter(|dir| has_tap(dir)).count(), 1, "one process holds the tap");
    (process, found)
}

fn the_stack_holds_no_rights(bed: &Bed) {
    let (process, found) = stack_process(bed);
    let status = std::fs::read_to_string(found[0].join("status")).unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(set), "0000000000000000", "{set}\n{status}");
    }
    assert_eq!(field("NoNewPrivs:"), "1");
    // A filter of system calls (seccomp(2)); what it forbids is tested where it is made.
    assert_eq!(field("Seccomp:"), "2");
    // Nor can it get them in a further user namespace.
    let pid = found[0].file_name().unwrap().to_string_lossy().into_owned();
    let enter = format!("nsenter --preserve-credentials --user --target {pid}");
    let limit = bed.root(Side::Host, &format!("{enter} cat /proc/sys/user/max_user_namespaces")).ok();
    assert_eq!(limit, "0", "a limit on user namespaces");
    assert_ne!(bed.root(Side::Host, "cat /proc/sys/user/max_user_namespaces").ok(), "0", "only for the stack");
    // Its network is the host's, and the tap's network is not held by it in any other way.
    let same_net =
        std::fs::read_link(found[0].join("ns/net")).unwrap() == std::fs::read_link(bed.path("/proc/1/ns/net")).unwrap();
    assert!(same_net, "the stack's sockets are the host's");
    drop(process);
}

fn the_stack_sees_no_files(bed: &Bed) {
    let (process, found) = stack_process(bed);
    let root = std::fs::read_dir(found[0].join("root")).unwrap();
    let seen: Vec<_> = root.map(|entry| entry.unwrap().file_name()).collect();
    assert!(seen.is_empty(), "the stack's root holds {seen:?}");
    let mounts = std::fs::read_to_string(found[0].join("mountinfo")).unwrap();
    assert_eq!(mounts.lines().count(), 1, "nothing is mounted below an empty root\n{mounts}");
    assert!(mounts.contains(" ro,") || mounts.contains(" ro "), "the empty root cannot be written to\n{mounts}");
    let init = |kind: &str| std::fs::read_link(bed.path(&format!("/proc/1/ns/{kind}"))).unwrap();
    for kind in ["user", "mnt", "pid"] {
        assert_ne!(
            std::fs::read_link(found[0].join("ns").join(kind)).unwrap(),
            init(kind),
            "a {kind} namespace of its own"
        );
    }
    drop(process);
}

fn abstract_sockets_are_out_of_reach(bed: &Bed) {
    // They belong to the network namespace, so the host's are not there; rnet must not leave any of its own either.
    let out = bed.run("", "cat /proc/net/unix | wc -l").ok();
    assert_eq!(out, "1", "only the heading");
}
