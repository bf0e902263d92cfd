//! Published UDP ports: whom the server sees, and where its answers come from.

use crate::bed::{Bed, GATEWAY4, GATEWAY6, HOST4, HOST6, WORLD4, WORLD6};
use crate::published::{Server, host, world};

both!(
    clients_keep_their_addresses,
    clients_on_the_loopback_appear_as_the_gateway,
    what_the_container_sends_leaves_from_the_published_port,
    two_host_ports_of_one_of_the_containers,
    a_range_carries_every_size,
    bursts_arrive_in_order,
    the_hosts_loopback_stays_out_of_reach,
);

/// What `UDP_WHO` at `address`, `port` says is the client's own socket name, and the answer comes from there.
const SEES_ME: &str = "
def sees_me(address, port, name=None, bind=None):
    s = udp(address, bind=bind); s.connect((address, port)); me = s.getsockname()
    s.send(b'who'); equal(s.recv(99).decode(), f'{name or me[0]} {me[1]}', (address, port)); return s
";

fn clients_keep_their_addresses(bed: &Bed) {
    let server = Server::start(bed, "-p 9012:9002/udp");
    let script = format!("{SEES_ME}sees_me('{HOST4}', 9012)\nsees_me('{HOST6}', 9012)");
    world(bed, &script);
    host(bed, &script);
    server.end(bed);
}

fn clients_on_the_loopback_appear_as_the_gateway(bed: &Bed) {
    let server = Server::start(bed, "-p 9012:9002/udp -p 127.0.0.1:9013:9002/udp");
    let script = format!(
        "{SEES_ME}sees_me('127.0.0.1', 9012, '{GATEWAY4}')\nsees_me('::1', 9012, '{GATEWAY6}')
sees_me('127.0.0.1', 9013, '{GATEWAY4}')
# Two of one port, at two addresses.
seen = set()
for last in (1, 2):
    s = udp('127.0.0.1', bind=(f'127.0.0.{{last}}', 40123)); s.connect(('127.0.0.1', 9012)); s.send(b'who'); seen.add(s.recv(99))
equal(len(seen), 2, seen); check(b'{GATEWAY4} 40123' in seen, seen)"
    );
    host(bed, &script);
    server.end(bed);
}

fn what_the_container_sends_leaves_from_the_published_port(bed: &Bed) {
    let _peer = bed.peer();
    let script = format!(
        "for address, own in (('{WORLD4}', '{HOST4}'), ('{WORLD6}', '{HOST6}')):
    s = udp(address); s.bind(('::' if ':' in address else '0.0.0.0', 7777)); s.sendto(b'who', (address, UDP_WHO))
    equal(s.recv(99).decode(), f'{{own}} 8777')"
    );
    bed.run_python("-p 8777:7777/udp", &script).ok();
}

fn two_host_ports_of_one_of_the_containers(bed: &Bed) {
    let server = Server::start(bed, "-p 9012:9002/udp -p 9013:9002/udp");
    let script = format!(
        "{SEES_ME}for turn in range(3):
    for address in ('{HOST4}', '{HOST6}'):
        for port in (9012, 9013): sees_me(address, port)"
    );
    world(bed, &script);
    server.end(bed);
}

fn a_range_carries_every_size(bed: &Bed) {
    let server = Server::start(bed, "-p 9001-9003:9001-9003/udp");
    let script = format!(
        "{SEES_ME}sees_me('{HOST4}', 9002)
for address in ('{HOST4}', '{HOST6}'):
    s = udp(address); s.connect((address, 9001))
    for size in (0, 1, 1400, 1473, 9000, 65507):
        s.send(BLOCK[:size]); check(s.recv(1 << 17) == BLOCK[:size], address, size)"
    );
    world(bed, &script);
    server.end(bed);
}

fn bursts_arrive_in_order(bed: &Bed) {
    let script = "
s = udp('::', timeout=20); s.bind(('::', 7777)); report(ready=True)
while True:
    data, peer = s.recvfrom(2000)
    numbers = [struct.unpack('!I', data[:4])[0]]
    while len(numbers) < 200: numbers.append(struct.unpack('!I', s.recv(2000)[:4])[0])
    s.sendto(b'in order' if numbers == list(range(200)) else repr(numbers).encode()[:1000], peer)
";
    let server = Server::python(bed, "-p 7777/udp", script);
    let client = format!(
        "for address in ('{HOST4}', '{HOST6}'):
    s = udp(address); s.connect((address, 7777))
    for turn in range(5):
        for number in range(200): s.send(struct.pack('!I', number) + BLOCK[:1000])
        equal(s.recv(2000), b'in order', address)"
    );
    world(bed, &client);
    server.end(bed);
}

fn the_hosts_loopback_stays_out_of_reach(bed: &Bed) {
    // A port that one client on the loopback uses opens no way to others.
    let listener = bed.sh("exec python3 -").stdin("from peer import *\ns = udp('127.0.0.1', timeout=60, bind=('127.0.0.1', 5555)); report(ready=True)\nprint('got', s.recv(99))");
    let listener = listener.spawn();
    listener.wait_for("ready");
    bed.note_processes();
    let script = format!(
        "s = udp('0.0.0.0', timeout=20); s.bind(('0.0.0.0', 7777)); report(ready=True)
data, peer = s.recvfrom(99); equal(peer[0], '{GATEWAY4}')
for to in ((peer[0], 5555), ('127.0.0.1', 5555)):
    try: s.sendto(b'intruder', to)
    except OSError: pass
s.sendto(b'answer', peer); time.sleep(5)"
    );
    let server = Server::python(bed, "-p 8777:7777/udp", &script);
    host(
        bed,
        "s = udp('127.0.0.1'); s.connect(('127.0.0.1', 8777)); s.send(b'hello'); equal(s.recv(99), b'answer'); time.sleep(0.5)",
    );
    assert!(!listener.stdout().contains("got"), "{}", listener.stdout());
    server.end(bed);
}
