//! `podman run --network slirp4netns[:OPTION,…]`, of podman 4.3 and of podman 5.4.

use super::{FETCH, fetch};
use crate::bed::{Bed, HOST4, HOST6, Programs, Side, WORLD4, WORLD6};

both_systems!(
    goes_out_and_resolves_names,
    ports_by_rootlessport,
    ports_by_the_api_socket,
    cidr_and_mtu,
    loopback_of_the_host,
    outbound_address,
    ipv6,
    a_port_that_is_taken,
    a_container_that_ends_at_once,
    containers_beside_each_other,
);

/// A web server inside that says whom it sees.
const SERVE: &str =
    "mkdir -p /tmp/www && echo hello from inside >/tmp/www/index.html && exec httpd -f -p 80 -h /tmp/www";

fn goes_out_and_resolves_names(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    podman.assert_version();
    bed.http(Side::World, 80, "::");
    bed.name_server(Side::World, WORLD4);
    let script =
        format!("cat /etc/resolv.conf; ip -o address show dev tap0; {FETCH}; /usr/bin/curl -sS -4 http://web.example/");
    let out = podman.run("--network slirp4netns", &script).ok();
    let hello = format!("hello from the world, {HOST4}");
    assert!(out.contains("nameserver 10.0.2.3") && out.contains("10.0.2.100/24"), "{out}");
    assert_eq!(out.matches(&hello).count(), 2, "{out}");
    let out = podman
        .sh("podman run --rm -d --network slirp4netns --rootfs $HOME/rootfs sleep 30 >id; sleep 0.2; cat id")
        .ok();
    podman.assert_served_by_rnet();
    podman.end(&out);
}

fn ports_by_rootlessport(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    podman.start("web", "--network slirp4netns -p 18080:80 -p 127.0.0.1:18081:80", SERVE);
    podman.assert_served_by_rnet();
    assert_eq!(fetch(bed, Side::World, &format!("http://{HOST4}:18080/")), "hello from inside");
    assert_eq!(fetch(bed, Side::Host, "http://127.0.0.1:18081/"), "hello from inside");
    podman.end("web");
}

fn ports_by_the_api_socket(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    podman.start(
        "web",
        // What listens are an echo of datagrams at 9001, one of streams at 7001, and nothing at 6999.
        "--network slirp4netns:port_handler=slirp4netns -p 18080:80 -p 15353:9001/udp -p 20000-20003:6999-7002 -v /mnt/lib:/mnt:ro",
        &format!("/usr/bin/python3 /mnt/peer.py serve & {SERVE}"),
    );
    assert_eq!(fetch(bed, Side::World, &format!("http://{HOST4}:18080/")), "hello from inside");
    assert_eq!(fetch(bed, Side::Host, "http://127.0.0.1:18080/"), "hello from inside");
    let script = format!(
        "exec python3 -c \"from peer import *
s = udp('{HOST4}'); s.sendto(b'hello', ('{HOST4}', 15353)); equal(s.recv(100), b'hello')
c = connect('{HOST4}', 20002); c.sendall(b'x'); equal(c.recv(1), b'x')
equal(attempt('{HOST4}', 20000)[0], 'ECONNREFUSED')\""
    );
    bed.root(Side::World, &script).ok();
    podman.end("web");
}

fn cidr_and_mtu(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    bed.http(Side::World, 80, "::");
    let script = format!("ip -o address show dev tap0; ip -o link show dev tap0; cat /etc/resolv.conf; {FETCH}");
    let out = podman.run("--network slirp4netns:cidr=10.9.0.0/24,mtu=1400", &script).ok();
    for words in ["10.9.0.100/24", "mtu 1400", "nameserver 10.9.0.3", "hello from the world"] {
        assert!(out.contains(words), "{words} is missing in\n{out}");
    }
    podman.end("");
}

fn loopback_of_the_host(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    bed.http(Side::Host, 8080, "127.0.0.1");
    let fetch = "/usr/bin/curl -sS --max-time 5 http://10.0.2.2:8080/";
    let out = podman.run("--network slirp4netns:allow_host_loopback=true", fetch).ok();
    assert!(out.contains("hello from the world, 127.0.0.1"), "{out}");
    let out = podman.run("--network slirp4netns", fetch).output();
    assert!(out.code() == 7, "the usual is that it cannot be reached\n{out}");
    podman.end("");
}

fn outbound_address(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    bed.http(Side::World, 80, "::");
    bed.root(Side::Host, "ip address add 203.0.113.9/24 dev eth0; ip address add 2001:db8:cafe::9/64 dev eth0 nodad")
        .ok();
    let out = podman.run("--network slirp4netns:outbound_addr=203.0.113.9", FETCH).ok();
    assert!(out.ends_with("hello from the world, 203.0.113.9"), "{out}");
    let out = podman.run("--network slirp4netns:outbound_addr=eth0", FETCH).ok();
    assert!(out.ends_with(&format!("hello from the world, {HOST4}")), "{out}");
    let fetch = format!("/usr/bin/curl -sS --max-time 10 http://[{WORLD6}]/");
    let out = podman.run("--network slirp4netns:enable_ipv6=true,outbound_addr6=2001:db8:cafe::9", &fetch).ok();
    assert!(out.ends_with("hello from the world, 2001:db8:cafe::9"), "{out}");
    podman.end("");
}

fn ipv6(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    bed.http(Side::World, 80, "::");
    let script = format!(
        "ip -o -6 address show dev tap0; /usr/bin/curl -sS --max-time 10 http://[{WORLD6}]/; /usr/bin/ping -n -c 1 -W 2 {WORLD6} >/dev/null && echo pong"
    );
    let out = podman.run("--cap-add NET_RAW --network slirp4netns:enable_ipv6=true", &script).ok();
    assert!(out.contains(" fd00::") && out.contains(&format!("hello from the world, {HOST6}")), "{out}");
    assert!(out.ends_with("pong"), "the original loses all of them\n{out}");
    podman.end("");
}

fn a_port_that_is_taken(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    bed.http(Side::Host, 18080, "0.0.0.0");
    let out = podman.run("--network slirp4netns:port_handler=slirp4netns -p 18080:80", "echo started").output();
    assert!(out.code() != 0 && !out.stdout.contains("started"), "{out}");
    out.assert_stderr(&["slirp_add_hostfwd failed"]);
    podman.end("");
}

fn a_container_that_ends_at_once(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    for _ in 0..5 {
        podman.run("--network slirp4netns", "exit 7").output().assert_code(7);
        bed.excuse_files("/tmp/");
    }
    podman.end("");
}

fn containers_beside_each_other(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    for n in 1..=3 {
        podman.start(
            &format!("web{n}"),
            &format!("--network slirp4netns:port_handler=slirp4netns -p 1808{n}:80"),
            &SERVE.replace("inside", &format!("number {n}")).replace("/tmp/www", &format!("/tmp/www{n}")),
        );
    }
    for n in 1..=3 {
        assert_eq!(fetch(bed, Side::World, &format!("http://{HOST4}:1808{n}/")), format!("hello from number {n}"));
    }
    podman.sh("podman rm -f -t 0 web2 >/dev/null").ok();
    assert_eq!(fetch(bed, Side::World, &format!("http://{HOST4}:18083/")), "hello from number 3");
    podman.end("web1 web3");
}
