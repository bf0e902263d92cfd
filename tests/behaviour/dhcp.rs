//! Address configuration by real clients: DHCP for both families, and router advertisements.

use crate::bed::{Bed, CONTAINER4, CONTAINER6, DNS4, DNS6, GATEWAY4, WORLD4, WORLD6, port};

both!(
    dhclient_gets_a_lease,
    udhcpc_gets_a_lease,
    dhclient_gets_an_ipv6_lease,
    the_kernel_follows_router_advertisements
);

/// Takes away what rnet configured, as in a container whose image brings its own network scripts.
const FLUSH: &str = "set -e; ip address flush dev tap0; ip link set tap0 mtu 1500; ip route flush dev tap0 2>/dev/null || true; cd /tmp; mkdir c; cd c
    trap 'cd /; rm -rf /tmp/c' EXIT
    printf '#!/bin/sh\\nenv >>/tmp/c/lease\\n%s\\n' 'exit 0' >script; chmod +x script; : >leases";

fn dhclient_gets_a_lease(bed: &Bed) {
    let peer = bed.peer();
    let script = format!(
        "{FLUSH}
        printf 'request subnet-mask, broadcast-address, routers, domain-name-servers, interface-mtu;\\ntimeout 10;\\n' >conf
        timeout 20 dhclient -4 -1 -d -v -cf /tmp/c/conf -lf /tmp/c/leases -pf /tmp/c/pid -sf /tmp/c/script tap0 >log 2>&1 & pid=$!
        for i in $(seq 100); do grep -q '^reason=BOUND' lease 2>/dev/null && break; sleep 0.1; done
        kill $pid || true; wait $pid || true; cat log >&2; cat lease
        ip address add {CONTAINER4}/24 dev tap0; ip route add default via {GATEWAY4}
        python3 -c \"from peer import *; s = connect('{WORLD4}', ECHO); s.sendall(b'x'); equal(s.recv(1), b'x')\""
    );
    let out = bed.run("--mtu 9000", &script).ok();
    for want in [
        format!("new_ip_address={CONTAINER4}"),
        "new_subnet_mask=255.255.255.0".into(),
        format!("new_routers={GATEWAY4}"),
        format!("new_domain_name_servers={DNS4}"),
        "new_interface_mtu=9000".into(),
    ] {
        assert!(out.lines().any(|line| line == want), "no {want:?} in\n{out}");
    }
    peer.report(port::ECHO);
}

fn udhcpc_gets_a_lease(bed: &Bed) {
    let script = format!(
        "{FLUSH}; timeout 20 udhcpc -f -q -n -t 5 -T 1 -i tap0 -O mtu -O router -O dns -s /tmp/c/script >&2; cat lease"
    );
    let out = bed.run("--cidr 10.44.0.0/16 --mtu 1400", &script).ok();
    for want in ["ip=10.44.0.100", "subnet=255.255.0.0", "router=10.44.0.2", "dns=10.44.0.3", "mtu=1400"] {
        assert!(out.lines().any(|line| line == want), "no {want:?} in\n{out}");
    }
}

fn dhclient_gets_an_ipv6_lease(bed: &Bed) {
    let script = format!(
        "{FLUSH}
        # The client needs a link-local address that is past duplicate address detection.
        ip link set tap0 down; echo 0 >/proc/sys/net/ipv6/conf/tap0/accept_dad; ip link set tap0 up
        for i in $(seq 50); do ip -6 -o address show dev tap0 scope link | grep -v tentative | grep -q fe80 && break; sleep 0.1; done
        timeout 20 dhclient -6 -1 -d -v -lf /tmp/c/leases -pf /tmp/c/pid -sf /tmp/c/script tap0 >log 2>&1 & pid=$!
        for i in $(seq 150); do grep -q '^reason=BOUND6' lease 2>/dev/null && break; sleep 0.1; done
        kill $pid || true; wait $pid || true; cat log >&2; cat lease"
    );
    let out = bed.run("", &script).ok();
    for want in [format!("new_ip6_address={CONTAINER6}"), format!("new_dhcp6_name_servers={DNS6}")] {
        assert!(out.lines().any(|line| line == want), "no {want:?} in\n{out}");
    }
}

fn the_kernel_follows_router_advertisements(bed: &Bed) {
    let peer = bed.peer();
    let script = format!(
        "{FLUSH}
        echo 2 >/proc/sys/net/ipv6/conf/tap0/accept_ra; echo 0 >/proc/sys/net/ipv6/conf/tap0/accept_dad
        echo 1 >/proc/sys/net/ipv6/conf/tap0/autoconf; ip link set tap0 down; ip link set tap0 mtu 9000 up
        for i in $(seq 100); do
            ip -6 route show default | grep -q 'proto ra' && ip -6 -o address show dev tap0 scope global | grep -v tentative | grep -q fd00: && break; sleep 0.1
        done
        ip -6 route show default; ip -6 -o address show dev tap0 scope global; echo mtu $(cat /proc/sys/net/ipv6/conf/tap0/mtu)
        python3 -c \"from peer import *; s = connect('{WORLD6}', ECHO); s.sendall(b'x'); equal(s.recv(1), b'x')\""
    );
    let out = bed.run("--mtu 9000", &script).ok();
    assert!(
        out.contains("default via fe80::") && out.contains("proto ra"),
        "a router learned from its advertisement\n{out}"
    );
    assert!(out.contains("inet6 fd00:"), "an address of the advertised prefix\n{out}");
    assert!(out.contains("mtu 9000"), "{out}");
    peer.report(port::ECHO);
}
