"""On what and of what the figures are."""

import datetime
import os
import shlex
import subprocess
from pathlib import Path

from .cli import REPOSITORY
from . import defects


def describe(contenders, settings, options, typed):
    """For the reports: machine, kernel, programs, settings."""
    version = {one.name: one.version() for one in contenders}
    return {
        "command": shlex.join(["compare", *typed]),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": os.uname().release,
        "system": _system(),
        "load_before": os.getloadavg()[0],
        "rounds": settings.rounds,
        "seconds": settings.seconds,
        "quick": settings.quick,
        "rows": options.rows.pattern if options.rows else None,
        "versions": version,
        "defects": {one.name: found for one in contenders if (found := defects.known(one))},
    }


def _commit():
    commit = _output("git", "-C", REPOSITORY, "-c", f"safe.directory={REPOSITORY}", "describe", "--always", "--dirty")
    return commit or "unknown"


def _processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return os.uname().machine


def _system():
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "Linux"


def _output(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
