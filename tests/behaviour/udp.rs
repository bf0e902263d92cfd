//! UDP: sizes, mappings and errors.

use crate::bed::{BOTH, Bed, FAR4, FAR6, UNREACHABLE, WORLD4, WORLD6, port};

both!(
    echoes_every_size_at_every_mtu,
    one_mapping_serves_every_peer,
    a_stranger_may_answer,
    a_closed_port_is_refused,
    an_unreachable_host_is_reported,
    the_world_learns_of_a_closed_socket,
    many_datagrams_in_a_row_arrive_in_order,
    datagrams_of_several_peers_do_not_mix,
    many_sockets_at_once,
);

fn echoes_every_size_at_every_mtu(bed: &Bed) {
    let _peer = bed.peer();
    for mtu in [1280, 1500, 9000, 65520] {
        let script = format!(
            "for host in ('{WORLD4}', '{WORLD6}'):
    for size in (0, 1, 1232, 1400, 1472, 1473, 9000, 40001, 65507):
        s = udp(host); s.connect((host, UDP_ECHO)); data = BLOCK[size:2 * size]
        for turn in range(3):
            s.send(data)
            try: got = s.recv(1 << 16)
            except TimeoutError: check(False, 'no echo', host, size, 'MTU {mtu}', turn)
            check(got == data, 'wrong echo', host, size, len(got))"
        );
        bed.run_python(&format!("--mtu {mtu}"), &script).limit(60).ok();
    }
}

fn one_mapping_serves_every_peer(bed: &Bed) {
    // RFC 4787 section 4.1: endpoint-independent mapping.
    let _peer = bed.peer();
    for (one, two) in [(WORLD4, FAR4), (WORLD6, FAR6)] {
        let script = format!(
            "s = udp('{one}'); seen = set()
for host in ('{one}', '{}', '{}'):
    s.sendto(b'who', (host, UDP_WHO)); data, peer = s.recvfrom(100); equal(peer[:2], (host, UDP_WHO)); seen.add(data)
equal(len(seen), 1, seen)",
            two[0], two[1]
        );
        bed.run_python("", &script).ok();
    }
}

fn a_stranger_may_answer(bed: &Bed) {
    // RFC 4787 section 5: endpoint-independent filtering, as a container on the host's network would have it.
    let _peer = bed.peer();
    for host in BOTH {
        let script = format!(
            "s = udp('{host}')
for stranger in (5000, 5001):
    s.sendto(str(stranger).encode(), ('{host}', UDP_VIA)); data, peer = s.recvfrom(100)
    equal((data, peer[:2]), (f'via {{stranger}}'.encode(), ('{host}', stranger)))"
        );
        bed.run_python("", &script).ok();
    }
}

fn a_closed_port_is_refused(bed: &Bed) {
    for host in BOTH {
        let script = format!(
            "s = udp('{host}'); s.connect(('{host}', 4444)); s.send(b'x'); start = time.monotonic()
try: s.recv(10); check(False, 'an answer')
except OSError as error: equal(errno.errorcode.get(error.errno, 'timeout'), 'ECONNREFUSED')
check(time.monotonic() - start < 1, 'late')"
        );
        bed.run_python("", &script).ok();
    }
}

fn an_unreachable_host_is_reported(bed: &Bed) {
    for host in UNREACHABLE {
        let script = format!(
            "s = udp('{host}')
s.setsockopt(*((socket.IPPROTO_IPV6, 25) if ':' in '{host}' else (socket.IPPROTO_IP, 11)), 1)  # IP(V6)_RECVERR
outcome = 'silence'
try: s.connect(('{host}', 4444)); s.send(b'x'); s.recv(10)
except OSError as error: outcome = errno.errorcode.get(error.errno, 'timeout')
check(outcome in ('EHOSTUNREACH', 'ENETUNREACH'), outcome)"
        );
        bed.run_python("", &script).ok();
    }
}

fn the_world_learns_of_a_closed_socket(bed: &Bed) {
    let peer = bed.peer();
    for host in BOTH {
        let script = format!(
            "s = udp('{host}'); s.sendto(b'1', ('{host}', UDP_ONCE)); time.sleep(0.3); s.close(); time.sleep(5)"
        );
        bed.run_python("", &script).ok();
    }
    for report in peer.reports(port::UDP_ONCE, 2) {
        assert_eq!(report["outcome"], "ECONNREFUSED", "the container's port unreachable reaches the world's socket");
    }
}

fn many_datagrams_in_a_row_arrive_in_order(bed: &Bed) {
    let _peer = bed.peer();
    for host in BOTH {
        // A burst that fits any socket's default buffer: nothing may be lost or change its place.
        let script = format!(
            "s = udp('{host}'); s.connect(('{host}', UDP_ECHO)); s.send(b'x'); s.recv(1)  # the host's kernel may shuffle what waits for a neighbour's address
for turn in range(20):
    sent = [struct.pack('!II', turn, n) + BLOCK[:n * 8] for n in range(40)]
    for data in sent: s.send(data)
    got = [s.recv(1 << 16) for _ in sent]
    equal([struct.unpack('!II', data[:8]) for data in got], [(turn, n) for n in range(40)]); check(got == sent, 'torn', turn)"
        );
        bed.run_python("", &script).ok();
    }
}

fn datagrams_of_several_peers_do_not_mix(bed: &Bed) {
    let _peer = bed.peer();
    for (one, two) in [(WORLD4, FAR4), (WORLD6, FAR6)] {
        // Runs of one size, a shorter and an empty one, too large ones to be put together, and peers that take turns.
        let script = format!(
            "s = udp('{one}'); hosts = ('{one}', '{}', '{}'); sizes = [90] * 20 + [7] + [90] * 3 + [0, 1400, 1400, 1401, 3000, 90, 1200]
for host in hosts: s.sendto(b'x', (host, UDP_ECHO)); s.recv(1)  # see above
for runs in (1, 5):
    sent = {{host: [] for host in hosts}}; got = {{host: [] for host in hosts}}
    for n in range(0, len(sizes), runs):
        for host in hosts:
            for size in sizes[n:n + runs]:
                data = BLOCK[n + size:n + 2 * size]; s.sendto(data, (host, UDP_ECHO)); sent[host].append(data)
    for _ in range(len(sizes) * len(hosts)):
        data, peer = s.recvfrom(1 << 16); got[peer[0]].append(data)
    for host in hosts:
        equal([len(data) for data in got[host]], [len(data) for data in sent[host]], host); check(got == sent, 'torn', host, runs)",
            two[0], two[1]
        );
        bed.run_python("", &script).ok();
    }
}

fn many_sockets_at_once(bed: &Bed) {
    let peer = bed.peer();
    let script = format!(
        "socks = [udp('{WORLD4}') for _ in range(200)]
for n, s in enumerate(socks): s.sendto(str(n).encode(), ('{WORLD4}', UDP_ECHO))
for n, s in enumerate(socks): equal(s.recv(100), str(n).encode(), n)
s = socks[7]; s.sendto(b'', ('{WORLD4}', UDP_WHO)); s.recv(100)"
    );
    bed.run_python("", &script).ok();
    assert_eq!(peer.reports(port::UDP_WHO, 1).len(), 1);
}
