#!/usr/bin/env python3
"""Writes the seed corpora of packet_parser, reassembly and dhcp from the real frames in stack/testdata, and those of
dns_message, container_names and dhcp_client.

Seeds that the fuzzer found are in the same folders under names of their own, and stay.
"""

import pathlib
import struct

HERE = pathlib.Path(__file__).parent
FRAMES = {path.stem: path.read_bytes() for path in sorted((HERE / "../stack/testdata").glob("*.frame"))}


def write(target, name, data):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def ipv6(frame, next_header, headers):
    """The frame with extension headers behind its fixed header."""
    length = struct.pack("!H", len(frame) - 54 + len(headers))
    return frame[:18] + length + bytes([next_header]) + frame[21:54] + headers + frame[54:]


def ipv4_options(frame, options):
    length = struct.pack("!H", len(frame) - 14 + len(options))
    return frame[:14] + bytes([0x45 + len(options) // 4]) + frame[15:16] + length + frame[18:34] + options + frame[34:]


for name, frame in FRAMES.items():
    write("packet_parser", name, frame)
    write("dhcp", "frame_" + name, b"\x03" + frame)
    if frame[36:38] == b"\x00\x43" and frame[12:14] == b"\x08\x00":
        write("dhcp", "v4_" + name, b"\x00" + frame[42:])
    if name.startswith("dhclient6"):
        write("dhcp", "v6_" + name, b"\x01" + frame[62:])
    if name.startswith(("ns", "rs")):
        write("dhcp", "ndp_" + name, b"\x02" + frame[54:55] + frame[62:])

udp6, tcp6, udp4 = FRAMES["udp6"], FRAMES["tcp6_syn"], FRAMES["udp4"]
write("packet_parser", "hop_by_hop", ipv6(udp6, 0, bytes([17, 0, 5, 2, 0, 0, 1, 0])))
write("packet_parser", "destination_options", ipv6(tcp6, 60, bytes([6, 0, 1, 4, 0, 0, 0, 0])))
write("packet_parser", "routing", ipv6(tcp6, 43, bytes([6, 0, 4, 0, 0, 0, 0, 0])))
write("packet_parser", "routing_type_0", ipv6(tcp6, 43, bytes([6, 0, 0, 1, 0, 0, 0, 0])))
write("packet_parser", "atomic_fragment", ipv6(udp6, 44, bytes([17, 0, 0, 0, 1, 2, 3, 4])))
write("packet_parser", "many_headers", ipv6(udp6, 60, bytes([60, 0, 1, 4, 0, 0, 0, 0]) * 7 + bytes([17, 0, 1, 4, 0, 0, 0, 0])))
write("packet_parser", "router_alert", ipv4_options(udp4, bytes([0x94, 4, 0, 0])))
write("packet_parser", "loose_source_route", ipv4_options(udp4, bytes([0x83, 7, 4, 1, 2, 3, 4, 0])))
write("packet_parser", "padded", udp4 + bytes(18))
write("packet_parser", "vlan", udp4[:12] + b"\x81\x00\x00\x05" + udp4[12:])


def op(ident, v6, more, offset, length):
    return struct.pack("!BHB", ident | v6 << 6 | more << 5, offset // 8, (length // 8 if more else length) - 1)


for family in (0, 1):
    whole = [op(1, family, 1, 0, 1480), op(1, family, 1, 1480, 1480), op(1, family, 0, 2960, 48)]
    write("reassembly", f"in_order_{family}", b"".join(whole))
    write("reassembly", f"reversed_{family}", b"".join(reversed(whole)))
    write("reassembly", f"repeated_{family}", b"".join([whole[0], whole[0], whole[2], whole[1]]))
    write("reassembly", f"overlap_{family}", b"".join([whole[0], op(1, family, 1, 1472, 1480), whole[2]]))
    write("reassembly", f"time_out_{family}", whole[0] + b"\x80\0\0\x10" + whole[1] + whole[2])
write("reassembly", "full", b"".join(op(ident, 0, 1, 8, 8) for ident in range(8)))
write("reassembly", "far", op(1, 0, 0, 65000, 100) + op(2, 1, 0, 65000, 100) + op(3, 0, 1, 0, 1480))


def name(text):
    return b"".join(bytes([len(label)]) + label for label in text.encode().split(b".") if label) + b"\0"


def question(text, kind=1, flags=0x0100, additional=()):
    return struct.pack("!6H", 0x1234, flags, 1, 0, 0, len(additional)) + name(text) + struct.pack("!2H", kind, 1) + b"".join(additional)


def option(code, data):
    return struct.pack("!2H", code, len(data)) + data


def opt(*options, size=1232, bits=0):
    data = b"".join(options)
    return b"\0" + struct.pack("!2HIH", 41, size, bits, len(data)) + data


def record(kind, data, ttl=60):
    return b"\xc0\x0c" + struct.pack("!2HIH", kind, 1, ttl, len(data)) + data


def reply(query, answers=(), authority=(), flags=0x8580):
    end = query.index(b"\0", 12) + 5
    return query[:2] + struct.pack("!5H", flags, 1, len(answers), len(authority), 0) + query[12:end] + b"".join(answers) + b"".join(authority)


SOA = record(6, b"\xc0\x0c\xc0\x0c" + struct.pack("!5I", 1, 2, 3, 4, 60))
COOKIE, NSID, SUBNET = option(10, b"8 bytes!"), option(3, b""), option(8, b"\0\1\x18\0\xc0\0\2")
QUERIES = {
    "a": question("web.example"),
    "aaaa": question("WEB.example", 28),
    "https": question("web.example", 65),
    "unknown": question("db", 65280),
    "local": question("host.rnet.internal", 255),
    "reverse": question("1.2.0.192.in-addr.arpa", 12),
    "root": question("", 6),
    "axfr": question("example", 252),
    "edns": question("web.example", 1, 0x0130, [opt(bits=0x8000)]),
    "cookie": question("web.example", 1, 0x0120, [opt(COOKIE, NSID, SUBNET, size=4096)]),
    "tsig": question("web.example", 1, 0x0100, [opt(COOKIE), name("key") + struct.pack("!2HIH", 250, 255, 0, 4) + b"sign"]),
    "update": question("web.example", 6, 0x2800),
}
for title, query in QUERIES.items():
    answers = {
        "none": b"",
        "address": reply(query, [record(1, b"\xc0\0\2\1")]),
        "private": reply(query, [record(5, b"\xc0\x0c"), record(1, b"\x0a\0\0\1", 0)]),
        "long": reply(query, [record(16, b"\xff" + b"x" * 255)] * 6),
        "gone": reply(query, authority=[SOA], flags=0x8583),
        "cut": reply(query, flags=0x8780),
    }
    for kind, answer in answers.items():
        write("dns_message", f"{title}_{kind}", struct.pack("!H", len(query)) + query + answer)

FILES = {
    "plain": "10.89.0.1,fd00::1 1.1.1.1\nabc 10.89.0.2 fd00::2 web,db\ndef 10.89.0.3,10.89.0.4  Other 9.9.9.9,::1\n",
    "shared": "10.0.0.1\nother 10.0.0.2  web\nx 10.255.0.2  secret\ny 10.0.0.2  web,web\n",
    "empty": "\n10.0.0.1\n\n",
    "odd": "10.0.0.1 1.1.1.1 more\na   _http._tcp.web\nb 10.0.0.2  a..b,.,x\nc 10.0.0.3  n  extra\n",
    "bad": "10.0.0.1\na 10.0.0\n",
    "many": "10.0.0.1\n" + "".join(f"{n:x} 10.0.1.{n}  web\n" for n in range(200)),
}
ASKED = {
    "web": question("web"),
    "search": question("Web.DNS.podman", 28),
    "gone": question("x.dns.podman", 65),
    "any": question("db", 255, 0x0100, [opt()]),
    "reverse": question("2.0.89.10.in-addr.arpa", 12),
    "reverse6": question("2." + "0." * 27 + "0.0.d.f.ip6.arpa", 12),
    "outside": question("www.example"),
    "version": question("web", 1, 0x0100, [opt(bits=0x10000)]),
    "class": question("web")[:-1] + b"\3",
}
for title, text in FILES.items():
    for kind, query in ASKED.items():
        write("container_names", f"{title}_{kind}", struct.pack("!H", len(text)) + text.encode() + query)


MAC = bytes([2, 0, 0, 0, 0, 5])


def bootp(kind, *options):
    """A DHCPv4 server's message; the fuzz target writes transaction and Ethernet address itself."""
    fixed = bytes([2, 1, 6, 0]) + bytes(12) + bytes([192, 0, 2, 50]) + bytes(8) + MAC + bytes(10 + 64 + 128)
    data = b"".join(bytes([code, len(value)]) + value for code, value in [(53, bytes([kind])), *options])
    return fixed + b"\x63\x82\x53\x63" + data + b"\xff"


def dhcp6(kind, *options):
    return bytes([kind, 0, 0, 0]) + option(1, b"\0\3\0\1" + MAC) + option(2, b"\0\3\0\1server") + b"".join(options)


def fnv1a(data):
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def steps(first, *messages):
    """Which protocol, and what comes from the server; nothing stands for a moment that passes."""
    padded = [message + bytes(-len(message) % 4) if first == 0 else message for message in messages]
    return bytes([first]) + b"".join(bytes([len(message) // 4]) + message for message in padded)


GRANT = [(54, bytes([192, 0, 2, 1])), (51, struct.pack("!I", 3600)), (1, bytes([255, 255, 255, 0])), (3, bytes([192, 0, 2, 1]))]
MORE = [(6, bytes([9, 9, 9, 9])), (12, b"host"), (15, b"example.org"), (26, b"\x05\x78"), (42, bytes([1, 1, 1, 1])), (58, struct.pack("!I", 9)), (59, struct.pack("!I", 99))]
OFFER, ACK, NAK = bootp(2, *GRANT), bootp(5, *GRANT, *MORE), bootp(6, GRANT[0])
for title, story in {
    "bound": [b"", OFFER, b"", ACK],
    "renewed": [b"", OFFER, b"", ACK, b"", ACK, b"", b"", ACK],
    "refused": [b"", OFFER, b"", NAK, b"", OFFER, b"", ACK, b"", NAK],
    "silent": [b"", OFFER, b"", b"", b"", b"", b"", b""],
}.items():
    write("dhcp_client", f"v4_{title}", steps(0, *story))

ADDRESS = option(5, bytes([0x20, 1, 0xD, 0xB8] + [0] * 11 + [7]) + struct.pack("!2I", 1800, 3600))
STATUS = option(13, b"\0\2no addresses")
ASSOCIATION = struct.pack("!3I", fnv1a(b"c\0"), 900, 1440)
DNS6 = option(23, bytes([0x20, 1, 0xD, 0xB8] + [0] * 11 + [9])) + option(24, name("example.org") + name("x.org"))
ADVERTISE, REPLY = dhcp6(2, option(3, ASSOCIATION + ADDRESS)), dhcp6(7, option(3, ASSOCIATION + ADDRESS), DNS6)
for title, story in {
    "bound": [b"", ADVERTISE, b"", REPLY],
    "renewed": [b"", ADVERTISE, b"", REPLY, b"", REPLY, b"", b"", REPLY],
    "refused": [b"", ADVERTISE, b"", dhcp6(7, option(3, ASSOCIATION + STATUS)), b"", dhcp6(2, STATUS)],
    "odd": [b"", dhcp6(2, option(7, b""), option(9, bytes(34)), option(17, bytes(3)), option(3, ASSOCIATION + ADDRESS)), b""],
}.items():
    # What is missing to whole units is an option that nobody reads.
    fitted = [message + option(14, bytes(-len(message) % 4)) if len(message) % 4 else message for message in story]
    write("dhcp_client", f"v6_{title}", steps(1, *fitted))
