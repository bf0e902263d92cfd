"""Which contenders take part, and what is known of them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from . import peers
from .contenders import Aardvark, Pasta, Rnet, Rootlesskit, Slirp, Veth
from .needs import AARDVARK, find

# Where a pasta's send buffers matter: it stalls when it sends to the host's side.
STALLS = re.compile(r"^(tcp-out|mtu1500-out|ipv6-(mtu1500-)?out|iperf3-out|fairness-out|published-out)")
# What more threads of rnet are measured by.
SCALE = re.compile(r"^(tcp-(out|in)-(4|16)|udp-.*|quic-.*|connect-32|memory)$")
# The suffix of a pasta on the wide host.
WIDE = "+wmem"


def contenders(options, rnet, directory):
    """All that are compared. Programs are copied: the user they run as may not be able to reach a home directory."""
    found = [Rnet("rnet", copy(rnet, directory))]
    for variant in options.rnet_variant:
        found.append(Rnet(f"rnet {variant}", found[0].program, variant.split()))
    found += _scale(found[0].program, options)
    found += _pastas(options, directory)
    slirp = options.slirp4netns or shutil.which("slirp4netns")
    if slirp and "slirp4netns" not in options.without:
        found.append(Slirp("slirp4netns", copy(Path(slirp), directory)))
    rootlesskit = shutil.which("rootlesskit")
    if rootlesskit and "rootlesskit" not in options.without:
        # What it executes itself, it looks for beside itself and in the path.
        found.append(Rootlesskit("rootlesskit", Path(rootlesskit)))
    aardvark = find(AARDVARK)
    if aardvark and "aardvark-dns" not in options.without:
        found.append(Aardvark("aardvark-dns", copy(Path(aardvark), directory)))
    if "veth" not in options.without:
        found.append(Veth())
    return found


def _scale(program, options):
    """rnet with more threads, in a full run of an rnet that has them."""
    if options.quick or "threads" in options.without or not _knows_threads(program):
        return []
    counts = [2, 4] if (os.cpu_count() or 1) >= 4 else [2]
    found = [Rnet(f"rnet --threads {count}", program, ["--threads", str(count)], count) for count in counts]
    for one in found:
        one.only = SCALE
    return found


def _knows_threads(program):
    done = subprocess.run([program, "attach", "--help"], capture_output=True, text=True, check=False)
    return re.search(r"--threads\b", done.stdout + done.stderr) is not None


def _pastas(options, directory):
    """Each build, named by its date, the oldest first; and the newest once more on the wide host."""
    if "pasta" in options.without:
        return []
    found = []
    for number, build in enumerate(peers.builds(options)):
        try:
            program = peers.copy(build, directory / f"pasta{number}")
        except peers.Unusable as error:
            print(f"compare: {build.path} is left out: {error}", file=sys.stderr)
            continue
        name = f"pasta {build.date}"
        while any(one.name == name for one in found):
            name += "'"
        found.append(Pasta(name, program, build.version))
    found.sort(key=lambda one: one.name)
    if found and "pasta+wmem" not in options.without:
        newest = found[-1]
        wide = Pasta(newest.name + WIDE, newest.program, f"{newest.version()}, on a host with larger send buffers", True)
        wide.only = STALLS
        found.append(wide)
    return found


def copy(path, directory):
    """A copy of a program that everybody can execute."""
    directory.mkdir(exist_ok=True)
    copied = directory / path.name
    shutil.copy(path.resolve(), copied)
    copied.chmod(0o755)
    return copied
