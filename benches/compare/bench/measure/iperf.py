"""The one-stream rows once more with iperf3, as a witness that the load generator measures what others measure.

iperf3 does not check bytes; that is why it is not what the other rows use.
"""

import json
import subprocess
import time
from dataclasses import dataclass

from .. import load
from ..bed import SERVER4
from ..metric import Measurement, Metric
from ..needs import find


@dataclass
class Iperf(Measurement):
    """One stream by iperf3; the receiver's figure."""

    reverse: bool = False

    in_quick = False
    most_rounds = 2

    def duration(self, settings):
        return max(1, round(settings.seconds)) + 0.6

    def run(self, contender, instances, settings):
        program = find("iperf3")
        if program is None:
            raise load.Failed("iperf3 is not installed")
        instance = instances.get(contender)
        bed = instances.bed
        server = subprocess.Popen(
            [program, "--server", "--one-off", "--bind", SERVER4], preexec_fn=bed.server.enter, stdout=subprocess.DEVNULL
        )
        try:
            time.sleep(0.15)
            seconds = max(1, round(settings.seconds))
            command = [program, "--client", SERVER4, "--json", "--time", seconds, *(["--reverse"] if self.reverse else [])]
            answer = json.loads(load.run(command, instance.namespace, seconds))
            return {"gbit": answer["end"]["sum_received"]["bits_per_second"] / 1e9}
        finally:
            server.kill()
            server.wait()


def measurements():
    """Out and in."""
    return [
        Iperf("iperf3-out-1", [Metric("gbit", "iperf3 out, 1 stream", "Gbit/s")]),
        Iperf("iperf3-in-1", [Metric("gbit", "iperf3 in, 1 stream", "Gbit/s")], reverse=True),
    ]
