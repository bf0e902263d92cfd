"""The system calls that Python 3.11 lacks."""

import ctypes
import os

CLONE_NEWNS = 0x0002_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x4_0000
MS_BIND = 0x1000
PR_SET_PDEATHSIG = 1

_LIBC = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags):
    """This process (for a PID namespace: its next child) gets namespaces of its own."""
    _check(_LIBC.unshare(flags), "unshare")


def setns(descriptor, flags=CLONE_NEWNET):
    """This process joins a namespace."""
    _check(_LIBC.setns(descriptor, flags), "setns")


def mount(source, target, kind, flags=0, data=""):
    """mount(2)."""
    arguments = [text.encode() for text in (source, str(target), kind)]
    _check(_LIBC.mount(*arguments, ctypes.c_ulong(flags), data.encode()), f"mount {kind or source} at {target}")


def die_with_parent(signal):
    """This process gets `signal` when its parent ends."""
    _check(_LIBC.prctl(PR_SET_PDEATHSIG, int(signal), 0, 0, 0), "prctl")
