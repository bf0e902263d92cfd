//! A namespace that a script makes by unshare(1), with slirp4netns as its manual has it: ready by a descriptor.

use crate::bed::{Bed, HOST4, Programs, Side, WORLD4};

both_systems!(a_script_waits_for_the_byte);

fn a_script_waits_for_the_byte(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    bed.http(Side::World, 80, "::");
    let script = format!(
        "set -e; cd /tmp; mkfifo ready
unshare --user --map-root-user --net sleep 60 & child=$!
until [ \"$(readlink /proc/$child/ns/net)\" != \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.02; done
slirp4netns --configure --mtu=65520 --disable-host-loopback --enable-sandbox --enable-seccomp -r 9 $child tap0 9>ready >log 2>&1 &
slirp=$!
read -n1 byte <ready || :
[ \"$byte\" = 1 ]
nsenter --preserve-credentials --user --net -t $child curl -sS --max-time 10 http://{WORLD4}/
kill $slirp; kill $child; wait || :; rm ready log"
    );
    bed.write("/tmp/script", &script);
    let out = podman.sh("exec bash /tmp/script").ok();
    assert_eq!(out, format!("hello from the world, {HOST4}"));
    bed.sh("rm /tmp/script").ok();
    bed.assert_nothing_left();
}
