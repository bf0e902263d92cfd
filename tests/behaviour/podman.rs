//! Engines inside `rnet run`: podman as an unprivileged user, directly on rnet and with a network of its own.

use crate::bed::{Bed, Cmd, HOST4, Programs, Side, WORLD4};

only!(Plain as_user: on_the_network_of_rnet, podmans_default_network, files_belong_to_the_user, a_signal_reaches_the_container);

fn prepare(bed: &Bed) {
    bed.podman(Programs::Own);
}

/// `rnet run -- podman run OPTIONS --rootfs … sh -c SCRIPT`; the host's /usr is there for its programs.
fn podman<'b>(bed: &'b Bed, options: &str, script: &str) -> Cmd<'b> {
    let line = format!("podman run --rm -i {options} -v /usr:/usr:ro --rootfs $HOME/rootfs sh -c '{script}'");
    bed.run("", &format!("readlink /proc/self/ns/user; cat /proc/self/uid_map; echo ---; exec {line}")).limit(60)
}

const FETCH: &str = "/usr/bin/curl -sS --max-time 10 http://203.0.113.1/";

fn on_the_network_of_rnet(bed: &Bed) {
    prepare(bed);
    bed.http(Side::World, 80, "::");
    let script =
        format!("readlink /proc/self/ns/user; cat /proc/self/uid_map; echo ---; ip -o address show dev tap0; {FETCH}");
    let out = podman(bed, "--network host", &script).ok();
    let parts: Vec<&str> = out.split("---\n").collect();
    assert_eq!(parts[1], parts[0], "podman makes no user namespace of its own\n{out}");
    assert!(parts[2].contains("10.0.2.100/24"), "{out}");
    assert!(parts[2].ends_with(&format!("hello from the world, {HOST4}")), "{out}");
}

fn podmans_default_network(bed: &Bed) {
    prepare(bed);
    bed.http(Side::World, 80, "::");
    let out = podman(bed, "", &format!("ip -o link; {FETCH}")).ok();
    assert!(out.ends_with(&format!("hello from the world, {HOST4}")), "{WORLD4} is reached through both\n{out}");
}

fn files_belong_to_the_user(bed: &Bed) {
    prepare(bed);
    let account = bed.account();
    podman(bed, "--network host -v $HOME:/mnt", "id -u; touch /mnt/made").ok();
    let owner = bed
        .root(Side::Host, &format!("stat -c %u {}/made; ls -d {}/.local/share/containers", account.home, account.home))
        .ok();
    assert_eq!(
        owner,
        format!("{}\n{}/.local/share/containers", account.uid, account.home),
        "the user's own storage is used"
    );
}

fn a_signal_reaches_the_container(bed: &Bed) {
    prepare(bed);
    let process =
        podman(bed, "--network host", "trap \"echo bye; exit 12\" TERM; echo up; while :; do sleep 0.1; done").spawn();
    process.wait_for("up");
    process.signal(nix::sys::signal::Signal::SIGTERM);
    process.wait(std::time::Duration::from_secs(15)).assert_code(12);
}
