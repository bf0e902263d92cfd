//! Answers with containers' names, where aardvark-dns does less.

use super::room::Room;

rnets!(
    times_to_live,
    whoever_is_on_several_networks,
    tcp,
    types_that_a_name_does_not_have,
    many_addresses,
    odd_queries,
    several_lines_are_one_name,
    a_domain_of_ones_own,
    services,
);

const ONE: &str = "10.0.0.1\naa 10.0.0.2 fd00:0::2 one,a1,1a\nab 10.0.0.3  two\n";

fn times_to_live(room: &Room) {
    room.write("net", ONE);
    room.start();
    let answer = |arguments: &str| {
        let out = room.dig("10.0.0.3", &format!("+noall +answer @10.0.0.1 {arguments}")).stdout;
        out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    assert_eq!(answer("OnE"), ["OnE. 0 IN A 10.0.0.2"], "nobody is to remember, and the name is as it was asked for");
    let names = answer("-x 10.0.0.2");
    assert_eq!(names, ["one.", "a1.", "1a."].map(|name| format!("2.0.0.10.in-addr.arpa. 0 IN PTR {name}")));
}

fn whoever_is_on_several_networks(room: &Room) {
    room.write("a", "10.0.0.1\naa 10.0.0.2  one\nab 10.0.0.3  both\n");
    room.write("b", "10.0.1.1\nba 10.0.1.2  two\nab 10.0.1.3  both,other\n");
    room.start();
    for gateway in ["@10.0.0.1", "@10.0.1.1"] {
        for from in ["10.0.0.3", "10.0.1.3"] {
            assert_eq!(room.short(from, &format!("{gateway} one")), "10.0.0.2", "{from} {gateway}");
            assert_eq!(room.short(from, &format!("{gateway} two.dns.podman")), "10.0.1.2", "{from} {gateway}");
            assert_eq!(room.short(from, &format!("{gateway} other")), "10.0.1.3", "{from} {gateway}");
            let both = room.short(from, &format!("{gateway} both"));
            let mut both: Vec<_> = both.split(' ').collect();
            both.sort_unstable();
            assert_eq!(both, ["10.0.0.3", "10.0.1.3"]);
        }
    }
}

fn tcp(room: &Room) {
    room.write("net", ONE);
    room.start();
    // dig does not bind its sockets anew for the second query of a connection, so this is the host asking.
    let told = room.root("dig +tcp +keepopen +short +time=2 +tries=1 @10.0.0.1 one a1 1a");
    assert_eq!(told, "10.0.0.2\n10.0.0.2\n10.0.0.2");
    assert_eq!(room.short("10.0.0.3", "+tcp @10.0.0.1 one"), "10.0.0.2");
}

fn types_that_a_name_does_not_have(room: &Room) {
    // Whoever is asked outside would tell of it.
    room.bed.names_server(crate::bed::Side::Host, "serve_one('127.0.1.1', '192.0.2.1')");
    room.bed.resolv_conf("nameserver 127.0.1.1\n");
    room.write("net", ONE);
    room.start();
    for kind in ["MX", "TXT", "SRV", "HTTPS", "SOA", "NS", "CNAME"] {
        let out = room.dig("10.0.0.3", &format!("@10.0.0.1 {kind} one")).stdout;
        let is_nothing = out.contains("status: NOERROR") && out.contains("ANSWER: 0") && out.contains("SOA\tone. one.");
        assert!(is_nothing && out.contains(" aa "), "{kind}: {out}");
    }
    let both = room.short("10.0.0.3", "+tcp @10.0.0.1 ANY one");
    assert_eq!(both, "10.0.0.2 fd00::2");
    assert_eq!(room.status("10.0.0.3", "@10.0.0.1 HTTPS nobody.dns.podman"), "NXDOMAIN 0");
    assert_eq!(room.short("10.0.0.3", "@10.0.0.1 other.example"), "192.0.2.1", "the rest is forwarded");
}

fn many_addresses(room: &Room) {
    let lines: String = (0..120).map(|n| format!("{n:x} 10.1.0.{n}  many\n")).collect();
    room.write("net", &format!("10.0.0.1\nx 10.0.0.2  me\n{lines}"));
    room.start();
    room.python(
        "sock = client('10.0.0.2')\n\
         for size in (None, 512, 1232, 65535):\n    \
             got = asked(sock, query('many', edns=size))\n    \
             check(len(got.message) <= max(size or 512, 512), len(got.message))\n    \
             equal((got.truncated, len(got.addresses)), (False, 120) if size == 65535 else (True, 0))\n",
    );
    assert_eq!(room.short("10.0.0.2", "@10.0.0.1 many").split(' ').count(), 120, "dig comes again by TCP");
}

fn odd_queries(room: &Room) {
    room.write("net", ONE);
    room.start();
    room.python(
        "sock = client('10.0.0.3')\n\
         equal(asked(sock, query('one', flags=0x2900)).rcode, NOTIMP)\n\
         equal(asked(sock, query('one', klass=3)).rcode, REFUSED)\n\
         equal(asked(sock, query('one')[:-1]).rcode, FORMERR)\n\
         two = bytearray(query('one')); two[5] = 2\n\
         equal(asked(sock, bytes(two)).rcode, FORMERR)\n\
         later = query('one', edns=1232); at = later.rindex(b'\\0\\0\\x29') + 6\n\
         got = asked(sock, later[:at] + b'\\1' + later[at + 1:])\n\
         equal(got.message[-6], 1)\n\
         sock.settimeout(0.3)\n\
         for silent in (query('one', flags=0x8180), b'', b'x' * 11):\n    \
             sock.send(silent)\n    \
             try: raise SystemExit(f'{silent} is answered with {sock.recv(999)}')\n    \
             except TimeoutError: pass\n\
         equal(asked(sock, query('one')).addresses, ['10.0.0.2'])\n",
    );
}

fn several_lines_are_one_name(room: &Room) {
    room.write("net", "10.0.0.1\naa 10.0.0.2,10.0.0.2  one,one\naa 10.0.0.2  one\nab 10.0.0.3  one\n\n\n");
    room.write("bad", "10.0.1.1\naa 10.0.1\n");
    room.start();
    assert_eq!(room.short("10.0.0.3", "@10.0.0.1 one"), "10.0.0.2 10.0.0.3", "nothing twice");
    assert_eq!(room.short("10.0.0.3", "@10.0.0.1 -x 10.0.0.2"), "one.");
}

fn a_domain_of_ones_own(room: &Room) {
    room.write("net", ONE);
    room.root("rnet aardvark-dns -c /tmp/names -p 53 -f .Test.example run");
    room.bed.note_processes();
    assert_eq!(room.short("10.0.0.3", "@10.0.0.1 one.test.example"), "10.0.0.2");
    assert_eq!(room.status("10.0.0.3", "@10.0.0.1 x.test.example"), "NXDOMAIN 0");
    assert_eq!(room.status("10.0.0.3", "@10.0.0.1 one.dns.podman"), "SERVFAIL 0", "nobody is known to be asked");
}

fn services(room: &Room) {
    room.write("net", ONE);
    room.root(
        "mkdir -p /tmp/firewall/ports; echo '{\"container_id\":\"aa\",\"network_name\":\"net\",\"port_mappings\":[\
         {\"container_port\":80,\"host_ip\":\"\",\"host_port\":8080,\"protocol\":\"tcp\",\"range\":1},\
         {\"container_port\":5000,\"host_ip\":\"\",\"host_port\":5000,\"protocol\":\"udp\",\"range\":2}]}' >/tmp/firewall/ports/n_aa",
    );
    room.root("RNET_DNS_SERVICES=1 rnet aardvark-dns -c /tmp/names -p 53 run");
    room.bed.note_processes();
    for (name, answer) in [
        ("_http._tcp.one", "0 0 80 one."),
        ("_80._tcp.a1.dns.podman", "0 0 80 a1."),
        ("_5001._udp.one", "0 0 5001 one."),
        ("_443._tcp.one.dns.podman", ""),
    ] {
        assert_eq!(room.short("10.0.0.3", &format!("@10.0.0.1 SRV {name}")), answer, "{name}");
    }
}
