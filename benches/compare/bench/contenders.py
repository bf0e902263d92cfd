"""Who is compared: how each is started, made ready and named."""

import json
import os
import re
import socket
import subprocess
from pathlib import Path

from .bed import SERVER4
from .load import Failed


class Contender:
    """A program that gives a container its network."""

    # Whether there is a process whose cost can be told.
    has_proxy = True
    # Whether it makes the container's namespaces itself, and `container` gives the pid of a process in them.
    makes_container = False
    # Whether its proxy runs where send buffers are large.
    on_wide_host = False
    # The measurements it takes part in, as a regular expression of their keys; None: all.
    only = None
    # The name server that its container asks.
    name_server = "10.0.2.3"
    # The group of columns of which the best counts, as "pasta" in "rnet/pasta"; rnet itself has none.
    group = None

    def __init__(self, name, program):
        self.name = name
        self.program = Path(program)

    def attach(self, pid, mtu, ports=(), socket_path=None):
        """The command that serves the namespaces of `pid` in the foreground, and publishes TCP ports: (host's, container's)."""
        raise NotImplementedError

    def publish(self, ports, socket_path):
        """What has to be done after the start for ports to be published."""

    def attach_ready(self, pid, home):
        """A command that is ready when it returns, and the file with the pid of what it leaves behind; or None."""
        return None

    def run_true(self):
        """A command that runs `true` with a network, or None."""
        return None

    def names_command(self):
        """The command of a container name server, or None."""
        return None

    def takes(self, key):
        """Whether it takes part in a measurement."""
        if key.startswith("aardvark-") and self.names_command() is None:
            return False
        return self.only is None or self.only.search(key) is not None

    def version(self):
        """Its version in words."""
        return first_line(self.program, "--version") or "unknown version"


class Rnet(Contender):
    """rnet, with options of a variant."""

    def __init__(self, name, program, options=(), threads=1):
        super().__init__(name, program)
        self.options = list(options)
        self.threads = threads

    def attach(self, pid, mtu, ports=(), socket_path=None):
        published = [word for outer, inner in ports for word in ("-p", f"{outer}:{inner}")]
        return [self.program, "attach", "--foreground", "--pid", pid, "--mtu", mtu, *published, *self.options]

    def attach_ready(self, pid, home):
        file = home / "ready.pid"
        return [self.program, "attach", "--pid", pid, "--pid-file", file, *self.options], file

    def run_true(self):
        return [self.program, "run", *self.options, "--", "true"]

    def names_command(self):
        return None if self.options else [self.program, "aardvark-dns"]


class Pasta(Contender):
    """pasta; without ports to publish it forwards none, as the others."""

    group = "pasta"
    name_server = "169.254.1.1"

    def __init__(self, name, program, version, on_wide_host=False):
        super().__init__(name, program)
        self._version = version
        self.on_wide_host = on_wide_host

    def attach(self, pid, mtu, ports=(), socket_path=None):
        names = ["--dns-forward", self.name_server]
        return [self.program, "--foreground", "--quiet", "--config-net", "--mtu", mtu, *names, *self._ports(ports), pid]

    def attach_ready(self, pid, home):
        file = home / "ready.pid"
        return [self.program, "--quiet", "--config-net", "--pid", file, *self._ports(()), pid], file

    def run_true(self):
        return [self.program, "--quiet", "--config-net", *self._ports(()), "--", "true"]

    def version(self):
        return self._version

    @staticmethod
    def _ports(ports):
        published = ",".join(f"{outer}:{inner}" for outer, inner in ports)
        return ["-t", published or "none", "-u", "none", "-T", "none", "-U", "none"]


class Slirp(Contender):
    """slirp4netns; it never goes to the background, and writes to a descriptor when it is ready."""

    group = "slirp4netns"

    def attach(self, pid, mtu, ports=(), socket_path=None):
        api = ["--api-socket", socket_path] if ports else []
        return [self.program, "--configure", "--mtu", mtu, "--enable-ipv6", "--disable-host-loopback", *api, pid, "tap0"]

    def publish(self, ports, socket_path):
        for outer, inner in ports:
            order = {"proto": "tcp", "host_addr": "0.0.0.0", "host_port": outer, "guest_port": inner}
            with socket.socket(socket.AF_UNIX) as api:
                api.settimeout(3)
                try:
                    api.connect(str(socket_path))
                    api.sendall(json.dumps({"execute": "add_hostfwd", "arguments": order}).encode())
                    api.shutdown(socket.SHUT_WR)
                    answer = json.loads(api.recv(4096) or b"{}")
                except (OSError, ValueError) as error:
                    raise Failed(f"add_hostfwd of port {outer}: {error}") from error
            if "error" in answer:
                raise Failed(f"add_hostfwd of port {outer}: {answer['error']}")


class Rootlesskit(Contender):
    """rootlesskit's own port driver (`builtin`); what goes out is slirp4netns's, and not measured."""

    group = "rootlesskit"
    makes_container = True
    only = re.compile(r"^published-loopback")

    def __init__(self, name, program):
        super().__init__(name, program)
        self.state = None

    def attach(self, pid, mtu, ports=(), socket_path=None):
        published = [word for outer, inner in ports for word in ("-p", f"0.0.0.0:{outer}:{inner}/tcp")]
        self.state = Path(f"{socket_path}.rootlesskit")
        driver = ["--net=slirp4netns", "--port-driver=builtin", "--state-dir", self.state, *published]
        return [self.program, *driver, "sleep", "infinity"]

    def container(self):
        """The pid of a process in its container."""
        try:
            return (self.state / "child_pid").read_text().strip()
        except OSError as error:
            raise Failed(f"rootlesskit has no container: {error}") from error


class Aardvark(Contender):
    """podman's name server of container networks."""

    group = "aardvark-dns"
    only = re.compile(r"^aardvark-")

    def names_command(self):
        return [self.program]


class Veth(Contender):
    """No proxy: the load runs in the host's namespace and reaches the server through the same veth as the proxies. The ceiling."""

    has_proxy = False
    name_server = SERVER4
    group = "veth"

    def __init__(self):
        super().__init__("veth", "/bin/true")

    def run_true(self):
        return ["unshare", "--user", "--map-root-user", "--net", "true"]

    def version(self):
        return f"Linux {os.uname().release}"


def first_line(*command):
    """The first line that a program says, within five seconds."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5, stdin=subprocess.DEVNULL)
    except (subprocess.TimeoutExpired, OSError):
        return ""
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines else ""
