"""Short connections: connect, request, response, close."""

from dataclasses import dataclass

from ..bed import SERVER4
from ..load import Failed
from ..metric import Goal, Measurement, Metric

# More failures than this share make a figure worthless.
FAILING = 0.01
LONG = 200_000
LONG_SECONDS = 60


@dataclass
class Connect(Measurement):
    """As many as possible for a time, so many at once."""

    parallel: int = 1

    def run(self, contender, instances, settings):
        words = [SERVER4, "--parallel", self.parallel, "--seconds", settings.seconds]
        answer = instances.get(contender).load(settings.seconds, "connect", *words)
        return {"rate": good(answer)["per_s"], "p99": answer["p99_us"] / 1000}


@dataclass
class After(Measurement):
    """Whether the rate at the end of 200,000 is that of the start."""

    most_rounds = 1
    in_quick = False

    def duration(self, settings):
        return LONG_SECONDS / 2

    def run(self, contender, instances, settings):
        words = [SERVER4, "--parallel", 32, "--count", LONG, "--seconds", LONG_SECONDS]
        answer = good(instances.get(contender).load(LONG_SECONDS, "connect", *words))
        if answer["done"] < LONG * 0.99:
            raise Failed(f"only {answer['done']:,} within {LONG_SECONDS} s")
        return {"rate": answer["last_per_s"], "share": answer["last_per_s"] / answer["first_per_s"]}


def good(answer):
    """The answer, if nearly all connections worked."""
    total = answer["done"] + answer["failures"]
    if answer["failures"] > FAILING * total or total == 0:
        raise Failed(f"{answer['failures']} of {total} connections failed ({answer['reason']}); {answer['per_s']:.0f}/s worked")
    return answer


def measurements():
    """1, 32 and 256 at once; and many."""
    goals = (Goal("pasta", ">=", 1.6), Goal("veth", ">=", 0.6))
    found = [
        Connect(
            f"connect-{parallel}",
            [
                Metric("rate", f"short connections, {parallel} parallel", "1/s", goals=goals),
                Metric("p99", f"short connections, {parallel} parallel, p99", "ms", False),
            ],
            parallel=parallel,
        )
        for parallel in (1, 32, 256)
    ]
    metrics = [
        Metric("rate", "short connections, 32 parallel, after 200,000", "1/s", goals=goals),
        Metric("share", "short connections, rate after 200,000 to rate at first", "×"),
    ]
    return [*found, After("connect-after", metrics)]
