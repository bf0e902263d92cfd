//! Host ports that follow what listens in the container, and ports of the host's that the container is given.

use std::time::Duration;

use crate::bed::{Bed, HOST4, HOST6, Side, WORLD4};
use crate::published::{Server, host, world};

both!(
    ports_open_and_close_with_the_containers,
    udp_ports_do_too,
    what_is_excluded_or_not_to_be_had_is_left_alone,
    one_address_alone,
    exposed_ports_reach_the_hosts_loopback,
    exposed_udp_ports_do_too,
    an_exposed_port_refuses_as_the_host_does,
    an_exposed_port_in_use_is_an_error,
);

/// Waits until an attempt to connect ends so, a second at the most.
const BECOMES: &str = "
def becomes(address, port, outcome):
    start = time.monotonic()
    while (seen := attempt(address, port)[0]) != outcome: check(time.monotonic() - start < 1, address, port, seen, 'not', outcome)
";

fn ports_open_and_close_with_the_containers(bed: &Bed) {
    let server = Server::python(
        bed,
        "-p auto -p 8001:7001",
        "c = socket.create_server(('', 7001)); report(ready=True)
while True:
    s, _ = c.accept()
    try: command = read_line(s)
    except (EOFError, OSError): continue
    port = int(command[1:])
    if command[0] == '+':
        listener = socket.create_server(('::', port), family=socket.AF_INET6, dualstack_ipv6=True)
    else: listener.close()
    s.sendall(b'done'); s.close()",
    );
    let script = format!(
        "{BECOMES}
def tell(text):
    s = connect('127.0.0.1', 8001); s.sendall(text + b'\\n'); equal(drain(s), (4, 'eof'))
becomes('127.0.0.1', 8001, 'connected')
for port in (6000, 6001):
    for address in ('127.0.0.1', '::1', '{HOST4}', '{HOST6}'): equal(attempt(address, port)[0], 'ECONNREFUSED')
    tell(b'+%d' % port)
    for address in ('127.0.0.1', '::1', '{HOST4}', '{HOST6}'): becomes(address, port, 'connected')
    tell(b'-%d' % port)
    for address in ('127.0.0.1', '::1', '{HOST4}', '{HOST6}'): becomes(address, port, 'ECONNREFUSED')
    # The port is anybody's again.
    for turn in range(100):
        try: socket.create_server(('', port)).close(); break
        except OSError: time.sleep(0.01)
    else: check(False, 'still in use')"
    );
    host(bed, &script);
    server.end(bed);
}

fn udp_ports_do_too(bed: &Bed) {
    let server = Server::start(bed, "-p auto/udp");
    world(
        bed,
        &format!(
            "time.sleep(0.5); s = udp('{HOST4}'); s.connect(('{HOST4}', UDP_WHO)); s.send(b'?')
equal(s.recv(100).decode(), '{WORLD4} %d' % s.getsockname()[1]); equal(attempt('{HOST4}', ECHO)[0], 'ECONNREFUSED')"
        ),
    );
    server.end(bed);
}

fn what_is_excluded_or_not_to_be_had_is_left_alone(bed: &Bed) {
    bed.python_server(
        Side::Host,
        "l = socket.create_server(('', 7003))
threading.Thread(target=lambda: [l.accept()[0].sendall(b'host') for _ in iter(int, 1)], daemon=True).start()
report(ready=True); signal.pause()",
    );
    let server =
        bed.run_argv("-p auto/tcp -p ~7002 -p ~7004-7006 -p 8001:7001", &["python3", "/mnt/lib/peer.py", "serve"]);
    let server = server.spawn();
    server.wait_for("\"ready\"");
    host(
        bed,
        &format!(
            "{BECOMES}becomes('127.0.0.1', 7008, 'connected'); becomes('127.0.0.1', 8001, 'connected')
for port in (7002, 7004, 7005, 7006): equal(attempt('127.0.0.1', port)[0], 'ECONNREFUSED', port)
equal(connect('127.0.0.1', 7003).recv(4), b'host')"
        ),
    );
    let told = server.stderr();
    assert_eq!(told.matches("7003").count(), 2, "{told}");
    server.signal(nix::sys::signal::Signal::SIGTERM);
    server.wait(Duration::from_secs(10));
}

fn one_address_alone(bed: &Bed) {
    let server = Server::start(bed, "-p 127.0.0.1:auto/tcp");
    host(
        bed,
        &format!(
            "{BECOMES}becomes('127.0.0.1', 7008, 'connected'); equal(attempt('{HOST4}', 7008)[0], 'ECONNREFUSED')"
        ),
    );
    server.end(bed);
}

fn exposed_ports_reach_the_hosts_loopback(bed: &Bed) {
    bed.python_server(Side::Host, "threading.Thread(target=serve, daemon=True).start(); time.sleep(1000)");
    bed.run_python(
        "--expose 7002:6002 --expose 7003-7004 --expose 7008",
        "length = 16 << 20
for address in ('127.0.0.1', '::1'):
    s = connect(address, 6002)
    for piece in pattern(length): s.sendall(piece)
    s.shutdown(socket.SHUT_WR); equal(read_line(s), f'{length} {sha(length)}')
    s = connect(address, RESET); s.sendall(b'1000\\n'); equal(drain(s), (1000, 'ECONNRESET'))
    s = connect(address, WHO); equal(read_line(s).split()[0], address)
for address in ('10.0.2.100', 'fd00::100'): equal(attempt(address, 7008)[0], 'ECONNREFUSED')",
    )
    .limit(60)
    .ok();
}

fn exposed_udp_ports_do_too(bed: &Bed) {
    bed.python_server(Side::Host, "threading.Thread(target=serve, daemon=True).start(); time.sleep(1000)");
    bed.run_python(
        "--expose 9001:6001/udp",
        "socks = [udp(address) for _ in range(20) for address in ('127.0.0.1', '::1')]
for turn in range(3):
    for place, s in enumerate(socks):
        s.connect(('::1' if s.family == socket.AF_INET6 else '127.0.0.1', 6001)); s.send(b'%d' % place + b'x' * 30000 * turn)
        if turn: equal(s.recv(1 << 16), b'%d' % place + b'x' * 30000 * turn)
    for place, s in enumerate(socks):
        if not turn: equal(s.recv(1 << 16), b'%d' % place)",
    )
    .ok();
}

fn an_exposed_port_refuses_as_the_host_does(bed: &Bed) {
    bed.run_python(
        "--expose 6999",
        "for address in ('127.0.0.1', '::1'):
    try: equal(drain(connect(address, 6999, timeout=3)), (0, 'ECONNRESET'))
    except ConnectionResetError: pass",
    )
    .ok();
}

fn an_exposed_port_in_use_is_an_error(bed: &Bed) {
    let container = crate::attach::Container::new(bed);
    container.sh("ip link set lo up");
    let user = if bed.user == crate::bed::User::Root { "" } else { "--user --preserve-credentials" };
    let inside =
        bed.sh(&format!("exec nsenter {user} --net -t {} python3 /mnt/lib/peer.py serve", container.pid)).spawn();
    inside.wait_for("\"ready\"");
    let pid = container.pid.to_string();
    let out = bed.rnet(&["attach", "--pid", &pid, "--expose", "7001"]).output();
    out.assert_code(1).assert_stderr(&["expose", "127.0.0.1:7001", "in use"]);
    drop(inside);
    container.end();
}
