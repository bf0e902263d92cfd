//! `buildah run --isolation=rootless`, which finds slirp4netns in the search path.

use super::FETCH;
use crate::bed::{Bed, HOST4, Programs, Side, WORLD4};

only!(Plain as_user: a_step_of_a_build_fetches);

fn a_step_of_a_build_fetches(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    bed.http(Side::World, 80, "::");
    bed.name_server(Side::World, WORLD4);
    let prepare = "c=$(buildah from scratch); buildah unshare sh -c \"m=\\$(buildah mount $c); cp -a $HOME/rootfs/. \\$m/; buildah umount $c >/dev/null\"; echo $c";
    let container = podman.sh(prepare).ok();
    let script =
        format!("ip -o address show dev tap0; cat /etc/resolv.conf; {FETCH}; /usr/bin/curl -sS -4 http://web.example/");
    let run = format!("exec buildah run --isolation=rootless -v /usr:/usr:ro {container} -- sh -c '{script}'");
    let out = podman.sh(&run).ok();
    assert!(out.contains("10.0.2.100/24"), "{out}");
    assert_eq!(out.matches(&format!("hello from the world, {HOST4}")).count(), 2, "{out}");
    podman.sh("buildah rm -a >/dev/null").ok();
    podman.end("");
}
