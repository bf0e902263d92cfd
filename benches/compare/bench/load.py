"""Runs a load program in a namespace, and reads its answer."""

import json
import os
import select
import subprocess
import time


class Failed(Exception):
    """A measurement that gave no figure, and why."""


class Cannot(Failed):
    """A contender that cannot do what is measured, by its nature."""


class Remark(Failed):
    """A figure that needs a word: what happened while it was measured."""


def run(command, namespace, seconds):
    """The output of a program that may take `seconds` and some more."""
    limit = seconds + 20
    try:
        done = subprocess.run(
            [str(word) for word in command],
            preexec_fn=namespace.enter,
            capture_output=True,
            text=True,
            timeout=limit,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"no end within {limit:.0f} s") from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Failed((lines or [f"exit code {done.returncode}"])[-1].removeprefix("load: "))
    return done.stdout


def run_json(command, namespace, seconds):
    """As [`run`], for a program that prints one line of JSON."""
    return json.loads(run(command, namespace, seconds))


def line(pipe, seconds):
    """The next line of an unbuffered pipe of bytes; empty at its end. Raises [`Failed`] when it takes too long."""
    end, got = time.monotonic() + seconds, b""
    while not got.endswith(b"\n"):
        if not select.select([pipe], [], [], max(0, end - time.monotonic()))[0]:
            raise Failed(f"no answer within {seconds:g} s")
        piece = os.read(pipe.fileno(), 1)
        if not piece:
            break
        got += piece
    return got.decode(errors="replace")
