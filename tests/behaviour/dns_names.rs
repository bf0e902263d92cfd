//! Names that rnet knows itself, domains with servers of their own, and what containers are told of names.

use std::time::Duration;

use crate::attach::Container;
use crate::bed::{Bed, CONTAINER4, CONTAINER6, DNS4, DNS6, GATEWAY4, GATEWAY6, Side, WORLD4, WORLD6};

both!(
    the_host_and_the_container_have_names,
    hosts_are_added,
    local_names_are_nobody_elses_business,
    domains_have_servers_of_their_own,
    answers_that_lead_inside_are_held_back,
    the_search_list_and_options_reach_the_container,
    nothing_answers_when_it_is_off,
    other_resolvers_are_asked_directly,
    containers_that_exist_get_names_too,
    wrong_names_are_told_at_once,
);

/// A server that knows every name at this address, for as long as the test runs.
fn everything(bed: &Bed, side: Side, pairs: &[(&str, &str)]) {
    let script: Vec<_> = pairs.iter().map(|(at, is)| format!("serve_one('{at}', '{is}')")).collect();
    bed.names_server(side, &script.join("\n"));
}

fn the_host_and_the_container_have_names(bed: &Bed) {
    let script = format!(
        "own = socket.gethostname()
for server in ('{DNS4}', '{DNS6}'):
    for name, four, six in [(host, '{GATEWAY4}', '{GATEWAY6}') for host in ('host.rnet.internal', 'host.containers.internal', 'HOST.docker.Internal')] + [(own, '{CONTAINER4}', '{CONTAINER6}')]:
        equal(ask(server, name).addresses, [four]); equal(ask(server, name, AAAA).addresses, [six])
        for kind in (TXT, 65, 65280): got = ask(server, name, kind); equal((got.rcode, got.addresses, len(got.ttls)), (NOERROR, [], 1), 'nothing of that type')
        equal(Got(send_tcp(server, query(name))).addresses, [four])
    for reverse in ('2.2.0.10.in-addr.arpa', '100.2.0.10.in-addr.arpa'): equal(ask(server, reverse, PTR).rcode, NOERROR)
equal(socket.gethostbyaddr('{GATEWAY4}')[0], 'host.rnet.internal')
equal(socket.gethostbyname('host.containers.internal'), '{GATEWAY4}')"
    );
    bed.run_names("", &script).ok();
    bed.http(Side::Host, 8000, "127.0.0.1");
    let out = bed.run("--host-loopback", "curl -sS --max-time 5 http://host.docker.internal:8000/").ok();
    assert!(out.starts_with("hello"), "{out}");
    let script = format!(
        "equal(ask('{DNS4}', 'host.rnet.internal').addresses, ['{GATEWAY4}']); got = ask('{DNS4}', 'host.rnet.internal', AAAA); equal((got.rcode, got.addresses), (NOERROR, []))"
    );
    bed.run_names("-4", &script).ok();
}

fn hosts_are_added(bed: &Bed) {
    let script = format!(
        "equal(ask('{DNS4}', 'db').addresses, ['192.0.2.7', '192.0.2.8']); equal(ask('{DNS4}', 'DB', AAAA).addresses, ['fd00::7'])
equal(ask('{DNS4}', 'only4.example').addresses, ['192.0.2.9']); got = ask('{DNS4}', 'only4.example', AAAA); equal((got.rcode, got.addresses), (NOERROR, []))
equal(ask('{DNS4}', 'me.example').addresses, ['{GATEWAY4}']); equal(ask('{DNS4}', 'me.example', AAAA).addresses, ['{GATEWAY6}'])
equal(ask('{DNS4}', 'host.docker.internal').addresses, ['192.0.2.66'], 'what the user says comes first')
equal(socket.gethostbyaddr('192.0.2.9')[0], 'only4.example'); equal(socket.gethostbyaddr('fd00::7')[0], 'db')
equal(sorted(a[4][0] for a in socket.getaddrinfo('db', 80, type=socket.SOCK_STREAM)), ['192.0.2.7', '192.0.2.8', 'fd00::7'])"
    );
    let options = "--add-host db:192.0.2.7 --add-host db:192.0.2.8 --add-host db:[fd00::7] --add-host only4.example=192.0.2.9 \
                   --add-host me.example:host-gateway --add-host host.docker.internal:192.0.2.66";
    bed.run_names(options, &script).ok();
}

fn local_names_are_nobody_elses_business(bed: &Bed) {
    bed.names_server(
        Side::World,
        &format!(
            "asked = []
def respond(message, via):
    labels = question(message)[1]
    if labels[0] == b'asked': return [answer(message, (TXT, b'\\x01' + str(len(asked)).encode()), ttl=0)]
    asked.append(labels); return [answer(message, address('192.0.2.1'))]
serve('{WORLD4}', respond)"
        ),
    );
    let script = format!(
        "for name in ('host.rnet.internal', 'host.docker.internal', 'host.containers.internal', 'db', socket.gethostname(), '7.2.0.192.in-addr.arpa', '2.2.0.10.in-addr.arpa'):
    for kind in (A, AAAA, TXT, PTR, 255, 65, 65280, 252): ask('{DNS4}', name, kind); send_tcp('{DNS4}', query(name, kind))
    ask('{DNS4}', name, edns=1232, options=struct.pack('!2H', 3, 0))
equal(send('{DNS4}', query('asked.test', TXT))[-1:], b'0')
ask('{DNS4}', 'x.db'); equal(send('{DNS4}', query('asked.test', TXT))[-1:], b'1', 'the name alone is local')"
    );
    bed.run_names("--add-host db:192.0.2.7", &script).ok();
}

fn domains_have_servers_of_their_own(bed: &Bed) {
    everything(bed, Side::World, &[(WORLD4, "192.0.2.1"), ("198.51.100.1", "192.0.2.2")]);
    bed.names_server(Side::Host, "serve_one('127.0.0.1', '10.9.9.9', port=5354)");
    let script = format!(
        "for name, address in (('www.example', '192.0.2.1'), ('corp.example', '192.0.2.2'), ('a.B.CORP.example', '192.0.2.2'), ('xcorp.example', '192.0.2.1'), ('lab.corp.example', '10.9.9.9'), ('x.lab.corp.example', '10.9.9.9'), ('example', '192.0.2.1')):
    equal(ask('{DNS4}', name).addresses, [address], name); equal(Got(send_tcp('{DNS4}', query(name))).addresses, [address], name)"
    );
    let options = "--dns-for corp.example=198.51.100.1 --dns-for lab.corp.example=127.0.0.1#5354";
    bed.run_names(options, &script).ok();
    let out = bed.run("--dns-for .=198.51.100.1", &format!("dig +short @{DNS4} any.name")).ok();
    assert_eq!(out, "192.0.2.2");
}

fn answers_that_lead_inside_are_held_back(bed: &Bed) {
    everything(bed, Side::World, &[(WORLD4, "192.168.7.7"), ("198.51.100.1", "10.1.1.1")]);
    let script = format!(
        "got = ask('{DNS4}', 'evil.test', edns=1232); equal((got.rcode, got.addresses, got.ede), (REFUSED, [], 15))
equal(ask('{DNS4}', 'www.corp.test').addresses, ['10.1.1.1']); equal(ask('{DNS4}', 'host.rnet.internal').addresses, ['{GATEWAY4}'])
for turn in range(2): equal(ask('{DNS4}', 'again.test').rcode, REFUSED)"
    );
    bed.run_names("--dns-rebind-protection --dns-for corp.test=198.51.100.1", &script).ok();
    let script = format!("equal(ask('{DNS4}', 'good.test').addresses, ['192.168.7.7'])");
    bed.run_names("", &script).ok();
}

fn the_search_list_and_options_reach_the_container(bed: &Bed) {
    bed.resolv_conf(&format!("search a.example b.example\noptions ndots:3 edns0\nnameserver {WORLD4}\n"));
    let lines = |options: &str| bed.run(options, "cat /etc/resolv.conf").ok();
    let own = format!("nameserver {DNS4}\nnameserver {DNS6}");
    assert_eq!(lines(""), format!("# Made by rnet\nsearch a.example b.example\noptions ndots:3 edns0\n{own}"));
    let seen = lines("--dns-search corp.example --dns-search lab.example --dns-option ndots:1 --dns-option rotate");
    assert_eq!(seen, format!("# Made by rnet\nsearch corp.example lab.example\noptions edns0 ndots:1 rotate\n{own}"));
    assert_eq!(lines("--dns-search . -4"), format!("# Made by rnet\noptions ndots:3 edns0\nnameserver {DNS4}"));
    // The link hands the same out.
    let script = "ip address flush dev tap0; cd /tmp; mkdir c; trap 'cd /; rm -rf /tmp/c' EXIT
        printf '#!/bin/sh\\nenv >>/tmp/c/lease\\n' >c/script; chmod +x c/script
        timeout 20 udhcpc -f -q -n -t 5 -T 1 -i tap0 -O search -O dns -s /tmp/c/script >&2; cat c/lease";
    let lease = bed.run("--dns-search corp.example --dns-search lab.example", script).ok();
    assert!(lease.contains("search=corp.example lab.example") && lease.contains(&format!("dns={DNS4}")), "{lease}");
    everything(bed, Side::World, &[(WORLD4, "192.0.2.1")]);
    let out =
        bed.run("--dns-search corp.example", "getent ahostsv4 www | head -n 1; dig +search +noall +question www").ok();
    assert!(out.contains("192.0.2.1") && out.contains("www.corp.example."), "{out}");
}

fn nothing_answers_when_it_is_off(bed: &Bed) {
    everything(bed, Side::World, &[(WORLD4, "192.0.2.1"), (WORLD6, "192.0.2.1")]);
    let script = format!(
        "for server in ('{DNS4}', '{DNS6}'):
    try: check(False, send(server, query('web.test'), timeout=1))
    except TimeoutError: pass
    equal(attempt(server, 53, timeout=1.5)[0], 'timeout', 'as slirp4netns has it')
    check(attempt(server, 80, timeout=3)[0] != 'connected')
equal(ask('{WORLD4}', 'web.test').addresses, ['192.0.2.1']); equal(socket.gethostbyname('web.test'), '192.0.2.1', 'the resolv.conf is the host\\'s')
equal(open('/etc/resolv.conf').read(), 'nameserver {WORLD4}\\n')"
    );
    bed.run_names("--dns off", &script).ok();
}

fn other_resolvers_are_asked_directly(bed: &Bed) {
    everything(bed, Side::World, &[("198.51.100.1", "192.0.2.2"), ("2001:db8:beef::1", "192.0.2.3")]);
    let script = "for server, address in (('198.51.100.1', '192.0.2.2'), ('2001:db8:beef::1', '192.0.2.3')):
    equal(ask(server, 'host.rnet.internal').addresses, [address]); equal(Got(send_tcp(server, query('web.test'))).addresses, [address])";
    bed.run_names("", script).ok();
    bed.run_names("--dns off", script).ok();
}

fn wrong_names_are_told_at_once(bed: &Bed) {
    let options = "--dns 1.2.3 --dns http://x --dns-for corp --dns-for a..b=1.2.3.4 --dns-search a..b --dns-option =x --add-host db --add-host a..b:1.2.3.4 \
                   --add-host db:1.2.3 --dns-cache x --dns-stale x --max-dns-queries 0";
    let out = bed.run(options, "echo ran").output();
    out.assert_code(2);
    out.assert_stderr(&[
        "12 faults",
        "--dns 1.2.3",
        "--dns http://x",
        "--dns-for corp",
        "--dns-for a..b=1.2.3.4",
        "--dns-search a..b",
        "--dns-option =x",
        "--add-host db:",
        "--add-host a..b:1.2.3.4",
        "--add-host db:1.2.3",
        "--dns-cache x",
        "--dns-stale x",
        "--max-dns-queries 0",
    ]);
    assert!(!out.stdout.contains("ran") && out.elapsed < Duration::from_secs(2), "{out}");
    let out = bed.run("--dns off --dns 1.2.3.4 --add-host db:1.2.3.4", "true").output();
    out.assert_code(2).assert_stderr(&["--dns off", "excludes", "--add-host"]);
}

fn containers_that_exist_get_names_too(bed: &Bed) {
    everything(bed, Side::World, &[(WORLD4, "192.0.2.1"), ("198.51.100.1", "192.0.2.2")]);
    let container = Container::new(bed);
    bed.rnet(&["attach", "--pid", &container.pid.to_string(), "--add-host", "db:192.0.2.7"]).ok();
    let ask = |name: &str| {
        container.sh(&format!("dig +short +tries=1 @{DNS4} {name}; dig +short +tcp +tries=1 @{DNS6} {name}"))
    };
    assert_eq!(ask("web.test"), "192.0.2.1\n192.0.2.1");
    assert_eq!(ask("db"), "192.0.2.7\n192.0.2.7");
    bed.resolv_conf("nameserver 198.51.100.1\n");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(ask("web.test"), "192.0.2.2\n192.0.2.2");
    container.end();
}
