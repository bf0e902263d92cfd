"""The container name server: rnet and Debian's aardvark-dns in turn, with the same files and the same client, Debian's dnsperf.

A container on a bridge of the host asks for the names of a thousand others, or for names that a dnsmasq on the server knows: a
hundred again and again (*forwarded, the same*), or another one each time (*forwarded, new*). dnsperf tells the rate; its list of all
latencies, in a run of its own, the 99th percentile.
"""

import itertools
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass

from .. import load
from ..bed import Namespace
from ..goals import Goal, at_most
from ..metric import Measurement, Metric
from ..needs import find
from . import names

GATEWAY, CLIENT = "10.89.0.1", "10.89.0.2"
CONTAINERS = 1000
PEER = "aardvark-dns"
# dnsperf prints each query's latency; so many are enough for a percentile.
LISTED_SECONDS = 2


class Yard:
    """The bridge with its client, and the server's directory; made once."""

    def __init__(self, bed):
        self.host = bed.host(_Anybody).namespace
        self.client = Namespace.make()
        self.directory = bed.directory / "names"
        self.directory.mkdir()
        self.queries = bed.directory / "queries"
        self.queries.mkdir()
        self._serial = itertools.count()
        self.host.ip("link", "add", "names0", "type", "bridge")
        self.host.ip("link", "add", "names1", "type", "veth", "peer", "name", "eth0", "netns", self.client.path())
        self.host.ip("link", "set", "names1", "master", "names0", "up")
        self.host.ip("link", "set", "names0", "up")
        self.host.ip("addr", "add", f"{GATEWAY}/16", "dev", "names0")
        self.client.ip("addr", "add", f"{CLIENT}/16", "dev", "eth0")
        self.client.ip("link", "set", "eth0", "up")

    @classmethod
    def of(cls, bed):
        """The bed's one."""
        bed.yard = getattr(bed, "yard", None) or cls(bed)
        return bed.yard

    def write(self, network, lines):
        """A network's file."""
        (self.directory / network).write_text("".join(line + "\n" for line in lines))

    def fill(self):
        """One network with the client and a thousand containers."""
        for old in self.directory.iterdir():
            old.unlink()
        containers = [
            f"{n:064x} 10.89.{1 + n // 250}.{n % 250} fd00:89::{n:x} name-{n},alias{n},{n:012x}" for n in range(CONTAINERS)
        ]
        self.write("net", [GATEWAY, f"client {CLIENT}  client", *containers])

    def file(self, kind):
        """What dnsperf asks for."""
        if kind == "local":
            asked = [f"name-{n}" for n in range(CONTAINERS)]
        elif kind == "same":
            asked = [f"w{n}.bench.example" for n in range(100)]
        else:
            serial = next(self._serial)
            asked = [f"u{serial}-{n}.bench.example" for n in range(400_000)]
        path = self.queries / kind
        path.write_text("".join(f"{name} A\n" for name in asked))
        return path


class _Anybody:
    on_wide_host = False


class Server:
    """A contender's server in its background, for a `with`."""

    def __init__(self, contender, yard):
        self.yard = yard
        command = [*contender.names_command(), "--config", yard.directory, "-p", "53", "run"]
        load.run(command, yard.host, 5)
        self.pid = int((yard.directory / "aardvark.pid").read_text())
        # The first version of the original says that it serves before it does.
        time.sleep(0.3)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
        (self.yard.directory / "aardvark.pid").unlink(missing_ok=True)

    def resident(self):
        """MiB of memory in use, shared or not."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) / 1024


def dnsperf(yard, file, outstanding, seconds, *more):
    """What dnsperf says."""
    program = find("dnsperf")
    if program is None:
        raise load.Failed("dnsperf is not installed")
    command = [program, "-s", GATEWAY, "-d", file, "-q", outstanding, "-c", 1, "-T", 1, "-t", 2, "-l", seconds, *more]
    return load.run(command, yard.client, seconds)


@dataclass
class Queries(Measurement):
    """So many queries of a kind under way at once."""

    kind: str = "local"
    outstanding: int = 16
    in_quick: bool = True

    def duration(self, settings):
        return settings.seconds + LISTED_SECONDS + 1

    def run(self, contender, instances, settings):
        names.server(instances.bed)
        yard = Yard.of(instances.bed)
        yard.fill()
        with Server(contender, yard):
            told = dnsperf(yard, yard.file(self.kind), self.outstanding, settings.seconds)
            rate = float(re.search(r"Queries per second:\s+([\d.]+)", told)[1])
            lost = int(re.search(r"Queries lost:\s+(\d+)", told)[1])
            codes = re.search(r"Response codes:\s+(.*)", told)[1]
            if lost > 100 or "NOERROR" not in codes or "(100.00%)" not in codes:
                raise load.Failed(f"{lost} queries had no answer, codes {codes}")
            listed = dnsperf(yard, yard.file(self.kind), self.outstanding, LISTED_SECONDS, "-v")
        latencies = sorted(float(line.rsplit(" ", 1)[1]) for line in listed.splitlines() if line.startswith("> NOERROR"))
        if not latencies:
            raise load.Failed("dnsperf listed no latencies")
        return {"rate": rate, "p99": latencies[len(latencies) * 99 // 100] * 1e6}


@dataclass
class Resident(Measurement):
    """Memory with a thousand containers, before anybody asks."""

    most_rounds = 3

    def run(self, contender, instances, settings):
        yard = Yard.of(instances.bed)
        yard.fill()
        with Server(contender, yard) as server:
            return {"memory": server.resident()}


@dataclass
class Reload(Measurement):
    """From SIGHUP until a network that has changed is served, beside one of a thousand containers that has not."""

    most_rounds = 3
    times = 20

    def run(self, contender, instances, settings):
        yard = Yard.of(instances.bed)
        yard.fill()
        yard.host.ip("addr", "replace", "10.90.0.1/24", "dev", "names0")
        yard.write("small", ["10.90.0.1", "s 10.90.0.2  before"])
        with Server(contender, yard) as server:
            probe = subprocess.run(
                ["python3", "-c", PROBE, str(server.pid), str(yard.directory / "small"), str(self.times)],
                preexec_fn=yard.host.enter,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        if probe.returncode != 0:
            raise load.Failed((probe.stderr.strip().splitlines() or ["the probe failed"])[-1])
        return {"time": float(probe.stdout)}


# Changes the network, and asks until the change is told; the best of some times, in milliseconds.
PROBE = """
import os, signal, socket, struct, sys, time
pid, file, times = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sock.settimeout(2); sock.connect(("10.90.0.1", 53))
best = 9.0
for attempt in range(times):
    name = f"new{attempt}.dns.podman"
    wire = b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\\0"
    text = f"10.90.0.1\\ns 10.90.0.2  new{attempt}\\n"
    open(file, "w").write(text)
    start = time.monotonic(); os.kill(pid, signal.SIGHUP)
    while True:
        sock.send(struct.pack("!6H", attempt, 0x100, 1, 0, 0, 0) + wire + b"\\0\\1\\0\\1")
        if struct.unpack("!6H", sock.recv(999)[:12])[3]: break
        if time.monotonic() - start > 2: sys.exit("a change was not noticed")
    best = min(best, time.monotonic() - start)
    time.sleep(0.02)
print(best * 1000)
"""


def measurements():
    """Rates and latencies, memory, reload."""
    found = []
    for kind, title, factor in (
        ("local", "a container's name", 2),
        ("same", "forwarded, the same", 4),
        ("new", "forwarded, new", 4),
    ):
        for outstanding in (16, 64):
            metrics = [
                Metric("rate", f"{title}, {outstanding} at once", "1/s", goals=(Goal(PEER, ">=", factor),)),
                Metric("p99", f"{title}, {outstanding} at once, p99", "µs", False, (Goal(PEER, "<=", 1),)),
            ]
            quick = outstanding == 64
            found.append(Queries(f"aardvark-{kind}-{outstanding}", metrics, kind=kind, outstanding=outstanding, in_quick=quick))
    memory = Metric("memory", "memory (RSS) with 1,000 containers", "MiB", False, (Goal(PEER, "<=", 1), at_most(5.3)))
    reload = Metric("time", "one network reloaded beside 1,000 containers", "ms", False, (Goal(PEER, "<=", 1),))
    return [*found, Resident("aardvark-memory", [memory]), Reload("aardvark-reload", [reload])]
