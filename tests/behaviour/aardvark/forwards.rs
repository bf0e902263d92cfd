//! Names that are no container's.

use super::room::Room;
use crate::bed::Side;

rnets!(
    an_internal_network,
    silence_for_a_containers_own_servers,
    a_containers_second_server,
    failures_are_told,
    failures_are_logged_seldom,
    what_servers_say_is_passed_on,
    resolv_conf_is_followed,
    no_resolv_conf,
    a_link_local_server,
    never_itself,
    no_proxy,
    cut_answers_and_the_cache,
);

const NET: &str = "10.0.0.1\naa 10.0.0.2  one\n";

fn an_internal_network(room: &Room) {
    room.bed.names_server(Side::Host, "serve_one('127.0.1.1', '192.0.2.1')");
    room.bed.resolv_conf("nameserver 127.0.1.1\n");
    room.write("internal%int", "10.0.2.1 127.0.1.1\nca 10.0.2.2  five 127.0.1.1\ncb 10.0.2.3  both\n");
    room.write("open", "10.0.0.1\naa 10.0.0.2  one\ncb 10.0.0.3  both\n");
    room.start();
    for from in ["10.0.2.2", "10.0.2.7", "10.0.0.2"] {
        assert_eq!(room.status(from, "@10.0.2.1 www.example"), "NXDOMAIN 0", "{from}");
    }
    assert_eq!(room.short("10.0.2.2", "@10.0.2.1 both"), "10.0.2.3");
    assert_eq!(room.short("10.0.2.3", "@10.0.2.1 www.example"), "192.0.2.1", "it is on an open network too");
}

/// Callers of aardvark-dns count on it.
fn silence_for_a_containers_own_servers(room: &Room) {
    room.write("net", "10.0.0.1\naa 10.0.0.2  one 127.0.0.255\n");
    room.start();
    assert_eq!(room.short("10.0.0.2", "@10.0.0.1 one"), "10.0.0.2");
    room.dig("10.0.0.2", "@10.0.0.1 www.example").assert_code(9);
    room.dig("10.0.0.2", "+tcp @10.0.0.1 www.example").assert_code(9);
    assert_eq!(room.short("10.0.0.2", "@10.0.0.1 one"), "10.0.0.2");
}

/// The first has half of five seconds, each time anew.
fn a_containers_second_server(room: &Room) {
    room.bed.names_server(Side::Host, "serve('127.0.1.1', lambda *_: [])\nserve_one('127.0.1.2', '192.0.2.1')");
    room.write("net", "10.0.0.1\naa 10.0.0.2  one 127.0.1.1,127.0.1.2\n");
    room.start();
    for (how, name) in [("+time=5", "a"), ("+time=5 +tcp", "b"), ("+time=5", "c")] {
        let out = room.dig("10.0.0.2", &format!("{how} @10.0.0.1 {name}.example"));
        let took = out.elapsed.as_millis();
        assert!(out.stdout.contains("192.0.2.1") && (2400..3500).contains(&took), "{how}: {out}");
    }
}

fn failures_are_told(room: &Room) {
    room.bed.resolv_conf("nameserver 127.0.1.9\n");
    room.write("net", NET);
    room.write("own", "10.0.1.1 127.0.1.8\nba 10.0.1.2  two\n");
    room.start();
    for (from, gateway) in [("10.0.0.2", "10.0.0.1"), ("10.0.1.2", "10.0.1.1")] {
        let out = room.dig(from, &format!("@{gateway} www.example")).stdout;
        assert!(out.contains("SERVFAIL") && out.contains("EDE: 23"), "{out}");
    }
}

/// To syslog, which the test is.
fn failures_are_logged_seldom(room: &Room) {
    room.bed.resolv_conf("nameserver 127.0.1.9\n");
    room.write("net", NET);
    let lines = room.python(
        "import subprocess\n\
         os.makedirs('/tmp/dev'); subprocess.check_call(['cp', '-a', '/dev/null', '/tmp/dev/'])\n\
         log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); log.bind('/tmp/dev/log'); log.settimeout(1)\n\
         start = 'mount --bind /tmp/dev /dev; exec rnet aardvark-dns --config /tmp/names -p 53 run'\n\
         subprocess.check_call(['unshare', '--mount', 'sh', '-ec', start])\n\
         sock = client('10.0.0.2')\n\
         for n in range(200): equal(asked(sock, query(f'x{n}.example')).rcode, SERVFAIL)\n\
         try:\n    \
             while True: print(log.recv(2000).decode())\n\
         except TimeoutError: pass\n",
    );
    room.bed.note_processes();
    let failures: Vec<&str> = lines.lines().filter(|line| line.contains("queries get no answer")).collect();
    assert_eq!(failures.len(), 1, "{lines}");
    assert!(failures[0].starts_with(&format!("<14>aardvark-dns[{}]: ", room.pid())), "{lines}");
    assert!(lines.lines().count() < 5, "{lines}");
}

fn what_servers_say_is_passed_on(room: &Room) {
    room.bed.names_server(
        Side::Host,
        "serve('127.0.1.1', lambda message, via: [answer(message, rcode=REFUSED if b'short' in message else NXDOMAIN, authority=[soa()])])",
    );
    room.bed.resolv_conf("nameserver 127.0.1.1\n");
    room.write("net", NET);
    room.start();
    assert_eq!(room.status("10.0.0.2", "@10.0.0.1 someshortname"), "REFUSED 0", "also of names with one label");
    assert_eq!(room.status("10.0.0.2", "@10.0.0.1 nothing"), "NXDOMAIN 0");
    assert_eq!(room.status("10.0.0.2", "@10.0.0.1 -x 192.0.2.1"), "NXDOMAIN 0");
}

fn resolv_conf_is_followed(room: &Room) {
    room.bed.names_server(
        Side::Host,
        "[serve_one(where, where) for where in ('127.0.1.1', '127.0.1.2', '127.0.1.3', '127.0.1.4')]",
    );
    room.bed.resolv_conf("nameserver 127.0.1.1\n");
    room.write("net", NET);
    room.start();
    let who = || room.short("10.0.0.2", "@10.0.0.1 www.example");
    assert_eq!(who(), "127.0.1.1");
    room.bed.resolv_conf("nameserver 127.0.1.2\n");
    room.eventually(who, "127.0.1.2");
    // By rename, as NetworkManager and systemd-resolved do, and again. The bed's file is mounted, so a link leads to another one.
    room.root("mkdir /tmp/etc; cp -a /etc/. /tmp/etc/; umount /etc/resolv.conf 2>/dev/null || true");
    room.root("rm -f /tmp/etc/resolv.conf; echo nameserver 127.0.1.3 >/tmp/etc/resolv.conf");
    let pid = room.pid();
    let inside = |script: &str| room.root(&format!("nsenter --target {pid} --mount sh -ec \"{script}\""));
    inside("mount --bind /tmp/etc /etc");
    room.eventually(who, "127.0.1.3");
    for last in ["4", "1", "4"] {
        inside(&format!("echo nameserver 127.0.1.{last} >/etc/new; mv /etc/new /etc/resolv.conf"));
        room.eventually(who, &format!("127.0.1.{last}"));
    }
    // A file that is not there for a while has changed nothing.
    inside("rm /etc/resolv.conf");
    assert_eq!(who(), "127.0.1.4");
    inside("umount /etc");
}

fn no_resolv_conf(room: &Room) {
    room.write("net", NET);
    room.root("unshare --mount sh -ec 'mkdir /tmp/etc; mount --bind /tmp/etc /etc; exec rnet aardvark-dns --config /tmp/names -p 53 run'");
    room.bed.note_processes();
    assert_eq!(room.short("10.0.0.2", "@10.0.0.1 one"), "10.0.0.2");
    let out = room.dig("10.0.0.2", "@10.0.0.1 www.example").stdout;
    assert!(out.contains("SERVFAIL") && out.contains("no name server is known"), "{out}");
}

fn a_link_local_server(room: &Room) {
    room.root("ip addr add fe80::77/64 dev names0 nodad");
    room.bed.names_server(
        Side::Host,
        "sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\n\
         sock.bind(('fe80::77', 53, 0, socket.if_nametoindex('names0')))\n\
         def loop():\n    \
             while True:\n        \
                 message, peer = sock.recvfrom(999)\n        \
                 sock.sendto(answer(message, address('192.0.2.7')), peer)\n\
         threading.Thread(target=loop, daemon=True).start()",
    );
    room.bed.resolv_conf("nameserver fe80::77%names0\n");
    room.write("net", NET);
    room.start();
    assert_eq!(room.short("10.0.0.2", "@10.0.0.1 www.example"), "192.0.2.7");
}

fn never_itself(room: &Room) {
    room.bed.resolv_conf("nameserver 10.0.0.1\n");
    room.write("net", NET);
    room.start();
    let out = room.dig("10.0.0.2", "@10.0.0.1 www.example");
    assert!(out.stdout.contains("no name server is known") && out.elapsed.as_millis() < 1000, "{out}");
}

fn no_proxy(room: &Room) {
    room.bed.names_server(Side::Host, "serve_one('127.0.1.1', '192.0.2.1')");
    room.bed.resolv_conf("nameserver 127.0.1.1\n");
    room.write("net", NET);
    room.command().env("AARDVARK_NO_PROXY", "").ok();
    room.bed.note_processes();
    assert_eq!(room.status("10.0.0.2", "@10.0.0.1 www.example"), "NXDOMAIN 0");
    assert_eq!(room.short("10.0.0.2", "@10.0.0.1 one"), "10.0.0.2");
}

/// A long answer comes by TCP where datagrams do not do, and is asked for once. Other networks have a cache of their own.
fn cut_answers_and_the_cache(room: &Room) {
    room.bed.names_server(
        Side::Host,
        "def respond(message, via):\n    \
             full = answer(message, *[address(f'192.0.2.{n}') for n in range(100)])\n    \
             if via == 'udp': return [answer(message, flags=0x8780)]\n    \
             count.append(1)\n    \
             return [full[:-4] + bytes([192, 0, 2, len(count)])]\n\
         count = []\n\
         serve('127.0.1.1', respond)",
    );
    room.bed.resolv_conf("nameserver 127.0.1.1\n");
    room.write("net", NET);
    room.write("own", "10.0.1.1 127.0.1.1\nba 10.0.1.2  two\n");
    room.start();
    for (from, gateway, number) in
        [("10.0.0.2", "10.0.0.1", 1), ("10.0.0.3", "10.0.0.1", 1), ("10.0.1.2", "10.0.1.1", 2)]
    {
        let told = room.short(from, &format!("@{gateway} www.example"));
        assert_eq!(told.split(' ').count(), 100, "{told}");
        assert!(told.ends_with(&format!("192.0.2.{number}")), "{from}: {told}");
    }
}
