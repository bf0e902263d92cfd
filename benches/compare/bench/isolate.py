"""The driver runs as the first process of a PID namespace of its own.

Whatever it starts, daemons too, is in there, and the kernel ends all of it when the driver ends, also by SIGKILL. The network
namespaces have no names and no mounts: they go with the last process.
"""

import os
import signal
import sys
import tempfile
from pathlib import Path

from . import syscalls


def isolated(work):
    """Runs `work(directory)` in there; its exit code. `directory` is empty, private, and gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="rnet-compare-"))
    try:
        syscalls.unshare(syscalls.CLONE_NEWPID)
        child = os.fork()
        if child == 0:
            os._exit(_inside(work, directory))
        return _watch(child)
    finally:
        directory.rmdir()


def _inside(work, directory):
    """The first process; never raises, for it must not run its parent's code."""
    code = 1
    try:
        syscalls.die_with_parent(signal.SIGKILL)
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
        syscalls.mount("proc", "/proc", "proc")
        syscalls.mount("tmpfs", directory, "tmpfs", 0, "mode=755,size=256m")
        _allot_ids(directory)
        # From here on nothing can reach a network that was there before.
        syscalls.unshare(syscalls.CLONE_NEWNET)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, _stop)
        code = work(directory)
    except KeyboardInterrupt:
        print("\ncompare: stopped; everything that was started has ended", file=sys.stderr)
        code = 130
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # pylint: disable=broad-except
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _allot_ids(directory):
    """Gives the bed's user ids of its own, as rootlesskit wants them; seen in this mount namespace only."""
    ids = directory / "subids"
    ids.write_text("nobody:200000:65536\n")
    for file in ("/etc/subuid", "/etc/subgid"):
        if Path(file).exists():
            syscalls.mount(str(ids), file, "", syscalls.MS_BIND)


def _stop(*_):
    # Once is enough: the first signal may come from the terminal, the next from the watching parent.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _watch(child):
    """Waits for the first process, and hands on the signals that ask to stop."""

    def forward(number, _):
        os.kill(child, number)

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, forward)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
