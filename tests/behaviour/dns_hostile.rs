//! What a hostile container can do to the name server: very little, and nothing to others.

use std::time::Duration;

use crate::bed::{Bed, DNS4, DNS6, SILENT, Side, WORLD4};

both!(
    garbage_is_refused_or_ignored,
    floods_are_bounded_and_pass,
    connections_are_bounded_and_do_not_last,
    queries_that_wait_are_bounded,
    a_reader_that_does_not_read_hurts_nobody,
);

fn everything(bed: &Bed) {
    bed.names_server(Side::World, &format!("serve_one('{WORLD4}', '192.0.2.1')"));
}

const STILL: &str = "def still(timeout=5):
    for server in SERVERS: equal(ask(server, f'still{random.random()}.test', timeout=timeout).addresses, ['192.0.2.1'])
def still_for_who_asks_again():
    # A datagram behind a flood of one's own may be lost; a resolver asks again.
    for turn in range(5):
        try: return still(timeout=2)
        except TimeoutError: pass
    still()";

fn with_still(script: &str) -> String {
    format!("SERVERS = ('{DNS4}', '{DNS6}')\n{STILL}\n{script}")
}

fn garbage_is_refused_or_ignored(bed: &Bed) {
    everything(bed);
    let script = with_still(
        "good = query('web.test', edns=1232)
def told(server, message):
    try: return Got(send(server, message, timeout=0.4)).rcode
    except TimeoutError: return None
for server in SERVERS:
    equal([told(server, good[:n]) for n in (2, 3, 11)], [None] * 3); equal(told(server, good[:2] + b'\\x81\\x80' + good[4:]), None, 'a response is not answered')
    equal(told(server, good[:2] + b'\\x29\\x00' + good[4:]), NOTIMP); equal(told(server, good[:2] + b'\\x21\\x00' + good[4:]), NOTIMP)
    for n in range(12, len(good)): equal(told(server, good[:n]), FORMERR, n)
    equal(told(server, good + b'x'), FORMERR); equal(told(server, good[:4] + b'\\0\\2' + good[6:]), FORMERR); equal(told(server, good[:4] + b'\\0\\0' + good[6:]), FORMERR)
    equal(told(server, good[:12] + b'\\xc0\\x0c' + good[22:]), FORMERR, 'a name that points to itself')
    equal(told(server, good[:12] + b'\\x3f' * 300), FORMERR)
rng = random.Random(1); sock = udp(SERVERS[0])
for turn in range(3000):
    message = bytearray(good); [message.__setitem__(rng.randrange(len(message)), rng.randrange(256)) for _ in range(rng.randrange(1, 8))]
    sock.sendto(rng.choice((bytes(message), rng.randbytes(rng.randrange(0, 100)), bytes(message) * 3)), (SERVERS[0], 53))
still_for_who_asks_again()
for junk in (b'', b'\\0\\0', b'\\0\\5hello', b'\\xff\\xff' + b'x' * 70000, os.urandom(5000)):
    s = connect(SERVERS[0], 53)
    try: s.sendall(junk); s.shutdown(socket.SHUT_WR); s.settimeout(5); s.recv(100)
    except (ConnectionError, OSError): pass
still()",
    );
    bed.run_names("", &script).limit(60).ok();
}

fn floods_are_bounded_and_pass(bed: &Bed) {
    everything(bed);
    let _peer = bed.peer();
    let script = with_still(&format!(
        "sock = udp(SERVERS[0]); sock.setblocking(False); other = connect('{WORLD4}', ECHO); count = 0; end = time.monotonic() + 2; worst = 0
while time.monotonic() < end:
    for _ in range(500):
        count += 1
        try: sock.sendto(query(f'f{{count}}.test'), (SERVERS[0], 53))
        except BlockingIOError: pass
    start = time.monotonic(); other.sendall(b'x'); equal(other.recv(1), b'x'); worst = max(worst, time.monotonic() - start)
check(count > 5000, count); check(worst < 1, 'traffic waits for names', worst); time.sleep(0.5); still_for_who_asks_again()
status = [open(f'/proc/{{p}}/status').read() for p in os.listdir('/proc') if p.isdigit() and open(f'/proc/{{p}}/comm').read() == 'rnet-dns\\n']
equal(len(status), 1); check(int(status[0].split('VmRSS:')[1].split()[0]) < 40000, status[0])"
    ));
    bed.run_names("", &script).limit(60).ok();
}

fn connections_are_bounded_and_do_not_last(bed: &Bed) {
    everything(bed);
    let script = with_still(
        "socks = []
for n in range(400):
    # All at once they may be too many even to be taken note of.
    try: socks.append(connect(SERVERS[n % 2], 53))
    except ConnectionRefusedError: pass
check(len(socks) > 128, len(socks)); time.sleep(0.5)
def open_ones():
    count = 0
    for s in socks:
        s.setblocking(False)
        try: count += bool(s.recv(1))
        except BlockingIOError: count += 1
        except ConnectionError: pass
    return count
check(50 <= open_ones() <= 128, open_ones()); still()
equal(ask(SERVERS[0], 'udp.test').addresses, ['192.0.2.1'])
for n, s in enumerate(socks):
    try: s.send(b'\\0\\x40slow'[:n % 5])
    except OSError: pass
time.sleep(12); equal(open_ones(), 0, 'silent and half-told ones are closed')
equal(Got(send_tcp(SERVERS[0], query('tcp.test'))).addresses, ['192.0.2.1'])",
    );
    bed.run_names("", &script).limit(60).ok();
}

fn queries_that_wait_are_bounded(bed: &Bed) {
    bed.resolv_conf(&format!("nameserver {}\n", SILENT[0]));
    let script = format!(
        "sock = udp('{DNS4}', timeout=6)
for n in range(100): sock.sendto(query(f'n{{n}}.test', ident=n, edns=1232), ('{DNS4}', 53))
start = time.monotonic(); early = 0
for n in range(100):
    got = Got(sock.recv(512)); equal(got.rcode, SERVFAIL); early += time.monotonic() - start < 0.5
check(88 <= early <= 92, early)
equal(ask('{DNS4}', 'host.rnet.internal').rcode, NOERROR)"
    );
    bed.run_names("--max-dns-queries 10", &script).ok();
}

fn a_reader_that_does_not_read_hurts_nobody(bed: &Bed) {
    bed.names_server(
        Side::World,
        &format!(
            "def respond(message, via): return [answer(message, address('192.0.2.1'))] if question(message)[2] == A else [answer(message, (TXT, b'\\xff' + b'x' * 255), *[(TXT, b'\\xff' + bytes(255))] * 200)]
serve('{WORLD4}', respond)"
        ),
    );
    let script = with_still(
        "slow = [connect(SERVERS[0], 53) for _ in range(8)]
for s in slow: s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096); s.setblocking(False)
message = query('big.test', TXT); message = struct.pack('!H', len(message)) + message
for turn in range(30):
    for s in slow:
        try: s.send(message * 50)
        except OSError: pass
    still()
time.sleep(11); still()
sock = udp(SERVERS[0]); sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
for n in range(2000): sock.sendto(query('big.test', TXT, edns=65535), (SERVERS[0], 53))
still_for_who_asks_again()",
    );
    let out = bed.run_names("", &script).limit(60).output();
    out.assert_code(0);
    assert!(out.elapsed < Duration::from_secs(40), "{out}");
}
