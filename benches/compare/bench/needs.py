"""What must be there before anything can be measured, and how to get it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from . import peers
from .cli import REPOSITORY

# Where Debian has it.
AARDVARK = "/usr/lib/podman/aardvark-dns"

# Program, Debian package, and what is lost without it; None: nothing works.
PROGRAMS = [
    ("ip", "iproute2", None),
    ("unshare", "util-linux", None),
    ("pasta", "passt", "the column pasta"),
    ("slirp4netns", "slirp4netns", "the column slirp4netns"),
    ("rootlesskit", "rootlesskit", "the column rootlesskit"),
    ("wrk", "wrk", "the rows http-*"),
    ("nginx", "nginx-light", "the rows http-*"),
    ("dnsmasq", "dnsmasq-base", "the rows dns-* and aardvark-*"),
    ("dnsperf", "dnsperf", "the rows aardvark-*"),
    (AARDVARK, "aardvark-dns", "the column aardvark-dns"),
    ("iperf3", "iperf3", "the rows iperf3-*"),
    ("patchelf", "patchelf", "a pasta newer than the system's"),
]


class Missing(Exception):
    """Something without which nothing works."""


def check(options):
    """Raises [`Missing`] with all that is missing; returns what is missing but can be done without, in words."""
    if os.geteuid() != 0:
        raise Missing("must run as root: it makes network namespaces (nothing of the machine's network is touched)")
    if options.install:
        install()
        _fetch(options)
    absent = [(program, package, loss) for program, package, loss in PROGRAMS if not find(program)]
    faults = [f"{program} is missing: apt-get install {package}" for program, package, loss in absent if loss is None]
    tun = Path("/dev/net/tun")
    if not tun.is_char_device():
        faults.append("/dev/net/tun is missing: modprobe tun")
    elif tun.stat().st_mode & 0o006 != 0o006:
        faults.append("/dev/net/tun cannot be opened by users: chmod 666 /dev/net/tun")
    for name in ("kernel/unprivileged_userns_clone", "user/max_user_namespaces"):
        switch = Path("/proc/sys") / name
        if switch.exists() and switch.read_text().strip() == "0":
            faults.append(f"users may not make user namespaces: sysctl -w {name.replace('/', '.')}=...")
    paths = [options.rnet, options.slirp4netns, *options.pasta]
    faults += [f"{path}: no such program" for path in paths if path and not os.access(path, os.X_OK)]
    if options.profile and not find("perf"):
        faults.append("perf is missing: apt-get install linux-perf")
    if faults:
        raise Missing("; ".join(faults))
    return [f"{program} is missing ({package}): without it, not {loss}" for program, package, loss in absent if loss]


def find(program):
    """Where a program is, also where only root's PATH looks."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")


def install():
    """Installs what is missing. nginx is only used as a program: a service that this brought up is stopped again."""
    packages = sorted({package for program, package, _ in PROGRAMS if not find(program)})
    if not packages:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if subprocess.run(command, env=environment, check=False).returncode != 0:
        subprocess.run(["apt-get", "update"], check=True)
        subprocess.run(command, env=environment, check=True)
    if "nginx-light" in packages and find("systemctl"):
        subprocess.run(["systemctl", "disable", "--now", "nginx.service"], check=False, capture_output=True)


def _fetch(options):
    """The newest pasta; without it the run goes on."""
    if options.pasta or "pasta" in options.without:
        return
    try:
        print(f"compare: fetched {peers.fetch(peers.folder(options))}", file=sys.stderr)
    except (peers.Unusable, OSError, subprocess.TimeoutExpired) as error:
        print(f"compare: no newer pasta than the system's could be fetched: {error}", file=sys.stderr)


def build(options):
    """Builds the load generator, and rnet unless one was given; their paths."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")).resolve()
    _cargo(target, Path(__file__).resolve().parents[1] / "load" / "Cargo.toml")
    rnet = options.rnet
    if rnet is None:
        _cargo(target, REPOSITORY / "Cargo.toml")
        rnet = target / "release" / "rnet"
    return target / "release" / "load", rnet.resolve()


def _cargo(target, manifest):
    cargo = find("cargo") or find(os.path.expanduser("~/.cargo/bin/cargo"))
    if cargo is None:
        raise Missing("cargo is missing: https://rustup.rs")
    command = [cargo, "build", "--release", "--quiet", "--manifest-path", manifest, "--target-dir", target]
    if subprocess.run(command, check=False).returncode != 0:
        raise Missing(f"{manifest} cannot be built (see above)")
