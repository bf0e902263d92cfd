//! A daemon that writes to /etc and /run: dockerd as an unprivileged user inside `rnet run --copy-up`.

use crate::bed::{Bed, Side};

only!(Plain as_user: a_container_of_dockerd_fetches);

const SCRIPT: &str = r#"
set -e
trap 'kill $daemon 2>/dev/null; wait $daemon || :; umount -l /run/docker/netns/* 2>/dev/null || :' EXIT
dockerd --rootless --data-root "$HOME/docker" --exec-root /run/docker --host unix:///run/docker.sock --pidfile /run/docker.pid \
    --storage-driver vfs >"$HOME/dockerd.log" 2>&1 &
daemon=$!
for turn in $(seq 150); do [ -S /run/docker.sock ] && break; kill -0 $daemon || { tail "$HOME/dockerd.log"; exit 1; }; sleep 0.1; done
export DOCKER_HOST=unix:///run/docker.sock
mkdir -p "$HOME/tree/bin"; cp "$(command -v busybox)" "$HOME/tree/bin/busybox"
tar -C "$HOME/tree" -c . | docker import - tree >/dev/null
docker run --rm tree /bin/busybox wget -qO- http://203.0.113.1/
"#;

fn a_container_of_dockerd_fetches(bed: &Bed) {
    for start in [bed.account().home.clone(), "/tmp/".into(), format!("/run/user/{}/", bed.account().uid)] {
        bed.excuse_files(&start);
    }
    bed.http(Side::World, 80, "::");
    let out = bed.run("--copy-up /etc --copy-up /run", SCRIPT).limit(60).ok();
    assert!(out.contains("hello from the world"), "from docker's own bridge, through rnet\n{out}");
}
