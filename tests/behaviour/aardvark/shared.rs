//! What both servers do.

use super::room::Room;

each_server!(names_and_aliases, several_networks, reverse, reloading, whom_they_ask, the_end);

const ONE: &str = "10.0.0.1,fd00:0::1\n\
    aa 10.0.0.2 fd00:0::2 one,alias,0123456789ab\n\
    ab 10.0.0.3  two,shared\n\
    ac 10.0.0.4 fd00:0::4 three,shared\n";

fn names_and_aliases(room: &Room) {
    room.write("net", ONE);
    room.start();
    for (query, answer) in [
        ("one", "10.0.0.2"),
        ("ONE", "10.0.0.2"),
        ("alias", "10.0.0.2"),
        ("0123456789ab", "10.0.0.2"),
        ("one.dns.podman", "10.0.0.2"),
        ("AAAA three", "fd00::4"),
        ("shared", "10.0.0.3 10.0.0.4"),
        ("AAAA two", ""),
    ] {
        assert_eq!(room.short("10.0.0.3", &format!("@10.0.0.1 {query}")), answer, "{query}");
    }
    assert_eq!(room.short("fd00::2", "@fd00::1 two"), "10.0.0.3", "over IPv6");
    assert_eq!(room.status("10.0.0.2", "@10.0.0.1 AAAA two"), "NOERROR 0");
    assert_eq!(room.status("10.0.0.2", "@10.0.0.1 nobody.dns.podman"), "NXDOMAIN 0");
    let told = room.dig("10.0.0.2", "@10.0.0.1 two").stdout;
    assert!(!told.contains("recursion requested but not available"), "{told}");
}

fn several_networks(room: &Room) {
    room.write("a", "10.0.0.1\naa 10.0.0.2  one\nab 10.0.0.3  both\n");
    room.write("b", "10.0.1.1\nba 10.0.1.2  two\nab 10.0.1.3  both,other\n");
    room.start();
    // Each knows its own network, and who is on both knows both, whichever gateway it asks.
    assert_eq!(room.short("10.0.0.2", "@10.0.0.1 both"), "10.0.0.3");
    assert_eq!(room.short("10.0.1.2", "@10.0.1.1 both"), "10.0.1.3");
    assert_eq!(room.short("10.0.0.2", "@10.0.0.1 two"), "");
    assert_eq!(room.short("10.0.0.3", "@10.0.0.1 one"), "10.0.0.2");
    assert_eq!(room.short("10.0.1.3", "@10.0.1.1 two"), "10.0.1.2");
}

fn reverse(room: &Room) {
    room.write("net", ONE);
    room.start();
    let names = |arguments: &str| {
        let told = room.short("10.0.0.3", &format!("@10.0.0.1 {arguments}"));
        let mut names: Vec<_> = told.split(' ').map(str::to_owned).collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(names("-x 10.0.0.2"), "0123456789ab. alias. one.");
    assert_eq!(names("-x fd00::4"), "shared. three.");
}

fn reloading(room: &Room) {
    room.write("net", "10.0.0.1\naa 10.0.0.2  one\n");
    room.start();
    let pid = room.pid();
    room.write("net", "10.0.0.1\naa 10.0.0.2  one\nab 10.0.0.3  two\n");
    room.write("more", "10.0.1.1\nba 10.0.1.2  three\n");
    room.reload();
    room.eventually(|| room.short("10.0.0.2", "@10.0.0.1 two"), "10.0.0.3");
    room.eventually(|| room.short("10.0.1.2", "@10.0.1.1 three"), "10.0.1.2");
    room.write("net", "10.0.0.1\nab 10.0.0.3  two\n");
    room.remove("more");
    room.reload();
    room.eventually(|| room.short("10.0.0.3", "@10.0.0.1 one.dns.podman"), "");
    assert_eq!(room.short("10.0.0.3", "@10.0.0.1 two"), "10.0.0.3");
    assert_eq!(room.pid(), pid);
}

fn whom_they_ask(room: &Room) {
    // Three servers, each of which says who it is.
    room.bed.names_server(
        crate::bed::Side::Host,
        "[serve_one(where, where) for where in ('127.0.1.1', '127.0.1.2', '127.0.1.3')]",
    );
    room.bed.resolv_conf("nameserver 127.0.1.1\n");
    room.write("host", "10.0.0.1\naa 10.0.0.2  one\nab 10.0.0.3  two 127.0.1.3\n");
    room.write("own", "10.0.1.1 127.0.1.2\nba 10.0.1.2  three\nbb 10.0.1.3  four 127.0.1.3\n");
    room.start();
    for (from, gateway, who) in [
        ("10.0.0.2", "10.0.0.1", "127.0.1.1"),
        ("10.0.0.3", "10.0.0.1", "127.0.1.3"),
        ("10.0.1.2", "10.0.1.1", "127.0.1.2"),
        ("10.0.1.3", "10.0.1.1", "127.0.1.3"),
    ] {
        assert_eq!(room.short(from, &format!("@{gateway} www.example")), who, "{from}");
    }
}

fn the_end(room: &Room) {
    room.write("net", ONE);
    room.start();
    let pid = room.pid();
    let arguments = room.root(&format!("tr '\\0' ' ' </proc/{pid}/cmdline"));
    assert!(arguments.ends_with("aardvark-dns --config /tmp/names -p 53 run "), "{arguments}");
    room.remove("net");
    room.reload();
    let gone = || room.root(&format!("ls {}; cat /proc/{pid}/cmdline 2>/dev/null || true", super::room::DIRECTORY));
    room.eventually(gone, "");
}
