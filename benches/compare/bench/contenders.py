"""Who is compared: how each is started, made ready and named."""

import os
import re
import shutil
import subprocess
from pathlib import Path


class Contender:
    """A program that gives a container its network."""

    # Whether there is a process whose cost can be told.
    has_proxy = True

    def __init__(self, name, program):
        self.name = name
        self.program = Path(program)

    def attach(self, pid, mtu):
        """The command that serves the namespaces of `pid` in the foreground."""
        raise NotImplementedError

    def attach_ready(self, pid, home):
        """A command that is ready when it returns, and the file with the pid of what it leaves behind; or None."""
        return None

    def run_true(self):
        """A command that runs `true` with a network, or None."""
        return None

    def version(self):
        """Its version in words."""
        done = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=False)
        first = (done.stdout or done.stderr).strip().splitlines()[:1]
        return first[0] if first else "unknown version"


class Rnet(Contender):
    """rnet, with options of a variant."""

    def __init__(self, name, program, options=()):
        super().__init__(name, program)
        self.options = list(options)

    def attach(self, pid, mtu):
        return [self.program, "attach", "--foreground", "--pid", pid, "--mtu", mtu, *self.options]

    def attach_ready(self, pid, home):
        file = home / "ready.pid"
        return [self.program, "attach", "--pid", pid, "--pid-file", file, *self.options], file

    def run_true(self):
        return [self.program, "run", *self.options, "--", "true"]


class Pasta(Contender):
    """pasta; no ports are forwarded, as in the others."""

    PORTS = ["-t", "none", "-u", "none", "-T", "none", "-U", "none"]

    def attach(self, pid, mtu):
        return [self.program, "--foreground", "--quiet", "--config-net", "--mtu", mtu, *self.PORTS, pid]

    def attach_ready(self, pid, home):
        file = home / "ready.pid"
        return [self.program, "--quiet", "--config-net", "--pid", file, *self.PORTS, pid], file

    def run_true(self):
        return [self.program, "--quiet", "--config-net", *self.PORTS, "--", "true"]


class Slirp(Contender):
    """slirp4netns; it never goes to the background, and writes to a descriptor when it is ready."""

    def attach(self, pid, mtu):
        return [self.program, "--configure", "--mtu", mtu, "--enable-ipv6", "--disable-host-loopback", pid, "tap0"]


class Veth(Contender):
    """No proxy: the load runs in the host's namespace and reaches the server through the same veth as the proxies. The ceiling."""

    has_proxy = False

    def __init__(self):
        super().__init__("veth", "/bin/true")

    def run_true(self):
        return ["unshare", "--user", "--map-root-user", "--net", "true"]

    def version(self):
        return f"Linux {os.uname().release}"


def contenders(options, rnet, directory):
    """All that are compared. Programs are copied: the user they run as may not be able to reach a home directory."""
    found = [Rnet("rnet", _copy(rnet, directory))]
    for number, variant in enumerate(options.rnet_variant):
        found.append(Rnet(f"rnet {variant}", found[0].program, variant.split()))
    if "pasta" not in options.without:
        paths = options.pasta or [path for path in [shutil.which("pasta")] if path]
        for number, path in enumerate(paths):
            name = "pasta" if len(paths) == 1 else f"pasta {number + 1}"
            found.append(Pasta(name, _copy(Path(path), directory / f"pasta{number}", "pasta")))
    slirp = options.slirp4netns or shutil.which("slirp4netns")
    if slirp and "slirp4netns" not in options.without:
        found.append(Slirp("slirp4netns", _copy(Path(slirp), directory)))
    if "veth" not in options.without:
        found.append(Veth())
    return found


def _copy(path, directory, name=None):
    directory.mkdir(exist_ok=True)
    copy = directory / (name or path.name)
    shutil.copy(path.resolve(), copy)
    copy.chmod(0o755)
    # pasta continues as this one where the processor can.
    faster = path.resolve().with_name(path.resolve().name + ".avx2")
    if faster.exists():
        shutil.copy(faster, copy.with_name(copy.name + ".avx2"))
    return copy


def defects(version, program):
    """What is known to be wrong with a build, in words; or nothing."""
    if "pasta" not in program.name:
        return []
    date = re.search(r"(20\d\d)_?(\d\d)_?(\d\d)", version)
    if date and f"{date[1]}_{date[2]}" > "2024_12":
        return []
    return [
        "builds up to 2024_12 at least stall outbound TCP to near destinations: it advertises the peer's window rather than what it can "
        "buffer, and after a partial sendmsg() waits for a retransmission time-out"
    ]
