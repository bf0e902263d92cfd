"""Names: a dnsmasq on the server that knows all of them, asked through each contender's own name server; the column veth asks it directly.

*Cached* asks for the same hundred names again and again, *uncached* for another one each time. Every answer is checked for its
question, its code and its address.
"""

import itertools
import subprocess
import time
from dataclasses import dataclass

from .. import load
from ..bed import SERVER4
from ..goals import Goal
from ..metric import Measurement, Metric
from ..needs import find


@dataclass
class Names(Measurement):
    """So many queries under way at once."""

    kind: str = "cached"
    outstanding: int = 1
    in_quick: bool = True
    # No name is asked for twice by the uncached rows.
    _from = itertools.count(1_000_000, 10_000_000)

    def run(self, contender, instances, settings):
        server(instances.bed)
        words = [self.kind, contender.name_server, "--outstanding", self.outstanding, "--seconds", settings.seconds]
        answer = instances.get(contender).load(settings.seconds + 1, "dns", *words, "--from", next(self._from))
        if answer["p50_us"] is None or answer["lost"] > 100:
            raise load.Failed(f"{answer['lost']} queries had no answer")
        return {"rate": answer["per_s"], "p50": answer["p50_us"], "p99": answer["p99_us"]}


def server(bed):
    """dnsmasq in the server's namespace, started by the first that needs it."""
    if getattr(bed, "dnsmasq", None) is not None:
        return
    program = find("dnsmasq")
    if program is None:
        raise load.Failed("dnsmasq is not installed")
    words = "--keep-in-foreground --conf-file=/dev/null --pid-file= --user=root --no-resolv --no-hosts --bind-interfaces --local-ttl=300"
    command = [program, *words.split(), f"--listen-address={SERVER4}", "--address=/bench.example/192.0.2.1"]
    bed.dnsmasq = subprocess.Popen(command, preexec_fn=bed.server.enter, stderr=subprocess.DEVNULL)
    time.sleep(0.3)


def measurements():
    """1, 16 and 64 at once, cached and not."""
    found = []
    for kind, goals in (("cached", (Goal("veth", ">=", 0.8),)), ("uncached", (Goal("peers", ">=", 1.0),))):
        for outstanding in (1, 16, 64):
            title = f"DNS {kind}, {outstanding} at once"
            metrics = [
                Metric("rate", title, "1/s", goals=goals),
                Metric("p50", f"{title}, p50", "µs", False),
                Metric("p99", f"{title}, p99", "µs", False),
            ]
            key = f"dns-{kind}-{outstanding}"
            found.append(Names(key, metrics, kind=kind, outstanding=outstanding, in_quick=outstanding != 16))
    return found
