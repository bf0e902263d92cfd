//! `podman network create`: containers on a bridge in a namespace of the user's, which reaches the world by rnet.

use super::{FETCH, fetch};
use crate::bed::{Bed, HOST4, Podman, Programs, Side, System, WORLD4};

both_systems!(by_slirp4netns);
debian_13!(by_pasta);

fn by_slirp4netns(bed: &Bed) {
    let podman = bed.podman(Programs::Rnet);
    if bed.system == System::Debian13 {
        // pasta is the usual there.
        podman.sh("printf '[network]\\ndefault_rootless_network_cmd=\"slirp4netns\"\\n' >>.config/containers/containers.conf").ok();
    }
    a_network_with_names_and_ports(bed, &podman);
}

fn by_pasta(bed: &Bed) {
    a_network_with_names_and_ports(bed, &bed.podman(Programs::Rnet));
}

fn a_network_with_names_and_ports(bed: &Bed, podman: &Podman<'_>) {
    bed.http(Side::World, 80, "::");
    bed.name_server(Side::World, WORLD4);
    podman.sh("podman network create n1").ok();
    let serve = "mkdir -p /tmp/www && echo hello from inside >/tmp/www/index.html && exec httpd -f -p 80 -h /tmp/www";
    podman.start("web", "--network n1 -p 18080:80", serve);
    podman.assert_served_by_rnet();
    let script = format!(
        "{FETCH}; /usr/bin/curl -sS --max-time 10 http://web/; /usr/bin/curl -sS -4 --max-time 10 http://web.example/"
    );
    let out = podman.sh(&format!("mkdir rootfs2; cp -a rootfs/. rootfs2; exec podman run --rm --network n1 -v /usr:/usr:ro --rootfs $HOME/rootfs2 sh -c '{script}'")).ok();
    assert!(out.contains("hello from inside"), "by the other's name\n{out}");
    assert_eq!(out.matches(&format!("hello from the world, {HOST4}")).count(), 2, "by address and by name\n{out}");
    assert_eq!(fetch(bed, Side::World, &format!("http://{HOST4}:18080/")), "hello from inside");
    assert_eq!(fetch(bed, Side::Host, "http://127.0.0.1:18080/"), "hello from inside");
    podman.sh("podman rm -f -t 0 web >/dev/null; podman network rm n1 >/dev/null").ok();
    podman.end("");
}
