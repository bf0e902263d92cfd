"""Request and response on an open flow, alone and beside bulk."""

import subprocess
import time
from dataclasses import dataclass

from ..bed import SERVER4
from ..load import Failed
from ..metric import Goal, Measurement, Metric


@dataclass
class PingPong(Measurement):
    """64 bytes there, the same bytes back."""

    protocol: str = "tcp"

    def run(self, contender, instances, settings):
        words = [self.protocol, SERVER4, "--seconds", settings.seconds]
        return _figures(instances.get(contender).load(settings.seconds, "pingpong", *words))


@dataclass
class Fairness(Measurement):
    """A ping-pong beside 16 bulk streams."""

    def duration(self, settings):
        return settings.seconds + 1.2

    def run(self, contender, instances, settings):
        instance = instances.get(contender)
        command = [instances.bed.load, "bulk", "out", SERVER4, "--streams", "16", "--seconds", str(settings.seconds + 0.6)]
        bulk = subprocess.Popen(
            command, preexec_fn=instance.namespace.enter, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            time.sleep(0.3)
            return _figures(instance.load(settings.seconds, "pingpong", "tcp", SERVER4, "--seconds", settings.seconds))
        finally:
            try:
                # Streams that are slow to drain must not run into the next measurement.
                bulk.wait(10)
            except subprocess.TimeoutExpired:
                bulk.kill()
                bulk.wait()
            bulk.stderr.close()


def _figures(answer):
    if answer["p50_us"] is None:
        raise Failed(f"no answers ({answer['lost']} lost)")
    return {"p50": answer["p50_us"], "p99": answer["p99_us"]}


def measurements():
    """TCP, UDP, and TCP under load."""
    goals = (Goal("peers", "<=", 1.0),)

    def metrics(title):
        return [
            Metric("p50", f"{title}, p50", "µs", False, goals),
            Metric("p99", f"{title}, p99", "µs", False, goals),
        ]

    return [
        PingPong("rr-tcp", metrics("TCP request-response"), protocol="tcp"),
        PingPong("rr-udp", metrics("UDP request-response"), protocol="udp"),
        Fairness("fairness", metrics("TCP request-response beside 16 streams out")),
    ]
