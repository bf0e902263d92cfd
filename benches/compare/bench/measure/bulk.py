"""TCP throughput, and the proxy's CPU time for it."""

from dataclasses import dataclass

from ..bed import SERVER4, SERVER6
from ..load import Cannot
from ..metric import Goal, Measurement, Metric

GIB = 1 << 30


@dataclass
class Bulk(Measurement):
    """Streams in one direction; the receiver checks and counts the bytes."""

    direction: str = "out"
    streams: int = 1
    mtu: int = 65520
    ipv6: bool = False

    def run(self, contender, instances, settings):
        instance = instances.get(contender, self.mtu)
        if self.ipv6 and not instance.has_ipv6():
            raise Cannot("no IPv6")
        address = SERVER6 if self.ipv6 else SERVER4
        before = instance.cpu()
        words = [self.direction, address, "--streams", self.streams, "--seconds", settings.seconds]
        answer = instance.load(settings.seconds, "bulk", *words)
        figures = {"gbit": answer["gbit_per_s"]}
        if before is not None:
            figures["cpu"] = (instance.cpu() - before) / (answer["bytes"] / GIB)
        return figures


def _bulk(key, title, direction, goals, cpu_goals=(), **more):
    metrics = [
        Metric("gbit", title, "Gbit/s", goals=goals),
        Metric("cpu", f"{title}: proxy's CPU", "s/GiB", False, cpu_goals),
    ]
    return Bulk(key, metrics, direction=direction, **more)


def measurements():
    """One stream, several, small MTU, IPv6."""
    pasta, slirp, veth = (lambda factor, peer=peer: Goal(peer, ">=", factor) for peer in ("pasta", "slirp4netns", "veth"))
    less = lambda factor: (Goal("pasta", "<=", factor),)  # noqa: E731
    return [
        _bulk("tcp-out-1", "TCP out, 1 stream", "out", (pasta(1.4), slirp(4), veth(0.65)), less(1.0)),
        _bulk("tcp-in-1", "TCP in, 1 stream", "in", (pasta(1.2), slirp(3), veth(0.85)), less(0.65)),
        _bulk("tcp-out-4", "TCP out, 4 streams", "out", (pasta(1.0),), streams=4),
        _bulk("tcp-in-4", "TCP in, 4 streams", "in", (pasta(1.5),), streams=4),
        _bulk("tcp-out-16", "TCP out, 16 streams", "out", (pasta(1.0),), streams=16),
        _bulk("tcp-in-16", "TCP in, 16 streams", "in", (pasta(1.5),), streams=16),
        _bulk("mtu1500-out-1", "TCP out, MTU 1500", "out", (pasta(10), slirp(10)), less(1.0), mtu=1500),
        _bulk("mtu1500-in-1", "TCP in, MTU 1500", "in", (pasta(10), slirp(1.5)), less(0.65), mtu=1500),
        _bulk("ipv6-out-1", "TCP out over IPv6", "out", (pasta(1.4), slirp(4), veth(0.65)), ipv6=True),
        _bulk("ipv6-in-1", "TCP in over IPv6", "in", (pasta(1.2), slirp(3), veth(0.85)), ipv6=True),
    ]
