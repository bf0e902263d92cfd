"""On what and of what the figures are."""

import datetime
import os
import subprocess
from pathlib import Path

from .cli import REPOSITORY
from .contenders import defects


def describe(contenders, settings, options):
    """For the reports: machine, kernel, programs, settings."""
    version = {one.name: _version(one) for one in contenders}
    return {
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
        "defects": {one.name: found for one in contenders if (found := defects(version[one.name], one.program))},
    }


def _version(contender):
    text = contender.version()
    # Debian's pasta does not know its version; its package does.
    if "unknown" in text:
        package = _output("dpkg-query", "--show", "--showformat", "${Version}", "passt")
        text = f"{text}; the installed package passt is {package}" if package else text
    return text


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
