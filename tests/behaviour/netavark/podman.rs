//! podman as root with rnet in netavark's place.

use super::room::Room;
use crate::bed::{Bed, HOST4, Side};

only!(Root as_root: podman_with_rnet_as_netavark, podman_with_rnet_as_name_server, podman_without_a_name_server);

const CONTAINERS_CONF: &str = r#"
[network]
network_backend = "netavark"
network_config_dir = "/tmp/p/networks"
[engine]
helper_binaries_dir = ["/tmp/p/helpers", "DIRECTORY"]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
[containers]
cgroups = "disabled"
log_driver = "k8s-file"
"#;

fn podman_with_rnet_as_netavark(bed: &Bed) {
    podman(bed, "ln -s /usr/lib/podman/aardvark-dns /tmp/p/helpers/", "/usr/lib/podman");
}

fn podman_with_rnet_as_name_server(bed: &Bed) {
    podman(bed, "ln -s /mnt/bin/rnet /tmp/p/helpers/aardvark-dns", "/usr/lib/podman");
}

/// podman finds none and says so to netavark, which is one itself.
fn podman_without_a_name_server(bed: &Bed) {
    podman(bed, "ln -s /usr/lib/podman/rootlessport /tmp/p/helpers/", "/tmp/p/none");
}

/// `link` puts a name server among podman's helpers, which are also looked for in `directory`.
fn podman(bed: &Bed, link: &str, directory: &str) {
    let room = Room::new(bed);
    for start in ["/tmp/p", "/run/", "/var/tmp", "/dev/shm/libpod", "/root"] {
        bed.excuse_files(start);
    }
    room.root(&format!("mkdir -p /tmp/p/helpers /tmp/p/networks; ln -s /mnt/bin/rnet /tmp/p/helpers/netavark; {link}"));
    std::fs::write(bed.path("/tmp/p/containers.conf"), CONTAINERS_CONF.replace("DIRECTORY", directory)).unwrap();
    room.root(
        "for root in r1 r2; do for each in bin usr www proc sys dev tmp etc run; do mkdir -p /tmp/p/$root/$each; done
           cp \"$(command -v busybox)\" /tmp/p/$root/bin/busybox
           for each in sh httpd sleep nslookup wget ip; do ln -s busybox /tmp/p/$root/bin/$each; done
           ln -s usr/lib /tmp/p/$root/lib; ln -s usr/lib64 /tmp/p/$root/lib64
           echo hello from $root >/tmp/p/$root/www/index.html; done",
    );
    let podman = |arguments: &str| {
        let line =
            format!("podman --root /tmp/p/root --runroot /run/p --tmpdir /run/p/tmp --storage-driver vfs {arguments}");
        bed.root(Side::Host, &line)
            .env("CONTAINERS_CONF", "/tmp/p/containers.conf")
            .env("NETAVARK_FW", "nftables")
            .limit(60)
    };
    bed.names_server(Side::Host, "serve_one('127.0.1.1', '192.0.2.1')");
    bed.resolv_conf("nameserver 127.0.1.1\n");
    podman("network create appnet").ok();
    podman("network create other").ok();
    podman(
        "run -d --name c1 --network appnet --network-alias web -p 8080:80 --rootfs /tmp/p/r1 httpd -f -p 80 -h /www",
    )
    .ok();
    podman("run -d --name c2 --network appnet -v /usr:/usr:ro --rootfs /tmp/p/r2 sleep 1000").ok();
    for address in ["127.0.0.1", HOST4] {
        assert_eq!(room.root(&format!("curl -sS --max-time 5 http://{address}:8080/")), "hello from r1", "{address}");
    }
    let from_world = bed.root(Side::World, &format!("curl -sS --max-time 5 http://{HOST4}:8080/")).ok();
    assert_eq!(from_world, "hello from r1");
    let id = podman("inspect --format {{.Id}} c1").ok();
    for name in ["c1", "web", "c1.dns.podman", &id[..12]] {
        let told = podman(&format!("exec c2 /usr/bin/curl -sS --max-time 5 http://{name}/")).ok();
        assert_eq!(told, "hello from r1", "by name: {name}");
    }
    let addresses = |name: &str| podman(&format!("exec c2 nslookup -type=a {name}")).output().stdout;
    assert!(addresses("www.example").contains("192.0.2.1"), "{}", addresses("www.example"));
    podman("network connect other c1").ok();
    podman("run -d --name c3 --network other -v /usr:/usr:ro --rootfs /tmp/p/r2 sleep 1000").ok();
    assert_eq!(podman("exec c3 /usr/bin/curl -sS --max-time 5 http://c1/").ok(), "hello from r1", "on another network");
    podman("rm -f -t 0 c1 c2 c3").ok();
    podman("network rm appnet other").ok();
    assert_eq!(room.links(), "");
    assert!(!room.ruleset().contains("nv_"), "{}", room.ruleset());
}
