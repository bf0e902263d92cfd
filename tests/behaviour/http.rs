//! Web clients: one, many at once, and very many after each other.

use std::time::Duration;

use crate::bed::{BOTH, Bed, HOST4, Side, WORLD4, eventually, url_host};

both!(
    curl_fetches,
    wget_fetches,
    two_hundred_downloads_at_once,
    heavy_ten_thousand_connections_leak_nothing,
    uploads_arrive_whole,
);

fn curl_fetches(bed: &Bed) {
    bed.http(Side::World, 80, "::");
    for host in BOTH {
        let page = bed.run("", &format!("curl -sS --max-time 10 http://{}/", url_host(host))).ok();
        assert!(page.starts_with("hello from the world, "), "{page}");
    }
    let page = bed.run("", &format!("curl -sS --max-time 10 http://{WORLD4}/")).ok();
    assert_eq!(page, format!("hello from the world, {HOST4}"), "the world sees the host's address");
}

fn wget_fetches(bed: &Bed) {
    bed.http(Side::World, 8080, "::");
    for host in BOTH {
        let page = bed.run("", &format!("wget -q -T 10 -O - http://{}:8080/", url_host(host))).ok();
        assert!(page.starts_with("hello from the world, "), "{page}");
        let length =
            bed.run("", &format!("wget -q -T 10 -O - http://{}:8080/bytes/1000000 | wc -c", url_host(host))).ok();
        assert_eq!(length, "1000000");
    }
}

fn two_hundred_downloads_at_once(bed: &Bed) {
    bed.http(Side::World, 80, "::");
    for host in BOTH {
        // One configuration entry per URL: globbing would take the brackets of an IPv6 address for a range.
        let urls =
            (0..200).map(|n| format!("url = \"http://{}/bytes/100000?{n}\"\noutput = /dev/null\n", url_host(host)));
        let options = "-sS -g -Z --parallel-max 200 --parallel-immediate --max-time 25 -w '%{http_code} %{size_download}\\n' -K -";
        let out = bed.run("", &format!("curl {options}")).stdin(urls.collect::<String>()).ok();
        assert_eq!(out.lines().filter(|line| *line == "200 100000").count(), 200, "{out}");
    }
}

/// Open descriptors of all of rnet's processes.
fn descriptors(bed: &Bed) -> usize {
    let all = bed.processes().into_iter().map(|(pid, _)| bed.path(&format!("/proc/{pid}")));
    let ours = all.filter(|dir| std::fs::read_to_string(dir.join("comm")).is_ok_and(|comm| comm.starts_with("rnet")));
    ours.map(|dir| std::fs::read_dir(dir.join("fd")).map_or(0, Iterator::count)).sum()
}

fn heavy_ten_thousand_connections_leak_nothing(bed: &Bed) {
    let _peer = bed.peer();
    let script = format!(
        "def one():
    s = connect('{WORLD4}', ECHO); s.sendall(b'x'); equal(s.recv(1), b'x'); s.close()
for _ in range(20): one()
time.sleep(1); print('warm', flush=True); time.sleep(1)
for _ in range(10000): one()
print('through', flush=True); time.sleep(20)"
    );
    let process = bed.run_python("", &script).spawn();
    process.wait_for("warm");
    let before = descriptors(bed);
    assert!(before > 0, "no process of rnet's is seen");
    let done = eventually(Duration::from_secs(90), || process.stdout().contains("through"));
    assert!(done, "10,000 connections took more than 90 s\n{}", process.stderr());
    let mut after = 0;
    let closed = eventually(Duration::from_secs(10), || {
        after = descriptors(bed);
        after <= before + 2
    });
    assert!(closed, "{before} descriptors before, {after} after 10,000 connections");
    drop(process);
}

fn uploads_arrive_whole(bed: &Bed) {
    bed.http(Side::World, 80, "::");
    for host in BOTH {
        let script = format!(
            "set -e; python3 /mnt/lib/peer.py pattern 20000003 >/tmp/up; sha256sum </tmp/up
             curl -sS --max-time 20 -T /tmp/up http://{}/up; rm /tmp/up",
            url_host(host)
        );
        let out = bed.run("", &script).ok();
        let (sent, seen) = out.split_once('\n').unwrap();
        assert_eq!(seen, format!("20000003 {}", sent.split(' ').next().unwrap()));
    }
}
