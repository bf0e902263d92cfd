//! `--threads N`: everything works as with one thread, whichever of them a packet comes to.

use std::path::PathBuf;
use std::time::Duration;

use crate::attach::Container;
use crate::bed::{BOTH, Bed, FAR4, FAR6, Out, Side, WORLD4, WORLD6, eventually, port};
use crate::tcp_raw::RAW;

both!(
    heavy_many_streams_at_once,
    heavy_connections_one_after_the_other,
    one_mapping_serves_peers_on_every_queue,
    datagrams_of_many_ports,
    pings,
    flows_that_rested,
    a_port_that_is_used_again_at_once,
    segments_that_come_by_every_queue,
    fragments_of_one_datagram,
    each_thread_has_its_part_of_the_bounds,
    every_thread_holds_no_rights,
    what_was_sent_last_arrives,
    attached_to_a_container,
    wrong_numbers,
);

const THREADS: [u32; 2] = [2, 4];

/// How often rnet says that it counted something, from its log at the level debug.
fn counted(out: &Out, what: &str) -> u64 {
    let report = out.stderr.lines().find(|line| line.contains("packet loop ends"));
    let report = report.unwrap_or_else(|| panic!("no report\n{out}"));
    let count = report.split_once(&format!("{what}=")).map_or("0", |(_, rest)| rest);
    count.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

fn heavy_many_streams_at_once(bed: &Bed) {
    // Each byte is checked, of streams both ways and of datagrams beside them.
    let _peer = bed.peer();
    for threads in THREADS {
        let script = format!(
            "LENGTH = 24 << 20; WANTED = sha(LENGTH); failed = []
def up(host):
    s = connect(host, SUM)
    for piece in pattern(LENGTH): s.sendall(piece)
    s.shutdown(socket.SHUT_WR); equal(read_line(s), f'{{LENGTH}} {{WANTED}}', 'up')
def down(host):
    s = connect(host, SOURCE); s.sendall(b'%d\\n' % LENGTH); digest = hashlib.sha256()
    equal(drain(s, digest), (LENGTH, 'eof')); equal(digest.hexdigest(), WANTED, 'down')
def datagrams(host):
    s = udp(host, timeout=5); s.connect((host, UDP_ECHO))
    for turn in range(500):
        sent = struct.pack('!I', turn) + BLOCK[:1400]; s.send(sent)
        check(s.recv(1 << 16) == sent, 'torn', turn)
def guarded(each, host):
    try: each(host)
    except BaseException as error: check(False, each, host, repr(error))
all = [threading.Thread(target=guarded, args=(each, host)) for each in (up, down, up, down, datagrams) * 2 for host in ('{WORLD4}', '{WORLD6}')]
for each in all: each.start()
for each in all: each.join()"
        );
        bed.run_python(&format!("--threads {threads}"), &script).limit(90).ok();
    }
}

fn heavy_connections_one_after_the_other(bed: &Bed) {
    let _peer = bed.peer();
    for threads in THREADS {
        let script = format!(
            "def many(host):
    for turn in range(150):
        s = connect(host, ECHO, timeout=10); s.sendall(b'%d' % turn); s.shutdown(socket.SHUT_WR)
        equal(read_exactly(s, len(str(turn))), b'%d' % turn); equal(s.recv(1), b''); s.close()
def guarded(host):
    try: many(host)
    except BaseException as error: check(False, host, repr(error))
all = [threading.Thread(target=guarded, args=(host,)) for host in ('{WORLD4}', '{WORLD6}', '{}', '{}')]
for each in all: each.start()
for each in all: each.join()",
            FAR4[0], FAR6[0]
        );
        let out = bed.run_python(&format!("--threads {threads} --log-level debug"), &script).limit(60).output();
        out.assert_code(0);
        assert_eq!((counted(&out, "tcp_flows_opened"), counted(&out, "astray")), (600, 0), "{out}");
    }
}

fn one_mapping_serves_peers_on_every_queue(bed: &Bed) {
    // RFC 4787 section 4.1. The kernel spreads the datagrams over the queues by their destination; one socket sends all.
    bed.python_server(
        Side::World,
        "socks = [udp('::', timeout=None, bind=('::', port)) for port in range(12000, 12040)]
report(ready=True)
while True:
    for s in select.select(socks, [], [])[0]: data, peer = s.recvfrom(100); s.sendto(str(peer[1]).encode(), peer)",
    );
    for threads in THREADS {
        let script = format!(
            "for host in ('{WORLD4}', '{WORLD6}'):
    for n in range(4):
        s = udp(host); s.bind(('', 0)); seen = set()
        for port in range(12000, 12040): s.sendto(b'who', (host, port))
        for _ in range(40): seen.add(s.recvfrom(100)[0])
        equal(len(seen), 1, 'host ports of one port inside: ' + repr(seen))"
        );
        let out = bed.run_python(&format!("--threads {threads} --log-level debug"), &script).output();
        out.assert_code(0);
        assert_eq!((counted(&out, "udp_mappings_opened"), counted(&out, "astray")), (8, 0), "{out}");
        assert!(counted(&out, "diverted") > 0, "all came to the right thread by themselves: nothing was tested\n{out}");
    }
}

fn datagrams_of_many_ports(bed: &Bed) {
    let _peer = bed.peer();
    for threads in THREADS {
        let script = format!(
            "for host in ('{WORLD4}', '{WORLD6}'):
    socks = [udp(host) for _ in range(200)]
    for n, s in enumerate(socks): s.sendto(b'%d' % n, (host, UDP_ECHO))
    for n, s in enumerate(socks): equal(s.recv(100), b'%d' % n)
    s = udp(host); s.connect((host, 4444)); s.send(b'x')
    try: s.recv(10); check(False, 'an answer')
    except ConnectionRefusedError: pass"
        );
        bed.run_python(&format!("--threads {threads}"), &script).ok();
    }
}

fn pings(bed: &Bed) {
    for threads in THREADS {
        let hosts = [WORLD4, WORLD6, FAR4[0], FAR6[0], FAR4[1], FAR6[1], "10.0.2.2", "fd00::2"];
        let script = hosts.map(|host| format!("ping -n -q -c 3 -i 0.01 -W 2 {host}")).join(" && ");
        let out = bed.run(&format!("--threads {threads}"), &script).ok();
        assert_eq!(out.matches("3 received").count(), hosts.len(), "{out}");
    }
}

fn flows_that_rested(bed: &Bed) {
    // After three seconds the kernel has forgotten which queue a flow belongs to, and chooses by its hash: from there it
    // must find its way, whoever speaks first.
    let peer = bed.peer();
    bed.python_server(
        Side::World,
        "listener = socket.create_server(('::', 12001), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
def speak(s):
    s.sendall(b'x'); time.sleep(4.2); s.sendall(BLOCK[:200000]); check(read_exactly(s, 200000) == BLOCK[:200000], 'torn'); s.close()
report(ready=True)
while True: threading.Thread(target=speak, args=(listener.accept()[0],), daemon=True).start()",
    );
    let script = format!(
        "hosts = ('{WORLD4}', '{WORLD6}') * 8
first = [connect(host, ECHO) for host in hosts]
for s in first: s.sendall(b'x'); equal(s.recv(1), b'x')
second = [connect(host, 12001) for host in hosts]
for s in second: equal(s.recv(1), b'x')
mapping = udp('{WORLD4}', timeout=10); mapping.sendto(b'4.2', ('{WORLD4}', UDP_ONCE))
time.sleep(4.2)
for s in second: data = read_exactly(s, 200000); check(data == BLOCK[:200000], 'torn'); s.sendall(data); equal(s.recv(1), b'')
equal(mapping.recv(100), b'is anyone there?')
for n, s in enumerate(first): s.sendall(b'%d' % n); equal(read_exactly(s, len(str(n))), b'%d' % n)
time.sleep(4.2)
for s in first: reset(s)"
    );
    for threads in THREADS {
        bed.run_python(&format!("--threads {threads}"), &script).ok();
    }
    let ends = peer.reports(port::ECHO, 32);
    assert!(ends.iter().all(|end| end["end"] == "ECONNRESET"), "{ends:?}");
}

fn a_port_that_is_used_again_at_once(bed: &Bed) {
    let _peer = bed.peer();
    for threads in THREADS {
        let script = format!(
            "def again(host, port, close):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    for turn in range(60):
        s = socket.socket(family); s.settimeout(5); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(('', port)); s.connect((host, ECHO)); s.sendall(b'%d' % turn); equal(read_exactly(s, len(str(turn))), b'%d' % turn)
        close(s)
for host in ('{WORLD4}', '{WORLD6}'):
    for port in (30001, 30002, 30003): again(host, port, reset)"
        );
        bed.run_python(&format!("--threads {threads}"), &script).limit(60).ok();
    }
}

fn segments_that_come_by_every_queue(bed: &Bed) {
    let _peer = bed.peer();
    // The kernel hashes what it takes for a frame's protocol, and a packet socket may call its frames what it likes.
    let script = format!(
        "{RAW}
ME = socket.inet_aton('10.0.2.50')  # nobody's, so that the container's own TCP keeps out of it
tap.settimeout(0.01)
def send(data, name): tap.sendto(gate + mine + b'\\x08\\x00' + data, ('tap0', name))
def look(p):
    q = p[(p[0] & 15) * 4:]
    if p[9] != 6 or struct.unpack('!H', q[2:4])[0] != 50001: return None
    return struct.unpack('!HHIIBB', q[:14]) + (q[(q[12] >> 4) * 4:struct.unpack('!H', p[2:4])[0] - (p[0] & 15) * 4],)
def exchange(seq, ack, flags, data, name, enough):
    for attempt in range(5):
        send(packet(segment(50001, ECHO, seq, ack, flags, data)), name); got = []
        end = time.monotonic() + 1
        while time.monotonic() < end:
            got += answers(look, 0.01)
            if enough(got): return got
    check(False, 'no answer to', seq, flags, data, name, got)
first = exchange(1000, 0, 2, b'', 0x4000, lambda got: any(each[5] == 0x12 for each in got))[0]
seq, ack = 1001, first[2] + 1
for turn in range(40):
    data = b'segment %d' % turn; echoed = lambda got: b''.join(each[6] for each in got if each[2] >= ack).startswith(data)
    exchange(seq, ack, 0x18, data, 0x4000 + turn, echoed); seq += len(data); ack += len(data)
exchange(seq, ack, 0x11, b'', 0x4100, lambda got: any(each[5] & 1 for each in got))
alive()"
    );
    for threads in THREADS {
        let out = bed.run_python(&format!("--threads {threads} --log-level debug"), &script).output();
        out.assert_code(0);
        assert!(counted(&out, "diverted") > 5, "all came to the right thread by themselves: nothing was tested\n{out}");
        assert_eq!(counted(&out, "tcp_flows_opened"), 2, "{out}");
    }
}

fn fragments_of_one_datagram(bed: &Bed) {
    let _peer = bed.peer();
    for threads in THREADS {
        let script = format!(
            "for host in ('{WORLD4}', '{WORLD6}', '{}', '{}'):
    s = udp(host); s.connect((host, UDP_ECHO))
    for size in (1000, 3000, 20000, 65507):
        for turn in range(5): s.send(BLOCK[turn:turn + size]); check(s.recv(1 << 16) == BLOCK[turn:turn + size], host, size)",
            FAR4[0], FAR6[0]
        );
        bed.run_python(&format!("--threads {threads} --mtu 1500"), &script).ok();
    }
}

fn each_thread_has_its_part_of_the_bounds(bed: &Bed) {
    let _peer = bed.peer();
    // However they are spread, no more than ten get in, and at least the part of one thread.
    let script = format!(
        "socks, refused = [], 0
for turn in range(60):
    try: socks.append(connect('{WORLD4}', ECHO))
    except ConnectionRefusedError: refused += 1
for s in socks: s.sendall(b'on'); equal(read_exactly(s, 2), b'on')
equal(len(socks), 10, refused)"
    );
    bed.run_python("--threads 4 --max-tcp-flows 10", &script).ok();
}

fn every_thread_holds_no_rights(bed: &Bed) {
    for threads in [1, 2, 4] {
        let process = bed.run(&format!("--threads {threads}"), "echo up; exec sleep 60").spawn();
        process.wait_for("up");
        let mut tasks = Vec::new();
        let all_there = eventually(Duration::from_secs(5), || {
            tasks = tasks_of_the_stack(bed);
            // And one that takes orders from the control process.
            tasks.len() == threads + 1
        });
        assert!(all_there, "{threads} threads and one, not {}", tasks.len());
        for status in &tasks {
            let field = |name: &str| {
                status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
            };
            for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
                assert_eq!(field(set), "0000000000000000", "{set}\n{status}");
            }
            assert_eq!(field("NoNewPrivs:"), "1", "{status}");
            let filters = |status: &str| status.lines().find(|line| line.starts_with("Seccomp")).map(str::to_owned);
            assert_eq!(filters(status), filters(&tasks[0]), "a filter for one is a filter for all\n{status}");
        }
        drop(process);
    }
}

/// What the kernel says of each thread of the process that holds the tap device.
fn tasks_of_the_stack(bed: &Bed) -> Vec<String> {
    let all = bed.processes().into_iter().map(|(pid, _)| bed.path(&format!("/proc/{pid}")));
    let has_tap = |dir: &PathBuf| {
        let links = std::fs::read_dir(dir.join("fd")).into_iter().flatten().flatten();
        links.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|path| path.ends_with("net/tun"))
    };
    let Some(stack) = all.into_iter().find(has_tap) else { return Vec::new() };
    let tasks = std::fs::read_dir(stack.join("task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok()).collect()
}

fn what_was_sent_last_arrives(bed: &Bed) {
    let peer = bed.peer();
    for threads in THREADS {
        for _ in 0..5 {
            let script = format!(
                "socks = [connect(host, SUM) for host in ('{WORLD4}', '{WORLD6}') * 2]
for s in socks: s.sendall(BLOCK[:400000])
os._exit(0)"
            );
            bed.run_python(&format!("--threads {threads}"), &script).ok();
        }
    }
    for report in peer.reports(port::SUM, 40) {
        assert_eq!((&report["rx"], &report["end"]), (&400_000.into(), &"eof".into()), "{report}");
    }
    for threads in THREADS {
        assert_eq!(bed.run(&format!("--threads {threads}"), "echo done; exit 7").output().code(), 7);
        bed.run_argv(&format!("--threads {threads}"), &["true"]).ok();
        bed.assert_nothing_left();
    }
}

fn attached_to_a_container(bed: &Bed) {
    let peer = bed.peer();
    for threads in THREADS {
        let container = Container::new(bed);
        let pid = container.pid.to_string();
        bed.rnet(&["attach", "--threads", &threads.to_string(), "--pid", &pid]).output().assert_code(0);
        assert!(container.sh("ip -d link show tap0").contains(&format!("numqueues {threads}")));
        for host in BOTH {
            container.python(&format!(
                "socks = [connect('{host}', ECHO, timeout=5) for _ in range(20)]
for s in socks: s.sendall(b'x')
for s in socks: equal(s.recv(1), b'x')"
            ));
        }
        container.end();
        bed.assert_nothing_left();
    }
    assert_eq!(peer.reports(port::ECHO, 80).len(), 80);
}

fn wrong_numbers(bed: &Bed) {
    for wrong in ["0", "17", "1.5", "two", ""] {
        let out = bed.rnet(&["run", "--threads", wrong, "--mtu", "1", "--", "echo", "started"]).output();
        out.assert_code(2).assert_stderr(&["--threads", "from 1 to 16", "--mtu 1"]);
        assert_eq!(out.stdout, "");
    }
    let out = bed.run_argv("--threads 4 --max-tcp-flows 3 --max-buffer 64K", &["echo", "started"]).output();
    out.assert_code(2).assert_stderr(&["--max-tcp-flows 3", "at least 4", "--max-buffer 64K", "4 threads"]);
    assert_eq!(out.stdout, "");
}
