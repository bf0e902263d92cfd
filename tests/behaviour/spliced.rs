//! Clients on the host's loopback: their connections are spliced, and must not look different for it.

use std::time::Duration;

use crate::attach::Container;
use crate::bed::{Bed, CONTAINER4, CONTAINER6, Cmd, GATEWAY4, GATEWAY6, HOST4, Proc, User, eventually};
use crate::published::{Server, host};

both!(
    clients_appear_as_the_gateway,
    clients_appear_as_the_container_if_asked,
    services_on_the_containers_loopback_stay_out_of_reach,
    half_closes_and_resets_pass_both_ways,
    urgent_data_does_not_stall_the_stream,
    a_port_listens_when_the_container_does,
    translated_addresses_are_reached_through_the_stack,
    what_was_sent_last_arrives,
    heavy_bulk_arrives_whole_both_ways,
    heavy_many_connections_at_once,
    heavy_short_connections_leave_nothing_behind,
    a_long_range_costs_nothing,
    idle_costs_nothing,
    ends_with_the_namespace,
    rules_are_taken_back_at_the_end,
);

/// How many connections were spliced, as rnet says at its end.
fn spliced(stderr: &str) -> u64 {
    let (_, rest) = stderr.rsplit_once("begun: ").unwrap_or_else(|| panic!("no word of splices in {stderr}"));
    rest.split(',').next().unwrap().trim().parse().unwrap()
}

/// A server whose connections are counted at the end.
fn counted(bed: &Bed, options: &str) -> Proc {
    let process =
        bed.run_argv(&format!("--log-level debug {options}"), &["python3", "/mnt/lib/peer.py", "serve"]).spawn();
    process.wait_for("\"ready\"");
    // The agent looks every 50 ms.
    std::thread::sleep(Duration::from_millis(100));
    process
}

/// Ends it, and checks that so many connections at least took the fast path.
fn end(bed: &Bed, server: Proc, least: u64) {
    server.signal(nix::sys::signal::Signal::SIGTERM);
    let out = server.wait(Duration::from_secs(10));
    assert!(spliced(&out.stderr) >= least, "{out}");
    bed.assert_nothing_left();
}

/// Both families, by the host's loopback.
const LOOPBACK: &str = "('127.0.0.1', '::1')";

fn clients_appear_as_the_gateway(bed: &Bed) {
    let server = counted(bed, "-p 8008:7008");
    host(
        bed,
        &format!(
            "for address, name in (('127.0.0.1', '{GATEWAY4}'), ('::1', '{GATEWAY6}')):
    for turn in range(3):
        s = connect(address, 8008); equal(read_line(s), f'{{name}} {{s.getsockname()[1]}}'); equal(drain(s), (0, 'eof'))"
        ),
    );
    end(bed, server, 6);
}

fn clients_appear_as_the_container_if_asked(bed: &Bed) {
    let server = counted(bed, "--loopback-source container -p 8008:7008");
    host(
        bed,
        &format!(
            "for address, name in (('127.0.0.1', '{CONTAINER4}'), ('::1', '{CONTAINER6}')):
    equal(read_line(connect(address, 8008)).split()[0], name)"
        ),
    );
    end(bed, server, 2);
}

fn services_on_the_containers_loopback_stay_out_of_reach(bed: &Bed) {
    let server = Server::python(
        bed,
        "-p 7000",
        "l4 = socket.create_server(('127.0.0.1', 7000)); l6 = socket.create_server(('::1', 7000), family=socket.AF_INET6)
report(ready=True); signal.pause()",
    );
    host(bed, &format!("time.sleep(0.1)\nfor address in {LOOPBACK}: equal(attempt(address, 7000)[0], 'ECONNREFUSED')"));
    server.end(bed);
}

fn half_closes_and_resets_pass_both_ways(bed: &Bed) {
    let server = counted(bed, "-p 7001-7008");
    let script = format!(
        "for address in {LOOPBACK}:
    s = connect(address, SUM); s.sendall(b'abc'); s.shutdown(socket.SHUT_WR)
    equal(read_line(s).split()[0], '3'); equal(drain(s), (0, 'eof'))
    s = connect(address, SOURCE); s.sendall(b'1000\\n'); equal(drain(s), (1000, 'eof')); s.sendall(b'x' * 500); s.close()
    s = connect(address, RESET); s.sendall(b'100000\\n'); equal(drain(s), (100000, 'ECONNRESET'))
s = connect('127.0.0.1', ECHO); s.sendall(b'x'); equal(s.recv(1), b'x'); reset(s)"
    );
    host(bed, &script);
    let report = |port: u16| {
        server.wait_until("a report", |out| {
            let mut lines = out.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            lines.find(|value| value["port"] == port)
        })
    };
    assert_eq!(report(7003)["rx"], 500);
    assert_eq!((&report(7001)["end"], &report(7001)["rx"]), (&"ECONNRESET".into(), &1.into()));
    end(bed, server, 7);
}

fn urgent_data_does_not_stall_the_stream(bed: &Bed) {
    let server = counted(bed, "-p 7007");
    let script = format!(
        "for address in {LOOPBACK}:
    s = connect(address, URGENT, timeout=5); s.sendall(b'a'); s.send(b'b', socket.MSG_OOB); s.sendall(b'c' * 100000 + b'\\n')
    equal(read_line(s), 'before!after'); s.send(b'!', socket.MSG_OOB); s.shutdown(socket.SHUT_WR); equal(drain(s), (0, 'eof'))"
    );
    host(bed, &script);
    end(bed, server, 2);
}

/// A server that comes, goes and comes again; a client that comes a few tens of milliseconds later.
fn a_port_listens_when_the_container_does(bed: &Bed) {
    let server = Server::python(
        bed,
        "-p 7000 -p 7001",
        "control = socket.create_server(('', 7001)); report(ready=True)
while True:
    c, _ = control.accept()
    listener = socket.create_server(('', 7000)); c.sendall(b'+'); c.recv(1)
    listener.close(); c.sendall(b'-'); c.recv(1); c.close()",
    );
    let script = format!(
        "time.sleep(0.2)
for turn in range(10):
    equal(attempt('127.0.0.1', 7000)[0], 'ECONNREFUSED', turn); equal(attempt('{HOST4}', 7000)[0], 'ECONNREFUSED', turn)
    # Nobody else has the port meanwhile.
    other = socket.socket(); other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try: other.bind(('127.0.0.1', 7000)); check(False, 'taken')
    except OSError: pass
    c = connect('127.0.0.1', 7001); equal(c.recv(1), b'+'); time.sleep(0.08)
    equal(attempt('127.0.0.1', 7000)[0], 'connected', turn); equal(attempt('{HOST4}', 7000)[0], 'connected', turn)
    c.sendall(b'x'); equal(c.recv(1), b'-'); time.sleep(0.08)
    equal(attempt('127.0.0.1', 7000)[0], 'ECONNREFUSED', turn); equal(attempt('{HOST4}', 7000)[0], 'ECONNREFUSED', turn)
    c.sendall(b'x'); equal(drain(c), (0, 'eof'))"
    );
    host(bed, &script);
    server.end(bed);
}

/// As engines in the container do: nobody listens at the port that is published, but a rule leads from it to another.
fn translated_addresses_are_reached_through_the_stack(bed: &Bed) {
    let rule = "nft 'add table ip t; add chain ip t c { type nat hook prerouting priority -100; };
        add rule ip t c tcp dport 7000 redirect to :7008'";
    bed.write("/tmp/nat.sh", &format!("{rule}\nexec python3 /mnt/lib/peer.py serve\n"));
    let server = Server::ready(bed.run_argv("-4 -p 7000 -p 7008", &["sh", "-e", "/tmp/nat.sh"]).spawn());
    host(
        bed,
        &format!(
            "time.sleep(0.2)
for port in (7000, 7008):
    for address in ('127.0.0.1', '{HOST4}'):
        s = connect(address, port, timeout=3); equal(read_line(s).split()[1], str(s.getsockname()[1]))"
        ),
    );
    server.end(bed);
}

/// The command ends as soon as its kernel has taken the answer.
fn what_was_sent_last_arrives(bed: &Bed) {
    let server = bed
        .run_python(
            "-p 7000",
            "listener = socket.create_server(('', 7000)); report(ready=True)
c, _ = listener.accept(); c.sendall(b'x' * 3000000)",
        )
        .spawn();
    server.wait_for("\"ready\"");
    host(bed, "time.sleep(0.1); equal(drain(connect('127.0.0.1', 7000)), (3000000, 'eof'))");
    server.wait(Duration::from_secs(5)).assert_code(0);
}

fn heavy_bulk_arrives_whole_both_ways(bed: &Bed) {
    let server = counted(bed, "-p 7001-7008");
    let script = format!(
        "length = 256 << 20
for address in {LOOPBACK}:
    s = connect(address, SUM, timeout=60)
    for piece in pattern(length): s.sendall(piece)
    s.shutdown(socket.SHUT_WR); equal(read_line(s), f'{{length}} {{sha(length)}}')
    s = connect(address, SOURCE, timeout=60); s.sendall(f'{{length}}\\n'.encode()); digest = hashlib.sha256()
    equal(drain(s, digest), (length, 'eof')); equal(digest.hexdigest(), sha(length))
    # Both at once, by one connection.
    s = connect(address, ECHO, timeout=60); sent = 64 << 20
    def send():
        for piece in pattern(sent): s.sendall(piece)
        s.shutdown(socket.SHUT_WR)
    thread = threading.Thread(target=send); thread.start(); digest = hashlib.sha256()
    equal(drain(s, digest), (sent, 'eof')); equal(digest.hexdigest(), sha(sent)); thread.join()"
    );
    host(bed, &script);
    end(bed, server, 6);
}

fn heavy_many_connections_at_once(bed: &Bed) {
    let server = counted(bed, "-p 7001");
    let script = format!(
        "socks = [connect(address, ECHO) for _ in range(100) for address in {LOOPBACK}]
for turn in range(5):
    for place, s in enumerate(socks): s.sendall(struct.pack('!I', place) * 5000)
    for place, s in enumerate(socks): equal(read_exactly(s, 20000), struct.pack('!I', place) * 5000)
for s in socks: s.shutdown(socket.SHUT_WR)
for s in socks: equal(drain(s), (0, 'eof'))"
    );
    host(bed, &script);
    end(bed, server, 200);
}

/// What rnet's processes are seen to hold, as Python.
const STACK: &str = "
import subprocess
pids = [int(pid) for name in ('rnet-stack', 'rnet-agent') for pid in subprocess.check_output(['pgrep', '-x', name]).split()]
def fds(): return sum(len(os.listdir(f'/proc/{pid}/fd')) for pid in pids)
def cpu():
    fields = [open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split() for pid in pids]
    return sum(int(f[11]) + int(f[12]) for f in fields) / os.sysconf('SC_CLK_TCK')
";

fn heavy_short_connections_leave_nothing_behind(bed: &Bed) {
    let server = counted(bed, "-p 7008");
    let script = format!(
        "{STACK}
def client(address, failures):
    for turn in range(500):
        try:
            s = connect(address, WHO, timeout=10)
            line = read_line(s)
            if drain(s) != (0, 'eof'): failures.append(line)
            s.close()
        except OSError as error: failures.append(repr(error))
def all():
    failures = []
    threads = [threading.Thread(target=client, args=(address, failures)) for address in {LOOPBACK} for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    equal(failures, []); time.sleep(0.3)
all(); before = fds(); all(); check(abs(fds() - before) <= 32, before, fds())"
    );
    // Only root sees the descriptors of processes that are not dumpable.
    bed.root(crate::bed::Side::Host, "exec python3 -").stdin(format!("from peer import *\n{script}")).limit(90).ok();
    end(bed, server, 8000);
}

fn a_long_range_costs_nothing(bed: &Bed) {
    let start = std::time::Instant::now();
    let server = Server::python(
        bed,
        "-p 127.0.0.1:20000-23999",
        "listener = socket.create_server(('', 22000)); report(ready=True); signal.pause()",
    );
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    host(
        bed,
        "time.sleep(0.3); equal(attempt('127.0.0.1', 22000)[0], 'connected')
for port in (20000, 21999, 22001, 23999): equal(attempt('127.0.0.1', port)[0], 'ECONNREFUSED')",
    );
    server.end(bed);
}

fn idle_costs_nothing(bed: &Bed) {
    let server = counted(bed, "-p 7001-7008 -p auto");
    host(
        bed,
        &format!(
            "keep = connect('127.0.0.1', ECHO)\n{STACK}time.sleep(1); before = cpu(); time.sleep(3); check(cpu() - before <= 0.06, cpu() - before)"
        ),
    );
    end(bed, server, 1);
}

fn serve_in<'b>(bed: &'b Bed, container: &Container<'_>) -> Cmd<'b> {
    let user = if bed.user == User::Root { "" } else { "--user --preserve-credentials" };
    bed.sh(&format!("exec nsenter {user} --net -t {} python3 /mnt/lib/peer.py serve", container.pid))
}

fn ends_with_the_namespace(bed: &Bed) {
    let container = Container::new(bed);
    let pid = container.pid.to_string();
    let out = bed.rnet(&["attach", "--pid", &pid, "-p", "7001-7008"]).output();
    assert!(out.assert_code(0).closed, "the caller's output is held open\n{out}");
    let inside = serve_in(bed, &container).spawn();
    inside.wait_for("\"ready\"");
    std::thread::sleep(Duration::from_millis(100));
    let script = format!(
        "socks = [connect(address, ECHO) for address in {LOOPBACK}]
for s in socks: s.sendall(b'x'); equal(s.recv(1), b'x')
report(ready=True); time.sleep(60)"
    );
    let client = bed.sh("exec python3 -").stdin(format!("from peer import *\n{script}")).spawn();
    client.wait_for("\"ready\"");
    // As long as a process is there, so is the network.
    container.end();
    std::thread::sleep(Duration::from_millis(700));
    host(bed, "s = connect('127.0.0.1', ECHO); s.sendall(b'x'); equal(s.recv(1), b'x')");
    drop(inside);
    assert!(
        eventually(Duration::from_secs(3), || !bed.processes().iter().any(|(_, command)| command.contains("attach"))),
        "{:?}",
        bed.processes()
    );
    drop(client);
    bed.assert_nothing_left();
}

fn rules_are_taken_back_at_the_end(bed: &Bed) {
    let container = Container::new(bed);
    let rules = "ip rule; ip -6 rule; ip route show table all type local | grep -c default || true";
    let before = container.sh(rules);
    let pid = container.pid.to_string();
    let attached = bed.rnet(&["attach", "--foreground", "--pid", &pid, "-p", "7001", "--log-level", "info"]).spawn();
    assert!(eventually(Duration::from_secs(5), || container.sh(rules) != before), "{before}");
    std::thread::sleep(Duration::from_millis(100));
    attached.signal(nix::sys::signal::Signal::SIGTERM);
    attached.wait(Duration::from_secs(5)).assert_code(0);
    assert_eq!(container.sh(rules), before);
    container.end();
}
