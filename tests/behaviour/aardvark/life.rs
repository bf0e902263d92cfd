//! How the server starts and ends, and what it does with its files meanwhile.

use std::time::Duration;

use super::room::{DIRECTORY, Room};
use crate::bed::{Side, eventually};

rnets!(
    what_cannot_be_bound,
    what_cannot_be_served,
    descriptors_and_streams,
    being_told_to_end,
    signals_that_the_caller_ignores,
    half_a_file,
    becoming_internal,
    an_address_that_comes_later,
    for_people,
    versions_and_wrong_flags,
);

const NET: &str = "10.0.0.1\naa 10.0.0.2  one\n";

fn what_cannot_be_bound(room: &Room) {
    room.write("net", NET);
    room.write("other", "10.0.1.1,10.9.9.9\n");
    for (protocol, kind) in [("udp", "SOCK_DGRAM"), ("tcp", "SOCK_STREAM")] {
        let holder = room.bed.root(
            Side::Host,
            &format!(
                "exec python3 -uc 'import socket, time; s = socket.socket(socket.AF_INET, socket.{kind}); s.bind((\"0.0.0.0\", 53)); \
                 s.listen() if \"{protocol}\" == \"tcp\" else 0; print(\"ready\"); time.sleep(60)'"
            ),
        )
        .spawn();
        holder.wait_for("ready");
        let told = room.refused();
        for line in [
            format!(
                "failed to bind {protocol} listener on 10.0.0.1:53: IO error: Address already in use (os error 98)"
            ),
            "Error from child process".into(),
        ] {
            assert!(told.contains(&line), "{line}: {told}");
        }
        assert!(told.contains("10.9.9.9:53: IO error: "), "every address is told of: {told}");
        assert_eq!(room.root(&format!("ls {DIRECTORY}")), "net\nother", "no pid is left");
    }
}

fn what_cannot_be_served(room: &Room) {
    let told = room.refused();
    assert!(told.contains("no network has a usable file in /tmp/names\nError from child process"), "{told}");
    room.write("bad", "10.0.0.1\nx\n");
    room.root(&format!("mkdir {DIRECTORY}/folder; mkfifo {DIRECTORY}/pipe"));
    assert!(room.refused().contains("no network has a usable file"));
    room.root(&format!("rm -r {DIRECTORY}"));
    let told = room.refused();
    let expected = "Error creating aardvark pid Unable to get process pid: No such file or directory (os error 2)";
    assert!(told.starts_with(expected), "{told}");
}

/// podman waits for the end of the stream that it reads, and for that of a socket that it passes on.
fn descriptors_and_streams(room: &Room) {
    room.write("net", NET);
    room.root(&format!("exec 9>/tmp/marker; rnet aardvark-dns --config {DIRECTORY} -p 53 run | cat"));
    room.bed.note_processes();
    let open = room.root(&format!("readlink /proc/{}/fd/*", room.pid()));
    assert!(open.contains("/dev/null") && !open.contains("marker") && !open.contains("pipe"), "{open}");
    assert_eq!(room.root(&format!("cat {DIRECTORY}/aardvark.pid | wc -l")), "0");
    assert_eq!(room.root(&format!("ps -o sid= -p {}", room.pid())).trim(), room.pid());
}

fn being_told_to_end(room: &Room) {
    for signal in ["TERM", "INT"] {
        room.write("net", NET);
        room.start();
        let pid = room.pid();
        room.root(&format!("kill -{signal} {pid}"));
        room.eventually(|| room.root(&format!("ls {DIRECTORY}; cat /proc/{pid}/cmdline 2>/dev/null || true")), "net");
    }
}

/// As in netavark's teardown, which ignores SIGTERM and may start the server.
fn signals_that_the_caller_ignores(room: &Room) {
    room.write("net", NET);
    room.root(&format!("trap '' HUP TERM INT; rnet aardvark-dns --config {DIRECTORY} -p 53 run"));
    room.bed.note_processes();
    room.write("net", &format!("{NET}ab 10.0.0.3  two\n"));
    room.reload();
    room.eventually(|| room.short("10.0.0.2", "@10.0.0.1 two"), "10.0.0.3");
    room.root(&format!("kill {}", room.pid()));
    room.eventually(|| room.root(&format!("ls {DIRECTORY}")), "net");
}

fn half_a_file(room: &Room) {
    room.write("net", NET);
    room.write("more", "10.0.1.1\nba 10.0.1.2  two\n");
    room.start();
    room.write("net", "10.0.0.1\naa 10.0.0.2  one\nab 10.0");
    room.write("more", "");
    room.write(".hidden", "10.0.2.1\n");
    room.reload();
    room.write("last", "10.0.3.1\nca 10.0.3.2  three\n");
    room.reload();
    room.eventually(|| room.short("10.0.3.2", "@10.0.3.1 three"), "10.0.3.2");
    assert_eq!(room.short("10.0.0.2", "@10.0.0.1 one"), "10.0.0.2", "it stays as it was");
    assert_eq!(room.short("10.0.1.2", "@10.0.1.1 two"), "10.0.1.2");
    room.write("net", "10.0.0.1\naa 10.0.0.2  one\nab 10.0.0.3  whole\n");
    room.reload();
    room.eventually(|| room.short("10.0.0.2", "@10.0.0.1 whole"), "10.0.0.3");
}

fn becoming_internal(room: &Room) {
    room.bed.names_server(Side::Host, "serve_one('127.0.1.1', '192.0.2.1')");
    room.bed.resolv_conf("nameserver 127.0.1.1\n");
    room.write("net", NET);
    room.start();
    assert_eq!(room.short("10.0.0.2", "@10.0.0.1 www.example"), "192.0.2.1");
    room.root(&format!("mv {DIRECTORY}/net {DIRECTORY}/net%int"));
    room.reload();
    room.eventually(|| room.status("10.0.0.2", "@10.0.0.1 www.example"), "NXDOMAIN 0");
    assert_eq!(room.short("10.0.0.2", "@10.0.0.1 one"), "10.0.0.2");
}

fn an_address_that_comes_later(room: &Room) {
    room.write("net", NET);
    room.start();
    room.write("late", "10.0.9.1\nda 10.0.9.2  late\n");
    room.reload();
    assert_eq!(room.short("10.0.0.2", "@10.0.0.1 one"), "10.0.0.2");
    room.root("ip addr add 10.0.9.1/24 dev names0; ip addr add 10.0.9.2/24 dev names0");
    room.eventually(|| room.short("10.0.9.2", "@10.0.9.1 late"), "10.0.9.2");
}

fn for_people(room: &Room) {
    room.write("net", NET);
    let server =
        room.bed.rnet(&["dns", "serve", "--config", DIRECTORY, "--port", "5301", "--log-level", "debug"]).spawn();
    let answers = || room.short("10.0.0.2", "-p 5301 @10.0.0.1 one") == "10.0.0.2";
    assert!(eventually(Duration::from_secs(5), answers), "{}", server.stderr());
    server.signal(nix::sys::signal::Signal::SIGINT);
    let out = server.wait(Duration::from_secs(5));
    out.assert_code(0);
    assert_eq!(room.root(&format!("ls {DIRECTORY}")), "net");
    // The directory is meant that is called so where the server is started.
    room.root("cd /tmp; rnet dns serve -c ./names --no-forward --search-domain test --background");
    room.bed.note_processes();
    room.write("net", &format!("{NET}ab 10.0.0.3  two\n"));
    room.reload();
    room.eventually(|| room.short("10.0.0.2", "@10.0.0.1 two"), "10.0.0.3");
    assert_eq!(room.short("10.0.0.2", "@10.0.0.1 one.test"), "10.0.0.2");
    assert_eq!(room.status("10.0.0.2", "@10.0.0.1 www.example"), "NXDOMAIN 0");
    let help = room.bed.rnet(&["dns", "serve", "--help"]).ok();
    assert!(help.contains("Examples:\n  rnet dns serve --config"), "{help}");
}

fn versions_and_wrong_flags(room: &Room) {
    assert_eq!(room.root("rnet aardvark-dns --version"), "aardvark-dns 2.0.0");
    room.root("ln -s /mnt/bin/rnet /tmp/aardvark-dns");
    assert_eq!(room.root("/tmp/aardvark-dns -V"), "aardvark-dns 2.0.0");
    let version: serde_json::Value = serde_json::from_str(&room.root("/tmp/aardvark-dns version")).unwrap();
    assert_eq!(version["version"], "2.0.0");
    for wrong in ["", "bogus", "--nothing run", "-p 70000 run", "-f a..b run"] {
        let out = room.bed.root(Side::Host, &format!("/tmp/aardvark-dns {wrong}")).output();
        out.assert_code(2);
    }
    let out = room
        .bed
        .rnet(&["dns", "serve", "--config", "/x", "--port", "0", "--search-domain", "a..b", "--log-level", "loud"])
        .output();
    out.assert_code(2).assert_stderr(&["--port 0", "--search-domain a..b", "--log-level loud"]);
    room.bed.rnet(&["dns"]).output().assert_code(2);
    room.bed.rnet(&["dns", "serve"]).output().assert_code(2);
}
