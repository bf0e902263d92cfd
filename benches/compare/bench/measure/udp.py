"""Datagrams as fast as the sender can: how many arrive."""

from dataclasses import dataclass

from ..bed import SERVER4
from ..goals import Goal
from ..load import Failed
from ..metric import Measurement, Metric

OUT, IN = (Goal("pasta", ">=", 2.4),), (Goal("pasta", ">=", 1.7),)


@dataclass
class Udp(Measurement):
    """One flow of datagrams; received ones are counted and checked."""

    ways: tuple = ("out",)
    size: int = 64
    gso: int = 1
    in_quick: bool = False

    def duration(self, settings):
        return settings.seconds + 0.5

    def run(self, contender, instances, settings):
        direction = "both" if len(self.ways) > 1 else self.ways[0]
        words = [direction, SERVER4, "--size", self.size, "--gso", self.gso, "--seconds", settings.seconds]
        answer = instances.get(contender).load(settings.seconds, "udp", *words)
        figures = {}
        for way in self.ways:
            if answer[way]["received"] < 2:
                raise Failed(f"nothing arrived {way}")
            figures[f"rate-{way}"] = answer[way]["per_s"] / 1000
            figures[f"loss-{way}"] = answer[way]["loss_percent"]
        return figures


def _udp(key, title, *ways, **more):
    metrics = []
    for way in ways:
        metrics += [
            Metric(f"rate-{way}", f"{title} {way}, received", "1000/s", goals=OUT if way == "out" else IN),
            Metric(f"loss-{way}", f"{title} {way}, lost", "%", False),
        ]
    return Udp(key, metrics, ways=ways, **more)


def measurements():
    """64 and 1400 bytes, out and in; and 1200 bytes both ways at once in super-datagrams, as QUIC stacks send them."""
    return [
        _udp("udp-out-64", "UDP 64 B", "out", size=64, in_quick=True),
        _udp("udp-out-1400", "UDP 1400 B", "out", size=1400),
        _udp("udp-in-64", "UDP 64 B", "in", size=64),
        _udp("udp-in-1400", "UDP 1400 B", "in", size=1400, in_quick=True),
        _udp("quic-1200", "QUIC-like, 1200 B both ways:", "out", "in", size=1200, gso=10),
    ]
