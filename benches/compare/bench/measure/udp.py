"""Datagrams as fast as the sender can: how many arrive."""

from dataclasses import dataclass

from ..bed import SERVER4
from ..load import Failed
from ..metric import Goal, Measurement, Metric


@dataclass
class Udp(Measurement):
    """One flow of datagrams; received ones are counted and checked."""

    direction: str = "out"
    size: int = 64
    gso: int = 1

    def duration(self, settings):
        return settings.seconds + 0.8

    def run(self, contender, instances, settings):
        words = [self.direction, SERVER4, "--size", self.size, "--gso", self.gso, "--seconds", settings.seconds]
        answer = instances.get(contender).load(settings.seconds, "udp", *words)
        ways = ["out", "in"] if self.direction == "both" else [self.direction]
        received = sum(answer[way]["received"] for way in ways)
        if received < 2:
            raise Failed("nothing arrived")
        sent = sum(answer[way]["sent"] for way in ways)
        return {"rate": sum(answer[way]["per_s"] for way in ways) / 1000, "loss": 100 - 100 * received / sent}


def _udp(key, title, direction, goals, **more):
    metrics = [
        Metric("rate", f"{title}, received", "1000/s", goals=goals),
        Metric("loss", f"{title}, lost", "%", False),
    ]
    return Udp(key, metrics, direction=direction, **more)


def measurements():
    """64 and 1400 bytes, out and in; and 1200 bytes both ways at once in super-datagrams, as QUIC stacks send them."""
    out, back = (Goal("pasta", ">=", 2.4),), (Goal("pasta", ">=", 1.7),)
    return [
        _udp("udp-out-64", "UDP out, 64 B", "out", out, size=64),
        _udp("udp-out-1400", "UDP out, 1400 B", "out", out, size=1400),
        _udp("udp-in-64", "UDP in, 64 B", "in", back, size=64),
        _udp("udp-in-1400", "UDP in, 1400 B", "in", back, size=1400),
        _udp("quic-1200", "QUIC-like, 1200 B both ways", "both", back, size=1200, gso=10),
    ]
