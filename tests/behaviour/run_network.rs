//! The network that `rnet run` sets up inside.

use crate::bed::{BOTH, Bed, CONTAINER4, CONTAINER6, DNS4, DNS6, GATEWAY4, GATEWAY6, port};

both!(
    has_the_default_addresses_and_routes,
    is_up_before_the_command_starts,
    the_name_and_mtu_can_be_chosen,
    every_mtu_is_set,
    the_addresses_can_be_chosen,
    the_mac_address_can_be_chosen,
    either_family_can_be_alone,
    loopback_works_inside,
    two_containers_are_strangers,
);

fn has_the_default_addresses_and_routes(bed: &Bed) {
    let out = bed
        .run("", "ip -o link show dev tap0; ip -o address show dev tap0; ip route; ip -6 route; cat /etc/resolv.conf")
        .ok();
    assert!(out.contains(" mtu 65520 "), "{out}");
    for want in [
        format!("inet {CONTAINER4}/24"),
        format!("inet6 {CONTAINER6}/64"),
        format!("default via {GATEWAY4} dev tap0"),
        format!("default via {GATEWAY6} dev tap0"),
        format!("nameserver {DNS4}"),
        format!("nameserver {DNS6}"),
    ] {
        assert!(out.contains(&want), "no {want:?} in\n{out}");
    }
    let subnets = out.lines().filter(|line| line.starts_with("10.0.2.0/24") || line.starts_with("fd00::/64")).count();
    assert_eq!(subnets, 2, "one route to each subnet\n{out}");
    assert!(!out.contains("203.0.113"), "{out}");
}

fn is_up_before_the_command_starts(bed: &Bed) {
    // No tentative address, no link that is still coming up: the first packet of the command goes through.
    let _peer = bed.peer();
    for host in BOTH {
        for _ in 0..3 {
            let script = format!(
                "start = time.monotonic(); connect('{host}', ECHO).close(); check(time.monotonic() - start < 0.5, 'late')"
            );
            bed.run_python("", &script).ok();
        }
    }
    let out = bed.run("", "ip -o address show; ip -o link show up").ok();
    assert!(!out.contains("tentative"), "{out}");
    assert!(out.contains(": lo:") && out.contains(": tap0:"), "{out}");
}

fn the_name_and_mtu_can_be_chosen(bed: &Bed) {
    let out = bed.run("--ifname eth0 --mtu 1400", "ip -o link").ok();
    assert!(out.contains(" eth0: ") && out.contains(" mtu 1400 ") && !out.contains("tap0"), "{out}");
}

fn every_mtu_is_set(bed: &Bed) {
    for mtu in [1280, 1500, 9000, 65520] {
        bed.run_python(&format!("--mtu {mtu}"), &format!("equal(mtu(), {mtu})")).ok();
    }
    // IPv6 needs 1280 (RFC 8200 section 5); IPv4 alone may go below.
    bed.run_python("--mtu 576 -4", "equal(mtu(), 576)").ok();
}

fn the_addresses_can_be_chosen(bed: &Bed) {
    let peer = bed.peer();
    let options = "--cidr 10.99.0.0/16 --cidr6 fd99:1::/64";
    let out = bed.run(options, "ip -o address show dev tap0; ip route; ip -6 route; cat /etc/resolv.conf").ok();
    for want in [
        "10.99.0.100/16",
        "fd99:1::100/64",
        "default via 10.99.0.2",
        "default via fd99:1::2",
        "nameserver 10.99.0.3",
        "nameserver fd99:1::3",
    ] {
        assert!(out.contains(want), "no {want:?} in\n{out}");
    }
    let options = "--cidr 192.168.77.0/24 --address 192.168.77.9 --gateway 192.168.77.254 --dns-address 192.168.77.253 \
                   --cidr6 fd77::/64 --address6 fd77::9 --gateway6 fd77::fe --dns-address6 fd77::fd";
    let out = bed.run(options, "ip -o address show dev tap0; ip route; ip -6 route; cat /etc/resolv.conf").ok();
    for want in [
        "192.168.77.9/24",
        "fd77::9/64",
        "via 192.168.77.254",
        "via fd77::fe",
        "nameserver 192.168.77.253",
        "nameserver fd77::fd",
    ] {
        assert!(out.contains(want), "no {want:?} in\n{out}");
    }
    for host in BOTH {
        let script = format!("s = connect('{host}', ECHO); s.sendall(b'x'); equal(s.recv(1), b'x')");
        bed.run_python(options, &script).ok();
    }
    peer.reports(port::ECHO, 2);
}

fn the_mac_address_can_be_chosen(bed: &Bed) {
    let out = bed.run("--mac 02:00:5e:10:20:30", "ip -o link show dev tap0").ok();
    assert!(out.contains("link/ether 02:00:5e:10:20:30 "), "{out}");
}

fn either_family_can_be_alone(bed: &Bed) {
    let _peer = bed.peer();
    for (option, alone, other) in [("-4", BOTH[0], BOTH[1]), ("--ipv6-only", BOTH[1], BOTH[0])] {
        let script = format!(
            "s = connect('{alone}', ECHO); s.sendall(b'x'); equal(s.recv(1), b'x')
outcome, took = attempt('{other}', ECHO); check(outcome in ('ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL') and took < 1, outcome, took)"
        );
        bed.run_python(option, &script).ok();
        let out = bed.run(option, "ip -o address show dev tap0 scope global; cat /etc/resolv.conf").ok();
        assert_eq!(out.contains("10.0.2.100"), option == "-4", "{out}");
        assert_eq!(out.contains("fd00::100"), option != "-4", "{out}");
        assert_eq!(out.contains("nameserver 10.0.2.3"), option == "-4", "{out}");
    }
}

fn loopback_works_inside(bed: &Bed) {
    let script = "for host in ('127.0.0.1', '::1', '10.0.2.100', 'fd00::100'):
    server = socket.create_server((host, 8000), family=socket.AF_INET6 if ':' in host else socket.AF_INET)
    client = connect(host, 8000); conn, _ = server.accept(); conn.sendall(b'hi'); equal(client.recv(2), b'hi'); server.close()";
    bed.run_python("", script).ok();
}

fn two_containers_are_strangers(bed: &Bed) {
    // The same addresses in both, and each has a world of its own.
    let first =
        bed.run_python("", "s = socket.create_server(('', 8000)); print('up', flush=True); time.sleep(100)").spawn();
    first.wait_for("up");
    let script = "equal(attempt('10.0.2.100', 8000)[0], 'ECONNREFUSED'); server = socket.create_server(('', 8000))";
    bed.run_python("", script).ok();
    drop(first);
}
