"""All measurements, in the order of the table."""

from . import bulk, connections, containers, http, iperf, latency, memory, names, published, startup, udp


def everything():
    """A fresh list."""
    modules = (bulk, iperf, connections, published, http, latency, names, containers, udp, startup, memory)
    return [measurement for module in modules for measurement in module.measurements()]
