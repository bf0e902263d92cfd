"""The order of things: in each round each measurement, in each measurement each contender, beginning with another one each time.

What disturbs the machine for a while so disturbs all contenders, not one.
"""

import sys
import time

from .load import Failed


class Samples:
    """Figures and failures by (measurement, metric, contender)."""

    def __init__(self):
        self.figures = {}
        self.failures = {}

    def add(self, measurement, name, result):
        """Remembers what one measurement of one contender gave."""
        if isinstance(result, Failed):
            result = {metric.key: result for metric in measurement.metrics}
        for metric, figure in result.items():
            kept = self.failures if isinstance(figure, Failed) else self.figures
            # A remark is about all figures of the measurement.
            for key in [one.key for one in measurement.metrics] if metric == "remark" else [metric]:
                kept.setdefault((measurement.key, key, name), []).append(figure)


class Progress:
    """What runs, and how long is left by what has been needed so far."""

    def __init__(self, total):
        self.total, self.done, self.began = total, 0.0, time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.line = ""

    def left(self):
        """Seconds left."""
        passed = time.monotonic() - self.began
        # The estimate counts for as much as the first tenth of the run.
        pace = (passed + 0.1 * self.total) / (self.done + 0.1 * self.total)
        return max(0, self.total - self.done) * pace

    def show(self, what):
        """One line, rewritten on a terminal."""
        left = round(self.left())
        self.line = f"[{100 * self.done / self.total:3.0f}%] {what}, {left // 60}:{left % 60:02} left"
        if self.terminal:
            print(f"\r\x1b[K{self.line}", end="", file=sys.stderr, flush=True)
        else:
            print(self.line, file=sys.stderr, flush=True)

    def end(self):
        """Takes the line away."""
        if self.terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def run(chosen, contenders, instances, settings):
    """All rounds of all measurements; the samples."""
    plan = [(turn, one) for turn in range(settings.rounds) for one in chosen if turn < one.most_rounds]
    parts = {one.key: [who for who in contenders if who.takes(one.key)] for one in chosen}
    progress = Progress(sum(one.duration(settings) * len(parts[one.key]) for _, one in plan) + 1)
    samples = Samples()
    for number, (turn, measurement) in enumerate(plan):
        first = number % len(contenders)
        order = [who for who in contenders[first:] + contenders[:first] if who in parts[measurement.key]]

        def show(name, turn=turn, measurement=measurement):
            progress.show(f"round {turn + 1}/{settings.rounds}: {measurement.key}, {name}")

        for name, result in measurement.run_all(order, instances, settings, show).items():
            samples.add(measurement, name, result)
        progress.done += measurement.duration(settings) * len(order)
    progress.end()
    return samples
