//! The ends of TCP connections: half close, reset, and what is in flight.

use crate::bed::{BOTH, Bed, port};

both!(
    the_container_may_close_its_half,
    the_world_may_close_its_half,
    a_reset_from_the_container_reaches_the_world,
    a_reset_from_the_world_reaches_the_container,
    closing_with_unread_data_resets,
    the_end_of_a_process_ends_its_connections,
    data_in_flight_at_the_worlds_close_arrives,
    data_in_flight_at_the_containers_close_arrives,
    a_close_while_the_other_end_sends_resets,
);

fn for_both(bed: &Bed, script: &str) {
    for host in BOTH {
        bed.run_python("", &format!("HOST = '{host}'\n{script}")).ok();
    }
}

fn the_container_may_close_its_half(bed: &Bed) {
    let peer = bed.peer();
    for_both(
        bed,
        "s = connect(HOST, SUM); length = 3_000_000
for piece in pattern(length): s.sendall(piece)
s.shutdown(socket.SHUT_WR)
time.sleep(0.2)
equal(read_line(s), f'{length} {sha(length)}'); equal(s.recv(1), b'')",
    );
    peer.reports(port::SUM, 2).iter().for_each(|report| assert_eq!(report["end"], "eof"));
}

fn the_world_may_close_its_half(bed: &Bed) {
    let peer = bed.peer();
    for_both(
        bed,
        "s = connect(HOST, SOURCE); s.sendall(b'100000\\n')
equal(drain(s), (100000, 'eof'))
for piece in pattern(2_000_000): s.sendall(piece)
time.sleep(0.2); s.sendall(b'last words'); s.close()",
    );
    for report in peer.reports(port::SOURCE, 2) {
        assert_eq!((&report["rx"], &report["end"]), (&2_000_010.into(), &"eof".into()));
    }
}

fn a_reset_from_the_container_reaches_the_world(bed: &Bed) {
    let peer = bed.peer();
    for_both(bed, "s = connect(HOST, ECHO); s.sendall(b'x' * 100); read_exactly(s, 100); reset(s)");
    for report in peer.reports(port::ECHO, 2) {
        assert_eq!(
            (&report["rx"], &report["end"]),
            (&100.into(), &"ECONNRESET".into()),
            "the world sees the RST, not a FIN"
        );
    }
}

fn a_reset_from_the_world_reaches_the_container(bed: &Bed) {
    let _peer = bed.peer();
    for_both(
        bed,
        "s = connect(HOST, RESET); s.sendall(b'1000\\n'); equal(drain(s), (1000, 'ECONNRESET'))
s = connect(HOST, RESET); s.sendall(b'0\\n'); equal(drain(s), (0, 'ECONNRESET'))
# The reset is seen by a writer too, and by one who waits for nothing else.
s = connect(HOST, RESET); s.sendall(b'0\\n'); time.sleep(0.8)
poll = select.poll(); poll.register(s, 0)
check(poll.poll(5000) and poll.poll(0)[0][1] & select.POLLERR, 'no POLLERR')",
    );
}

fn closing_with_unread_data_resets(bed: &Bed) {
    let peer = bed.peer();
    for_both(bed, "s = connect(HOST, ECHO); s.sendall(b'x' * 1000); time.sleep(0.3); s.close()");
    peer.reports(port::ECHO, 2).iter().for_each(|report| assert_eq!(report["end"], "ECONNRESET"));
}

fn the_end_of_a_process_ends_its_connections(bed: &Bed) {
    let peer = bed.peer();
    for_both(
        bed,
        "child = os.fork()
if child == 0:
    s = connect(HOST, ECHO); s.sendall(b'abc'); read_exactly(s, 3); time.sleep(100)
time.sleep(0.5); os.kill(child, signal.SIGKILL); os.wait(); time.sleep(0.5)",
    );
    for report in peer.reports(port::ECHO, 2) {
        assert_eq!((&report["rx"], &report["end"]), (&3.into(), &"eof".into()));
    }
}

fn data_in_flight_at_the_worlds_close_arrives(bed: &Bed) {
    let _peer = bed.peer();
    for_both(
        bed,
        "for length in (1, 70_000, 5_000_000):
    s = connect(HOST, CLOSE); s.sendall(f'{length}\\n'.encode()); time.sleep(0.3)
    digest = hashlib.sha256(); equal(drain(s, digest), (length, 'eof')); equal(digest.hexdigest(), sha(length))",
    );
}

fn data_in_flight_at_the_containers_close_arrives(bed: &Bed) {
    let peer = bed.peer();
    for_both(
        bed,
        "s = connect(HOST, SLOW); s.sendall(b'0.5\\n')
for piece in pattern(2_000_000): s.sendall(piece)
s.close(); time.sleep(1.5)",
    );
    for report in peer.reports(port::SLOW, 2) {
        assert_eq!((&report["rx"], &report["end"]), (&2_000_000.into(), &"eof".into()));
    }
}

fn a_close_while_the_other_end_sends_resets(bed: &Bed) {
    // The world wants to send 64 MiB, the container goes away after the first of them: the world must not hang.
    let peer = bed.peer();
    for_both(
        bed,
        "s = connect(HOST, SOURCE); s.sendall(b'67108864\\n'); read_exactly(s, 1 << 20); s.close(); time.sleep(0.5)",
    );
    for report in peer.reports(port::SOURCE, 2) {
        let error = report["error"].as_str().unwrap_or_default();
        assert!(error.contains("ConnectionReset") || error.contains("BrokenPipe"), "{report}");
    }
}
