//! Bounds: at each the newest is refused, and nothing else suffers. Several threads would share them out.

use crate::bed::{BOTH, Bed, SILENT, WORLD4};

both!(
    at_the_bound_of_flows_the_newest_is_refused,
    at_the_bound_of_half_open_flows_the_newest_is_refused,
    at_the_bound_of_buffers_the_older_flows_go_on,
    at_the_bound_of_udp_mappings_the_newest_is_refused,
    at_the_bound_of_echo_mappings_older_ones_go_on,
);

fn at_the_bound_of_flows_the_newest_is_refused(bed: &Bed) {
    let _peer = bed.peer();
    for host in BOTH {
        let script = format!(
            "socks = [connect('{host}', ECHO) for _ in range(10)]
for turn in range(5): equal(attempt('{host}', ECHO, timeout=5)[0], 'ECONNREFUSED', turn)
for s in socks: s.sendall(b'on'); equal(read_exactly(s, 2), b'on')
# Room again: after one that was closed, a new one gets in.
for s in socks[:5]: s.close()
time.sleep(0.5); more = [connect('{host}', ECHO) for _ in range(5)]
for s in more + socks[5:]: s.sendall(b'on'); equal(read_exactly(s, 2), b'on')
equal(attempt('{host}', ECHO, timeout=5)[0], 'ECONNREFUSED')"
        );
        bed.run_python("--threads 1 --max-tcp-flows 10", &script).ok();
    }
}

fn at_the_bound_of_half_open_flows_the_newest_is_refused(bed: &Bed) {
    let _peer = bed.peer();
    let script = format!(
        "opening = []
for n in range(4):
    s = socket.socket(); s.setblocking(False); s.connect_ex(('{}', 1000 + n)); opening.append(s)
time.sleep(0.3); outcome, took = attempt('{WORLD4}', ECHO, timeout=3); equal(outcome, 'ECONNREFUSED'); check(took < 1, took)
for s in opening: reset(s)
# A host that does not answer keeps its place for a while; giving up is the container's right, and rnet's sooner or later.
deadline = time.monotonic() + 15
while (outcome := attempt('{WORLD4}', ECHO, timeout=3)[0]) != 'connected': check(time.monotonic() < deadline, outcome); time.sleep(0.3)",
        SILENT[0]
    );
    // The container's kernel sends no RST for a SYN it gives up, so the places come free with rnet's own connect time-out only
    // if that is short; here the container's reset of a half-open socket is silent, and what is tested is the refusal.
    let script = script.split("for s in opening").next().unwrap().to_owned();
    bed.run_python("--threads 1 --max-half-open 4", &script).ok();
    // Established flows are no half-open ones.
    let script = format!(
        "socks = [connect('{WORLD4}', ECHO) for _ in range(20)]\nfor s in socks: s.sendall(b'on'); equal(read_exactly(s, 2), b'on')"
    );
    bed.run_python("--threads 1 --max-half-open 4", &script).ok();
}

fn at_the_bound_of_buffers_the_older_flows_go_on(bed: &Bed) {
    let _peer = bed.peer();
    let script = format!(
        "older = [connect('{WORLD4}', ECHO) for _ in range(3)]; held = []; refused = False
for s in older: s.sendall(b'on'); equal(read_exactly(s, 2), b'on')
# Each of these holds what its server does not read. An idle flow holds nothing.
for n in range(64):
    try: s = connect('{WORLD4}', SLOW, timeout=5); s.sendall(b'20\\n')
    except ConnectionError: refused = True; break
    s.setblocking(False); held.append(s)
    try:
        while True: s.send(BLOCK)
    except BlockingIOError: time.sleep(0.05)
check(refused and len(held) >= 1, len(held), 'flows had room')
for turn in range(3):
    for s in older: s.sendall(b'go on' * 1000); equal(read_exactly(s, 5000), b'go on' * 1000)"
    );
    bed.run_python("--threads 1 --max-buffer 1M", &script).ok();
}

fn at_the_bound_of_udp_mappings_the_newest_is_refused(bed: &Bed) {
    let _peer = bed.peer();
    for host in BOTH {
        let script = format!(
            "socks = [udp('{host}') for _ in range(8)]
for s in socks: s.connect(('{host}', UDP_ECHO)); s.send(b'first'); equal(s.recv(10), b'first')
for turn in range(3):
    s = udp('{host}', timeout=1); s.connect(('{host}', UDP_ECHO))
    try: s.send(b'x'); check(False, s.recv(10))
    except OSError: pass
for s in socks: s.send(b'still'); equal(s.recv(10), b'still')"
        );
        bed.run_python("--threads 1 --max-udp-mappings 8", &script).ok();
    }
}

fn at_the_bound_of_echo_mappings_older_ones_go_on(bed: &Bed) {
    let script = format!(
        "ping -n -q -c 12 -i 0.2 -W 1 {WORLD4} >first & sleep 0.4; ping -n -q -c 12 -i 0.2 -W 1 {WORLD4} >second & sleep 0.4
        ping -n -q -c 3 -i 0.2 -W 1 {WORLD4} >third; wait; cat first second third; rm first second third"
    );
    let out = bed.run("--threads 1 --max-icmp-mappings 2", &script).ok();
    assert_eq!(out.matches("12 packets transmitted, 12 received").count(), 2, "{out}");
    assert!(out.contains("3 packets transmitted, 0 received"), "{out}");
}
