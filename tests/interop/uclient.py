"""Runs Debian's turnutils_uclient and its echo peer, and reads what uclient says at its end."""

import os
import re
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass

import debian_coturn
import servers

ENDS_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL"]


@dataclass(frozen=True)
class Run:
    """How one run of uclient ended; `code` is None if it had to be killed."""

    command: str
    code: int | None
    output: str

    @property
    def sent(self):
        return self._number(r"tot_send_msgs=(\d+), tot_recv_msgs=\d+\s*$")

    @property
    def received(self):
        return self._number(r"tot_send_msgs=\d+, tot_recv_msgs=(\d+)\s*$")

    def received_over_tls(self, length):
        """The messages of `length` bytes that arrived, if all else is much shorter (needs -v). uclient's own count is of
        TLS records: it takes each for one message, but servers put several into one when they have several to send."""
        _, _, transfer = self.output.partition("Total connect time")
        records = re.findall(r"response received: size=(\d+)", transfer)
        return sum(int(record) // length for record in records)

    @property
    def lost(self):
        return self._number(r"Total lost packets (\d+)")

    @property
    def dropped(self):
        return self._number(r"total send dropped (\d+)")

    @property
    def relay_families(self):
        """The families of the relayed addresses that it was given (needs -v)."""
        return set(re.findall(r"(IPv[46])\. Received relay addr", self.output))

    @property
    def badness(self):
        """Orders runs: finished (by packets lost), then refused by the server, then stuck without an answer."""
        if self.code == 0:
            return (0, self.lost)
        return (2, 0) if self.code is None else (1, 0)

    def _number(self, pattern):
        found = re.findall(pattern, self.output, re.MULTILINE)
        return int(found[-1]) if found else None

    def __str__(self):
        return f"{self.command}\n{self.output[-3000:]}\nexit code {self.code}"


def run(server, *flags, login=("-u", servers.TAG, "-W", servers.SECRET), limit=40, namespace=None):
    inside = ["ip", "netns", "exec", namespace] if namespace else []
    command = [*inside, *ENDS_WITH_PARENT, debian_coturn.UCLIENT, "-p", server.port, *login, *flags, server.ip]
    command = [str(part) for part in command]
    # The loader ignores a library that does not exist, and the tests would fail now and then.
    assert debian_coturn.DISTINCT_DRAWS.exists(), "run `tests/run prepare`"
    env = os.environ | {"LD_PRELOAD": str(debian_coturn.DISTINCT_DRAWS)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    try:
        output, _ = process.communicate(timeout=limit)
        return Run(" ".join(command), process.returncode, output)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        return Run(" ".join(command), None, output)


@contextmanager
def echo_peer(ip):
    """turnutils_peer on `ip`, answering on two ports in a row (RTP and RTCP); yields the first."""
    port = servers.free_port()
    command = [*ENDS_WITH_PARENT, str(debian_coturn.PEER), "-L", ip, "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for either in (port, port + 1):
            _wait_for_echo(ip, either)
        yield port
    finally:
        process.kill()
        process.wait()


def _wait_for_echo(ip, port):
    end = time.monotonic() + 10
    with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((ip, port))
        sock.settimeout(0.1)
        while time.monotonic() < end:
            try:
                sock.send(b"are you there?")
                sock.recv(100)
                return
            except TimeoutError:
                continue
            except ConnectionRefusedError:
                time.sleep(0.02)
    raise TimeoutError(f"turnutils_peer does not answer on {ip} port {port}")
