//! The Debian 13 that tests of its engines run on: its podman works here with its own programs, before rnet takes their place.

use crate::bed::{Bed, HOST4, Programs, Side};

debian_13!(podman_works_with_its_own_pasta);

fn podman_works_with_its_own_pasta(bed: &Bed) {
    let podman = bed.podman(Programs::Own);
    podman.assert_version();
    bed.http(Side::World, 80, "::");
    let out = podman.run("--network pasta", "/usr/bin/curl -sS --max-time 10 http://203.0.113.1/").ok();
    assert!(out.ends_with(&format!("hello from the world, {HOST4}")), "{out}");
    assert_eq!(bed.root(Side::Host, ". /etc/os-release; echo $VERSION_ID").ok(), "13");
    podman.end("");
}
