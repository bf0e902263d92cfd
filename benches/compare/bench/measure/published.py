"""Published ports: the server is in the container. The client is in the server's namespace and connects to the host's address; or it
is on the host, and connects to its loopback.

For veth the server is in the host's namespace. "in" is towards the container.
"""

from dataclasses import dataclass

from ..goals import Goal
from ..instance import Publisher
from ..metric import Measurement, Metric
from . import bulk, connections

# By the host's address, and by its loopback, where connections are spliced.
RATES = {"": (Goal("pasta", ">=", 2.0),), "-loopback": (Goal("pasta", ">=", 1.2), Goal("rootlesskit", ">=", 1.2))}
BULK = {"": (Goal("pasta", ">=", 1.4),), "-loopback": (Goal("pasta", ">=", 1.2), Goal("rootlesskit", ">=", 1.2))}
CPU = {"": (), "-loopback": (Goal("pasta", "<=", 0.5),)}


def client(instance, way):
    """What runs the load of one of the two ways."""
    return instance.loopback if way else instance.outside


@dataclass
class Connect(Measurement):
    """Short connections."""

    parallel: int = 1
    in_quick: bool = False
    way: str = ""

    def run(self, contender, instances, settings):
        return connections.once(client(instances.get(contender, kind=Publisher), self.way), [], self.parallel, settings)


@dataclass
class After(connections.After):
    """Many of them."""

    way: str = ""

    def run(self, contender, instances, settings):
        return connections.many(client(instances.get(contender, kind=Publisher), self.way), [])


@dataclass
class Bulk(Measurement):
    """One stream. What goes into the container goes out of the client."""

    direction: str = "in"
    in_quick: bool = False
    way: str = ""

    def run(self, contender, instances, settings):
        instance = instances.get(contender, kind=Publisher)
        return bulk.figures(instance, client(instance, self.way), "out" if self.direction == "in" else "in", [], settings)


def _connect(parallel, way, where):
    title = f"short connections to a published port{where}, {parallel} parallel"
    rate = Metric("rate", title, "1/s", goals=RATES[way])
    return Connect(f"published{way}-{parallel}", [rate, Metric("p99", f"{title}, p99", "ms", False)], parallel, parallel == 32, way)


def _after(way, where):
    title = f"short connections to a published port{where}, 32 parallel"
    rate = Metric("rate", f"{title}, after 200,000", "1/s", goals=RATES[way])
    share = Metric("share", f"{title}, last rate to first", "×", goals=(connections.STEADY,))
    return After(f"published{way}-after", [rate, share], way=way)


def _bulk(direction, way, where):
    metrics = bulk.metrics(f"TCP {direction} through a published port{where}", BULK[way], CPU[way])
    return Bulk(f"published{way}-{direction}", metrics, direction, direction == "in", way)


def measurements():
    """As for what goes out."""
    found = []
    for way, where in (("", ""), ("-loopback", " on the loopback")):
        found += [_connect(parallel, way, where) for parallel in (1, 32, 256)]
        found += [_after(way, where), _bulk("in", way, where), _bulk("out", way, where)]
    return found
