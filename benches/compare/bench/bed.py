"""The bed: a "host" with a default route, where the proxies run, and a server behind its router.

                      veth 203.0.113.0/24, 2001:db8:cafe::/64
    host (.2) ─────────────────────────────────────────────── server (.1), which is also 198.51.100.1 and 2001:db8:5e::1
    wide host (.2) ──────────────────────────────────────────  "
                      veth 192.0.2.0/24, 2001:db8:cafe:1::/64

The server's own addresses lie behind the default route, so that no proxy takes them for its gateway. The wide host differs in
the size of send buffers only, and is there only if a contender asks for it.
"""

import os
import subprocess
from pathlib import Path

from . import load as loads
from . import syscalls

SERVER4, SERVER6 = "198.51.100.1", "2001:db8:5e::1"
# The TCP ports of `load serve` that are published by those that publish.
SERVED = range(7001, 7005)
# The user that proxies run as when they are alone, and the first of those that they have for themselves otherwise.
USER = 65534
USERS = 61000

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


# The wide host: a socket's send buffer holds several of the largest windows that pasta advertises (16 MiB), so that no send is
# taken only in part. 16 and 32 MiB were measured to be too little.
WIDE = {"net/ipv4/tcp_wmem": "4096 67108864 67108864"}


class Namespace:
    """A network namespace, held by a descriptor."""

    def __init__(self, descriptor):
        self.descriptor = descriptor

    @classmethod
    def make(cls, more=None):
        """A new one, with more settings than the usual ones."""
        before = os.open("/proc/self/ns/net", os.O_RDONLY)
        try:
            syscalls.unshare(syscalls.CLONE_NEWNET)
            made = cls(os.open("/proc/self/ns/net", os.O_RDONLY))
            for name, value in {**SETTINGS, **(more or {})}.items():
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


def start_server(bed, namespace, *addresses):
    """The counterparts of all loads, on addresses of a namespace; the process."""
    log = bed.directory / "serve.log"
    server = subprocess.Popen(
        [bed.load, "serve", *addresses], preexec_fn=namespace.enter, stdout=subprocess.PIPE, stderr=log.open("a")
    )
    if loads.line(server.stdout, 5) != "ready\n":
        server.kill()
        raise loads.Failed("the load server did not start: " + log.read_text())
    return server


class Host:
    """A namespace where proxies run, joined to the server's; and its address in the network between them."""

    def __init__(self, server, number, network4, network6, settings=None):
        self.namespace = Namespace.make(settings)
        self.address = f"{network4}.2"
        host, far = self.namespace, f"eth{number}"
        host.ip("link", "set", "lo", "up")
        host.ip("link", "add", "eth0", "type", "veth", "peer", "name", far, "netns", server.path())
        for namespace, name, last in ((host, "eth0", "2"), (server, far, "1")):
            namespace.ip("link", "set", name, "txqueuelen", "1000", "up")
            namespace.ip("addr", "add", f"{network4}.{last}/24", "dev", name)
            namespace.ip("addr", "add", f"{network6}::{last}/64", "dev", name, "nodad")
        host.ip("route", "add", "default", "via", f"{network4}.1")
        host.ip("-6", "route", "add", "default", "via", f"{network6}::1", "dev", "eth0")


class Bed:
    """The namespaces, joined, and the server's counterparts."""

    def __init__(self, directory, load, profiles=None):
        self.directory = directory
        # Where profiles of the proxies go, if they are wanted.
        self.profiles = profiles
        self.load = load
        self.home = directory / "home"
        self.home.mkdir()
        os.chown(self.home, USER, USER)
        self.home.chmod(0o1777)
        self.server = Namespace.make()
        self.server.ip("link", "set", "lo", "up")
        self.server.ip("addr", "add", f"{SERVER4}/32", "dev", "lo")
        self.server.ip("addr", "add", f"{SERVER6}/128", "dev", "lo", "nodad")
        self._plain = Host(self.server, 0, "203.0.113", "2001:db8:cafe")
        self._wide = None
        self._users = {}
        self._servers = 0
        # Those that look for the host's name server find this one, which `measure/names.py` starts.
        conf = directory / "resolv.conf"
        conf.write_text(f"nameserver {SERVER4}\n")
        syscalls.mount(str(conf), "/etc/resolv.conf", "", syscalls.MS_BIND)
        self.counterparts = start_server(self, self.server, SERVER4, SERVER6)

    def another_server(self):
        """The counterparts once more, in a process that has a limit of descriptors of its own; it and its address."""
        self._servers += 1
        address = f"198.51.100.{1 + self._servers}"
        self.server.ip("addr", "add", f"{address}/32", "dev", "lo")
        return start_server(self, self.server, address), address

    def user(self, contender):
        """The user that a contender's proxies run as: one of its own, unless it looks for itself in /etc/subuid."""
        if contender.makes_container:
            return USER
        return self._users.setdefault(contender.name, USERS + len(self._users))

    def host(self, contender):
        """The host that a contender's proxy runs on."""
        if not contender.on_wide_host:
            return self._plain
        self._wide = self._wide or Host(self.server, 1, "192.0.2", "2001:db8:cafe:1", WIDE)
        return self._wide
