"""Request and response on an open flow, alone and beside bulk."""

import json
import subprocess
import time
from dataclasses import dataclass

from ..bed import SERVER4
from ..goals import Either, Goal, at_most
from ..load import Failed
from ..metric import Measurement, Metric


# Beside bulk a round trip may take long: a sample at least lasts this long.
LOADED = 0.8


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

    direction: str = "out"
    in_quick: bool = True
    most_rounds: int = 3

    def duration(self, settings):
        return max(settings.seconds, LOADED) + 1.2

    def run(self, contender, instances, settings):
        instance = instances.get(contender)
        length = max(settings.seconds, LOADED)
        seconds = str(length + 0.6)
        command = [instances.bed.load, "bulk", self.direction, SERVER4, "--streams", "16", "--seconds", seconds]
        bulk = subprocess.Popen(
            command, preexec_fn=instance.namespace.enter, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            time.sleep(0.3)
            words = ["tcp", SERVER4, "--seconds", length]
            figures = _figures(instance.load(length, "pingpong", *words))
            # Streams that are slow to drain must not run into the next measurement.
            said, _ = bulk.communicate(timeout=10 + length)
            if said:
                figures["bulk"] = json.loads(said)["gbit_per_s"]
            return figures
        except subprocess.TimeoutExpired as error:
            raise Failed("the streams beside it did not end") from error
        finally:
            bulk.kill()
            bulk.wait()
            bulk.stdout.close()


def _figures(answer):
    if answer["p50_us"] is None:
        raise Failed(f"no answers ({answer['lost']} lost)")
    return {"p50": answer["p50_us"], "p99": answer["p99_us"]}


def measurements():
    """TCP, UDP, and TCP under load."""
    alone = Goal("peers", "<=", 1.0)
    fair = Either(at_most(5000), alone)

    def metrics(title, median_goals, late_goals):
        return [
            Metric("p50", f"{title}, p50", "µs", False, median_goals),
            Metric("p99", f"{title}, p99", "µs", False, late_goals),
        ]

    return [
        PingPong("rr-tcp", metrics("TCP request-response", (alone,), (alone,)), protocol="tcp"),
        PingPong("rr-udp", metrics("UDP request-response", (alone,), (alone,)), protocol="udp"),
        *(
            Fairness(
                f"fairness-{way}",
                [
                    *metrics(f"TCP request-response beside 16 streams {way}", (), (fair,)),
                    Metric("bulk", f"the 16 streams {way} beside it", "Gbit/s"),
                ],
                direction=way,
                in_quick=way == "out",
            )
            for way in ("out", "in")
        ),
    ]
