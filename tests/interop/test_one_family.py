"""On a machine that has only IPv4, or only IPv6, the daemon serves that family in full, and refuses the other one."""

import re
import socket
import sys
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

import deny_family
import machine as machines
import servers
from turn_client import Refused

pytestmark = pytest.mark.hairpin_only

V4, V6 = "203.0.113.10", "2001:db8:113::10"
NO_IPV6 = "this machine has no IPv6; serving only IPv4"
# listeners and relay addresses as they are by default
CONFIG = f"""\
[credentials]
realm = "{servers.REALM}"
secrets = ["{servers.SECRET}"]
"""


@contextmanager
def machine(address, gateway):
    """A machine with one address."""
    with machines.machine("single") as it:
        it.connect(address, gateway)
        yield Single(it, address)


@dataclass(frozen=True)
class Single:
    """A machine, and its address."""

    machine: machines.Machine
    address: str

    def sysctl(self, setting):
        self.machine.sysctl(setting)

    def client(self):
        return self.machine.client(self.address)


@contextmanager
def daemon(machine, directory, *before):
    """The daemon on this machine, with a command before its own."""
    (directory / "config.toml").write_text(CONFIG)
    command = [*before, servers.HAIRPIN, "--config", directory / "config.toml"]
    with servers.Daemon(command, directory, machine.machine.name) as it:
        it.wait_until_ready()
        yield it
        assert it.stop() == 0


def serves_in_full(machine):
    """Two clients meet over their relays."""
    with machine.client() as alice, machine.client() as bob:
        assert alice.binding().ip == machine.address
        assert alice.allocate().ip == bob.allocate().ip == machine.address
        bob.permit(alice.relayed)
        alice.permit(bob.relayed)
        alice.send(bob.relayed, b"hello")
        heard = bob.receive()
        assert (heard.peer, heard.data) == (alice.relayed, b"hello")


def refuses(machine, family, ours):
    with machine.client() as client:
        with pytest.raises(Refused, match="440"):
            client.allocate(family)
        assert client.allocate(ours).ip == machine.address
    with machine.client() as both:
        assert [address.ip for address in both.allocate_both_families()] == [machine.address]
        assert both.address_error == (family, 440)


def test_where_ipv6_is_switched_off_ipv4_is_served_in_full_and_ipv6_is_refused(tmp_path):
    with machine(V4, "203.0.113.1") as it:
        it.sysctl("net.ipv6.conf.all.disable_ipv6=1")
        with daemon(it, tmp_path):
            serves_in_full(it)
            refuses(it, socket.AF_INET6, ours=socket.AF_INET)


def test_where_the_kernel_has_no_ipv6_each_listener_says_so_once_and_ipv4_is_served_in_full(tmp_path):
    with machine(V4, "203.0.113.1") as it:
        with daemon(it, tmp_path, sys.executable, deny_family.__file__, "AF_INET6") as running:
            serves_in_full(it)
            refuses(it, socket.AF_INET6, ours=socket.AF_INET)
            said = re.findall(rf'WARN {NO_IPV6} key="(\S+)"', running.log())
            assert said == ["listen.udp", "listen.tcp"], running.log()


def test_where_there_is_only_ipv6_it_is_served_in_full_and_ipv4_is_refused(tmp_path):
    with machine(V6, "2001:db8:113::1") as it, daemon(it, tmp_path):
        serves_in_full(it)
        refuses(it, socket.AF_INET, ours=socket.AF_INET6)
