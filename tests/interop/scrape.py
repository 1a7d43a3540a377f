"""Reads a daemon's metrics over its admin socket, and lets Debian's promtool judge them.

tests/run unpacks Debian's prometheus into target/peers; it is never installed.
"""

import http.client
import os
import re
import socket
import subprocess
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
PROMTOOL = Path(os.environ.get("PROMETHEUS", _ROOT / "target/peers/prometheus")) / "usr/bin/promtool"
WAIT = 5


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=WAIT)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(WAIT)
        self.sock.connect(str(self.path))


class Scrape:
    """One answer to GET /metrics."""

    def __init__(self, admin_socket):
        connection = _UnixConnection(admin_socket)
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        self.text = response.read().decode()
        self.content_type = response.headers["Content-Type"]
        connection.close()
        assert response.status == 200, self.text

    def total(self, metric, **labels):
        """The sum of the samples of `metric` that have these labels."""
        return sum(value for have, value in self._samples(metric) if labels.items() <= have.items())

    @property
    def names(self):
        return set(re.findall(r"^# TYPE (\S+) ", self.text, re.MULTILINE))

    def _samples(self, metric):
        for labels, value in re.findall(rf"^{metric}(?:{{(.*)}})? (\S+)$", self.text, re.MULTILINE):
            yield dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)


def promtool(*arguments, text=None, cwd=None):
    """Runs promtool; returns its exit code and everything that it said."""
    command = [PROMTOOL, *arguments]
    done = subprocess.run(command, input=text, text=True, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout
