//! dockerd-rootless.sh, as docker has it: rootlesskit, with slirp4netns because its help names the option that is looked for.

use std::time::Duration;

use super::fetch;
use crate::bed::{Bed, HOST4, Programs, Side};

only!(Plain as_user: ports_by_rootlesskit, ports_by_the_api_socket);

/// Serves at port 18080 until /tmp/stop is there.
const SCRIPT: &str = r#"
set -e
/usr/share/docker.io/contrib/dockerd-rootless.sh --storage-driver vfs --data-root "$HOME/docker" >"$HOME/dockerd.log" 2>&1 &
daemon=$!
trap 'kill $daemon 2>/dev/null; wait $daemon || :' EXIT
for turn in $(seq 300); do [ -S "$XDG_RUNTIME_DIR/docker.sock" ] && break; kill -0 $daemon || { tail "$HOME/dockerd.log"; exit 1; }; sleep 0.1; done
export DOCKER_HOST="unix://$XDG_RUNTIME_DIR/docker.sock"
mkdir -p "$HOME/tree/bin" "$HOME/tree/www"; cp "$(command -v busybox)" "$HOME/tree/bin/busybox"; echo hello from inside >"$HOME/tree/www/index.html"
tar -C "$HOME/tree" -c . | docker import - tree >/dev/null
docker run --rm tree /bin/busybox wget -qO- http://203.0.113.1/
docker run -d --name web -p 18080:80 tree /bin/busybox httpd -f -p 80 -h /www >/dev/null
echo served
until [ -e /tmp/stop ]; do sleep 0.1; done
docker rm -f web >/dev/null
"#;

fn serves_and_fetches(bed: &Bed, port_driver: &str) {
    let podman = bed.podman(Programs::Rnet);
    bed.excuse_files("/tmp/");
    bed.http(Side::World, 80, "::");
    let driver = format!("export DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER={port_driver}");
    let process = podman.sh(&format!("{driver}\n{SCRIPT}")).spawn();
    process.wait_for("served");
    podman.assert_served_by_rnet();
    let out = process.stdout();
    assert!(out.contains(&format!("hello from the world, {HOST4}")), "from docker's own bridge\n{out}");
    assert_eq!(fetch(bed, Side::World, &format!("http://{HOST4}:18080/")), "hello from inside");
    bed.sh("touch /tmp/stop").ok();
    process.wait(Duration::from_secs(20)).assert_code(0);
    bed.assert_nothing_left();
}

fn ports_by_rootlesskit(bed: &Bed) {
    serves_and_fetches(bed, "builtin");
}

fn ports_by_the_api_socket(bed: &Bed) {
    serves_and_fetches(bed, "slirp4netns");
}
