//! Published TCP ports: whom the server sees, how streams end, and many connections in a row.

use crate::attach::Container;
use crate::bed::{Bed, GATEWAY4, GATEWAY6, HOST4, HOST6, User, WORLD4, WORLD6};
use crate::published::{Server, host, world};

both!(
    clients_keep_their_addresses,
    clients_on_the_loopback_appear_as_the_gateway,
    an_address_of_its_own_is_the_only_one,
    a_range_is_one_rule,
    one_family_alone,
    nothing_listens_and_the_client_is_refused,
    half_closes_and_resets_pass_both_ways,
    bulk_arrives_whole_both_ways,
    ports_that_are_reused_at_once_do_not_wait,
    heavy_many_short_connections_at_once,
    at_the_bound_of_flows_the_newest_client_is_reset,
    clients_wait_when_descriptors_run_out,
    attached_containers_have_ports_too,
);

/// What `WHO` at `address`, `port` says is the client's own socket name.
const SEES_ME: &str = "
def sees_me(address, port, name=None):
    s = connect(address, port, timeout=5); me = s.getsockname()
    equal(read_line(s), f'{name or me[0]} {me[1]}', address)
";

/// A client is connected by the host, and then reset; so soon that connect() itself may tell of it.
const IS_RESET: &str = "
def is_reset(address, port):
    start = time.monotonic()
    try: equal(drain(connect(address, port, timeout=5)), (0, 'ECONNRESET'))
    except ConnectionResetError: pass
    check(time.monotonic() - start < 2)
";

fn clients_keep_their_addresses(bed: &Bed) {
    let server = Server::start(bed, "-p 8008:7008");
    world(bed, &format!("{SEES_ME}sees_me('{HOST4}', 8008)\nsees_me('{HOST6}', 8008)"));
    // The host itself, by an address of the outside.
    host(bed, &format!("{SEES_ME}sees_me('{HOST4}', 8008)\nsees_me('{HOST6}', 8008)"));
    assert_eq!(server.report(7008)["peer"], format!("::ffff:{WORLD4}"));
    server.end(bed);
}

fn clients_on_the_loopback_appear_as_the_gateway(bed: &Bed) {
    let server = Server::start(bed, "-p 8008:7008");
    let script = format!("{SEES_ME}sees_me('127.0.0.1', 8008, '{GATEWAY4}')\nsees_me('::1', 8008, '{GATEWAY6}')");
    host(bed, &script);
    // Two of one port, at two addresses.
    host(
        bed,
        &format!(
            "seen = set()
for last in (1, 2):
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind((f'127.0.0.{{last}}', 40123))
    s.settimeout(5); s.connect(('127.0.0.1', 8008)); line = read_line(s); equal(line.split()[0], '{GATEWAY4}'); seen.add(line)
    globals()[f'keep{{last}}'] = s
check('{GATEWAY4} 40123' in seen, seen)"
        ),
    );
    server.end(bed);
}

fn an_address_of_its_own_is_the_only_one(bed: &Bed) {
    let server = Server::start(bed, &format!("-p 127.0.0.1:8008:7008 -p [{HOST6}]:8009:7008 -p 8001:7001"));
    host(bed, &format!("{SEES_ME}sees_me('127.0.0.1', 8008, '{GATEWAY4}')"));
    let script = format!(
        "{SEES_ME}sees_me('{HOST6}', 8009)
equal(attempt('{HOST4}', 8008)[0], 'ECONNREFUSED'); equal(attempt('{HOST4}', 8009)[0], 'ECONNREFUSED')
equal(attempt('{HOST6}', 8008)[0], 'ECONNREFUSED'); equal(attempt('{HOST4}', 8001)[0], 'connected')"
    );
    world(bed, &script);
    server.end(bed);
}

fn a_range_is_one_rule(bed: &Bed) {
    let server = Server::start(bed, "-p 20001-20008:7001-7008 -p 7001-7003");
    let script = format!(
        "{SEES_ME}sees_me('{HOST4}', 20008)\nsees_me('{HOST6}', 20008)
for port in (20001, 7001):
    s = connect('{HOST4}', port, timeout=5); s.sendall(b'echo'); equal(read_exactly(s, 4), b'echo')
equal(attempt('{HOST4}', 20009)[0], 'ECONNREFUSED')"
    );
    world(bed, &script);
    server.end(bed);
}

fn one_family_alone(bed: &Bed) {
    // The container has not sent a single frame before the first client comes.
    let server = Server::start(bed, "-4 -p 8008:7008");
    world(bed, &format!("{SEES_ME}sees_me('{HOST4}', 8008)\nequal(attempt('{HOST6}', 8008)[0], 'ECONNREFUSED')"));
    server.end(bed);
    let server = Server::start(bed, "-6 -p 8008:7008");
    world(bed, &format!("{SEES_ME}sees_me('{HOST6}', 8008)\nequal(attempt('{HOST4}', 8008)[0], 'ECONNREFUSED')"));
    server.end(bed);
}

fn nothing_listens_and_the_client_is_refused(bed: &Bed) {
    let server = Server::start(bed, "-p 8099:99");
    let script = format!(
        "for address in ('{HOST4}', '{HOST6}'):
    for turn in range(20): equal(attempt(address, 8099)[0], 'ECONNREFUSED')"
    );
    world(bed, &script);
    server.end(bed);
}

fn half_closes_and_resets_pass_both_ways(bed: &Bed) {
    let server = Server::start(bed, "-p 7001-7008");
    let script = format!(
        "for address in ('{HOST4}', '{HOST6}'):
    # The client ends first, and then gets its answer.
    s = connect(address, SUM); s.sendall(b'abc'); s.shutdown(socket.SHUT_WR)
    equal(read_line(s).split()[0], '3'); equal(drain(s), (0, 'eof'))
    # The server ends first, and then hears the rest.
    s = connect(address, SOURCE); s.sendall(b'1000\\n'); equal(drain(s), (1000, 'eof')); s.sendall(b'x' * 500); s.close()
    # The server's reset reaches the client after its bytes, and the client's the server.
    s = connect(address, RESET); s.sendall(b'100000\\n'); equal(drain(s), (100000, 'ECONNRESET'))
s = connect('{HOST4}', ECHO); s.sendall(b'x'); equal(s.recv(1), b'x'); reset(s)"
    )
    .replace("\\\\n", "\\n");
    world(bed, &script);
    assert_eq!(server.report(7003)["rx"], 500);
    assert_eq!((&server.report(7001)["end"], &server.report(7001)["rx"]), (&"ECONNRESET".into(), &1.into()));
    server.end(bed);
}

fn bulk_arrives_whole_both_ways(bed: &Bed) {
    let server = Server::start(bed, "-p 7001-7008");
    let script = format!(
        "length = 64 << 20
for address in ('{HOST4}', '{HOST6}'):
    s = connect(address, SUM, timeout=60)
    for piece in pattern(length): s.sendall(piece)
    s.shutdown(socket.SHUT_WR); equal(read_line(s), f'{{length}} {{sha(length)}}')
    s = connect(address, SOURCE, timeout=60); s.sendall(f'{{length}}\\n'.encode()); digest = hashlib.sha256()
    equal(drain(s, digest), (length, 'eof')); equal(digest.hexdigest(), sha(length))"
    )
    .replace("\\\\n", "\\n");
    world(bed, &script);
    server.end(bed);
}

/// A server that ends each connection itself, and so keeps its name in TIME-WAIT.
const CLOSES_FIRST: &str = "
listener = socket.create_server(('::', 7000), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
report(ready=True)
while True:
    c, _ = listener.accept(); c.sendall(b'x' * 10); c.close()
";

/// Each connection finds the one before it, from the same client port, in the container's TIME-WAIT.
fn ports_that_are_reused_at_once_do_not_wait(bed: &Bed) {
    for stamps in [1, 0] {
        let script = format!(
            "open('/proc/sys/net/ipv4/tcp_timestamps', 'w').write('{stamps}') if os.access('/proc/sys/net/ipv4', os.W_OK) else None
{CLOSES_FIRST}"
        );
        let server = Server::python(bed, "-p 7000", &script);
        let client = format!(
            "slow = 0
for address, any in (('{HOST4}', '{WORLD4}'), ('{HOST6}', '{WORLD6}')):
    for turn in range(1000):
        s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET); s.settimeout(10)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind((any, 45000 + turn % 3))
        start = time.monotonic(); s.connect((address, 7000)); equal(drain(s), (10, 'eof')); s.close()
        slow += time.monotonic() - start > 0.7
check(slow <= 3, slow, 'of 2000 connections had to wait')"
        );
        world(bed, &client);
        server.end(bed);
    }
}

fn heavy_many_short_connections_at_once(bed: &Bed) {
    let server = Server::python(bed, "-p 7000", CLOSES_FIRST);
    let client = format!(
        "failures = []
def client(address):
    for turn in range(150):
        try:
            s = connect(address, 7000, timeout=10); got = drain(s); s.close()
            if got != (10, 'eof'): failures.append(got)
        except OSError as error: failures.append(repr(error))
threads = [threading.Thread(target=client, args=(address,)) for address in ('{HOST4}', '{HOST6}') for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
equal(failures, [])"
    );
    world(bed, &client);
    server.end(bed);
}

fn at_the_bound_of_flows_the_newest_client_is_reset(bed: &Bed) {
    // Several threads would divide the bound.
    let server = Server::start(bed, "-p 7001 --threads 1 --max-tcp-flows 5");
    let script = format!(
        "{IS_RESET}socks = [connect('{HOST4}', ECHO) for _ in range(5)]
for s in socks: s.sendall(b'on'); equal(read_exactly(s, 2), b'on')
is_reset('{HOST4}', ECHO)
for s in socks: s.sendall(b'on'); equal(read_exactly(s, 2), b'on')
socks.pop().close(); time.sleep(0.5)
s = connect('{HOST4}', ECHO); s.sendall(b'on'); equal(read_exactly(s, 2), b'on')"
    );
    world(bed, &script);
    server.end(bed);
}

/// An echo server that needs fewer descriptors than rnet.
const FRUGAL: &str = "
from peer import *
poll = select.epoll(); socks = {}
listener = socket.create_server(('', 7001), backlog=100); poll.register(listener, select.EPOLLIN)
report(ready=True)
while True:
    for fd, _ in poll.poll():
        if fd == listener.fileno():
            c, _ = listener.accept(); socks[c.fileno()] = c; poll.register(c, select.EPOLLIN)
        elif data := socks[fd].recv(100): socks[fd].sendall(data)
        else: socks.pop(fd).close()
";

fn clients_wait_when_descriptors_run_out(bed: &Bed) {
    bed.write("/tmp/server.py", FRUGAL);
    let server = Server::ready(bed.sh("ulimit -n 80; exec rnet run -p 7001 -- python3 /tmp/server.py").spawn());
    let script = format!(
        "import subprocess
pid = int(subprocess.check_output(['pgrep', '-x', 'rnet-stack']))
def cpu():
    fields = open(f'/proc/{{pid}}/stat').read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')
socks = [connect('{HOST4}', ECHO) for _ in range(110)]
for s in socks: s.sendall(b'x')
time.sleep(1); answered = select.select(socks, [], [], 0)[0]; check(40 < len(answered) < 80, len(answered), 'were answered')
# It does not spin meanwhile, and those who wait are served when others leave.
before = cpu(); time.sleep(1); check(cpu() - before < 0.3, cpu() - before, 'seconds of processor time')
for s in answered: equal(s.recv(1), b'x'); s.close()
for s in socks:
    if s not in answered: equal(s.recv(1), b'x'); s.close()"
    );
    world(bed, &script);
    server.end(bed);
}

fn attached_containers_have_ports_too(bed: &Bed) {
    let container = Container::new(bed);
    let pid = container.pid.to_string();
    bed.rnet(&["attach", "--pid", &pid, "-p", "8008:7008", "-p", "9012:9002/udp"]).ok();
    let user = if bed.user == User::Root { "" } else { "--user --preserve-credentials" };
    let inside = bed.sh(&format!("exec nsenter {user} --net -t {pid} python3 /mnt/lib/peer.py serve")).spawn();
    let inside = Server::ready(inside);
    let script = format!(
        "{SEES_ME}sees_me('{HOST4}', 8008)\nsees_me('{HOST6}', 8008)
s = udp('{HOST4}'); s.connect(('{HOST4}', 9012)); s.send(b'who'); equal(s.recv(99).decode(), '{WORLD4} %d' % s.getsockname()[1])"
    );
    world(bed, &script);
    drop(inside);
    container.end();
    bed.assert_nothing_left();
    world(bed, &format!("equal(attempt('{HOST4}', 8008)[0], 'ECONNREFUSED')"));
}
