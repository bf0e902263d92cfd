//! The device and its addresses: what is given, and what those hear who ask for it.

use super::{NO_PORTS, OURS, PROGRAMS, spawn, spawn_python};
use crate::bed::{Bed, FAR4, HOST4, HOST6, WORLD4, port};

only!(Plain as_user: names_and_numbers_can_be_given, given_addresses_and_gateways, one_family_alone, dhclient_gets_the_hosts_address,
    dhclient_gets_the_hosts_ipv6_address, handed_out_names, names_of_the_client, a_host_without_a_network, protocols_can_be_switched_off);

fn names_and_numbers_can_be_given(bed: &Bed) {
    for program in PROGRAMS {
        let options = format!("--config-net -I mytap --ns-mac-addr 9a:9a:9a:9a:9a:9a -m 1400 {NO_PORTS}");
        let out = spawn(bed, program, &options, "ip -o link show mytap").ok();
        assert!(out.contains("9a:9a:9a:9a:9a:9a") && out.contains("mtu 1400"), "{program}\n{out}");
        let out = spawn(
            bed,
            program,
            &format!("--config-net -M 02:00:00:00:00:07 {NO_PORTS}"),
            &format!("ping -c1 -W3 {}; ip neigh", FAR4[0]),
        )
        .ok();
        assert!(out.contains("02:00:00:00:00:07"), "{program}\n{out}");
    }
}

fn given_addresses_and_gateways(bed: &Bed) {
    let peer = bed.peer();
    for program in PROGRAMS {
        let options = format!("--config-net -a 10.9.9.9 -n 24 -g 10.9.9.1 -a fd01::9 {NO_PORTS}");
        let out = spawn(bed, program, &options, "ip -o address; ip route").ok();
        for want in ["10.9.9.9/24", "fd01::9/64", "default via 10.9.9.1 dev eth0"] {
            assert!(out.contains(want), "{program}: no {want:?} in\n{out}");
        }
        assert!(!out.contains(HOST4) && !out.contains(HOST6), "{program}\n{out}");
    }
    let script = format!("python3 -c \"from peer import *; connect('{}', ECHO).close()\"", FAR4[0]);
    spawn(bed, OURS, &format!("--config-net -a 10.9.9.9/24 -g 192.0.2.1 {NO_PORTS}"), &script).ok();
    peer.report(port::ECHO);
    let out = spawn(bed, OURS, &format!("--config-net -a 172.16.5.5 {NO_PORTS}"), "ip -o -4 address").ok();
    assert!(out.contains("172.16.5.5/16"), "the historic class\n{out}");
}

fn one_family_alone(bed: &Bed) {
    for program in PROGRAMS {
        let out = spawn(bed, program, &format!("--config-net -4 {NO_PORTS}"), "ip -o address").ok();
        assert!(out.contains(HOST4) && !out.contains(HOST6), "{program}\n{out}");
        let out = spawn(bed, program, &format!("--config-net -6 {NO_PORTS}"), "ip -o address").ok();
        assert!(!out.contains(HOST4) && out.contains(HOST6), "{program}\n{out}");
    }
    let out = spawn(bed, OURS, &format!("--config-net -4 -6 {NO_PORTS}"), "ip -o address").ok();
    assert!(!out.contains(HOST4) && out.contains(HOST6), "the last one counts\n{out}");
}

/// A client's script that notes what it is told.
const NOTE: &str = "set -e; cd /tmp; mkdir c; cd c; trap 'cd /; rm -rf /tmp/c' EXIT
    printf '#!/bin/sh\\nenv >>/tmp/c/lease\\nexit 0\\n' >script; chmod +x script; : >leases; ip link set eth0 up;";

fn dhclient_gets_the_hosts_address(bed: &Bed) {
    for program in PROGRAMS {
        let script = format!(
            "{NOTE} printf 'request subnet-mask, routers, interface-mtu;\\ntimeout 10;\\n' >conf
            timeout 20 dhclient -4 -1 -d -v -cf /tmp/c/conf -lf /tmp/c/leases -pf /tmp/c/pid -sf /tmp/c/script eth0 >log 2>&1 & pid=$!
            for i in $(seq 100); do grep -q '^reason=BOUND' lease 2>/dev/null && break; sleep 0.1; done
            kill $pid || true; wait $pid || true; cat log >&2; cat lease"
        );
        let out = spawn(bed, program, &format!("-m 9000 {NO_PORTS}"), &script).ok();
        for want in [
            &format!("new_ip_address={HOST4}"),
            "new_subnet_mask=255.255.255.0",
            &format!("new_routers={WORLD4}"),
            "new_interface_mtu=9000",
        ] {
            assert!(out.lines().any(|line| line == want), "{program}: no {want:?} in\n{out}");
        }
        assert!(!out.contains("new_domain_name_servers"), "{program}: names only with --dhcp-dns\n{out}");
    }
}

fn dhclient_gets_the_hosts_ipv6_address(bed: &Bed) {
    let script = format!(
        "{NOTE} ip link set eth0 down; echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad; ip link set eth0 up
        for i in $(seq 50); do ip -6 -o address show dev eth0 scope link | grep -v tentative | grep -q fe80 && break; sleep 0.1; done
        timeout 20 dhclient -6 -1 -d -v -lf /tmp/c/leases -pf /tmp/c/pid -sf /tmp/c/script eth0 >log 2>&1 & pid=$!
        for i in $(seq 150); do grep -q '^reason=BOUND6' lease 2>/dev/null && break; sleep 0.1; done
        kill $pid || true; wait $pid || true; cat log >&2; cat lease"
    );
    for program in PROGRAMS {
        let out = spawn(bed, program, NO_PORTS, &script).ok();
        assert!(out.lines().any(|line| line == format!("new_ip6_address={HOST6}")), "{program}\n{out}");
    }
}

fn handed_out_names(bed: &Bed) {
    let script = format!(
        "{NOTE} timeout 20 udhcpc -f -q -n -t 5 -T 1 -i eth0 -O dns -O search -O hostname -s /tmp/c/script >&2; cat lease"
    );
    let options =
        format!("--dhcp-dns --dhcp-search -D 192.0.2.53 -D 192.0.2.54 -S 'corp.example lab.example' -H box {NO_PORTS}");
    let out = spawn(bed, OURS, &options, &script).ok();
    for want in ["dns=192.0.2.53 192.0.2.54", "search=corp.example lab.example", "hostname=box"] {
        assert!(out.lines().any(|line| line == want), "no {want:?} in\n{out}");
    }
    let out = spawn(bed, OURS, &format!("--dhcp-dns {NO_PORTS}"), &script).ok();
    assert!(out.lines().any(|line| line == format!("dns={WORLD4}")), "the host's own\n{out}");
}

/// Asks as clients of DHCP and DHCPv6 do, and prints what these are to be called.
const ASK_FOR_NAMES: &str = "import subprocess
open('/proc/sys/net/ipv6/conf/eth0/accept_dad', 'w').write('0')
subprocess.run(['ip', 'link', 'set', 'eth0', 'up'], check=True)
def bound(family, port):
    s = socket.socket(family, socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'eth0')
    s.settimeout(9); s.bind(('', port)); return s
mac = bytes.fromhex(open('/sys/class/net/eth0/address').read().strip().replace(':', ''))
s = bound(socket.AF_INET, 68); s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
discover = struct.pack('!BBBBIHH16x', 1, 1, 6, 0, 7, 0, 0x8000) + mac + bytes(202) + bytes([99, 130, 83, 99, 53, 1, 1, 255])
s.sendto(discover, ('255.255.255.255', 67))
options = s.recv(2000)[240:]
while options[0] != 255:
    length = 2 + options[1]
    if options[0] in (12, 81): print(options[0], options[2:length].hex())
    options = options[length:]
def option(code, value): return struct.pack('!HH', code, len(value)) + value
until = time.monotonic() + 5
while 'fe80' not in subprocess.getoutput('ip -6 -o address show dev eth0 -tentative') and time.monotonic() < until: time.sleep(0.05)
s = bound(socket.AF_INET6, 546)
for flags in (0, 1):
    solicit = bytes([1, 0, 0, flags]) + option(1, bytes([0, 3, 0, 1]) + mac) + option(3, bytes(12)) + option(39, bytes([flags, 1, 99, 0]))
    s.sendto(solicit, ('ff02::1:2', 547, 0, socket.if_nametoindex('eth0')))
    options = s.recv(2000)[4:]
    while options:
        code, length = struct.unpack('!HH', options[:4])
        if code == 39: print(code, options[4:4 + length].hex())
        options = options[4 + length:]
";

fn names_of_the_client(bed: &Bed) {
    let wire = "03626f78076578616d706c65036f726700";
    // Flags: in wire format; nobody updates the DNS; the client that wants it updated is overruled.
    let fqdn = [format!("81 04ffff{wire}"), format!("39 00{wire}"), format!("39 02{wire}")];
    for program in PROGRAMS {
        let ask = |options: &str| spawn_python(bed, program, &format!("{options} {NO_PORTS}"), ASK_FOR_NAMES).ok();
        assert_eq!(
            ask("-H box --fqdn box.example.org").lines().collect::<Vec<_>>(),
            ["12 626f78", &fqdn[0], &fqdn[1], &fqdn[2]],
            "{program}"
        );
        assert_eq!(ask("--fqdn box.example.org"), fqdn.join("\n"), "{program}");
        assert_eq!(ask("-H '' --fqdn ''"), "", "{program}: an empty name is none");
    }
    // One dot at the end is the root, which is there anyway; the peer says it twice.
    let out = spawn_python(bed, OURS, &format!("--fqdn box.example.org. {NO_PORTS}"), ASK_FOR_NAMES).ok();
    assert_eq!(out, fqdn.join("\n"));
}

fn a_host_without_a_network(bed: &Bed) {
    bed.root(crate::bed::Side::Host, "ip link set eth0 down").ok();
    let out = spawn(bed, OURS, "--config-net", "ip -o -4 address; ip route").output();
    bed.root(
        crate::bed::Side::Host,
        "ip link set eth0 up; ip -6 address add 2001:db8:cafe::2/64 dev eth0 nodad || true",
    )
    .ok();
    out.assert_code(0);
    assert!(out.stdout.contains("tap0") && out.stdout.contains("169.254.2.1/16"), "{out}");
    assert!(out.stdout.contains("default via 169.254.2.2"), "{out}");
}

fn protocols_can_be_switched_off(bed: &Bed) {
    let _peer = bed.peer();
    let far = FAR4[0];
    let tcp = format!("equal(attempt('{far}', ECHO, timeout=1)[0], 'timeout')");
    super::spawn_python(bed, OURS, &format!("--config-net --no-tcp {NO_PORTS}"), &tcp).ok();
    let udp = format!(
        "u = udp('{far}', timeout=1); u.sendto(b'y', ('{far}', {}))
try: u.recv(9); check(False, 'answered')
except TimeoutError: pass
connect('{far}', ECHO).close()",
        port::UDP_WHO
    );
    super::spawn_python(bed, OURS, &format!("--config-net --no-udp {NO_PORTS}"), &udp).ok();
    spawn(bed, OURS, &format!("--config-net --no-icmp {NO_PORTS}"), &format!("! ping -c1 -W1 {far}")).ok();
    let script = format!("{NOTE} ! timeout 9 udhcpc -f -q -n -t 2 -T 1 -i eth0 -s /tmp/c/script >&2");
    spawn(bed, OURS, &format!("--no-dhcp {NO_PORTS}"), &script).ok();
}
