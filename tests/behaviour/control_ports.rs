//! Published ports that change while the container runs: all or nothing, and no connection notices.

use crate::bed::{Bed, CONTAINER4, CONTAINER6, GATEWAY4, HOST4, HOST6, User, WORLD4, WORLD6};
use crate::control::{client, script};
use crate::published::{Server, world};

both!(
    ports_come_and_go,
    datagrams_too,
    batches_are_whole_or_nothing,
    replace_gives_the_former_set,
    a_port_changes_over_to_another_end,
    established_connections_stay_unless_they_are_to_be_dropped,
    heavy_changes_under_load_reset_nobody,
    a_port_that_the_container_uses_itself,
    a_host_port_that_the_container_has_taken,
    answers_find_the_way_when_one_of_two_ports_goes,
    low_ports_are_the_callers_to_have,
    who_waits_in_the_backlog_is_served,
    a_long_range_is_one_rule,
    flows_are_listed_in_pages,
);

const THREADS: [u32; 2] = [1, 2];

fn start(bed: &Bed, options: &str) -> Server {
    Server::start(bed, &format!("--control /tmp/c.sock {options}"))
}

fn ports_come_and_go(bed: &Bed) {
    for threads in THREADS {
        let server = start(bed, &format!("--threads {threads} -p 8001:7001"));
        let reach = "
def reach(port, wanted='connected', addresses=ADDRESSES):
    for address in addresses: equal(attempt(address, port)[0], wanted, (address, port))
    if wanted == 'connected':
        for address in addresses:
            for _ in range(8): s = connect(address, port, timeout=5); s.sendall(b'x'); equal(s.recv(1), b'x'); s.close()
"
        .replace("ADDRESSES", &format!("('{HOST4}', '{HOST6}')"));
        let from_world = |script: &str| world(bed, &format!("{reach}{script}"));
        from_world("reach(8001); reach(8002, 'ECONNREFUSED')");
        client(
            bed,
            &format!(
                "ok(PATH, 'forward.add', forwards=['8002:7001', '{HOST4}:8003:7001', '8010-8019:7001-7010'])
equal(specs(PATH), ['8001:7001', '8002:7001', '{HOST4}:8003:7001', '8010-8019:7001-7010'])"
            ),
        );
        from_world(&format!(
            "reach(8001); reach(8002); reach(8003, addresses=['{HOST4}']); reach(8003, 'ECONNREFUSED', ['{HOST6}']); reach(8010)"
        ));
        // The client's own address, as with ports that were there from the start.
        let me = format!(
            "for address in ('{HOST4}', '{HOST6}'): s = connect(address, 8017); equal(read_line(s), '%s %d' % s.getsockname()[:2])"
        );
        from_world(&me);
        client(bed, "ok(PATH, 'forward.remove', forwards=['8001:7001', '8010-8019:7001-7010'])");
        from_world(&format!(
            "reach(8002); reach(8001, 'ECONNREFUSED'); reach(8010, 'ECONNREFUSED'); reach(8003, addresses=['{HOST4}'])"
        ));
        // A part of a rule is no rule, and what is free is free.
        client(
            bed,
            &format!(
                "ok(PATH, 'forward.add', forwards=['8010-8012:7001-7003'])
fails(PATH, 'not_found', ['8010', '8010-8012:7001-7003', 'as a whole'], 'forward.remove', forwards=['8010:7001'])
ok(PATH, 'forward.remove', forwards=['8002:7001', '{HOST4}:8003:7001', '8010-8012:7001-7003']); equal(specs(PATH), [])
socket.create_server(('', 8002)).close()"
            ),
        );
        server.end(bed);
    }
}

fn datagrams_too(bed: &Bed) {
    for threads in THREADS {
        let server = start(bed, &format!("--threads {threads}"));
        let who = "
def who(port, address, silent=False):
    s = udp(address, timeout=0.5 if silent else 5); s.connect((address, port)); s.send(b'who')
    try: answer = s.recv(99).decode()
    except OSError: answer = None
    equal(answer, None if silent else '%s %d' % s.getsockname()[:2], (address, port)); return s
";
        client(bed, "ok(PATH, 'forward.add', forwards=['9012:9002/udp', '9100-9102:9001-9003/udp'])");
        world(bed, &format!("{who}for address in ('{HOST4}', '{HOST6}') * 3: who(9012, address); who(9101, address)"));
        client(
            bed,
            &format!(
                "s = udp('127.0.0.1'); s.connect(('127.0.0.1', 9012)); s.send(b'who'); equal(s.recv(99).decode(), '{GATEWAY4} %d' % s.getsockname()[1])
ok(PATH, 'forward.remove', forwards=['9012:9002/udp'])
s.send(b'who'); s.settimeout(2)
try: check(False, s.recv(99))
except ConnectionRefusedError: pass"
            ),
        );
        world(
            bed,
            &format!("{who}for address in ('{HOST4}', '{HOST6}'): who(9012, address, silent=True); who(9101, address)"),
        );
        client(bed, "ok(PATH, 'forward.replace', forwards=['9012:9002/udp'])");
        world(
            bed,
            &format!("{who}for address in ('{HOST4}', '{HOST6}'): who(9012, address); who(9101, address, silent=True)"),
        );
        server.end(bed);
    }
}

fn batches_are_whole_or_nothing(bed: &Bed) {
    let server = start(bed, "-p 8001:7001 -p 9012:9002/udp");
    client(
        bed,
        "holder = socket.create_server(('127.0.0.1', 8100)); datagrams = udp('0.0.0.0', bind=('0.0.0.0', 8101))
FORMER = ['8001:7001', '9012:9002/udp']
for method in ('forward.add', 'forward.replace'):
    fails(PATH, 'in_use', ['0.0.0.0:8100/tcp', f'in use by python3 (process {os.getpid()})' if os.getuid() else 'in use by a process of user 0'], method, forwards=['8002:7001', '8100', '8003/udp'])
    fails(PATH, 'in_use', ['0.0.0.0:8101/udp', 'in use'], method, forwards=['8002:7001', '8003/udp', '8090-8110/udp'])
    fails(PATH, 'no_address', ['192.0.2.99', 'ip address'], method, forwards=['8002:7001', '192.0.2.99:8004:1'])
    fails(PATH, 'clash', ['8002'], method, forwards=['8002:7001', '8000-8010:1-11/udp', '8002:7002'])
    equal(specs(PATH), FORMER)
    for port in (8002, 8003): equal(attempt('127.0.0.1', port)[0], 'ECONNREFUSED'); udp('', bind=('', port)).close()
fails(PATH, 'not_found', ['8002'], 'forward.remove', forwards=['8001:7001', '8002']); equal(specs(PATH), FORMER)
s = connect('127.0.0.1', 8001); s.sendall(b'x'); equal(s.recv(1), b'x')
holder.close(); datagrams.close(); ok(PATH, 'forward.add', forwards=['8002:7001', '8100', '8090-8110/udp'])",
    );
    server.end(bed);
}

fn replace_gives_the_former_set(bed: &Bed) {
    let server = start(bed, "-p 8001:7001 -p 8002:7002");
    client(
        bed,
        "first = ok(PATH, 'forward.replace', forwards=['8003:7001', '8002:7002'])['former']; equal(first, ['8001:7001', '8002:7002'])
equal(attempt('127.0.0.1', 8001)[0], 'ECONNREFUSED'); equal(attempt('127.0.0.1', 8003)[0], 'connected')
second = ok(PATH, 'forward.replace', forwards=first)['former']; equal(sorted(second), ['8002:7002', '8003:7001'])
equal(attempt('127.0.0.1', 8003)[0], 'ECONNREFUSED'); equal(attempt('127.0.0.1', 8001)[0], 'connected')
# Rules that stay keep their numbers; none at all is a set too.
numbers = {each['forward']: each['id'] for each in ok(PATH, 'forward.list')['forwards']}
equal(ok(PATH, 'forward.replace', forwards=[])['former'], ['8002:7002', '8001:7001'])
equal(specs(PATH), []); equal(attempt('127.0.0.1', 8001)[0], 'ECONNREFUSED')
many = [f'{port}:7001' for port in range(20000, 21500)]
ok(PATH, 'forward.replace', forwards=many); equal(specs(PATH), many); equal(attempt('127.0.0.1', 21499)[0], 'connected')
equal(ok(PATH, 'forward.replace', forwards=first)['former'], many)",
    );
    server.end(bed);
}

/// The host's port is never closed for a moment, not even when the rule around it is another one.
fn a_port_changes_over_to_another_end(bed: &Bed) {
    for threads in THREADS {
        let server = start(bed, &format!("--threads {threads} -p 8001:7001 -p 9012:9001/udp"));
        let text = "
stop = False; failures = []; opened = 0
def knock(address):
    global opened
    while not stop:
        try:
            s = connect(address, 8001, timeout=5); s.shutdown(socket.SHUT_WR); how = drain(s)[1]; s.close(); opened += 1
            if how != 'eof': failures.append(how)
        except OSError as error: failures.append(repr(error))
threads = [threading.Thread(target=knock, args=(address,), daemon=True) for address in ('127.0.0.1', '::1')]
for each in threads: each.start()
former = ok(PATH, 'forward.replace', forwards=['8001:7008', '9012:9002/udp'])['former']
for _ in range(10):
    s = connect('127.0.0.1', 8001); equal(read_line(s), f'GATEWAY {s.getsockname()[1]}')
s = udp('127.0.0.1'); s.connect(('127.0.0.1', 9012)); s.send(b'who'); equal(s.recv(99).decode().split()[0], 'GATEWAY')
turns, deadline = 0, time.monotonic() + 30
while (turns < 20 or opened <= 50) and time.monotonic() < deadline:
    ok(PATH, 'forward.replace', forwards=['8000-8002:7007-7009', '9012:9002/udp']); ok(PATH, 'forward.replace', forwards=former); turns += 1
s.send(b'echo'); equal(s.recv(99), b'echo'); s = connect('127.0.0.1', 8001); s.sendall(b'x'); equal(s.recv(1), b'x')
stop = True
for each in threads: each.join()
equal(failures, []); check(opened > 50, opened)"
            .replace("GATEWAY", GATEWAY4);
        client(bed, &text);
        server.end(bed);
    }
}

fn established_connections_stay_unless_they_are_to_be_dropped(bed: &Bed) {
    for threads in THREADS {
        let server = start(bed, &format!("--threads {threads} -p 8001:7001 -p 8002:7001"));
        let text = "
ADDRESSES = ['127.0.0.1', '::1', 'HOST4', 'HOST6'] * 2
def all(port): return [connect(address, port) for address in ADDRESSES]
def alive(socks):
    for s in socks: s.sendall(b'on'); equal(read_exactly(s, 2), b'on')
stay, go = all(8001), all(8002); alive(stay + go)
ok(PATH, 'forward.remove', forwards=['8001:7001', '8002:7001'])
equal(attempt('127.0.0.1', 8001)[0], 'ECONNREFUSED'); alive(stay + go)
ok(PATH, 'forward.add', forwards=['8001:7001', '8002:7001']); more = all(8002); alive(stay + go + more)
ok(PATH, 'forward.remove', forwards=['8002:7001'], drop_established=True)
for s in more: equal(drain(s), (0, 'ECONNRESET'))
# Those of the rule that was there before are no business of the new one's.
alive(stay + go)
ok(PATH, 'forward.replace', forwards=[], drop_established=True); alive(stay + go)
ok(PATH, 'forward.add', forwards=['8001:7001']); last = all(8001); alive(last)
ok(PATH, 'forward.replace', forwards=['8003:7001'], drop_established=True)
for s in last: equal(drain(s), (0, 'ECONNRESET'))
for s in stay + go: s.shutdown(socket.SHUT_WR); equal(drain(s), (0, 'eof'))"
            .replace("HOST4", HOST4)
            .replace("HOST6", HOST6);
        client(bed, &text);
        // The server hears of it too.
        assert_eq!(server.report(7001)["end"], "ECONNRESET");
        server.end(bed);
    }
}

fn heavy_changes_under_load_reset_nobody(bed: &Bed) {
    for threads in THREADS {
        let server = start(bed, &format!("--threads {threads} -p 8001:7001 -p 8002:7001 -p 8003:7002"));
        let load = format!(
            "failures, count = [], 0
end = time.monotonic() + 6
def short(address):
    global count
    while time.monotonic() < end:
        try:
            s = connect(address, 8001, timeout=10); s.sendall(b'x' * 100); equal(read_exactly(s, 100), b'x' * 100); s.close(); count += 1
        except OSError as error: failures.append(repr(error))
def long(address):
    s = connect(address, 8002, timeout=30)
    while time.monotonic() < end: s.sendall(BLOCK[:50000]); check(read_exactly(s, 50000) == BLOCK[:50000], 'torn')
    s.close()
def bulk(address):
    length = 48 << 20; s = connect(address, 8003, timeout=60)
    for piece in pattern(length): s.sendall(piece)
    s.shutdown(socket.SHUT_WR); equal(read_line(s), f'{{length}} {{sha(length)}}')
def guarded(each, address):
    try: each(address)
    except BaseException as error: check(False, each, address, repr(error))
all = [threading.Thread(target=guarded, args=(each, address)) for each in (short, long, bulk) for address in ('{HOST4}', '{HOST6}')]
for each in all: each.start()
report(ready=True)
for each in all: each.join()
equal(failures, []); check(count > 100, count)"
        );
        let load = bed.root(crate::bed::Side::World, "exec python3 -").stdin(format!("from peer import *\n{load}"));
        let load = load.limit(90).spawn();
        load.wait_for("ready");
        client(
            bed,
            "changes, end = 0, time.monotonic() + 5
c = Client(PATH)
def must(method, **params): reply = c.ask(method, **params); check('result' in reply, reply)
time.sleep(0.5)
# The connections by these two were there before they are removed.
must('forward.remove', forwards=['8002:7001', '8003:7002'])
while time.monotonic() < end:
    must('forward.add', forwards=['8100-8119:7001-7020', '9100-9119:9001-9020/udp'])
    must('forward.replace', forwards=['8001:7001', '8002:7001', '8100-8119:7001-7020'])
    must('forward.replace', forwards=['8001:7001', '8500'])
    must('forward.remove', forwards=['8500']); changes += 4
check(changes > 20, changes)",
        );
        load.wait(std::time::Duration::from_secs(60)).assert_code(0);
        server.end(bed);
    }
}

fn a_port_that_the_container_uses_itself(bed: &Bed) {
    // What it sends leaves from the published port from then on, whichever thread it came to.
    let _peer = bed.peer();
    for threads in THREADS {
        let inside = format!(
            "socks = [udp(address, bind=(own, 7777)) for address, own in (('{WORLD4}', '{CONTAINER4}'), ('{WORLD6}', '{CONTAINER6}'))]
def source(s, address): s.sendto(b'who', (address, UDP_WHO)); return s.recv(99).decode().split()[1]
for s, address in zip(socks, ('{WORLD4}', '{WORLD6}')): source(s, address)
report(ready=True)
deadline = time.monotonic() + 20
while source(socks[0], '{WORLD4}') != '8777': check(time.monotonic() < deadline, 'it never left from the published port'); time.sleep(0.1)
equal(source(socks[1], '{WORLD6}'), '8777'); report(seen=True)
while source(socks[0], '{WORLD4}') == '8777': check(time.monotonic() < deadline, 'it leaves from a port that is not published any more'); time.sleep(0.1)
report(gone=True); time.sleep(60)"
        );
        let process = bed.run_python(&format!("--control /tmp/c.sock --threads {threads}"), &inside).spawn();
        process.wait_for("ready");
        client(bed, "ok(PATH, 'forward.add', forwards=['8777:7777/udp'])");
        process.wait_for("seen");
        client(bed, "ok(PATH, 'forward.remove', forwards=['8777:7777/udp'])");
        process.wait_for("gone");
        process.signal(nix::sys::signal::Signal::SIGTERM);
        process.wait(std::time::Duration::from_secs(10));
        bed.assert_nothing_left();
    }
}

fn a_host_port_that_the_container_has_taken(bed: &Bed) {
    // What it sends from its port 9002 leaves from the host's 9002, as long as nobody else has that.
    let _peer = bed.peer();
    let inside = format!(
        "socks = [udp(address, bind=(own, 9002)) for address, own in (('{WORLD4}', '{CONTAINER4}'), ('{WORLD6}', '{CONTAINER6}'))]
for s, address in zip(socks, ('{WORLD4}', '{WORLD6}')): s.sendto(b'who', (address, UDP_WHO)); equal(s.recv(99).decode().split()[1], '9002')
report(ready=True)
for s in socks: s.settimeout(30); data, peer = s.recvfrom(99); s.sendto(b'server', peer)
time.sleep(30)"
    );
    for threads in THREADS {
        let process = bed.run_python(&format!("--control /tmp/c.sock --threads {threads}"), &inside).spawn();
        process.wait_for("ready");
        client(bed, "ok(PATH, 'forward.add', forwards=['9000-9010/udp'])");
        let ask = "for address in ADDRESSES: s = udp(address); s.connect((address, 9002)); s.send(b'x'); equal(s.recv(99), b'server')";
        world(bed, &ask.replace("ADDRESSES", &format!("('{HOST4}', '{HOST6}')")));
        process.signal(nix::sys::signal::Signal::SIGTERM);
        process.wait(std::time::Duration::from_secs(10));
        bed.assert_nothing_left();
    }
}

fn answers_find_the_way_when_one_of_two_ports_goes(bed: &Bed) {
    let server = start(bed, "-p 9012:9002/udp -p 9013:9002/udp");
    let who = format!(
        "def who(port):
    for address in ('{HOST4}', '{HOST6}'):
        s = udp(address); s.connect((address, port)); s.send(b'who'); equal(s.recv(99).decode(), '%s %d' % s.getsockname()[:2])
"
    );
    world(bed, &format!("{who}who(9012); who(9013)"));
    client(bed, "ok(PATH, 'forward.remove', forwards=['9012:9002/udp'])");
    world(bed, &format!("{who}who(9013); who(9013)"));
    client(bed, "ok(PATH, 'forward.add', forwards=['9014:9002/udp'])");
    world(bed, &format!("{who}who(9014); who(9013)"));
    server.end(bed);
}

fn low_ports_are_the_callers_to_have(bed: &Bed) {
    let server = start(bed, "");
    if bed.user == User::Root {
        client(bed, "ok(PATH, 'forward.add', forwards=['80:7001']); equal(attempt('127.0.0.1', 80)[0], 'connected')");
    } else {
        client(
            bed,
            "fails(PATH, 'denied', ['0.0.0.0:80/tcp', '1024', 'ip_unprivileged_port_start=80'], 'forward.add', forwards=['8080:1', '80'])
equal(specs(PATH), [])",
        );
    }
    server.end(bed);
}

fn who_waits_in_the_backlog_is_served(bed: &Bed) {
    // Connections that the host has made, but rnet has not taken yet when their rule goes.
    for threads in THREADS {
        let server = start(bed, &format!("--threads {threads} -p 8001:7001"));
        let text = format!(
            "import subprocess
stack = subprocess.check_output(['pgrep', '-x', 'rnet-stack']).decode().split()[0]
for turn in range(5):
    os.kill(int(stack), signal.SIGSTOP)
    socks = [connect('{HOST4}', 8001) for _ in range(100)]
    for s in socks: s.sendall(b'early')
    thread = threading.Thread(target=lambda: ok(PATH, 'forward.remove', forwards=['8001:7001'])); thread.start(); time.sleep(0.2)
    os.kill(int(stack), signal.SIGCONT); thread.join()
    for s in socks: equal(read_exactly(s, 5), b'early'); s.close()
    equal(attempt('127.0.0.1', 8001)[0], 'ECONNREFUSED'); ok(PATH, 'forward.add', forwards=['8001:7001'])"
        );
        // The stack is traceable by root alone, and may be stopped by its user.
        bed.root(crate::bed::Side::Host, "exec python3 -")
            .stdin(format!("from peer import *\n{}", script(&text)))
            .limit(90)
            .ok();
        server.end(bed);
    }
}

fn a_long_range_is_one_rule(bed: &Bed) {
    // 20,000 ports of one family: both would exceed what one process may have open on many machines.
    let hard: u64 = bed.sh("ulimit -Hn").ok().parse().unwrap_or(u64::MAX);
    let count = (hard.saturating_sub(500)).min(20_000);
    let last = 20_000 + count - 1;
    let options = format!("--control /tmp/c.sock -4 -p 20000-{last}/udp");
    let started = std::time::Instant::now();
    bed.run_argv(&options, &["true"]).ok();
    let took = started.elapsed();
    // A quarter of a second of processor time, but other tests want the processors too, and this is no optimised build.
    assert!(took < std::time::Duration::from_secs(5), "{count} ports took {took:?}");
    let server = start(bed, "-4");
    client(
        bed,
        &format!(
            "start = time.monotonic(); ok(PATH, 'forward.add', forwards=['20000-{last}/udp']); took = time.monotonic() - start
check(took < 8, took); equal(specs(PATH), ['20000-{last}/udp']); equal(ok(PATH, 'stats')['holdings']['udp_mappings'], {count})
start = time.monotonic(); ok(PATH, 'forward.remove', forwards=['20000-{last}/udp']); check(time.monotonic() - start < 5)
equal(ok(PATH, 'stats')['holdings']['udp_mappings'], 0)
fails(PATH, 'descriptors', ['ulimit -Hn'], 'forward.add', forwards=['1024-65535', '1024-65535/udp']) if {hard} < 100000 else None"
        ),
    );
    server.end(bed);
}

fn flows_are_listed_in_pages(bed: &Bed) {
    for threads in THREADS {
        let server = start(bed, &format!("--threads {threads} -p 8001:7001 -p 9012:9002/udp"));
        client(
            bed,
            &format!(
                "socks = [connect('{HOST4}', 8001) for _ in range(50)]
for s in socks: s.sendall(b'x'); s.recv(1)
def pages(limit):
    cursor, flows, count = None, [], 0
    while True:
        page = ok(PATH, 'flows.list', limit=limit, **({{'cursor': cursor}} if cursor else {{}})); count += 1
        check(len(page['flows']) <= limit, limit); flows += page['flows']; cursor = page['next']
        if cursor is None: return flows, count
for limit in (1, 7, 1000):
    flows, count = pages(limit)
    tcp = [each for each in flows if each['protocol'] == 'tcp']; equal(len(tcp), 50, limit)
    equal({{each['peer'] for each in tcp}}, {{'%s:%d' % s.getsockname() for s in socks}})
    equal({{(each['state'], each['container'], each['host']) for each in tcp}}, {{('open', '10.0.2.100:7001', '{HOST4}:8001')}})
    published = [each for each in flows if each['state'] == 'published']; equal(len(published), 2); equal({{each['rule'] for each in published}}, {{1}})
    check(count >= 52 // limit, count)"
            ),
        );
        server.end(bed);
    }
}
