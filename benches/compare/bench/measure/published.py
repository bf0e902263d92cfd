"""Published ports: the client is in the server's namespace and connects to the host's address; the server is in the container.

For veth the server is in the host's namespace. "in" is towards the container.
"""

from dataclasses import dataclass

from ..instance import Publisher
from ..metric import Measurement
from . import bulk, connections


@dataclass
class Connect(Measurement):
    """Short connections."""

    parallel: int = 1
    in_quick: bool = False

    def run(self, contender, instances, settings):
        return connections.once(instances.get(contender, kind=Publisher).outside, [], self.parallel, settings)


@dataclass
class After(connections.After):
    """Many of them."""

    def run(self, contender, instances, settings):
        return connections.many(instances.get(contender, kind=Publisher).outside, [])


@dataclass
class Bulk(Measurement):
    """One stream. What goes into the container goes out of the client."""

    direction: str = "in"
    in_quick: bool = False

    def run(self, contender, instances, settings):
        instance = instances.get(contender, kind=Publisher)
        return bulk.figures(instance, instance.outside, "out" if self.direction == "in" else "in", [], settings)


def measurements():
    """As for what goes out."""
    title = "short connections to a published port"
    return [
        *(
            Connect(f"published-{parallel}", connections.once_metrics(f"{title}, {parallel} parallel"), parallel, parallel == 32)
            for parallel in (1, 32, 256)
        ),
        After("published-after", connections.many_metrics(f"{title}, 32 parallel")),
        Bulk("published-in", bulk.metrics("TCP in through a published port"), "in", True),
        Bulk("published-out", bulk.metrics("TCP out through a published port"), "out"),
    ]
