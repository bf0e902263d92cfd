"""One contender at work: a container's namespaces, and the proxy that serves them."""

import itertools
import re
import subprocess
import time

from . import load as loads
from . import processes
from .bed import SERVED, SERVER4, SERVER6, USER, Namespace, start_server
from .profile import profiled


class Container:
    """A user's own user and network namespace, held by a process that sleeps."""

    def __init__(self, bed, host, user=USER):
        self.holder = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", "echo made; exec sleep infinity"],
            preexec_fn=processes.as_user(host.namespace, user),
            env=processes.environment(bed.home),
            stdout=subprocess.PIPE,
        )
        if loads.line(self.holder.stdout, 5) != "made\n":
            self.holder.kill()
            raise loads.Failed("a user cannot make a user and a network namespace here (see unshare(1))")
        self.pid = str(self.holder.pid)
        self.namespace = Namespace.of(self.pid)

    def widen(self):
        """Makes the queue of its device so long that nothing is dropped there while the proxy waits for a core."""
        enter = ["nsenter", "--user", "--net", "--setuid", "0", "--setgid", "0", "--target", self.pid]
        for device in ("eth0", "tap0"):
            command = [*enter, "ip", "link", "set", device, "txqueuelen", "100000"]
            subprocess.run(command, check=False, stderr=subprocess.DEVNULL, timeout=10)

    def close(self):
        """Ends it."""
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()
        self.namespace.close()


class Instance:
    """A contender that serves a container; or, without a proxy, the host itself."""

    def __init__(self, bed, contender, mtu):
        self.bed, self.contender, self.mtu = bed, contender, mtu
        self.host = bed.host(contender)
        # What a user may have (pipes, above all) is not to be shared with the others.
        self.user = bed.user(contender)
        self.container = self.proxy = None
        self.log = bed.directory / f"{re.sub(r'[^a-z0-9+]+', '_', contender.name)}-{mtu}.log"
        if not contender.has_proxy:
            self.namespace = self.host.namespace
            return
        if contender.makes_container:
            self.namespace = None
        else:
            self.container = Container(bed, self.host, self.user)
            self.namespace = self.container.namespace
        try:
            self._start()
        except loads.Failed:
            self.close()
            raise

    def _command(self):
        return self.contender.attach(self.container.pid if self.container else None, str(self.mtu))

    def _start(self):
        self.proxy = subprocess.Popen(
            [str(word) for word in self._command()],
            preexec_fn=processes.as_user(self.host.namespace, self.user),
            env=processes.environment(self.bed.home),
            stdin=subprocess.DEVNULL,
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
        )
        if self.contender.makes_container:
            self.namespace = Namespace.of(self.wait_for(self.contender.container))
        self.wait_for(lambda: self.load(1, "probe", SERVER4, "--seconds", 0.5))
        if self.contender.on_wide_host:
            self.container.widen()

    def wait_for(self, probe):
        """Until a probe works, or the proxy has ended, or five seconds have passed."""
        end = time.monotonic() + 5
        while True:
            try:
                return probe()
            except loads.Failed as error:
                if not self.alive():
                    raise
                if time.monotonic() > end:
                    said = self.said()
                    raise loads.Failed(f"no network after 5 s: {error}{': ' + said if said else ''}") from error

    def load(self, seconds, command, *words, namespace=None):
        """Runs the load generator in the container, or in another namespace; its answer."""
        if not self.alive():
            raise loads.Failed(f"{self.contender.name} has ended: {self.said()}")
        profiles = self.bed.profiles if self.proxy and command != "probe" else None
        name = "-".join(str(word) for word in (self.contender.name, self.mtu, command, *words))
        try:
            with profiled(profiles, name, processes.family(self.proxy.pid) if profiles else []):
                return loads.run_json([self.bed.load, command, *words], namespace or self.namespace, seconds)
        except loads.Failed as error:
            if not self.alive():
                raise loads.Failed(f"{self.contender.name} died: {self.said()}") from error
            raise

    def has_ipv6(self):
        """Waits for IPv6, which may need an advertisement first."""
        try:
            self.load(5, "probe", SERVER6, "--seconds", 5)
            return True
        except loads.Failed:
            return False

    def answers(self):
        """Whether it still carries bytes."""
        try:
            self.load(2, "probe", SERVER4, "--seconds", 2)
            return True
        except loads.Failed:
            return False

    def alive(self):
        """Whether the proxy runs."""
        return self.proxy is None or self.proxy.poll() is None

    def said(self):
        """The last line that the proxy said."""
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        return lines[-1] if lines else ""

    def cpu(self):
        """The proxy's CPU seconds so far; None without a proxy."""
        return processes.cpu_seconds(self.proxy.pid) if self.proxy else None

    def memory(self):
        """The proxy's PSS in MiB; None without a proxy."""
        return processes.memory_mib(self.proxy.pid)[1] if self.proxy else None

    def close(self):
        """Ends the proxy, then the container."""
        if self.proxy:
            self.proxy.terminate()
            try:
                self.proxy.wait(3)
            except subprocess.TimeoutExpired:
                self.proxy.kill()
                self.proxy.wait()
        if self.container:
            self.container.close()


class Publisher(Instance):
    """One whose container serves, on ports that are published on the host's address: higher there by a number of its own."""

    _shifts = itertools.count(10_000, 100)

    def __init__(self, bed, contender, mtu):
        self.shift = next(self._shifts) if contender.has_proxy else 0
        self.server = None
        self.socket = bed.home / f"api-{self.shift}"
        super().__init__(bed, contender, mtu)
        try:
            self.server = start_server(bed, self.namespace, "0.0.0.0")
            contender.publish(self._ports(), self.socket)
            self.wait_for(lambda: self.outside(1, "probe", "--seconds", 0.5))
        except loads.Failed as error:
            self.close()
            raise loads.Failed(f"publishes no ports: {error}") from error

    def _ports(self):
        return [(port + self.shift, port) for port in SERVED]

    def _command(self):
        pid = self.container.pid if self.container else None
        return self.contender.attach(pid, str(self.mtu), self._ports(), self.socket)

    def outside(self, seconds, command, *words):
        """Runs the load generator in the server's namespace, against the host's address."""
        words = [*words, self.host.address, "--shift", self.shift]
        return self.load(seconds, command, *words, namespace=self.bed.server)

    def loopback(self, seconds, command, *words):
        """Runs the load generator in the host's namespace, against its loopback."""
        words = [*words, "127.0.0.1", "--shift", self.shift]
        return self.load(seconds, command, *words, namespace=self.host.namespace)

    def answers(self):
        try:
            self.outside(2, "probe", "--seconds", 2)
            return super().answers()
        except loads.Failed:
            return False

    def close(self):
        if self.server:
            self.server.kill()
            self.server.wait()
        super().close()


class Instances:
    """All that are up, each made when it is first asked for, and made anew when it has died or fallen silent."""

    # So many times in a row a contender may leave an instance silent.
    PATIENCE = 3

    def __init__(self, bed):
        self.bed = bed
        self._up = {}
        self._refused = {}
        self._silent = {}

    def get(self, contender, mtu=65520, kind=Instance):
        """The instance of a contender at an MTU."""
        self.check(contender)
        mtu = mtu if contender.has_proxy else 0
        key = (contender.name, mtu, kind)
        if key in self._refused:
            raise loads.Failed(self._refused[key])
        instance = self._up.get(key)
        if instance and not instance.alive():
            instance.close()
            instance = None
        if instance is None:
            try:
                instance = self._up[key] = kind(self.bed, contender, mtu)
            except loads.Failed as error:
                self._up.pop(key, None)
                self._refused[key] = str(error)
                raise
            time.sleep(0.2)
        return instance

    def check(self, contender):
        """Raises [`loads.Failed`] for one that is given up."""
        if self._silent.get(contender.name, 0) >= self.PATIENCE:
            raise loads.Failed(f"given up: fell silent {self.PATIENCE} times in a row")

    def after(self, contender, result):
        """To be told of each result: after a failure, what no longer carries bytes is ended, and is made anew when next needed."""
        if not isinstance(result, loads.Failed):
            self._silent[contender.name] = 0
            return
        if isinstance(result, loads.Cannot):
            return
        for key, instance in list(self._up.items()):
            if key[0] == contender.name and contender.has_proxy and not instance.answers():
                instance.close()
                del self._up[key]
                self._silent[contender.name] = self._silent.get(contender.name, 0) + 1
