//! Opening TCP connections: the container sees what the host saw.

use std::time::Duration;

use crate::bed::{BOTH, Bed, FAR_UNREACHABLE, PROHIBITED, SILENT, Side, UNREACHABLE, WORLD4, port};

both!(
    connects_to_either_family,
    a_closed_port_is_refused_at_once,
    an_unreachable_host_is_reported,
    a_host_without_a_route_is_reported,
    silence_stays_silence,
    retransmitted_syns_make_one_flow,
    a_source_port_can_be_used_again,
    the_source_port_of_a_closed_connection_is_free,
);

fn connects_to_either_family(bed: &Bed) {
    let peer = bed.peer();
    for host in BOTH {
        let script =
            format!("s = connect('{host}', ECHO); s.sendall(b'hello'); equal(read_exactly(s, 5), b'hello'); s.close()");
        bed.run_python("", &script).ok();
    }
    for report in peer.reports(port::ECHO, 2) {
        assert_eq!((&report["rx"], &report["end"]), (&5.into(), &"eof".into()));
    }
}

/// Runs `attempt` against each host and checks the outcome's name and how soon it came.
fn outcome(bed: &Bed, hosts: &[&str], outcomes: &[&str], seconds: f64) {
    for host in hosts {
        let script = format!(
            "outcome, took = attempt('{host}', 4444)\ncheck(outcome in {outcomes:?}, '{host}', outcome, took)\ncheck(took < {seconds}, '{host}', took)"
        );
        bed.run_python("", &script).ok();
    }
}

fn a_closed_port_is_refused_at_once(bed: &Bed) {
    outcome(bed, &BOTH, &["ECONNREFUSED"], 0.5);
}

fn an_unreachable_host_is_reported(bed: &Bed) {
    outcome(bed, &UNREACHABLE, &["EHOSTUNREACH", "ENETUNREACH"], 1.5);
    outcome(bed, &FAR_UNREACHABLE, &["EHOSTUNREACH", "ENETUNREACH"], 1.5);
    outcome(bed, &PROHIBITED, &["EACCES", "EHOSTUNREACH", "ENETUNREACH"], 1.5);
}

fn a_host_without_a_route_is_reported(bed: &Bed) {
    bed.root(Side::Host, "ip route del default; ip -6 route del default").ok();
    outcome(bed, &["192.0.2.77", "2001:db8:77::1"], &["ENETUNREACH", "EHOSTUNREACH"], 1.5);
}

fn silence_stays_silence(bed: &Bed) {
    for host in SILENT {
        let script = format!(
            "outcome, took = attempt('{host}', 4444, timeout=3)\nequal(outcome, 'timeout', '{host}')\ncheck(took > 2.9, took)"
        );
        bed.run_python("", &script).ok();
    }
}

fn retransmitted_syns_make_one_flow(bed: &Bed) {
    let peer = bed.peer();
    // The world's answers to the host are lost for 1.6 s: the host connects with its SYN of second 3, and the
    // container has sent three by then.
    bed.root(Side::World, "ip route add blackhole 203.0.113.2").ok();
    let script = format!(
        "print('go', flush=True); start = time.monotonic(); s = connect('{WORLD4}', ECHO); took = time.monotonic() - start
check(2 < took < 6, took)
s.settimeout(30); s.sendall(b'one'); equal(read_exactly(s, 3), b'one'); s.close()"
    );
    let process = bed.run_python("", &script).spawn();
    process.wait_for("go");
    std::thread::sleep(Duration::from_millis(1600));
    bed.root(Side::World, "ip route del blackhole 203.0.113.2").ok();
    process.wait(Duration::from_secs(20)).assert_code(0);
    peer.report(port::ECHO);
    std::thread::sleep(Duration::from_millis(500));
    let reports = peer.reports(port::ECHO, 1);
    assert_eq!(reports.len(), 1, "the world saw more than one connection: {reports:?}");
    assert_eq!(reports[0]["rx"], 3);
}

fn a_source_port_can_be_used_again(bed: &Bed) {
    // The server closes first, so that TIME_WAIT is at its end of each connection, which is rnet's.
    let _peer = bed.peer();
    for (host, any) in [(BOTH[0], "0.0.0.0"), (BOTH[1], "::")] {
        let script = format!(
            "for turn in range(20):
    start = time.monotonic()
    s = socket.socket(socket.AF_INET6 if ':' in '{host}' else socket.AF_INET); s.settimeout(10)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('{any}', 40404)); s.connect(('{host}', CLOSE)); s.sendall(b'5\\n')
    equal(drain(s), (5, 'eof'), turn); s.close()
    took = time.monotonic() - start
    check(took < 0.9, 'turn', turn, 'took', took)
    time.sleep(0.1)  # for the last acknowledgement, which the kernel waits for before it frees the port"
        );
        bed.run_python("", &script).ok();
    }
}

fn the_source_port_of_a_closed_connection_is_free(bed: &Bed) {
    // A RST leaves no TIME_WAIT at either end: the same four numbers make a new connection at once.
    let _peer = bed.peer();
    let script = format!(
        "for turn in range(20):
    s = socket.socket(); s.settimeout(10)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('0.0.0.0', 40405)); s.connect(('{WORLD4}', ECHO)); s.sendall(b'abc'); equal(read_exactly(s, 3), b'abc', turn); reset(s)"
    );
    bed.run_python("", &script).ok();
}
