//! podman as root with rnet in netavark's place.

use super::room::Room;
use crate::bed::{Bed, HOST4, Side};

only!(Root as_root: podman_with_rnet_as_netavark);

const CONTAINERS_CONF: &str = r#"
[network]
network_backend = "netavark"
network_config_dir = "/tmp/p/networks"
[engine]
helper_binaries_dir = ["/tmp/p/helpers", "/usr/lib/podman"]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
[containers]
cgroups = "disabled"
log_driver = "k8s-file"
"#;

fn podman_with_rnet_as_netavark(bed: &Bed) {
    let room = Room::new(bed);
    for start in ["/tmp/p", "/run/", "/var/tmp", "/dev/shm/libpod", "/root"] {
        bed.excuse_files(start);
    }
    room.root("mkdir -p /tmp/p/helpers /tmp/p/networks; ln -s /mnt/bin/rnet /tmp/p/helpers/netavark; ln -s /usr/lib/podman/aardvark-dns /tmp/p/helpers/");
    std::fs::write(bed.path("/tmp/p/containers.conf"), CONTAINERS_CONF).unwrap();
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
    podman("network create appnet").ok();
    podman("run -d --name c1 --network appnet -p 8080:80 --rootfs /tmp/p/r1 httpd -f -p 80 -h /www").ok();
    podman("run -d --name c2 --network appnet -v /usr:/usr:ro --rootfs /tmp/p/r2 sleep 1000").ok();
    for address in ["127.0.0.1", HOST4] {
        assert_eq!(room.root(&format!("curl -sS --max-time 5 http://{address}:8080/")), "hello from r1", "{address}");
    }
    let from_world = bed.root(Side::World, &format!("curl -sS --max-time 5 http://{HOST4}:8080/")).ok();
    assert_eq!(from_world, "hello from r1");
    assert_eq!(podman("exec c2 /usr/bin/curl -sS --max-time 5 http://c1/").ok(), "hello from r1", "by name");
    podman("rm -f -t 0 c1 c2").ok();
    podman("network rm appnet").ok();
    assert_eq!(room.links(), "");
    assert!(!room.ruleset().contains("nv_"), "{}", room.ruleset());
}
