//! Names: rnet's DNS address relays to the host's first name server.

use std::time::Duration;

use crate::bed::{Bed, DNS4, DNS6, GATEWAY4, Side, WORLD4, WORLD6};

both!(
    relays_over_udp_and_tcp,
    relays_long_answers,
    a_name_server_on_the_hosts_loopback_is_used,
    a_name_server_over_ipv6_is_used,
    the_systems_resolver_works,
    many_queries_at_once,
    a_dead_name_server_is_no_hang_for_others,
    only_the_name_servers_port_is_served,
);

fn relays_over_udp_and_tcp(bed: &Bed) {
    bed.name_server(Side::World, WORLD4);
    for server in [DNS4, DNS6] {
        for transport in ["+notcp", "+tcp"] {
            let script = format!("dig +short +time=3 +tries=1 {transport} @{server} web.example A web.example AAAA");
            assert_eq!(bed.run("", &script).ok(), format!("{WORLD4}\n{WORLD6}"), "{server} {transport}");
        }
    }
    let out = bed.run("", &format!("dig +time=3 +tries=1 @{DNS4} no-such-name.example")).ok();
    assert!(out.contains("NXDOMAIN"), "{out}");
}

fn relays_long_answers(bed: &Bed) {
    bed.name_server(Side::World, WORLD4);
    // 4 KB of records: truncated over UDP, after which dig asks again over TCP, as every resolver does.
    for server in [DNS4, DNS6] {
        let out = bed.run("", &format!("dig +short +time=3 +tries=1 @{server} long.example TXT")).ok();
        assert_eq!(out.lines().filter(|line| line.contains("xxx")).count(), 60, "{out}");
    }
    let out = bed.run("", &format!("dig +ignore +notcp +bufsize=512 +time=3 +tries=1 @{DNS4} long.example TXT")).ok();
    assert!(out.contains("flags: qr aa tc") || out.contains(" tc "), "{out}");
}

fn a_name_server_on_the_hosts_loopback_is_used(bed: &Bed) {
    // As systemd-resolved has it: reachable through rnet's DNS address, and through nothing else.
    bed.name_server(Side::Host, "127.0.0.53");
    bed.resolv_conf("# a comment\nsearch example\nnameserver 127.0.0.53\nnameserver 192.0.2.1\n");
    for transport in ["+notcp", "+tcp"] {
        let out = bed.run("", &format!("dig +short +time=3 +tries=1 {transport} @{DNS4} web.example A")).ok();
        assert_eq!(out, WORLD4, "{transport}");
    }
    let out = bed.run("", &format!("dig +short +time=1 +tries=1 @{GATEWAY4} web.example A")).output();
    assert!(out.code() != 0, "the gateway is no way to the host's loopback\n{out}");
}

fn a_name_server_over_ipv6_is_used(bed: &Bed) {
    bed.name_server(Side::World, WORLD6);
    bed.resolv_conf(&format!("nameserver {WORLD6}\n"));
    assert_eq!(bed.run("", &format!("dig +short +time=3 +tries=1 @{DNS4} web.example A")).ok(), WORLD4);
}

fn the_systems_resolver_works(bed: &Bed) {
    bed.name_server(Side::World, WORLD4);
    bed.http(Side::World, 80, "::");
    assert!(bed.run("", "curl -sS --max-time 10 http://web.example/").ok().starts_with("hello from the world"));
    assert_eq!(bed.run("", "getent ahostsv4 web.example | head -n 1 | cut -d ' ' -f 1").ok(), WORLD4);
}

fn many_queries_at_once(bed: &Bed) {
    bed.name_server(Side::World, WORLD4);
    let script = format!(
        "query = b'\\x01\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x03web\\x07example\\x00\\x00\\x01\\x00\\x01'
socks = [udp('{DNS4}') for _ in range(100)]
for n, s in enumerate(socks): s.sendto(struct.pack('!H', n) + query, ('{DNS4}', 53))
for n, s in enumerate(socks):
    data, peer = s.recvfrom(512); equal((struct.unpack('!H', data[:2])[0], peer), (n, ('{DNS4}', 53))); check(data.endswith(socket.inet_aton('{WORLD4}')), n)
# One socket with many queries under way, as a stub resolver has.
s = socks[0]
for n in range(50): s.sendto(struct.pack('!H', n) + query, ('{DNS4}', 53))
equal(sorted(struct.unpack('!H', s.recv(512)[:2])[0] for _ in range(50)), list(range(50)))"
    );
    bed.run_python("", &script).ok();
}

fn a_dead_name_server_is_no_hang_for_others(bed: &Bed) {
    let _peer = bed.peer();
    bed.resolv_conf("nameserver 198.51.100.99\n");
    let script = format!(
        "s = udp('{DNS4}', timeout=1)
for n in range(50): s.sendto(b'query', ('{DNS4}', 53))
start = time.monotonic(); e = connect('{WORLD4}', ECHO); e.sendall(b'x'); equal(e.recv(1), b'x'); check(time.monotonic() - start < 1, 'late')
try: check(False, s.recv(100))
except TimeoutError: pass"
    );
    let out = bed.run_python("", &script).output();
    out.assert_code(0);
    assert!(out.elapsed < Duration::from_secs(10), "{out}");
}

fn only_the_name_servers_port_is_served(bed: &Bed) {
    // The DNS address is no second door to the host.
    bed.http(Side::Host, 8000, "::");
    for host in [DNS4, DNS6] {
        let script = format!(
            "outcome, took = attempt('{host}', 8000, timeout=4); check(outcome in ('ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EACCES') and took < 2, outcome, took)"
        );
        bed.run_python("", &script).ok();
    }
}
