//! The hand-over to the container name server, with Debian's aardvark-dns as one.

use std::time::Duration;

use serde_json::{Value, json};

use super::room::{DIRECTORY, Room, error_of, network, on};
use crate::bed::{Bed, eventually};

only!(Root as_root: containers_find_each_other, rnet_finds_them, update, update_with_rnet, a_server_that_cannot_start, forwarding_to_itself);

const AARDVARK: &str = "/usr/lib/podman/aardvark-dns";
/// Where there is none rnet is the server itself.
const NONE: &str = "/usr/lib/podman/no-such-server";

fn named(id: &str, host: usize) -> Value {
    let mut net = network(0);
    net["dns_enabled"] = json!(true);
    let mut input = on(id, host, &net);
    input["networks"]["net0"]["aliases"] = json!([format!("alias{id}")]);
    input
}

fn setup(room: &Room<'_>, server: &str, name: &str, input: &Value) {
    room.netavark(&["-a", server, "setup", &format!("/run/netns/{name}")], input).ok();
}

fn file(room: &Room<'_>) -> String {
    room.root(&format!("cat {DIRECTORY}/aardvark-dns/net0"))
}

fn containers_find_each_other(bed: &Bed) {
    find_each_other(&Room::new(bed), AARDVARK);
}

fn rnet_finds_them(bed: &Bed) {
    find_each_other(&Room::new(bed), NONE);
}

fn find_each_other(room: &Room<'_>, server: &str) {
    for (name, host) in [("c1", 2), ("c2", 3)] {
        room.container(name);
        setup(room, server, name, &named(&name[1..], host));
    }
    assert_eq!(
        file(room),
        "10.90.0.1,fd00:90::1\n1 10.90.0.2 fd00:90::2 name-1,alias1\n2 10.90.0.3 fd00:90::3 name-2,alias2"
    );
    for query in ["name-2", "alias2.dns.podman"] {
        let answer = || room.inside("c1", &format!("dig +short +time=1 +tries=1 {query} @10.90.0.1")).output().stdout;
        assert!(eventually(Duration::from_secs(5), || answer() == "10.90.0.3\n"), "{query}: {}", answer());
    }
    room.netavark(&["-a", server, "teardown", "/run/netns/c2"], &named("2", 3)).ok();
    assert_eq!(file(room), "10.90.0.1,fd00:90::1\n1 10.90.0.2 fd00:90::2 name-1,alias1");
    room.netavark(&["-a", server, "teardown", "/run/netns/c1"], &named("1", 2)).ok();
    room.netavark(&["-a", server, "teardown", "/run/netns/c1"], &named("1", 2)).ok();
    // The server ends by itself when no network is left; the bed would find it otherwise.
    room.assert_clean();
}

fn update(bed: &Bed) {
    change_servers(&Room::new(bed), AARDVARK);
}

fn update_with_rnet(bed: &Bed) {
    change_servers(&Room::new(bed), NONE);
}

fn change_servers(room: &Room<'_>, server: &str) {
    room.container("c1");
    setup(room, server, "c1", &named("1", 2));
    let pid = room.root(&format!("cat {DIRECTORY}/aardvark-dns/aardvark.pid"));
    let update = |network: &str, servers: &[&str]| {
        let mut arguments = vec!["-a", server, "update", network];
        servers.iter().for_each(|servers| arguments.extend(["--network-dns-servers", servers]));
        room.netavark(&arguments, &json!(null)).ok()
    };
    assert_eq!(update("net0", &["8.8.8.8,1.1.1.1"]), "");
    assert!(file(room).starts_with("10.90.0.1,fd00:90::1 8.8.8.8,1.1.1.1\n1 "), "{}", file(room));
    assert_eq!(update("net0", &[""]), "");
    assert!(file(room).starts_with("10.90.0.1,fd00:90::1\n1 "), "{}", file(room));
    assert_eq!(update("unknown", &["8.8.8.8"]), "");
    assert_eq!(room.root(&format!("cat {DIRECTORY}/aardvark-dns/aardvark.pid")), pid);
    assert!(room.root(&format!("cat /proc/{pid}/cmdline | tr '\\0' ' '")).contains("aardvark-dns -p 53 run"));
    room.netavark(&["-a", server, "teardown", "/run/netns/c1"], &named("1", 2)).ok();
    room.assert_clean();
}

fn a_server_that_cannot_start(bed: &Bed) {
    let room = Room::new(bed);
    room.container("c1");
    room.root("printf '#!/bin/sh\\necho it is broken >&2; exit 1\\n' >/tmp/server; chmod +x /tmp/server");
    let out = room.netavark(&["-a", "/tmp/server", "setup", "/run/netns/c1"], &named("1", 2)).output();
    room.root("rm /tmp/server");
    assert_eq!(error_of(&out), "error while applying dns entries: aardvark-dns failed to start: it is broken");
    assert_eq!(room.root(&format!("ls {DIRECTORY}/aardvark-dns")), "", "its names are not left");
    // Something that is no program is no reason to take another one.
    let out = room.netavark(&["-a", "/tmp", "setup", "/run/netns/c1"], &named("1", 2)).output();
    let told = error_of(&out);
    assert!(told.starts_with("error while applying dns entries: aardvark-dns failed to start: "), "{told}");
    room.assert_clean();
}

fn forwarding_to_itself(bed: &Bed) {
    let room = Room::new(bed);
    room.container("c1");
    let mut input = named("1", 2);
    input["dns_servers"] = json!(["10.90.0.1"]);
    let out = room.netavark(&["-a", AARDVARK, "setup", "/run/netns/c1"], &input).output();
    let told = error_of(&out);
    assert!(told.contains("DNS server 10.90.0.1 is the gateway of network \"net0\""), "{told}");
    assert_eq!(room.root(&format!("ls {DIRECTORY}/aardvark-dns")), "", "the directory is there, and empty");
    room.assert_clean();
}
