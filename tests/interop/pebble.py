"""Debian's pebble, which `tests/run prepare` unpacks: Let's Encrypt's certificate authority for tests."""

import json
import os
import socket
import ssl
import subprocess
import time
import urllib.request
from contextlib import contextmanager, nullcontext
from pathlib import Path

import certificate
import natlab
import servers

ROOT = Path(__file__).resolve().parents[2]
BINARIES = Path(os.environ.get("PEBBLE", ROOT / "target/peers/pebble")) / "usr/bin"
START_LIMIT = 10


class Pebble:
    """An authority on loopback, of this machine or of a network namespace. It verifies names at `http_port` and `tls_port`, and
    looks them up in a DNS of its own, where each leads to 127.0.0.1."""

    def __init__(self, directory, http_port, tls_port, lifetime, environment, namespace=None):
        self.directory, self.namespace = directory, namespace
        self.port, self.management = servers.free_port(), servers.free_port()
        self.dns, self.dns_management = servers.free_port(), servers.free_port()
        self.http_port, self.tls_port, self.lifetime = http_port, tls_port, lifetime
        self.environment = environment
        self.log_file = directory / "pebble.log"
        self.process = self.other_names = None
        self.names = self._serve_names(f"127.0.0.1:{self.dns}", self.dns_management)

    @property
    def acme(self):
        """The lines of `[tls.acme]` for it."""
        return (
            f'directory = "https://127.0.0.1:{self.port}/dir"\nroots = "{certificate.made().chain}"\n'
            f'accept_terms = true\nfolder = "{self.directory}/acme"\n'
        )

    def start(self):
        made = certificate.made()
        configuration = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": str(made.chain),
            "privateKey": str(made.key),
            "httpPort": self.http_port,
            "tlsPort": self.tls_port,
            "certificateValidityPeriod": self.lifetime,
        }
        file = self.directory / "pebble.json"
        file.write_text(json.dumps({"pebble": configuration}))
        self.process = self._run(["pebble", "-config", file, "-dnsserver", f"127.0.0.1:{self.dns}"])
        with self._network():
            _wait_for(self.port, self.process)
            _wait_for(self.management, self.process)
            _wait_for(self.dns_management, self.names)

    def stop(self):
        for process in (self.process, self.names, self.other_names):
            if process is not None:
                process.kill()
                process.wait()

    def lead(self, name, address):
        """From now on the DNS says that `name` is at `address`."""
        body = json.dumps({"host": f"{name}.", "addresses": [address]}).encode()
        with self._network():
            urllib.request.urlopen(f"http://127.0.0.1:{self.dns_management}/add-a", body, timeout=5).close()

    def root(self):
        """The certificate that signs what this authority issues, in PEM."""
        url = f"https://127.0.0.1:{self.management}/roots/0"
        with self._network(), urllib.request.urlopen(url, timeout=5, context=certificate.client_context()) as root:
            return root.read().decode()

    def answer_names_at(self, address):
        """From now on every name leads to 127.0.0.1 for programs whose name server is `address`."""
        management = servers.free_port()
        self.other_names = self._serve_names(f"{address}:53", management)
        with self._network():
            _wait_for(management, self.other_names)

    def trust(self):
        """For a client that believes what this authority has issued."""
        context = ssl.create_default_context(cadata=self.root())
        # what lives for seconds only is no certificate of a web server, and need not look like one
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context

    def log(self):
        return self.log_file.read_text(errors="replace")

    def _network(self):
        return natlab.inside(self.namespace) if self.namespace else nullcontext()

    def _serve_names(self, at, management):
        return self._run(
            ["pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-http01", "", "-https01", ""]
            + ["-tlsalpn01", "", "-dns01", at, "-management", f"127.0.0.1:{management}"]
        )

    def _run(self, command):
        inside = ["ip", "netns", "exec", self.namespace] if self.namespace else []
        with open(self.log_file, "ab") as log:
            return subprocess.Popen(
                [*inside, "setpriv", "--pdeathsig", "KILL", BINARIES / command[0], *command[1:]],
                cwd=self.directory,
                stdout=log,
                stderr=log,
                env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", **self.environment},
            )


@contextmanager
def running(directory, http_port, tls_port, lifetime=90 * 24 * 3600, is_down=False, namespace=None, **environment):
    """An authority whose certificates live for `lifetime` seconds."""
    authority = Pebble(directory, http_port, tls_port, lifetime, environment, namespace)
    try:
        if not is_down:
            authority.start()
        yield authority
    finally:
        authority.stop()


def _wait_for(port, process):
    end = time.monotonic() + START_LIMIT
    while time.monotonic() < end:
        assert process.poll() is None, "pebble has ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nobody listens on port {port}")
