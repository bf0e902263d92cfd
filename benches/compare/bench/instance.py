"""One contender at work: a container's namespaces, and the proxy that serves them."""

import subprocess
import time

from . import load as loads
from . import processes
from .bed import SERVER4, SERVER6, Namespace
from .profile import profiled


class Container:
    """A user and a network namespace of the bed's user, held by a process that sleeps."""

    def __init__(self, bed):
        self.holder = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", "echo made; exec sleep infinity"],
            preexec_fn=processes.as_user(bed.host),
            env=processes.environment(bed.home),
            stdout=subprocess.PIPE,
            text=True,
        )
        if self.holder.stdout.readline() != "made\n":
            raise loads.Failed("a user cannot make a user and a network namespace here (see unshare(1))")
        self.pid = str(self.holder.pid)
        self.namespace = Namespace.of(self.pid)

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
        self.container = self.proxy = None
        self.log = bed.directory / f"{contender.name.replace(' ', '_').replace('/', '_')}-{mtu}.log"
        if not contender.has_proxy:
            self.namespace = bed.host
            return
        self.container = Container(bed)
        self.namespace = self.container.namespace
        self.proxy = subprocess.Popen(
            [str(word) for word in contender.attach(self.container.pid, str(mtu))],
            preexec_fn=processes.as_user(bed.host),
            env=processes.environment(bed.home),
            stdin=subprocess.DEVNULL,
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
        )
        try:
            self.load(2, "probe", SERVER4, "--seconds", 5)
        except loads.Failed as error:
            said = self.said()
            self.close()
            raise loads.Failed(f"no network after 5 s: {error}{': ' + said if said else ''}") from error

    def load(self, seconds, command, *words):
        """Runs the load generator in the container; its answer."""
        if not self.alive():
            raise loads.Failed(f"{self.contender.name} has ended: {self.said()}")
        profiles = self.bed.profiles if self.proxy and command != "probe" else None
        name = "-".join(str(word) for word in (self.contender.name, self.mtu, command, *words))
        try:
            with profiled(profiles, name, processes.family(self.proxy.pid) if profiles else []):
                return loads.run_json([self.bed.load, command, *words], self.namespace, seconds)
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


class Instances:
    """All that are up, each made when it is first asked for, and made anew when it has died."""

    def __init__(self, bed):
        self.bed = bed
        self._up = {}
        self._refused = {}

    def get(self, contender, mtu=65520):
        """The instance of a contender at an MTU."""
        mtu = mtu if contender.has_proxy else 0
        key = (contender.name, mtu)
        if key in self._refused:
            raise loads.Failed(self._refused[key])
        instance = self._up.get(key)
        if instance and not instance.alive():
            instance.close()
            instance = None
        if instance is None:
            try:
                instance = self._up[key] = Instance(self.bed, contender, mtu)
            except loads.Failed as error:
                self._refused[key] = str(error)
                raise
            time.sleep(0.2)
        return instance
