"""Idle flows, held open by a process."""

import json
import subprocess

from . import load

# The load generator gives up opening flows after a minute, and each of a few silent ones after a second.
PATIENCE = 90


class Flows:
    """So many of them, or fewer."""

    def __init__(self, instance, address, count):
        self.process = subprocess.Popen(
            [instance.bed.load, "idle", address, "--flows", str(count)],
            preexec_fn=instance.namespace.enter,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        try:
            self.opened = self._answer()
        except load.Failed:
            self.close()
            raise

    def exchange(self):
        """How many still work."""
        self.process.stdin.write(b"exchange\n")
        return self._answer()

    def _answer(self):
        line = load.line(self.process.stdout, PATIENCE)
        if not line:
            raise load.Failed("the idle flows' process ended")
        return json.loads(line)

    def close(self):
        """Closes all of them."""
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
