"""How long until there is a network."""

import os
import select
import signal
import statistics
import subprocess
import time
from dataclasses import dataclass

from .. import load
from ..contenders import Slirp
from ..goals import Goal
from ..instance import Container
from ..metric import Measurement, Metric
from ..processes import as_user, environment

TIMES = 5
TIMES_QUICK = 3


@dataclass
class RunTrue(Measurement):
    """`rnet run -- true` and its like, from start to end. For veth: `unshare -Urn true`, which makes the namespaces only."""

    most_rounds = 3

    def duration(self, settings):
        return times(settings) * 0.1

    def run(self, contender, instances, settings):
        command = contender.run_true()
        if command is None:
            raise load.Cannot("runs no commands")
        bed = instances.bed
        taken = []
        for _ in range(times(settings)):
            began = time.monotonic()
            _finish(_start(command, bed, bed.host(contender)))
            taken.append((time.monotonic() - began) * 1000)
        return {"time": statistics.median(taken)}


@dataclass
class Attach(Measurement):
    """From start to ready, for namespaces that exist: to the return of a program that goes to the background, or to its word."""

    most_rounds = 3

    def duration(self, settings):
        return times(settings) * 0.1

    def run(self, contender, instances, settings):
        if not contender.has_proxy:
            raise load.Cannot("nothing to attach")
        return {"time": statistics.median(self._once(contender, instances.bed) for _ in range(times(settings)))}

    def _once(self, contender, bed):
        host = bed.host(contender)
        container = Container(bed, host)
        try:
            if isinstance(contender, Slirp):
                return self._by_word(contender, container, bed, host)
            return self._by_return(contender, container, bed, host)
        finally:
            container.close()

    def _by_return(self, contender, container, bed, host):
        command, file = contender.attach_ready(container.pid, bed.home)
        file.unlink(missing_ok=True)
        began = time.monotonic()
        _finish(_start(command, bed, host))
        taken = (time.monotonic() - began) * 1000
        _end(int(file.read_text()))
        return taken

    def _by_word(self, contender, container, bed, host):
        reader, writer = os.pipe()
        command = contender.attach(container.pid, "65520")
        command[1:1] = ["--ready-fd", str(writer)]
        began = time.monotonic()
        process = _start(command, bed, host, pass_fds=[writer])
        os.close(writer)
        try:
            with os.fdopen(reader, "rb") as ready:
                if not select.select([ready], [], [], 10)[0] or ready.read(1) != b"1":
                    raise load.Failed("ended before it was ready, or was not ready within 10 s")
            return (time.monotonic() - began) * 1000
        finally:
            process.kill()
            process.wait()


def times(settings):
    """Of so many starts the median is one sample."""
    return TIMES_QUICK if settings.quick else TIMES


def _start(command, bed, host, **more):
    return subprocess.Popen(
        [str(word) for word in command],
        preexec_fn=as_user(host.namespace),
        env=environment(bed.home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(bed.directory / "startup.log").open("w"),
        **more,
    )


def _finish(process):
    try:
        code = process.wait(10)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.wait()
        raise load.Failed("no end within 10 s") from error
    if code != 0:
        raise load.Failed(f"exit code {code}")


def _end(pid):
    """Ends a daemon that a measurement left behind. It is the driver's child by now: the driver is this PID namespace's first process."""
    os.kill(pid, signal.SIGTERM)
    for _ in range(300):
        try:
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                return
        except ChildProcessError:
            return
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def measurements():
    """Run and attach."""
    goals = (Goal("pasta", "<=", 1.0),)
    return [
        RunTrue("run-true", [Metric("time", "run -- true", "ms", False, goals)]),
        Attach("attach-ready", [Metric("time", "attach, start to ready", "ms", False, goals)]),
    ]
