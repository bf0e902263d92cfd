"""The test peer: servers with one behaviour per port for the world's side, and helpers for scripts on the container's side.

`python3 peer.py serve` listens on every address of both families and prints one line of JSON for each thing that ended.
Scripts say `from peer import *`.
"""
import errno, fcntl, hashlib, json, os, random, select, signal, socket, struct, sys, threading, time

ECHO = 7001        # TCP: echoes until the end, then closes
SUM = 7002         # TCP: reads to the end of the stream, then answers "LENGTH SHA256\n"
SOURCE = 7003      # TCP: "N\n" is answered by N bytes and a half close; then reads to the end and reports the count
RESET = 7004       # TCP: "N\n" is answered by N bytes, then (after a pause for them to arrive) a RST
SLOW = 7005        # TCP: "SECONDS\n", then reads nothing for as long, then does as SUM does
CLOSE = 7006       # TCP: "N\n" is answered by N bytes and an immediate close
URGENT = 7007      # TCP: counts in-band and urgent bytes, and answers with urgent data of its own
WHO = 7008         # TCP: answers "ADDRESS PORT\n" as it sees the client, then closes
UDP_ECHO = 9001    # UDP: echoes
UDP_WHO = 9002     # UDP: answers "ADDRESS PORT" as it sees the client
UDP_VIA = 9003     # UDP: "PORT" is answered from that other port of the same address
UDP_ONCE = 9004    # UDP: "DELAY" is answered after as many seconds with what happened to a second datagram: see udp_closed

BLOCK = random.Random(1).randbytes(1 << 20)


def pattern(length, step=1 << 20):
    """`length` bytes of which each MiB differs from the others, piece by piece."""
    index = 0
    while length > 0:
        piece = (struct.pack("!Q", index) + BLOCK[8:])[:min(length, len(BLOCK))]
        for start in range(0, len(piece), step):
            yield piece[start:start + step]
        length -= len(piece)
        index += 1


def sha(length):
    digest = hashlib.sha256()
    for piece in pattern(length):
        digest.update(piece)
    return digest.hexdigest()


def drain(sock, digest=None, size=1 << 20):
    """Reads to the end; returns how many bytes came and how the stream ended."""
    total, buffer = 0, bytearray(size)
    while True:
        try:
            got = sock.recv_into(buffer)
        except OSError as error:
            return total, errno.errorcode.get(error.errno, "timeout")
        if got == 0:
            return total, "eof"
        total += got
        if digest is not None:
            digest.update(memoryview(buffer)[:got])


def read_line(sock):
    line = b""
    while not line.endswith(b"\n"):
        byte = sock.recv(1)
        if not byte:
            raise EOFError(line)
        line += byte
    return line.decode().strip()


def read_exactly(sock, length):
    parts = []
    while length > 0:
        part = sock.recv(min(length, 1 << 20))
        if not part:
            raise EOFError(f"{length} bytes short")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def reset(sock):
    """Closes with a RST in place of a FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def connect(host, port, timeout=20, **options):
    return socket.create_connection((host, port), timeout=timeout, **options)


def udp(host, timeout=5, bind=None):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.settimeout(timeout)
    if bind is not None:
        sock.bind(bind)
    return sock


def attempt(host, port, timeout=10):
    """The outcome of a connect as (name of the errno or "connected" or "timeout", seconds)."""
    start = time.monotonic()
    try:
        connect(host, port, timeout=timeout).close()
        outcome = "connected"
    except TimeoutError as error:
        outcome = errno.errorcode[error.errno] if error.errno else "timeout"
    except OSError as error:
        outcome = errno.errorcode[error.errno]
    return outcome, time.monotonic() - start


def mtu(ifname="tap0"):
    # /sys/class/net shows the network of whoever mounted it; the ioctl shows this one.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return struct.unpack("16sI", fcntl.ioctl(sock, 0x8921, struct.pack("16sI", ifname.encode(), 0)))[1]


def check(condition, *what):
    """An assert that python -O keeps and that says what was seen."""
    if not condition:
        print("check failed:", *what, file=sys.stderr, flush=True)
        os._exit(99)


def equal(seen, wanted, what=""):
    check(seen == wanted, what, "saw", repr(seen), "wanted", repr(wanted))


def report(**fields):
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def serve_tcp(port, sock, peer):
    facts = {"port": port, "peer": peer[0], "peer_port": peer[1]}
    try:
        sock.settimeout(120)
        if port == ECHO:
            total, end = 0, "eof"
            try:
                while data := sock.recv(1 << 16):
                    total += len(data)
                    sock.sendall(data)
            except OSError as error:
                end = errno.errorcode.get(error.errno, "timeout")
            facts.update(rx=total, end=end)
        elif port in (SUM, SLOW):
            if port == SLOW:
                time.sleep(float(read_line(sock)))
            digest = hashlib.sha256()
            total, end = drain(sock, digest)
            facts.update(rx=total, end=end)
            if end == "eof":
                sock.sendall(f"{total} {digest.hexdigest()}\n".encode())
        elif port == SOURCE:
            for piece in pattern(int(read_line(sock))):
                sock.sendall(piece)
            sock.shutdown(socket.SHUT_WR)
            total, end = drain(sock)
            facts.update(rx=total, end=end)
        elif port in (RESET, CLOSE):
            length = int(read_line(sock))
            for piece in pattern(length):
                sock.sendall(piece)
            if port == RESET:
                time.sleep(0.3)
                reset(sock)
            facts.update(tx=length)
        elif port == URGENT:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
            data = read_line(sock)
            sock.sendall(b"before")
            sock.send(b"!", socket.MSG_OOB)
            sock.sendall(b"after\n")
            total, end = drain(sock)
            facts.update(line=data, rx=total, end=end)
        elif port == WHO:
            sock.sendall(f"{peer[0].removeprefix('::ffff:')} {peer[1]}\n".encode())
    except (OSError, EOFError) as error:
        facts.update(error=repr(error))
    finally:
        try:
            sock.close()
        except OSError:
            pass
        report(**facts)


def accept_tcp(port, sock):
    while True:
        conn, peer = sock.accept()
        threading.Thread(target=serve_tcp, args=(port, conn, peer), daemon=True).start()


def serve_udp(port, sock):
    # The answer leaves from the address that was asked, as a client expects it.
    while True:
        data, control, _, peer = sock.recvmsg(1 << 16, 256)
        text = f"{peer[0].removeprefix('::ffff:')} {peer[1]}"
        control = [item for item in control if item[:2] == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO)]
        if port == UDP_ECHO:
            sock.sendmsg([data], control, 0, peer)
        elif port == UDP_WHO:
            report(port=port, peer=peer[0], peer_port=peer[1])
            sock.sendmsg([text.encode()], control, 0, peer)
        elif port == UDP_VIA:
            other = udp("::", bind=("::", int(data)))
            other.sendmsg([b"via " + data], control, 0, peer)
            other.close()
        elif port == UDP_ONCE:
            threading.Thread(target=udp_closed, args=(port, float(data), peer), daemon=True).start()


def udp_closed(port, delay, peer):
    """After `delay` sends to a client that has closed its socket, until ICMP says so; reports what came."""
    sock = udp("::")
    sock.connect(peer)
    time.sleep(delay)
    outcome = "silence"
    for _ in range(10):
        try:
            sock.send(b"is anyone there?")
            sock.settimeout(0.5)
            sock.recv(100)
        except TimeoutError:
            continue
        except OSError as error:
            outcome = errno.errorcode[error.errno]
            break
    report(port=port, outcome=outcome)


def serve():
    for port in (ECHO, SUM, SOURCE, RESET, SLOW, CLOSE, URGENT, WHO):
        sock = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
        threading.Thread(target=accept_tcp, args=(port, sock), daemon=True).start()
    for port in (UDP_ECHO, UDP_WHO, UDP_VIA, UDP_ONCE):
        sock = udp("::", timeout=None)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        sock.bind(("::", port))
        threading.Thread(target=serve_udp, args=(port, sock), daemon=True).start()
    report(ready=True)
    signal.pause()


def http(port, bind="::"):
    """A web server: / says hello, /bytes/N answers N bytes, PUT answers "LENGTH SHA256"; one line of JSON when it listens."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, length, pieces):
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            for piece in pieces:
                self.wfile.write(piece)

        def do_GET(self):
            if self.path.startswith("/bytes/"):
                length = int(self.path.removeprefix("/bytes/").partition("?")[0])
                self.answer(length, pattern(length))
            else:
                text = f"hello from the world, {self.client_address[0].removeprefix('::ffff:')}\n".encode()
                self.answer(len(text), [text])

        def do_PUT(self):
            digest, left = hashlib.sha256(), int(self.headers["Content-Length"])
            total = left
            while left > 0:
                data = self.rfile.read1(min(left, 1 << 20))
                if not data:
                    return
                digest.update(data)
                left -= len(data)
            text = f"{total} {digest.hexdigest()}\n".encode()
            self.answer(len(text), [text])

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in bind else socket.AF_INET
        request_queue_size = 1024
        daemon_threads = True

        def server_bind(self):
            if self.address_family == socket.AF_INET6:
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            super().server_bind()

    with Server((bind, port), Handler) as server:
        report(ready=True)
        server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    elif sys.argv[1] == "http":
        http(int(sys.argv[2]), *sys.argv[3:])
    elif sys.argv[1] == "pattern":
        for part in pattern(int(sys.argv[2])):
            sys.stdout.buffer.write(part)
    else:
        sys.exit("peer.py serve | http PORT [BIND] | pattern LENGTH")
