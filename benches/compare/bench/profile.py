"""Where a proxy's CPU time goes while something is measured: perf's list of functions, one file a measurement."""

import re
import signal
import subprocess
from contextlib import contextmanager

from .needs import find


@contextmanager
def profiled(directory, name, pids):
    """Runs its body under `perf record` of processes, and leaves DIRECTORY/NAME.txt. Costs some speed."""
    if directory is None:
        yield
        return
    directory.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^\w.-]+", "_", name).strip("_")
    data, report = directory / f"{stem}.data", directory / f"{stem}.txt"
    # The clock, not cycles: virtual machines often have no counters.
    command = [find("perf"), "record", "--quiet", "--event", "cpu-clock", "--freq", "999", "--pid", ",".join(map(str, pids)), "--output", data]
    record = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        record.send_signal(signal.SIGINT)
        record.wait()
        command = [find("perf"), "report", "--stdio", "--sort", "dso,symbol", "--percent-limit", "0.5", "--input", data]
        with report.open("w") as file:
            subprocess.run(command, stdout=file, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=False)
        data.unlink(missing_ok=True)
