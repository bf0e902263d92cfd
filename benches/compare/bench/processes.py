"""What a process and its descendants cost: CPU seconds and memory, as the kernel counts them."""

import os
import resource
from pathlib import Path

from .bed import USER

MIB = 1024.0


def family(pid):
    """A process and its descendants."""
    pids = [pid]
    for parent in pids:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            pids += [int(child) for child in _read(children).split()]
    return pids


def cpu_seconds(pid):
    """CPU time so far, to the nanosecond (kernel work done in the process's name is in it, that of kernel threads is not)."""
    total = 0
    for member in family(pid):
        for task in Path(f"/proc/{member}/task").glob("*/schedstat"):
            total += int((_read(task) or "0").split()[0])
    return total / 1e9


def memory_mib(pid):
    """RSS and PSS in MiB."""
    rss = pss = 0
    for member in family(pid):
        for line in _read(Path(f"/proc/{member}/smaps_rollup")).splitlines():
            if line.startswith("Rss:"):
                rss += int(line.split()[1])
            elif line.startswith("Pss:"):
                pss += int(line.split()[1])
    return rss / MIB, pss / MIB


def _read(path):
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def as_user(namespace, user=USER, descriptors=1024):
    """For a child between fork and exec: a user, in a namespace, with the customary soft limit of descriptors."""

    def prepare():
        namespace.enter()
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(descriptors, hard), hard))
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)

    return prepare


def environment(home):
    """What the user's programs find in their environment."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(home), "LANG": "C", "USER": "nobody"}
