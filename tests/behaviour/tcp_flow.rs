//! TCP connections at work: windows, urgent data, many at once, every MTU.

use crate::bed::{BOTH, Bed, WORLD4, port};

both!(
    a_slow_server_stalls_only_its_own_flow,
    a_slow_client_stalls_only_its_own_flow,
    urgent_data_does_not_break_a_flow,
    both_directions_at_once,
    two_hundred_connections_at_once,
    every_mtu_carries_bulk,
    small_writes_are_not_delayed,
    idle_connections_stay,
);

/// Fifty round trips on a flow of their own, none of which may wait for another flow.
const ROUND_TRIPS: &str = "
def round_trips(host):
    s = connect(host, ECHO); worst = 0
    for turn in range(50):
        start = time.monotonic(); s.sendall(b'ping'); read_exactly(s, 4); worst = max(worst, time.monotonic() - start)
    s.close(); check(worst < 0.4, 'a round trip took', worst)
";

fn a_slow_server_stalls_only_its_own_flow(bed: &Bed) {
    let peer = bed.peer();
    for host in BOTH {
        let script = format!(
            "{ROUND_TRIPS}
length = 48 << 20
slow = connect('{host}', SLOW, timeout=60); slow.sendall(b'2\\n')
def send():
    for piece in pattern(length): slow.sendall(piece)
    slow.shutdown(socket.SHUT_WR)
thread = threading.Thread(target=send); start = time.monotonic(); thread.start()
time.sleep(0.5); round_trips('{host}'); check(thread.is_alive(), 'the slow flow was not held back')
thread.join(40); check(time.monotonic() - start > 1.5, 'sent into nowhere')
equal(read_line(slow), f'{{length}} {{sha(length)}}')"
        );
        bed.run_python("", &script).limit(60).ok();
    }
    peer.reports(port::SLOW, 2);
}

fn a_slow_client_stalls_only_its_own_flow(bed: &Bed) {
    let _peer = bed.peer();
    for host in BOTH {
        let script = format!(
            "{ROUND_TRIPS}
length = 48 << 20
slow = socket.socket(socket.AF_INET6 if ':' in '{host}' else socket.AF_INET); slow.settimeout(30)
slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20000)
slow.connect(('{host}', SOURCE)); slow.sendall(f'{{length}}\\n'.encode())
time.sleep(1.5); round_trips('{host}')
# A window that opens a little, closes again for longer than a retransmission time-out, then opens for good.
digest = hashlib.sha256()
digest.update(read_exactly(slow, 50_000)); time.sleep(1.5); round_trips('{host}')
total, end = drain(slow, digest); equal((total + 50_000, end), (length, 'eof')); equal(digest.hexdigest(), sha(length))"
        );
        bed.run_python("", &script).limit(60).ok();
    }
}

fn urgent_data_does_not_break_a_flow(bed: &Bed) {
    let peer = bed.peer();
    for host in BOTH {
        let script = format!(
            "s = connect('{host}', URGENT); s.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
s.sendall(b'one'); s.send(b'!', socket.MSG_OOB); s.sendall(b'two\\n')
line = read_line(s); check(line.replace('!', '') == 'beforeafter', line)
s.send(b'?', socket.MSG_OOB); s.sendall(b'x' * 9); s.shutdown(socket.SHUT_WR); equal(s.recv(1), b'')"
        );
        bed.run_python("", &script).ok();
    }
    for report in peer.reports(port::URGENT, 2) {
        assert_eq!(report["line"].as_str().unwrap().replace('!', ""), "onetwo", "{report}");
        assert!(report["rx"] == 10 || report["rx"] == 9, "{report}");
        assert_eq!(report["end"], "eof", "{report}");
    }
}

fn both_directions_at_once(bed: &Bed) {
    let _peer = bed.peer();
    for host in BOTH {
        let script = format!(
            "length = 64 << 20; s = connect('{host}', ECHO)
def send():
    for piece in pattern(length): s.sendall(piece)
    s.shutdown(socket.SHUT_WR)
thread = threading.Thread(target=send); thread.start()
digest = hashlib.sha256(); equal(drain(s, digest), (length, 'eof')); equal(digest.hexdigest(), sha(length)); thread.join()"
        );
        bed.run_python("", &script).limit(60).ok();
    }
}

fn two_hundred_connections_at_once(bed: &Bed) {
    let peer = bed.peer();
    let script = format!(
        "socks = [connect('{{}}'.format(('{}', '{}')[n % 2]), ECHO) for n in range(200)]
for n, s in enumerate(socks): s.sendall(f'flow {{n:04}}'.encode() * 100)
for n, s in reversed(list(enumerate(socks))): equal(read_exactly(s, 900), f'flow {{n:04}}'.encode() * 100, n)
for s in socks: s.close()",
        BOTH[0], BOTH[1]
    );
    bed.run_python("", &script).ok();
    assert!(peer.reports(port::ECHO, 200).iter().all(|report| report["end"] == "eof" && report["rx"] == 900));
}

fn every_mtu_carries_bulk(bed: &Bed) {
    let _peer = bed.peer();
    for mtu in [1280, 1500, 9000, 65520] {
        for host in BOTH {
            let script = format!(
                "equal(mtu(), {mtu})
length = 8_000_001; s = connect('{host}', SUM)
for piece in pattern(length): s.sendall(piece)
s.shutdown(socket.SHUT_WR); equal(read_line(s), f'{{length}} {{sha(length)}}')
s = connect('{host}', SOURCE); s.sendall(f'{{length}}\\n'.encode()); digest = hashlib.sha256()
equal(drain(s, digest), (length, 'eof')); equal(digest.hexdigest(), sha(length))"
            );
            bed.run_python(&format!("--mtu {mtu}"), &script).ok();
        }
    }
}

fn small_writes_are_not_delayed(bed: &Bed) {
    // Two writes and a read: Nagle's algorithm against a delayed acknowledgement would cost 40 ms each time.
    let _peer = bed.peer();
    let script = format!(
        "s = connect('{WORLD4}', ECHO); start = time.monotonic()
for turn in range(100):
    s.sendall(b'head'); s.sendall(b'body'); equal(read_exactly(s, 8), b'headbody')
took = time.monotonic() - start; check(took < 3.0, took)"
    );
    bed.run_python("", &script).ok();
}

fn idle_connections_stay(bed: &Bed) {
    let _peer = bed.peer();
    let script = format!(
        "socks = [connect('{WORLD4}', ECHO) for _ in range(10)]; time.sleep(6)
for s in socks: s.sendall(b'still'); equal(read_exactly(s, 5), b'still')"
    );
    bed.run_python("", &script).ok();
}
