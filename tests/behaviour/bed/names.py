"""Names for tests: messages made by hand, a client that says what it got, and servers that answer as a test wants.

Scripts say `from names import *`, which brings everything from peer.py along.
"""
from peer import *

A, CNAME, SOA, PTR, TXT, AAAA, OPT = 1, 5, 6, 12, 16, 28, 41
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)


def wire(name):
    """A name in wire format; labels are text or bytes."""
    labels = [label.encode() for label in name.split(".")] if isinstance(name, str) else name
    return b"".join(bytes([len(label)]) + label for label in labels if label) + b"\0"


def query(name, kind=A, ident=None, flags=0x0100, edns=None, options=b"", dnssec=False, klass=1):
    """A query; `edns` is the size of datagrams that is told, `None` for no EDNS."""
    ident = random.randrange(65536) if ident is None else ident
    message = struct.pack("!6H", ident, flags, 1, 0, 0, 0 if edns is None else 1) + wire(name) + struct.pack("!2H", kind, klass)
    if edns is not None:
        message += b"\0" + struct.pack("!2HIH", OPT, edns, 0x8000 if dnssec else 0, len(options)) + options
    return message


def question(message):
    """Where the question ends, and its name, type and class."""
    at, labels = 12, []
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]])
        at += 1 + message[at]
    kind, klass = struct.unpack("!2H", message[at + 1:at + 5])
    return at + 5, labels, kind, klass


def answer(message, *records, rcode=NOERROR, flags=0x8580, ttl=60, authority=(), question_too=True):
    """The answer to a query: records are (type, data), owned by the name in question."""
    end = question(message)[0]
    data = b"".join(b"\xc0\x0c" + struct.pack("!2HIH", kind, 1, ttl, len(data)) + data for kind, data in (*records, *authority))
    header = struct.pack("!2s5H", message[:2], flags | rcode, 1 if question_too else 0, len(records), len(authority), 0)
    return header + (message[12:end] if question_too else b"") + data


def address(text):
    """The record of an address."""
    return (AAAA, socket.inet_pton(socket.AF_INET6, text)) if ":" in text else (A, socket.inet_aton(text))


def soa(minimum=60):
    """The record that says for how long a name is known not to be."""
    return (SOA, b"\xc0\x0c\xc0\x0c" + struct.pack("!5I", 1, 3600, 600, 86400, minimum))


class Got:
    """What a client got."""

    def __init__(self, message):
        self.message = message
        self.ident, self.flags, questions, answers, authorities, additionals = struct.unpack("!6H", message[:12])
        self.rcode, self.truncated = self.flags & 15, bool(self.flags & 0x0200)
        self.addresses, self.ttls, self.ede, self.options = [], [], None, None
        at = question(message)[0] if questions else 12
        for _ in range(answers + authorities + additionals):
            while message[at] and message[at] < 0xc0:
                at += 1 + message[at]
            at += 2 if message[at] else 1
            kind, klass, ttl, length = struct.unpack("!2HIH", message[at:at + 10])
            data = message[at + 10:at + 10 + length]
            at += 10 + length
            if kind == OPT:
                self.options = data
                rest = data
                while rest:
                    code, size = struct.unpack("!2H", rest[:4])
                    if code == 15: self.ede = struct.unpack("!H", rest[4:6])[0]
                    rest = rest[4 + size:]
                continue
            self.ttls.append(ttl)
            if kind == A: self.addresses.append(socket.inet_ntoa(data))
            if kind == AAAA: self.addresses.append(socket.inet_ntop(socket.AF_INET6, data))
        equal(at, len(message))


def send(server, message, timeout=5, port=53):
    """Asks by UDP; what comes from elsewhere does not come to this socket."""
    sock = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        sock.settimeout(timeout)
        sock.connect((server, port))
        sock.send(message)
        reply = sock.recv(65535)
        equal(reply[:2], message[:2])
        return reply


def send_tcp(server, message, timeout=5, port=53):
    """Asks by TCP."""
    with socket.create_connection((server, port), timeout) as sock:
        sock.sendall(struct.pack("!H", len(message)) + message)
        return receive_tcp(sock)


def receive_tcp(sock):
    """One message from a connection."""
    return read_exactly(sock, struct.unpack("!H", read_exactly(sock, 2))[0])


def ask(server, name, kind=A, timeout=5, **how):
    """Asks by UDP and reads the answer."""
    return Got(send(server, query(name, kind, **how), timeout))


def serve(where, respond, port=53, tcp=True):
    """Answers at an address: `respond(message, via)` gives the messages that answer one. Counts the queries."""
    family = socket.AF_INET6 if ":" in where else socket.AF_INET
    seen = []

    def datagrams():
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((where, port))
        ready.set()
        while True:
            message, peer = sock.recvfrom(65535)
            seen.append((message, peer, "udp"))
            for reply in respond(message, "udp") or ():
                sock.sendto(reply, peer)

    def connection(sock):
        try:
            while True:
                message = receive_tcp(sock)
                seen.append((message, sock.getpeername(), "tcp"))
                for reply in respond(message, "tcp") or ():
                    sock.sendall(struct.pack("!H", len(reply)) + reply)
        except (OSError, struct.error, AssertionError, EOFError):
            sock.close()

    def connections():
        sock = socket.socket(family)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((where, port))
        sock.listen(64)
        while True:
            threading.Thread(target=connection, args=(sock.accept()[0],), daemon=True).start()

    ready = threading.Event()
    threading.Thread(target=datagrams, daemon=True).start()
    if tcp: threading.Thread(target=connections, daemon=True).start()
    check(ready.wait(5), "the server did not start")
    return seen


def serve_one(where, text, **how):
    """Answers every query for an address with this one, and all others with none."""
    def respond(message, _via):
        record = address(text)
        return [answer(message, record) if question(message)[2] == record[0] else answer(message, authority=[soa()])]
    return serve(where, respond, **how)


def for_ever():
    report(ready=True)
    while True: time.sleep(60)
