"""TCP throughput, and the proxy's CPU time for it.

The receiver counts until the sender's end, or until GRACE after it: what a stalled stream left behind then is not in the figure.
"""

from dataclasses import dataclass

from ..bed import SERVER4, SERVER6
from ..goals import Goal, Within
from ..load import Cannot, Remark
from ..metric import Measurement, Metric

GIB = 1 << 30
GRACE = 3


@dataclass
class Bulk(Measurement):
    """Streams in one direction; the receiver checks and counts the bytes."""

    direction: str = "out"
    streams: int = 1
    mtu: int = 65520
    ipv6: bool = False
    most_rounds: int = 1000
    in_quick: bool = True

    def run(self, contender, instances, settings):
        instance = instances.get(contender, self.mtu)
        if self.ipv6 and not instance.has_ipv6():
            raise Cannot("no IPv6")
        address = SERVER6 if self.ipv6 else SERVER4
        return figures(instance, instance.load, self.direction, [address, "--streams", self.streams], settings)


def figures(instance, load, direction, words, settings):
    """What one transfer gives."""
    grace = 1 if settings.quick else GRACE
    before = instance.cpu()
    answer = load(settings.seconds + grace, "bulk", direction, *words, "--seconds", settings.seconds, "--grace", grace)
    found = {"gbit": answer["gbit_per_s"], "pause": answer["pause_ms"]}
    if before is not None:
        found["cpu"] = (instance.cpu() - before) / (answer["bytes"] / GIB)
    if answer["stalled"]:
        found["remark"] = Remark(f"stalled: bytes were still on their way {grace} s after the last was sent")
    return found


def metrics(title, goals=(), cpu_goals=(), pause=False):
    """The rows of a transfer."""
    found = [
        Metric("gbit", title, "Gbit/s", goals=goals),
        Metric("cpu", f"{title}: proxy's CPU", "s/GiB", False, cpu_goals),
    ]
    return [*found, Metric("pause", f"{title}: longest pause", "ms", False)] if pause else found


def _bulk(key, title, direction, goals, cpu_goals=(), pause=False, **more):
    return Bulk(key, metrics(title, goals, cpu_goals, pause), direction=direction, **more)


def measurements():
    """One stream, several, small MTU, IPv6."""
    pasta, slirp, veth = (lambda factor, peer=peer: Goal(peer, ">=", factor) for peer in ("pasta", "slirp4netns", "veth"))
    less = lambda factor: (Goal("pasta", "<=", factor),)  # noqa: E731
    large = lambda way: Within(0.75, f"tcp-{way}-1.gbit", "MTU 65520")  # noqa: E731
    as_ipv4 = lambda key: (Within(0.85, f"{key}.gbit", "IPv4"),)  # noqa: E731
    rare, never = {"most_rounds": 3}, {"most_rounds": 3, "in_quick": False}
    return [
        _bulk("tcp-out-1", "TCP out, 1 stream", "out", (pasta(1.4), slirp(4), veth(0.65)), less(1.0), pause=True),
        _bulk("tcp-in-1", "TCP in, 1 stream", "in", (pasta(1.2), slirp(3), veth(0.85)), less(0.65)),
        _bulk("tcp-out-4", "TCP out, 4 streams", "out", (pasta(1.0),), less(1.0), streams=4, in_quick=False),
        _bulk("tcp-in-4", "TCP in, 4 streams", "in", (pasta(1.5),), less(0.65), streams=4, in_quick=False),
        _bulk("tcp-out-16", "TCP out, 16 streams", "out", (pasta(1.0),), less(1.0), streams=16),
        _bulk("tcp-in-16", "TCP in, 16 streams", "in", (pasta(1.5),), less(0.65), streams=16),
        _bulk("mtu1500-out-1", "TCP out, MTU 1500", "out", (pasta(10), slirp(10), large("out")), less(1.0), True, mtu=1500),
        _bulk("mtu1500-in-1", "TCP in, MTU 1500", "in", (pasta(10), slirp(1.5), large("in")), less(0.65), mtu=1500),
        _bulk("ipv6-out-1", "TCP out over IPv6, 1 stream", "out", as_ipv4("tcp-out-1"), ipv6=True, **rare),
        _bulk("ipv6-in-1", "TCP in over IPv6, 1 stream", "in", as_ipv4("tcp-in-1"), ipv6=True, **never),
        _bulk("ipv6-out-16", "TCP out over IPv6, 16 streams", "out", as_ipv4("tcp-out-16"), ipv6=True, streams=16, **never),
        _bulk("ipv6-in-16", "TCP in over IPv6, 16 streams", "in", as_ipv4("tcp-in-16"), ipv6=True, streams=16, **never),
        _bulk("ipv6-mtu1500-out-1", "TCP out over IPv6, MTU 1500", "out", as_ipv4("mtu1500-out-1"), ipv6=True, mtu=1500, **never),
        _bulk("ipv6-mtu1500-in-1", "TCP in over IPv6, MTU 1500", "in", as_ipv4("mtu1500-in-1"), ipv6=True, mtu=1500, **never),
    ]
