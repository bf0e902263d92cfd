"""wrk against nginx: 1 KB, with and without keep-alive."""

import re
import subprocess
import time
from dataclasses import dataclass

from .. import load
from ..bed import SERVER4
from ..goals import Goal
from ..metric import Measurement, Metric
from ..needs import find

PORT = 8080
CONFIGURATION = """
daemon off; pid {directory}/pid; error_log {directory}/error.log; worker_processes 1;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000; default_type application/octet-stream;
  client_body_temp_path {directory}; proxy_temp_path {directory}; fastcgi_temp_path {directory};
  uwsgi_temp_path {directory}; scgi_temp_path {directory};
  server {{ listen {address}:{port} backlog=8192; root {directory}/www; }}
}}
"""
UNITS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}
# Answers to other than the request, or none.
TROUBLE = re.compile(r"(Socket errors:.*|Non-2xx.*)")


@dataclass
class Http(Measurement):
    """64 connections of one wrk thread."""

    close: bool = False
    in_quick: bool = True

    def duration(self, settings):
        return max(1, round(settings.seconds)) + 0.4

    def run(self, contender, instances, settings):
        program = find("wrk")
        if program is None or find("nginx") is None:
            raise load.Failed("wrk or nginx is not installed")
        server(instances.bed)
        seconds = max(1, round(settings.seconds))
        command = [program, "--threads", 1, "--connections", 64, "--duration", f"{seconds}s", "--latency"]
        command += ["--header", "Connection: close"] if self.close else []
        text = load.run([*command, f"http://{SERVER4}:{PORT}/1k"], instances.get(contender).namespace, seconds)
        rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
        late = re.search(r"\b99%\s+([\d.]+)(us|ms|s|m)\b", text)
        if not rate or not late or float(rate[1]) == 0:
            raise load.Failed("no answers")
        trouble = TROUBLE.search(text)
        counts = [int(count) for count in re.findall(r"\d+", trouble[1].removeprefix("Non-2xx"))] if trouble else []
        if sum(counts) > 0.01 * float(rate[1]) * seconds:
            raise load.Failed(f"{trouble[1].strip()}; {float(rate[1]):.0f}/s worked")
        return {"rate": float(rate[1]), "p99": float(late[1]) * UNITS[late[2]]}


def server(bed):
    """nginx in the server's namespace, started by the first that needs it."""
    if getattr(bed, "nginx", None) is not None:
        return
    directory = bed.directory / "nginx"
    (directory / "www").mkdir(parents=True)
    (directory / "www" / "1k").write_bytes(b"0123456789abcdef" * 64)
    configuration = directory / "nginx.conf"
    text = CONFIGURATION.format(directory=directory, address=SERVER4, port=PORT)
    configuration.write_text("user nobody nogroup;" + text)
    bed.nginx = subprocess.Popen([find("nginx"), "-c", configuration], preexec_fn=bed.server.enter, stderr=subprocess.DEVNULL)
    time.sleep(0.3)


def measurements():
    """Keep-alive, and a connection for each request."""
    peers = (Goal("peers", "<=", 1.0),)
    return [
        Http(
            f"http-{name}",
            [
                Metric("rate", f"HTTP {title}", "1/s", goals=(Goal("pasta", ">=", factor),)),
                Metric("p99", f"HTTP {title}, p99", "ms", False, peers),
            ],
            close=name == "close",
            in_quick=name == "keepalive",
        )
        for name, title, factor in (("keepalive", "keep-alive", 1.3), ("close", "close", 1.7))
    ]
