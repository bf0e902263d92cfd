"""Memory at rest, with idle flows and after bulk; CPU time when nothing happens; how many flows there can be.

On instances of their own. The waits are one wait for all contenders.
"""

import json
import subprocess
import time
from dataclasses import dataclass

from .. import load
from ..bed import SERVER4
from ..instance import Instance
from ..metric import Ceiling, Measurement, Metric

WAIT = 10
IDLE = 3
# What a proxy gives back when flows are idle has been given back by then.
SETTLE = 5


@dataclass
class Memory(Measurement):
    """The whole sequence."""

    most_rounds = 1

    def duration(self, settings):
        return (8 if settings.quick else 28) + WAIT / 3

    def run_all(self, contenders, instances, settings, progress):
        up = {one.name: None for one in contenders if one.has_proxy}
        results = {one.name: load.Cannot("there is no proxy") for one in contenders if not one.has_proxy}

        def each(step, what):
            for name, instance in up.items():
                if name not in results or isinstance(results[name], dict):
                    progress(f"{name}, {what}")
                    try:
                        results.setdefault(name, {}).update(step(name, instance))
                    except load.Failed as error:
                        results[name] = error

        def start(name, _):
            contender = next(one for one in contenders if one.name == name)
            up[name] = Instance(instances.bed, contender, 65520)
            time.sleep(0.5)
            rest = up[name].memory()
            self._transfer(up[name])
            return {"rest": rest}

        each(start, "bulk")
        progress(f"all, {WAIT} s of rest")
        time.sleep(WAIT - IDLE)
        before = {name: instance.cpu() for name, instance in up.items() if instance}
        time.sleep(IDLE)
        each(
            lambda name, instance: {
                "after": instance.memory() - results[name]["rest"],
                "idle": (instance.cpu() - before[name]) / IDLE * 100,
            },
            "after bulk",
        )
        each(lambda name, instance: self._flows(instance, results[name]["rest"], settings), "idle flows")
        for instance in up.values():
            if instance:
                instance.close()
        return results

    def _flows(self, instance, rest, settings):
        figures = {}
        thousand = Flows(instance, 1000)
        time.sleep(SETTLE)
        if thousand.opened["exchanging"] >= 1000:
            figures["flows1k"] = instance.memory() - rest
        thousand.close()
        if settings.quick:
            return figures
        time.sleep(0.5)
        many = Flows(instance, 10_000)
        figures["most"] = many.opened["exchanging"]
        if many.opened["exchanging"] >= 10_000:
            time.sleep(SETTLE)
            figures["flows10k"] = instance.memory() - rest
            before = instance.cpu()
            time.sleep(IDLE)
            figures["idle10k"] = (instance.cpu() - before) / IDLE * 100
            if many.exchange()["exchanging"] < 10_000:
                raise load.Failed("idle flows stopped working")
        many.close()
        return figures

    def _transfer(self, instance):
        for direction in ("out", "in"):
            instance.load(1, "bulk", direction, SERVER4, "--streams", 4, "--seconds", 0.5)


class Flows:
    """Idle flows, held open by a process."""

    def __init__(self, instance, count):
        self.process = subprocess.Popen(
            [instance.bed.load, "idle", SERVER4, "--flows", str(count)],
            preexec_fn=instance.namespace.enter,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.opened = self._answer()

    def exchange(self):
        """Whether they still work."""
        self.process.stdin.write("exchange\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise load.Failed("the idle flows' process ended")
        return json.loads(line)

    def close(self):
        """Closes all of them."""
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def measurements():
    """One, with many figures."""
    less = False
    return [
        Memory(
            "memory",
            [
                Metric("rest", "memory (PSS) at rest", "MiB", less, (Ceiling(4),)),
                Metric("flows1k", "more memory with 1,000 idle flows", "MiB", less, (Ceiling(3),)),
                Metric("flows10k", "more memory with 10,000 idle flows", "MiB", less, (Ceiling(12),)),
                Metric("after", "more memory 10 s after bulk", "MiB", less, (Ceiling(2),)),
                Metric("most", "flows at once, of 10,000 tried, soft limit of 1,024 descriptors", "flows"),
                Metric("idle", "CPU when idle", "% of a core", less, (Ceiling(0.1),)),
                Metric("idle10k", "CPU when idle with 10,000 flows", "% of a core", less, (Ceiling(1),)),
            ],
        )
    ]
