"""A machine of its own: a network namespace with the addresses that a test gives it."""

import socket
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass

import natlab
import servers
from stun import Address
from turn_client import TurnClient


@dataclass(frozen=True)
class Machine:
    """A network namespace, in which eth0 is connected to a provider."""

    name: str

    def ip(self, *words):
        return subprocess.run(["ip", "-n", self.name, *words], check=True, capture_output=True, text=True).stdout

    def sysctl(self, setting):
        subprocess.run(["ip", "netns", "exec", self.name, "sysctl", "-qw", setting], check=True)

    def connect(self, address, gateway):
        """Gives eth0 this address, and a default route; the address may have a prefix, and flags after it."""
        self.ip("addr", "add", *address.split(), "dev", "eth0")
        self.ip("route", "add", gateway, "dev", "eth0")
        self.ip("route", "add", "default", "via", gateway)

    def client(self, address):
        """A client of the daemon on this machine, at this address."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with natlab.inside(self.name):
            sock = socket.socket(family, socket.SOCK_DGRAM)
        return TurnClient(sock, Address(address, 3478), *servers.credential())


@contextmanager
def machine(name):
    """A machine without any address but loopback."""
    it = Machine(natlab.namespace(name))
    subprocess.run(["ip", "netns", "add", it.name], check=True)
    try:
        # IPv6 works at once
        it.sysctl("net.ipv6.conf.default.accept_dad=0")
        it.ip("link", "set", "lo", "up")
        it.ip("link", "add", "eth0", "type", "veth", "peer", "name", "provider")
        for link in ("eth0", "provider"):
            it.ip("link", "set", link, "up")
        yield it
    finally:
        subprocess.run(["ip", "netns", "del", it.name], check=True)
