//! `rootlesskit --net=slirp4netns` and `--net=pasta`. It makes and configures the device by itself, and only has it served.

use super::fetch;
use crate::bed::{Bed, HOST4, HOST6, Programs, Side, WORLD4, WORLD6};

both_systems!(builtin_ports, ports_of_slirp4netns, sandbox_and_seccomp, ipv6_by_advertisement);
debian_13!(a_network_that_is_detached, by_pasta, by_pasta_detached, by_pasta_ports_follow);

const SERVE: &str =
    "mkdir -p /tmp/www && echo hello from inside >/tmp/www/index.html && exec busybox httpd -f -p 80 -h /tmp/www";

/// `rootlesskit OPTIONS sh -c SCRIPT`, with rnet in slirp4netns's place.
fn kit<'b>(bed: &'b Bed, options: &str, script: &str) -> crate::bed::Cmd<'b> {
    kit_by(bed, "--net=slirp4netns --slirp4netns-binary=/mnt/as/slirp4netns", options, script)
}

/// The same with another program.
fn kit_by<'b>(bed: &'b Bed, by: &str, options: &str, script: &str) -> crate::bed::Cmd<'b> {
    let podman = bed.podman(Programs::Rnet);
    bed.excuse_files("/tmp/");
    podman.sh(&format!("exec rootlesskit {by} --copy-up=/etc --copy-up=/run {options} sh -c '{script}'"))
}

/// rnet in pasta's place, and pasta itself.
const PASTAS: [&str; 2] = ["--net=pasta --pasta-binary=/mnt/as/pasta", "--net=pasta --pasta-binary=/usr/bin/pasta"];

fn builtin_ports(bed: &Bed) {
    bed.http(Side::World, 80, "::");
    bed.name_server(Side::World, WORLD4);
    let script = format!(
        "ip -o address show dev tap0; curl -sS --max-time 10 http://{WORLD4}/; curl -sS -4 --max-time 10 http://web.example/"
    );
    let out = kit(bed, "--disable-host-loopback --mtu=65520", &script).ok();
    assert!(out.contains("10.0.2.100/24"), "{out}");
    assert_eq!(out.matches(&format!("hello from the world, {HOST4}")).count(), 2, "{out}");
    let served = kit(bed, "--disable-host-loopback --port-driver=builtin -p 0.0.0.0:8080:80/tcp", SERVE).spawn();
    assert_eq!(fetch(bed, Side::World, &format!("http://{HOST4}:8080/")), "hello from inside");
    end(bed, served);
}

fn ports_of_slirp4netns(bed: &Bed) {
    let served = kit(bed, "--disable-host-loopback --port-driver=slirp4netns -p 0.0.0.0:8080:80/tcp", SERVE).spawn();
    assert_eq!(fetch(bed, Side::World, &format!("http://{HOST4}:8080/")), "hello from inside");
    assert_eq!(fetch(bed, Side::Host, "http://127.0.0.1:8080/"), "hello from inside");
    end(bed, served);
}

fn sandbox_and_seccomp(bed: &Bed) {
    bed.http(Side::World, 80, "::");
    let options =
        "--disable-host-loopback --slirp4netns-sandbox=true --slirp4netns-seccomp=true --mtu=1500 --cidr=10.5.0.0/24";
    let out = kit(bed, options, &format!("ip -o address show dev tap0; curl -sS --max-time 10 http://{WORLD4}/")).ok();
    assert!(out.contains("10.5.0.100/24") && out.contains(&format!("hello from the world, {HOST4}")), "{out}");
    bed.assert_nothing_left();
}

fn ipv6_by_advertisement(bed: &Bed) {
    bed.http(Side::World, 80, "::");
    let script = format!(
        "for n in $(seq 50); do ip -o -6 address show dev tap0 scope global -tentative | grep -q fd00 && break; sleep 0.1; done; curl -sS --max-time 10 http://[{WORLD6}]/"
    );
    let out = kit(bed, "--disable-host-loopback --ipv6", &script).ok();
    assert!(out.contains(&format!("hello from the world, {HOST6}")), "{out}");
    bed.assert_nothing_left();
}

fn a_network_that_is_detached(bed: &Bed) {
    bed.http(Side::World, 80, "::");
    let script = format!("nsenter -n$ROOTLESSKIT_STATE_DIR/netns curl -sS --max-time 10 http://{WORLD4}/");
    let out = kit(bed, "--disable-host-loopback --detach-netns", &script).ok();
    assert!(out.contains(&format!("hello from the world, {HOST4}")), "{out}");
    bed.assert_nothing_left();
}

fn by_pasta(bed: &Bed) {
    bed.http(Side::World, 80, "::");
    bed.name_server(Side::World, WORLD4);
    let script = format!(
        "ip -o address; curl -sS --max-time 10 http://{WORLD4}/; curl -sS -4 --max-time 10 http://web.example/; ping -c1 -W3 {WORLD4}"
    );
    for by in PASTAS {
        let out = kit_by(bed, by, "--disable-host-loopback", &script).ok();
        assert!(out.contains("10.0.2.100/24"), "{by}\n{out}");
        assert_eq!(out.matches(&format!("hello from the world, {HOST4}")).count(), 2, "{by}\n{out}");
        assert!(out.contains(" 1 received"), "{by}\n{out}");
        bed.assert_nothing_left();
    }
}

fn by_pasta_detached(bed: &Bed) {
    bed.http(Side::World, 80, "::");
    let script = format!("nsenter -n$ROOTLESSKIT_STATE_DIR/netns curl -sS --max-time 10 http://{WORLD4}/");
    // The peer may outlive rootlesskit.
    let out = kit_by(bed, PASTAS[0], "--disable-host-loopback --detach-netns", &script).ok();
    assert!(out.contains(&format!("hello from the world, {HOST4}")), "{out}");
    bed.assert_nothing_left();
}

fn by_pasta_ports_follow(bed: &Bed) {
    let serve = SERVE.replace("-p 80", "-p 8090");
    for by in PASTAS {
        let served = kit_by(bed, by, "--disable-host-loopback --port-driver=implicit", &serve).spawn();
        assert_eq!(fetch(bed, Side::World, &format!("http://{HOST4}:8090/")), "hello from inside", "{by}");
        assert_eq!(fetch(bed, Side::Host, "http://127.0.0.1:8090/"), "hello from inside", "{by}");
        end(bed, served);
    }
}

fn end(bed: &Bed, process: crate::bed::Proc) {
    process.signal(nix::sys::signal::Signal::SIGTERM);
    process.wait(std::time::Duration::from_secs(10));
    bed.assert_nothing_left();
}
