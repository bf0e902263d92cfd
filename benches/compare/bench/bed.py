"""The bed: a "host" with a default route, where the proxies run, and a server behind its router.

                 veth 203.0.113.0/24, 2001:db8:cafe::/64
    host (.2) ────────────────────────────────────────── server (.1), which is also 198.51.100.1 and 2001:db8:5e::1

The server's own addresses lie behind the default route, so that no proxy takes them for its gateway.
"""

import os
import subprocess
from pathlib import Path

from . import syscalls

SERVER4, SERVER6 = "198.51.100.1", "2001:db8:5e::1"
# The user that the proxies run as.
USER = 65534

# What the bed's own namespaces differ in from a fresh one, so that no row measures a table that is full.
SETTINGS = {
    "net/ipv4/ip_local_port_range": "1024 65535",
    "net/ipv4/tcp_tw_reuse": "1",
    "net/ipv4/tcp_max_tw_buckets": "1000000",
    "net/ipv4/tcp_max_syn_backlog": "8192",
    "net/core/somaxconn": "8192",
    "net/ipv6/conf/all/accept_dad": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv4/ping_group_range": "0 2147483647",
}


class Namespace:
    """A network namespace, held by a descriptor."""

    def __init__(self, descriptor):
        self.descriptor = descriptor

    @classmethod
    def make(cls):
        """A new one."""
        before = os.open("/proc/self/ns/net", os.O_RDONLY)
        try:
            syscalls.unshare(syscalls.CLONE_NEWNET)
            made = cls(os.open("/proc/self/ns/net", os.O_RDONLY))
            for name, value in SETTINGS.items():
                setting = Path("/proc/sys") / name
                if setting.exists():
                    setting.write_text(value)
            return made
        finally:
            syscalls.setns(before)
            os.close(before)

    @classmethod
    def of(cls, pid):
        """The one that a process is in."""
        return cls(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY))

    def enter(self):
        """For a child between fork and exec."""
        syscalls.setns(self.descriptor)

    def path(self):
        """A path that other programs of this PID namespace can open."""
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    def ip(self, *words):
        """Runs ip(8) in here."""
        subprocess.run(["ip", *words], preexec_fn=self.enter, check=True)

    def close(self):
        """Lets go of it."""
        os.close(self.descriptor)


class Bed:
    """The two namespaces, joined, and the server's counterparts."""

    def __init__(self, directory, load, profiles=None):
        self.directory = directory
        # Where profiles of the proxies go, if they are wanted.
        self.profiles = profiles
        self.load = load
        self.home = directory / "home"
        self.home.mkdir()
        os.chown(self.home, USER, USER)
        self.host, self.server = Namespace.make(), Namespace.make()
        self._join()
        self.counterparts = subprocess.Popen(
            [load, "serve", SERVER4, SERVER6],
            preexec_fn=self.server.enter,
            stdout=subprocess.PIPE,
            stderr=(directory / "serve.log").open("w"),
            text=True,
        )
        if self.counterparts.stdout.readline() != "ready\n":
            raise RuntimeError("the load server did not start: " + (directory / "serve.log").read_text())

    def _join(self):
        host, server = self.host, self.server
        for namespace in (host, server):
            namespace.ip("link", "set", "lo", "up")
        host.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", server.path())
        for namespace, last in ((host, "2"), (server, "1")):
            namespace.ip("link", "set", "eth0", "txqueuelen", "1000", "up")
            namespace.ip("addr", "add", f"203.0.113.{last}/24", "dev", "eth0")
            namespace.ip("addr", "add", f"2001:db8:cafe::{last}/64", "dev", "eth0", "nodad")
        server.ip("addr", "add", f"{SERVER4}/32", "dev", "lo")
        server.ip("addr", "add", f"{SERVER6}/128", "dev", "lo", "nodad")
        host.ip("route", "add", "default", "via", "203.0.113.1")
        host.ip("-6", "route", "add", "default", "via", "2001:db8:cafe::1", "dev", "eth0")
