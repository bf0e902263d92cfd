"""Memory at rest, with idle flows and after bulk; CPU time when nothing happens; how many flows there can be.

Memory is PSS: pages that others share count in part, so a program that is started often is not charged for its code each time.
On instances of their own. The waits are one wait for all contenders.
"""

import time
from dataclasses import dataclass

from .. import load
from ..bed import SERVER4
from ..flows import Flows
from ..goals import at_least, at_most
from ..instance import Instance
from ..metric import Measurement, Metric

WAIT = 10
IDLE = 3
# What a proxy gives back when flows are idle has been given back by then.
SETTLE = 5
FEW, MANY = 1000, 10_000


@dataclass
class Memory(Measurement):
    """The whole sequence."""

    most_rounds = 1

    def duration(self, settings):
        return 6 if settings.quick else 15

    def run_all(self, contenders, instances, settings, progress):
        results = {one.name: {} if one.has_proxy else load.Cannot("there is no proxy") for one in contenders}
        subjects = [Subject(one, results[one.name]) for one in contenders if one.has_proxy]

        def each(step, what):
            for subject in subjects:
                if subject.failed is None:
                    progress(f"{subject.contender.name}, {what}")
                    try:
                        step(subject)
                    except load.Failed as error:
                        subject.failed = results[subject.contender.name] = error

        def wait(seconds, what):
            progress(f"all, {seconds} s {what}")
            time.sleep(seconds)

        try:
            each(lambda subject: subject.start(instances), "bulk")
            wait(WAIT - IDLE, "of rest")
            each(Subject.begin_idling, "idle")
            wait(IDLE, "of rest")
            each(Subject.rested, "after bulk")
            each(lambda subject: subject.open(FEW), f"{FEW:,} flows")
            wait(SETTLE, "with idle flows")
            each(Subject.has_few, "idle flows")
            if not settings.quick:
                each(lambda subject: subject.open(MANY), f"{MANY:,} flows")
                wait(SETTLE, "with idle flows")
                each(Subject.begin_idling, "idle flows")
                wait(IDLE, "with idle flows")
                each(Subject.has_many, "idle flows")
        finally:
            for subject in subjects:
                subject.close()
        return results


class Subject:
    """One contender on its way through the sequence."""

    def __init__(self, contender, figures):
        self.contender, self.figures, self.failed = contender, figures, None
        self.instance = self.flows = self.server = self.address = None
        self.idle_since = 0.0

    def start(self, instances):
        """Memory at rest, then bulk."""
        instances.check(self.contender)
        self.instance = Instance(instances.bed, self.contender, 65520)
        time.sleep(0.5)
        self.figures["rest"] = self.instance.memory()
        for direction in ("out", "in"):
            self.instance.load(2, "bulk", direction, SERVER4, "--streams", 4, "--seconds", 0.5, "--grace", 1)

    def _lack(self):
        opened = self.flows.opened
        why = f" ({opened['reason']})" if opened["reason"] else ""
        return load.Cannot(f"of {opened['established']:,} flows that were opened {opened['exchanging']:,} exchange bytes{why}")

    def begin_idling(self):
        """From here on CPU time is counted."""
        self.idle_since = self.instance.cpu()

    def _idle(self):
        return (self.instance.cpu() - self.idle_since) / IDLE * 100

    def _more(self):
        return self.instance.memory() - self.figures["rest"]

    def rested(self):
        """After bulk and a rest."""
        self.figures["idle"] = self._idle()
        self.figures["after"] = self._more()

    def open(self, count):
        """Has this many flows and no others."""
        if self.flows:
            self.flows.close()
            time.sleep(0.3)
        if self.server is None:
            self.server, self.address = self.instance.bed.another_server()
        self.flows = Flows(self.instance, self.address, count)

    def has_few(self):
        """With 1,000 idle flows."""
        got = self.flows.opened["exchanging"]
        self.figures["flows1k"] = self._more() if got >= FEW else self._lack()

    def has_many(self):
        """With 10,000 idle flows, if it can have them."""
        got = self.figures["most"] = self.flows.opened["exchanging"]
        if got < MANY:
            self.figures["flows10k"] = self.figures["idle10k"] = self._lack()
            return
        self.figures["idle10k"] = self._idle()
        self.figures["flows10k"] = self._more()
        if self.flows.exchange()["exchanging"] < MANY:
            raise load.Failed("idle flows stopped working")

    def close(self):
        """Ends all of it."""
        if self.flows:
            self.flows.close()
        if self.server:
            self.server.kill()
            self.server.wait()
        if self.instance:
            self.instance.close()


def measurements():
    """One, with many figures."""
    less = False
    return [
        Memory(
            "memory",
            [
                Metric("rest", "memory (PSS) at rest", "MiB", less, (at_most(4),)),
                Metric("flows1k", "more memory with 1,000 idle flows", "MiB", less, (at_most(3),)),
                Metric("flows10k", "more memory with 10,000 idle flows", "MiB", less, (at_most(12),)),
                Metric("after", "more memory 10 s after bulk", "MiB", less, (at_most(2),)),
                Metric("most", "flows at once, of 10,000 (soft limit of 1,024 descriptors)", "flows", True, (at_least(MANY),)),
                Metric("idle", "CPU when idle", "% of a core", less, (at_most(0.1),)),
                Metric("idle10k", "CPU when idle with 10,000 flows", "% of a core", less, (at_most(1),)),
            ],
        )
    ]
