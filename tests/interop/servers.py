"""Starts and stops the server under test: Hairpin, or Debian's coturn to compare with (SERVER=coturn)."""

import base64
import hmac
import os
import random
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice, product
from pathlib import Path

import certificate
import debian_coturn
from notify import NotifySocket
from stun import Address

ROOT = Path(__file__).resolve().parents[2]
HAIRPIN = ROOT / os.environ.get("HAIRPIN", "target/release/hairpin")
STATIC = ROOT / os.environ.get("HAIRPIN_STATIC", "target/static/hairpin")

REALM = "hairpin.test"
SECRET = "ZkP0v5q8Jm3tYb7cXr2nWd9sLh6gTf1a"
TAG = "interop"
RELAY_PORTS = "50000-59999"
START_LIMIT = 10
STOP_LIMIT = 5
WIDE_LIMITS = """
[limits]
allocations_per_user = 1000
allocations_per_ip = 1000
connections_per_ip = 1000
answers_per_ip = 100000
answers_per_network = 100000
failures_per_minute = 1000
packets_per_second = 100000
bits_per_second = 1000000000
"""


def under_test():
    return os.environ.get("SERVER", "hairpin")


def warnings(said):
    """The warnings of `hairpin check-config`, but for the one about the addresses of this machine, which is no server."""
    return [line for line in said.splitlines() if ": warning: " in line and "relay.addresses" not in line]


def require_static():
    assert STATIC.exists(), f"{STATIC} is missing: `packaging/static program dev` makes it"


# Below the ports of the Rust tests and the browsers, which may run at the same time, and below those that the kernel gives.
_FIRST, _LAST = map(int, os.environ.get("INTEROP_PORTS", "10100-10898").split("-"))
_PORTS = random.SystemRandom().sample(range(_FIRST, _LAST + 2, 2), (_LAST + 2 - _FIRST) // 2)
_in_turn = cycle(_PORTS)


def free_port():
    """A port that is free for UDP and TCP, together with the next one. The next calls return others."""
    families, kinds = (socket.AF_INET, socket.AF_INET6), (socket.SOCK_DGRAM, socket.SOCK_STREAM)
    for port in islice(_in_turn, len(_PORTS)):
        if all(_is_free(*socket_type, port + more) for socket_type in product(families, kinds) for more in (0, 1)):
            return port
    raise RuntimeError("no free port found")


def _is_free(family, kind, port):
    with socket.socket(family, kind) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def credential(expires_in=3600, tag=TAG, secret=SECRET):
    """A time-limited username and its password (draft-uberti-behave-turn-rest)."""
    username = f"{int(time.time()) + expires_in}:{tag}"
    return username, base64.b64encode(hmac.digest(secret.encode(), username.encode(), "sha1")).decode()


@dataclass(frozen=True)
class Plan:
    """What a test wants of its server."""

    listen: tuple = ("127.0.0.1", "::1")
    port: int = field(default_factory=free_port)
    # TCP, and TLS too, on `port`
    tcp: bool = False
    # the port of TLS alone
    tls: int | None = None
    # the port of HTTP without TLS
    http: int | None = None
    # more of `[http]`, and tables below it
    http_settings: str = ""
    # RFC 6062
    relay_tcp: bool = False
    proxies: tuple = ()
    allowed_peers: tuple = ()
    # ports of the server's own machine
    allowed_own: tuple = ()
    # the address that a 1:1 NAT shows instead of the first in `listen`
    public: str | None = None
    loopback_peers: bool = True
    # instead of limits that no test meets by accident
    default_limits: bool = False
    namespace: str | None = None

    @property
    def streams(self):
        return self.tcp or self.tls is not None

    def hairpin_config(self):
        return f"""\
[http]
listen = {_toml_list(self._sockets(self.http) if self.http else ())}
{self.http_settings}
[listen]
udp = {_toml_list(self._sockets(self.port))}
tcp = {_toml_list(self._sockets(self.port) if self.tcp else ())}
tls = {_toml_list(self._sockets(self.tls) if self.tls else ())}
proxies = {_toml_list(self.proxies)}
{self._hairpin_certificate() if self.streams else ""}
[relay]
addresses = {self._relay_addresses()}
ports = "{RELAY_PORTS}"
tcp = {_toml_flag(self.relay_tcp)}
# uclient 4.6.1 draws its channels from the whole range of RFC 5766
rfc5766_channels = true

[credentials]
realm = "{REALM}"
secrets = ["{SECRET}"]

[peers]
loopback = {_toml_flag(self.loopback_peers)}
allow = {_toml_list(self.allowed_peers)}
allow_own = {_toml_list(self.allowed_own)}

{"" if self.default_limits else WIDE_LIMITS}"""

    def _relay_addresses(self):
        if self.public is None:
            return _toml_list(self.listen)
        return f'[{{ bind = "{self.listen[0]}", public = "{self.public}" }}]'

    def _hairpin_certificate(self):
        made = certificate.made()
        return f"""
[tls]
certificate = "{made.chain}"
key = "{made.key}"
names = ["{certificate.NAME}"]
"""

    def _sockets(self, port):
        return [f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}" for ip in self.listen]


def _toml_list(texts):
    return "[" + ", ".join(f'"{text}"' for text in texts) + "]"


def _toml_flag(value):
    return str(value).lower()


class Daemon:
    """One process under a NOTIFY_SOCKET, in `directory`; its log is `directory`/log."""

    def __init__(self, command, directory, namespace=None, environment=None):
        self.notify = NotifySocket(directory / "notify")
        self.log_file = directory / "log"
        inside = ["ip", "netns", "exec", namespace] if namespace else []
        # setpriv: no daemon outlives this test run. sh: systemd, too, tells a daemon its own process id.
        command = inside + ["setpriv", "--pdeathsig", "KILL", "sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh", *command]
        with open(self.log_file, "wb") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {}), "NOTIFY_SOCKET": str(self.notify.path)},
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.is_running():
            self.process.kill()
            self.process.wait()
        self.notify.close()
        # pytest shows this with a failed test, and drops it otherwise
        print(f"--- end of {self.log_file}", *self.log().splitlines()[-100:], sep="\n")

    def is_running(self):
        return self.process.poll() is None

    def wait_until_ready(self):
        return self.notify.wait_for("READY=1", START_LIMIT, self.is_running)

    def stop(self, limit=STOP_LIMIT):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(limit)

    def log(self):
        return self.log_file.read_text(errors="replace")


def hairpin(plan, directory, environment=None):
    """Hairpin, started but perhaps not ready yet."""
    return hairpin_with(plan.hairpin_config(), directory, plan.namespace, environment)


def hairpin_with(config, directory, namespace=None, environment=None):
    path = directory / "config.toml"
    path.write_text(config)
    return Daemon([HAIRPIN, "--config", path], directory, namespace, environment)


def coturn(plan, directory):
    addresses = [part for ip in plan.listen for part in ("-L", ip, "-E", ip)]
    low, high = RELAY_PORTS.split("-")
    ports = ["-p", plan.port, "--min-port", low, "--max-port", high, "--no-rfc5780"]
    login = ["--use-auth-secret", "--static-auth-secret", SECRET, "--realm", REALM]
    peers = ["--allow-loopback-peers"] if plan.loopback_peers else []
    files = ["--log-file", "stdout", "--pidfile", directory / "pid", "--db", directory / "db"]
    options = [*addresses, *ports, *_coturn_streams(plan), *login, *peers, "--no-cli", *files]
    return Daemon([debian_coturn.SERVER, "-n", *options], directory, plan.namespace)


def _coturn_streams(plan):
    """coturn serves TLS on every port that serves TCP, and the other way round."""
    if not plan.streams:
        return ["--no-tcp", "--no-tls", "--no-dtls"]
    made = certificate.made()
    tls_port = ["--tls-listening-port", plan.tls] if plan.tls else []
    relay = [] if plan.relay_tcp else ["--no-tcp-relay"]
    return ["--no-dtls", "--cert", made.chain, "--pkey", made.key, *tls_port, *relay]


@contextmanager
def running(plan, directory, which=None):
    """A server that is ready; yields its first address and leaves no trace."""
    which = which or under_test()
    start = {"hairpin": hairpin, "coturn": coturn}[which]
    with start(plan, directory) as daemon:
        daemon.wait_until_ready()
        yield Address(plan.listen[0], plan.port)
        assert daemon.is_running(), "the server did not survive the test"
        code = daemon.stop()
        assert which == "coturn" or code == 0, f"the server ended with {code} after SIGTERM"
