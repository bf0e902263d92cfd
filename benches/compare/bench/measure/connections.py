"""Short connections: connect, request, response, close."""

from dataclasses import dataclass

from ..bed import SERVER4
from ..goals import Goal, at_least
from ..load import Failed, Remark
from ..metric import Measurement, Metric

# More failures than this share make a figure worthless.
FAILING = 0.01
LONG = 200_000
LONG_SECONDS = 45
# "As at the start": the rate of the last two seconds to that of the first two.
STEADY = at_least(0.9)
GOALS = (Goal("pasta", ">=", 1.6), Goal("veth", ">=", 0.6))


@dataclass
class Connect(Measurement):
    """As many as possible for a time, so many at once."""

    parallel: int = 1
    in_quick: bool = False

    def run(self, contender, instances, settings):
        return once(instances.get(contender).load, [SERVER4], self.parallel, settings)


@dataclass
class After(Measurement):
    """Whether the rate at the end of 200,000 is that of the start."""

    most_rounds = 1
    in_quick = False

    def duration(self, settings):
        return 25

    def run(self, contender, instances, settings):
        return many(instances.get(contender).load, [SERVER4])


def once(load, words, parallel, settings):
    """What a time full of connections gives."""
    answer = good(load(settings.seconds, "connect", *words, "--parallel", parallel, "--seconds", settings.seconds))
    return {"rate": answer["per_s"], "p99": answer["p99_us"] / 1000}


def many(load, words):
    """What 200,000 connections give."""
    answer = good(load(LONG_SECONDS, "connect", *words, "--parallel", 32, "--count", LONG, "--seconds", LONG_SECONDS))
    figures = {"rate": answer["last_per_s"], "share": answer["last_per_s"] / max(answer["first_per_s"], 1)}
    if answer["done"] < LONG * 0.99:
        figures["remark"] = Remark(f"after {answer['done']:,} connections, which took {LONG_SECONDS} s")
    return figures


def good(answer):
    """The answer, if nearly all connections worked."""
    total = answer["done"] + answer["failures"]
    if total == 0:
        raise Failed("no connection was completed in time")
    if answer["failures"] > FAILING * total:
        raise Failed(f"{answer['failures']:,} of {total:,} connections failed ({answer['reason']}); {answer['per_s']:.0f}/s worked")
    return answer


def once_metrics(title):
    """The rows of [`once`]."""
    return [Metric("rate", title, "1/s", goals=GOALS), Metric("p99", f"{title}, p99", "ms", False)]


def many_metrics(title):
    """The rows of [`many`]."""
    return [
        Metric("rate", f"{title}, after 200,000", "1/s", goals=GOALS),
        Metric("share", f"{title}, last rate to first", "×", goals=(STEADY,)),
    ]


def measurements():
    """1, 32 and 256 at once; and many."""
    found = [
        Connect(f"connect-{parallel}", once_metrics(f"short connections, {parallel} parallel"), parallel, parallel == 32)
        for parallel in (1, 32, 256)
    ]
    return [*found, After("connect-after", many_metrics("short connections, 32 parallel"))]
