//! Segments, fragments and frames that no well-behaved kernel sends. The container is root inside and may send anything.

use crate::bed::{Bed, WORLD4};

both!(
    a_segment_for_no_flow_is_reset,
    a_reset_for_no_flow_is_not_answered,
    packets_with_ip_options_do_no_harm,
    fragments_in_any_order_are_put_together,
    incomplete_fragments_are_forgotten,
    garbage_does_no_harm,
    a_syn_flood_leaves_room_for_others,
);

/// TCP/IPv4 by hand, and a packet socket on the tap.
pub const RAW: &str = "
def total(data):
    data += b'\\0' * (len(data) % 2); n = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while n >> 16: n = (n & 0xffff) + (n >> 16)
    return ~n & 0xffff
ME, IT = socket.inet_aton('10.0.2.100'), socket.inet_aton('203.0.113.1')
def segment(sport, dport, seq, ack, flags, data=b'', window=1000):
    head = struct.pack('!HHIIBBHHH', sport, dport, seq, ack, 5 << 4, flags, window, 0, 0)
    c = total(ME + IT + struct.pack('!HH', 6, len(head) + len(data)) + head + data)
    return head[:16] + struct.pack('!H', c) + head[18:] + data
def packet(payload, proto=6, ident=1, offset=0, more=False, ttl=64, options=b'', target=None):
    head = struct.pack('!BBHHHBBH4s4s', 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), ident, more << 13 | offset // 8, ttl, proto, 0, ME, target or IT) + options
    return head[:10] + struct.pack('!H', total(head)) + head[12:] + payload
import subprocess
tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)); tap.bind(('tap0', 0)); tap.settimeout(0.2)
mine = tap.getsockname()[4]
subprocess.run('ping -c 1 -W 1 10.0.2.2 >/dev/null', shell=True)
gate = bytes.fromhex(subprocess.run('ip neighbour show 10.0.2.2', shell=True, capture_output=True, text=True).stdout.split('lladdr ')[1].split()[0].replace(':', ''))
def send(data): tap.send(gate + mine + b'\\x08\\x00' + data)
def answers(wanted, seconds=1.0):
    end, found = time.monotonic() + seconds, []
    while time.monotonic() < end:
        try: frame, where = tap.recvfrom(1 << 16)
        except TimeoutError: continue
        if where[2] != socket.PACKET_OUTGOING and frame[12:14] == b'\\x08\\x00' and (result := wanted(frame[14:])) is not None: found.append(result)
    return found
def tcp_to(port):
    def look(p):
        q = p[(p[0] & 15) * 4:]
        return struct.unpack('!HHIIBB', q[:14]) if p[9] == 6 and struct.unpack('!H', q[2:4])[0] == port else None
    return look
def udp_to(port):
    def look(p):
        q = p[(p[0] & 15) * 4:]
        return q[8:] if p[9] == 17 and struct.unpack('!H', q[2:4])[0] == port else None
    return look
def datagram(sport, dport, data): return struct.pack('!HHHH', sport, dport, 8 + len(data), 0) + data
def alive():
    s = connect('203.0.113.1', ECHO, timeout=5); s.sendall(b'alive'); equal(read_exactly(s, 5), b'alive'); s.close()
";

fn raw(bed: &Bed, options: &str, script: &str) {
    bed.run_python(options, &format!("{RAW}\n{script}")).ok();
}

fn a_segment_for_no_flow_is_reset(bed: &Bed) {
    // RFC 9293 section 3.10.7.1: with ACK, <SEQ=SEG.ACK><CTL=RST>; without, <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>.
    raw(
        bed,
        "",
        "send(packet(segment(50001, 7001, 1000, 77777, 0x10, b'data')))
got = answers(tcp_to(50001)); check(got and got[0][5] & 4, got); equal(got[0][2], 77777)
send(packet(segment(50002, 7001, 5000, 0, 0x08, b'data')))
got = answers(tcp_to(50002)); check(got and got[0][5] & 4, got); equal(got[0][2:4], (0, 5004))
send(packet(segment(50003, 7001, 9000, 4242, 0x11)))
got = answers(tcp_to(50003)); check(got and got[0][5] & 4, got)",
    );
}

fn a_reset_for_no_flow_is_not_answered(bed: &Bed) {
    raw(bed, "", "send(packet(segment(50001, 7001, 1000, 1, 0x14))); equal(answers(tcp_to(50001)), [])");
}

fn packets_with_ip_options_do_no_harm(bed: &Bed) {
    let _peer = bed.peer();
    raw(
        bed,
        "",
        "for name, options in {'no-op': b'\\1\\1\\1\\0', 'router alert': b'\\x94\\4\\0\\0', 'timestamp': b'\\x44\\x0c\\5\\0' + b'\\0' * 8}.items():
    send(packet(datagram(50001, UDP_ECHO, name.encode()), 17, options=options)); got = answers(udp_to(50001), 0.6)
    check(got in ([], [name.encode()]), name, got)
# Source routes are refused everywhere (RFC 7126 section 4.3): no answer, and none from the hop that was named.
for kind in (0x83, 0x89):
    send(packet(datagram(50002, UDP_ECHO, b'route'), 17, options=bytes([kind, 7, 4]) + socket.inet_aton('198.51.100.1') + b'\\0'))
    equal(answers(udp_to(50002), 0.6), [])
alive()",
    );
}

fn fragments_in_any_order_are_put_together(bed: &Bed) {
    let _peer = bed.peer();
    raw(
        bed,
        "",
        "whole = datagram(50001, UDP_ECHO, BLOCK[:5000])
parts = [(at, whole[at:at + 1000]) for at in range(0, len(whole), 1000)]
for ident, order in enumerate(([0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [3, 0, 5, 1, 4, 2], [0, 0, 1, 2, 3, 3, 4, 5])):
    for n in order: send(packet(parts[n][1], 17, ident + 1, parts[n][0], n < 5))
    check(answers(udp_to(50001), 0.6)[:1] == [BLOCK[:5000]], order)
alive()",
    );
}

fn incomplete_fragments_are_forgotten(bed: &Bed) {
    // 3,000 first fragments (RFC 8900 section 3.7 names the attack); then everything else must still work.
    let _peer = bed.peer();
    raw(
        bed,
        "",
        "for ident in range(3000): send(packet(datagram(50001, UDP_ECHO, b'x' * 1000)[:1000], 17, ident, 0, True))
alive()
s = udp('203.0.113.1'); s.sendto(BLOCK[:3000], ('203.0.113.1', UDP_ECHO)); equal(s.recv(5000), BLOCK[:3000])",
    );
}

fn garbage_does_no_harm(bed: &Bed) {
    let _peer = bed.peer();
    raw(
        bed,
        "",
        "rng = random.Random(7); good = [gate + mine + b'\\x08\\x00' + packet(segment(50001, 7001, 1, 1, 2)), gate + mine + b'\\x08\\x00' + packet(datagram(50001, UDP_ECHO, b'x' * 50), 17)]
six = bytes.fromhex('60000000001806 40'.replace(' ', '')) + bytes(32) + rng.randbytes(24); good.append(gate + mine + b'\\x86\\xdd' + six)
for n in range(4000):
    frame = bytearray(rng.choice(good)); kind = n % 4
    if kind == 0: frame = frame[:rng.randrange(14, len(frame))]
    elif kind == 1:
        for _ in range(rng.randrange(1, 8)): frame[rng.randrange(14, len(frame))] = rng.randrange(256)
    elif kind == 2: frame = gate + mine + rng.choice((b'\\x08\\x00', b'\\x86\\xdd', b'\\x08\\x06', rng.randbytes(2))) + rng.randbytes(rng.randrange(0, 1400))
    else: frame[12:14] = rng.randbytes(2)
    try: tap.send(bytes(frame))
    except OSError: pass
time.sleep(0.5); alive()",
    );
}

fn a_syn_flood_leaves_room_for_others(bed: &Bed) {
    // 3,000 SYNs towards silence, more than the bound of half-open flows; a connection that exists goes on meanwhile.
    let _peer = bed.peer();
    raw(
        bed,
        "",
        &format!(
            "s = connect('{WORLD4}', ECHO); silent = socket.inet_aton('198.51.100.99'); IT = silent
for n in range(3000): send(packet(segment(10000 + n, 80, n, 0, 2), target=silent))
for turn in range(20): s.sendall(b'on'); equal(read_exactly(s, 2), b'on'); time.sleep(0.02)
u = udp('{WORLD4}'); u.sendto(b'u', ('{WORLD4}', UDP_ECHO)); equal(u.recv(5), b'u')"
        ),
    );
}
