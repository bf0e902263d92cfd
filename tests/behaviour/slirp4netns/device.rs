//! Where frames come from: a device that somebody else has made, one that is passed on, or a socket.

use super::{Program, of_both};
use crate::attach::Container;
use crate::bed::{Bed, Side, WORLD4};

both!(
    a_device_that_is_there_is_taken_as_it_is,
    dhcp_gives_the_originals_address,
    frames_by_a_socket,
    the_client_of_the_socket_goes,
);
only!(Root as_root: a_device_that_is_passed_on);

/// rootlesskit makes a device that stays, and sets it up by itself.
fn a_device_that_is_there_is_taken_as_it_is(bed: &Bed) {
    let _peer = bed.peer();
    for program in [Program::Original, Program::Rnet] {
        for kind in ["", "multi_queue"] {
            if program == Program::Original && kind == "multi_queue" {
                continue;
            }
            let container = Container::new(bed);
            container.sh(&format!(
                "ip tuntap add name tap0 mode tap {kind}; ip link set tap0 up mtu 65520; ip address add 10.0.2.100/24 dev tap0; ip route add default via 10.0.2.2"
            ));
            let process = program.serve(bed, &container, "--mtu 65520");
            container.python(&format!(
                "s = connect('{WORLD4}', SUM); [s.sendall(p) for p in pattern(5 << 20)]; s.shutdown(socket.SHUT_WR)
equal(read_line(s), f'{{5 << 20}} {{sha(5 << 20)}}')"
            ));
            drop(process);
            let out = container.sh("ip -o -4 address show dev tap0");
            assert!(out.contains("10.0.2.100/24"), "{program:?} {kind}: the device stays as it was\n{out}");
            container.end();
        }
    }
    bed.assert_nothing_left();
}

fn dhcp_gives_the_originals_address(bed: &Bed) {
    let _peer = bed.peer();
    of_both(bed, "", |program, container, _| {
        container.sh("ip link set tap0 up");
        let out = container.sh("busybox udhcpc -i tap0 -n -q -f -s /bin/true -t 5 -T 1 2>&1");
        assert!(out.contains("lease of 10.0.2.15 obtained from 10.0.2.2"), "{program:?}: {out}");
        container.sh("ip address add 10.0.2.15/24 dev tap0; ip route add default via 10.0.2.2");
        container.python(&format!("connect('{WORLD4}', ECHO).close()"));
    });
}

/// A guest of the socket's: it pings, resolves names of the link, and fetches, by frames that it makes itself.
const GUEST: &str = r#"
import struct, socket, sys, time
from peer import equal, check
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.settimeout(5); s.connect('/tmp/bess.sock')
ME, IP, GW = bytes.fromhex('020000000001'), bytes([10, 0, 2, 15]), bytes([10, 0, 2, 2])
def total(data):
    if len(data) % 2: data += b'\0'
    t = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while t >> 16: t = (t & 0xffff) + (t >> 16)
    return ~t & 0xffff
s.send(b'\xff' * 6 + ME + bytes.fromhex('08060001080006040001') + ME + IP + b'\0' * 6 + GW)
while True:
    f = s.recv(65536)
    if f[12:14] == b'\x08\x06' and f[20:22] == b'\0\2': break
    if f[12:14] == b'\x08\x06' and f[38:42] == IP: s.send(f[6:12] + ME + bytes.fromhex('08060001080006040002') + ME + IP + f[22:32])
mac = f[22:28]
def ip(dst, proto, body):
    h = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(body), 1, 0, 64, proto, 0, IP, dst)
    return mac + ME + b'\x08\0' + h[:10] + struct.pack('!H', total(h)) + h[12:] + body
port = 40000
def tcp(dst, dport, flags, seq, ack, data=b'', options=b''):
    h = struct.pack('!HHIIBBHHH', port, dport, seq, ack, (20 + len(options)) * 4, flags, 65535, 0, 0) + options
    c = total(IP + dst + struct.pack('!HH', 6, len(h) + len(data)) + h + data)
    s.send(ip(dst, 6, h[:16] + struct.pack('!H', c) + h[18:] + data))
def next_tcp():
    while True:
        f = s.recv(65536)
        check(len(f) <= 1514, 'no frame is larger than the link', len(f))
        if f[12:14] == b'\x08\x06':
            if f[38:42] == IP: s.send(f[6:12] + ME + bytes.fromhex('08060001080006040002') + ME + IP + f[22:32])
            continue
        if f[12:14] != b'\x08\0' or f[23] != 6: continue
        length = struct.unpack('!H', f[16:18])[0]
        p = f[14:14 + length]
        equal(total(p[:20]), 0)
        equal(total(p[12:20] + struct.pack('!HH', 6, length - 20) + p[20:]), 0)
        t = p[20:]
        seq, ack = struct.unpack('!II', t[4:12])
        return t[13], seq, ack, t[(t[12] >> 4) * 4:]
"#;

const FETCH: &str = r#"
dst, seq, wanted = bytes([203, 0, 113, 1]), 1000, 300000
tcp(dst, 80, 2, seq, 0, options=bytes([2, 4, 5, 180])); flags, rseq, ack, _ = next_tcp(); equal((flags & 0x12, ack), (0x12, seq + 1))
seq += 1; rseq += 1
request = f'GET /bytes/{wanted} HTTP/1.0\r\n\r\n'.encode()
tcp(dst, 80, 0x18, seq, rseq, request); seq += len(request)
got = b''
while b'\r\n\r\n' not in got or len(got.split(b'\r\n\r\n', 1)[1]) < wanted:
    flags, at, ack, data = next_tcp()
    if at == rseq and data:
        got += data; rseq += len(data)
    tcp(dst, 80, 0x10, seq, rseq)
from peer import pattern
equal(got.split(b'\r\n\r\n', 1)[1], b''.join(pattern(wanted)))
tcp(dst, 80, 4, seq, rseq)
"#;

fn frames_by_a_socket(bed: &Bed) {
    bed.http(Side::World, 80, "::");
    for program in [Program::Original, Program::Rnet] {
        let path = program.path();
        let process = bed.sh(&format!("exec {path} --target-type=bess -r 3 /tmp/bess.sock 3>/tmp/ready")).spawn();
        let there = crate::bed::eventually(std::time::Duration::from_secs(5), || bed.path("/tmp/bess.sock").exists());
        assert!(there, "{program:?}: no socket: {}", process.stderr());
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert_eq!(std::fs::read_to_string(bed.path("/tmp/ready")).unwrap(), "", "{program:?}: ready without a client");
        bed.sh(&format!("cat >/tmp/guest.py <<'END'\n{GUEST}{FETCH}\nequal(open('/tmp/ready').read(), '1')\nEND\nexec python3 /tmp/guest.py")).ok();
        drop(process);
        bed.sh("rm -f /tmp/bess.sock /tmp/ready /tmp/guest.py").ok();
    }
    bed.assert_nothing_left();
}

fn the_client_of_the_socket_goes(bed: &Bed) {
    // The original stays for ever; nobody else could come.
    let process = bed.sh("exec /mnt/as/slirp4netns --target-type=bess /tmp/bess.sock").spawn();
    crate::bed::eventually(std::time::Duration::from_secs(5), || bed.path("/tmp/bess.sock").exists());
    let script = "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect('/tmp/bess.sock'); s.send(b'x')";
    bed.sh(&format!("exec python3 -c \"{script}\"")).ok();
    process.wait(std::time::Duration::from_secs(5)).assert_code(0);
    bed.assert_nothing_left();
}

fn a_device_that_is_passed_on(bed: &Bed) {
    let _peer = bed.peer();
    // IFF_TAP | IFF_NO_PI, without and with IFF_VNET_HDR.
    for flags in ["0x1002", "0x5002"] {
        let script = format!(
            "from peer import *
import subprocess, ctypes
r, w = os.pipe()
host = os.open('/proc/self/ns/net', os.O_RDONLY)
libc = ctypes.CDLL(None); libc.unshare(0x40000000)
fd = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(fd, 0x400454ca, struct.pack('16sH22x', b'tap7', {flags}))
subprocess.run('ip link set lo up; ip link set tap7 up mtu 1500; ip address add 10.0.2.100/24 dev tap7; ip route add default via 10.0.2.2', shell=True, check=True)
inside = os.open('/proc/self/ns/net', os.O_RDONLY)
libc.setns(host, 0x40000000)
p = subprocess.Popen(['/mnt/as/slirp4netns', '-r', str(w), '--netns-type=tapfd', str(fd)], pass_fds=[fd, w])
os.close(w); equal(os.read(r, 10), b'1')
libc.setns(inside, 0x40000000)
for size in [100, 5 << 20]:
    s = connect('{WORLD4}', SUM); [s.sendall(q) for q in pattern(size)]; s.shutdown(socket.SHUT_WR); equal(read_line(s), f'{{size}} {{sha(size)}}')
s = connect('{WORLD4}', SOURCE); s.sendall(b'5000000\\n'); digest = hashlib.sha256(); drain(s, digest); equal(digest.hexdigest(), sha(5000000))
s = udp('{WORLD4}'); s.sendto(b'x' * 5000, ('{WORLD4}', UDP_ECHO)); equal(len(s.recv(65535)), 5000)
p.terminate(); equal(p.wait(5), -15)"
        );
        bed.write("/tmp/tapfd.py", &script);
        bed.sh("exec python3 /tmp/tapfd.py").ok();
    }
    bed.sh("rm /tmp/tapfd.py").ok();
    bed.assert_nothing_left();
}
