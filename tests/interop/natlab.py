"""A natlab (tests/natlab) as the tests hold it: hosts behind NATs, and sockets that live on those hosts."""

import ctypes
import os
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import servers

SCRIPT = Path(__file__).resolve().parents[1] / "natlab"
PREFIX = os.environ.get("NATLAB_PREFIX", "hp")
SERVER_ADDRESSES = ("203.0.113.10", "2001:db8:113::10")

_PRIVATE = {"hostA": ("10.10.1.2", "fd10:1::2"), "hostB": ("10.10.2.2", "fd10:2::2")}
_PUBLIC = {"hostA": ("203.0.113.21", "2001:db8:113::21"), "hostB": ("203.0.113.22", "2001:db8:113::22")}
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Lab:
    def __init__(self, kind_a, kind_b):
        self.kinds = {"hostA": kind_a, "hostB": kind_b}
        self.sockets = []

    def __enter__(self):
        try:
            _natlab("up", *self.kinds.values())
        except BaseException:
            _natlab("down")
            raise
        return self

    def __exit__(self, *_):
        for sock in self.sockets:
            sock.close()
        _natlab("down")

    def seen_address(self, host, family=socket.AF_INET):
        """The IP address that others see `host` under."""
        known = _PRIVATE if self.kinds[host] == "open" else _PUBLIC
        return known[host][family == socket.AF_INET6]

    def socket(self, host, family=socket.AF_INET, kind=socket.SOCK_DGRAM, protocol=0):
        """A socket of `host`: a socket stays in the network namespace in which it was made."""
        with inside(namespace(host)):
            sock = socket.socket(family, kind, protocol)
        self.sockets.append(sock)
        return sock

    def connect(self, host, address, wait):
        """A TCP connection from `host`."""
        sock = self.socket(host, socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
        sock.settimeout(wait)
        sock.connect(address)
        return sock


def ip(host, *words):
    """iproute2 on a host."""
    subprocess.run(["ip", "-n", namespace(host), *words], check=True, capture_output=True, text=True)


def server_plan(**more):
    """A server with the lab's public address; the lab's public network is all that it reaches."""
    plan = {"listen": SERVER_ADDRESSES, "namespace": namespace("srv"), "loopback_peers": False}
    return servers.Plan(**plan, **{"allowed_peers": ("203.0.113.0/24",), **more})


def namespace(host):
    return f"{PREFIX}-{host}"


def _natlab(*words):
    done = subprocess.run([SCRIPT, *words], capture_output=True, text=True, env={**os.environ, "NATLAB_PREFIX": PREFIX})
    if done.returncode != 0:
        raise RuntimeError(f"natlab {' '.join(words)}: {done.stderr.strip()}")


@contextmanager
def inside(name):
    """Moves this thread into a network namespace for a moment."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(home)


def _enter(descriptor):
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
