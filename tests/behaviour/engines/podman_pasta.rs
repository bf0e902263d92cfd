//! `podman run --network pasta[:OPTION,…]`, of podman 5.4, whose usual network that is.

use super::{FETCH, fetch};
use crate::bed::{Bed, HOST4, HOST6, Podman, Programs, Side, WORLD4, WORLD6};

debian_13!(
    the_usual_network_goes_out,
    published_ports,
    ports_by_address_and_range,
    options_go_through,
    loopback_of_the_host,
    ipv6,
    a_port_that_is_taken,
    a_container_that_ends_at_once,
    a_step_of_a_build_fetches,
);

const SERVE: &str =
    "mkdir -p /tmp/www && echo hello from inside >/tmp/www/index.html && exec httpd -f -p 80 -h /tmp/www";

fn the_usual_network_goes_out(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    bed.http(Side::World, 80, "::");
    bed.name_server(Side::World, WORLD4);
    let script = format!("cat /etc/resolv.conf; ip -o address; {FETCH}; /usr/bin/curl -sS -4 http://web.example/");
    for options in ["", "--network pasta"] {
        let out = podman.run(options, &script).ok();
        assert!(out.contains(&format!("{HOST4}/24")), "{options}: the host's own address\n{out}");
        assert_eq!(out.matches(&format!("hello from the world, {HOST4}")).count(), 2, "{options}: {out}");
    }
    let id = podman.sh("exec podman run --rm -d --rootfs $HOME/rootfs sleep 30").ok();
    podman.assert_served_by_rnet();
    podman.end(&id);
}

fn published_ports(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    podman.start(
        "web",
        "--network pasta -p 18080:80 -p 15353:9001/udp -v /mnt/lib:/mnt:ro",
        &format!("/usr/bin/python3 /mnt/peer.py serve & {SERVE}"),
    );
    assert_eq!(fetch(bed, Side::World, &format!("http://{HOST4}:18080/")), "hello from inside");
    assert_eq!(fetch(bed, Side::Host, "http://127.0.0.1:18080/"), "hello from inside");
    let script = format!(
        "exec python3 -c \"from peer import *\ns = udp('{HOST4}'); s.sendto(b'hello', ('{HOST4}', 15353)); equal(s.recv(100), b'hello')\""
    );
    bed.root(Side::World, &script).ok();
    podman.end("web");
}

fn ports_by_address_and_range(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    podman.start(
        "web",
        "--network pasta -p 127.0.0.1:18080:80 -p [::1]:18081:80 -p 20000-20003:6999-7002 -v /mnt/lib:/mnt:ro",
        &format!("/usr/bin/python3 /mnt/peer.py serve & {SERVE}"),
    );
    assert_eq!(fetch(bed, Side::Host, "http://127.0.0.1:18080/"), "hello from inside");
    assert_eq!(fetch(bed, Side::Host, "http://[::1]:18081/"), "hello from inside");
    bed.root(Side::World, &format!("! curl -sS --max-time 2 http://{HOST4}:18080/")).ok();
    let script = format!(
        "exec python3 -c \"from peer import *
c = connect('{HOST4}', 20002); c.sendall(b'x'); equal(c.recv(1), b'x')
equal(attempt('{HOST4}', 20000)[0], 'ECONNREFUSED')\""
    );
    bed.root(Side::World, &script).ok();
    podman.end("web");
}

fn options_go_through(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    bed.http(Side::World, 80, "::");
    let script = format!("ip -o link; ip -o address; {FETCH}");
    let out = podman.run("--network pasta:--ipv4-only,-m,1400,-I,eth7,-a,10.5.0.7,-n,24,-g,10.5.0.1", &script).ok();
    for words in ["eth7", "mtu 1400", "10.5.0.7/24", "hello from the world"] {
        assert!(out.contains(words), "{words} is missing in\n{out}");
    }
    assert!(!out.contains("2001:db8"), "{out}");
    let out = podman.run("--network pasta:--nonsense", "echo started").output();
    assert!(out.code() != 0 && !out.stdout.contains("started"), "{out}");
    podman.end("");
}

fn loopback_of_the_host(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    bed.http(Side::Host, 8080, "127.0.0.1");
    let out = podman
        .run(
            "--network pasta:--map-host-loopback,169.254.9.9",
            "/usr/bin/curl -sS --max-time 5 http://169.254.9.9:8080/",
        )
        .ok();
    assert!(out.contains("hello from the world"), "{out}");
    // The host itself, by the name that podman gives it.
    bed.http(Side::Host, 8081, HOST4);
    let out =
        podman.run("--network pasta", "/usr/bin/curl -sS --max-time 5 http://host.containers.internal:8081/").ok();
    assert!(out.contains("hello from the world"), "{out}");
    podman.end("");
}

fn ipv6(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    bed.http(Side::World, 80, "::");
    let out = podman
        .run("--network pasta", &format!("ip -o -6 address; /usr/bin/curl -sS --max-time 10 http://[{WORLD6}]/"))
        .ok();
    assert!(out.contains(HOST6) && out.contains(&format!("hello from the world, {HOST6}")), "{out}");
    podman.end("");
}

fn a_port_that_is_taken(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    bed.http(Side::Host, 18080, "0.0.0.0");
    let out = podman.run("--network pasta -p 18080:80", "echo started").output();
    assert!(out.code() != 0 && !out.stdout.contains("started"), "{out}");
    out.assert_stderr(&["18080", "in use"]);
    podman.end("");
}

fn a_container_that_ends_at_once(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    for _ in 0..5 {
        podman.run("--network pasta", "exit 7").output().assert_code(7);
    }
    podman.end("");
}

/// `podman build`, whose steps have a network of their own.
fn build(podman: &Podman<'_>, network: &str) -> String {
    let script = "set -e; mkdir -p context; [ -e context/tree.tar ] || tar -C rootfs -cf context/tree.tar .
printf 'FROM scratch\\nADD tree.tar /\\nRUN %s\\n' \"ip -o address; /usr/bin/curl -sS --max-time 10 http://203.0.113.1/\" >context/Containerfile";
    podman.sh(script).ok();
    podman.sh(&format!("exec podman build --no-cache --network={network} -v /usr:/usr:ro context 2>&1")).ok()
}

fn a_step_of_a_build_fetches(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    bed.http(Side::World, 80, "::");
    let out = build(&podman, "pasta");
    assert!(out.contains(&format!("hello from the world, {HOST4}")) && out.contains(&format!("{HOST4}/24")), "{out}");
    let out = build(&podman, "slirp4netns");
    assert!(out.contains(&format!("hello from the world, {HOST4}")) && out.contains("10.0.2.100/24"), "{out}");
    podman.end("");
}
