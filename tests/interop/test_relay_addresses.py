"""The daemon finds the addresses to relay from, and follows them: new allocations use what the machine has now."""

import re
import signal
import socket
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import machine as machines
import natlab
import servers
from natlab import Lab
from turn_client import Refused

pytestmark = pytest.mark.hairpin_only

FIRST, LATER, GATEWAY = "203.0.113.10", "203.0.113.11", "203.0.113.1"
V6, GATEWAY_V6 = "2001:db8:113::10", "2001:db8:113::1"
STARTED_WITHIN = 10
# while the daemon has no address, it looks every five seconds
FOUND_WITHIN = 10


@pytest.fixture
def machine():
    with machines.machine("addresses") as it:
        yield it


@contextmanager
def daemon(machine, directory, addresses='"auto"', environment=None):
    config = f"""\
[relay]
addresses = {addresses}
[credentials]
realm = "{servers.REALM}"
secrets = ["{servers.SECRET}"]
"""
    with servers.hairpin_with(config, directory, machine.name, environment) as it:
        it.wait_until_ready()
        yield it
        assert it.stop() == 0


def reload(daemon):
    """Looks at once, and returns when that is done."""
    before = len(daemon.notify.all("READY=1"))
    daemon.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + STARTED_WITHIN
    while len(daemon.notify.all("READY=1")) == before:
        assert time.monotonic() < end, daemon.log()
        daemon.notify.listen(0.05)


def allocated(machine, family=None):
    """The address of a new allocation, or the code of the refusal."""
    with machine.client("127.0.0.1") as client:
        try:
            return client.allocate(family).ip
        except Refused as refused:
            return refused.code


def check(client):
    """Whether the allocation is still there."""
    client.permit(client.relayed)


def test_an_address_that_comes_later_is_for_new_allocations_and_one_that_goes_is_said(machine, tmp_path):
    machine.connect(FIRST, GATEWAY)
    with daemon(machine, tmp_path) as it, machine.client("127.0.0.1") as old:
        assert old.allocate().ip == FIRST
        assert allocated(machine, socket.AF_INET6) == 440

        machine.connect(f"{V6}/64", GATEWAY_V6)
        reload(it)

        assert allocated(machine, socket.AF_INET6) == V6
        assert f"INFO new allocations use the address {V6} from now on" in it.log()

        # when the IPv4 address is replaced by another one
        machine.ip("addr", "del", FIRST, "dev", "eth0")
        machine.connect(LATER, GATEWAY)
        reload(it)

        assert allocated(machine) == LATER
        assert f"WARN the address {FIRST} has gone: new allocations do not use it any more" in it.log()
        check(old)


def test_a_machine_that_starts_before_its_network_needs_nobody(machine, tmp_path):
    with daemon(machine, tmp_path) as it:
        assert allocated(machine) == 508
        assert "this machine has no address to relay from" in it.log()

        machine.connect(FIRST, GATEWAY)

        end = time.monotonic() + FOUND_WITHIN
        while (found := allocated(machine)) != FIRST:
            assert time.monotonic() < end, (found, it.log())
            time.sleep(0.1)


def test_a_lasting_ipv6_address_is_preferred_to_a_temporary_one(machine, tmp_path):
    machine.sysctl("net.ipv6.conf.eth0.use_tempaddr=2")
    machine.connect(f"{V6}/64 mngtmpaddr", GATEWAY_V6)
    temporary = re.search(r"inet6 (\S+)/64 .*temporary", machine.ip("-6", "addr", "show", "dev", "eth0"))
    assert temporary, "the kernel has made a temporary address"
    source = machine.ip("-6", "route", "get", "2001:db8:999::1")
    assert temporary[1] in source, "and would use it"

    with daemon(machine, tmp_path):
        assert allocated(machine, socket.AF_INET6) == V6


@contextmanager
def hosts(machine, text):
    """/etc/hosts of this machine; yields the file."""
    folder = Path("/etc/netns") / machine.name
    folder.mkdir(parents=True)
    file = folder / "hosts"
    try:
        file.write_text(text)
        yield file
    finally:
        file.unlink()
        folder.rmdir()


def test_a_name_is_looked_up_again_and_what_it_does_not_tell_any_more_stays(machine, tmp_path):
    machine.connect(FIRST, GATEWAY)
    auto = '[{ bind = "auto", public = "turn.test" }]'
    with hosts(machine, "192.0.2.5 turn.test\n") as file, daemon(machine, tmp_path, auto) as it:
        assert allocated(machine) == "192.0.2.5"

        # in place, because the daemon has this very file
        file.write_text("192.0.2.6 turn.test\n2001:db8::6 turn.test\n")
        machine.connect(f"{V6}/64", GATEWAY_V6)
        reload(it)

        assert (allocated(machine), allocated(machine, socket.AF_INET6)) == ("192.0.2.6", "2001:db8::6")

        file.write_text("127.0.0.1 localhost\n")
        reload(it)

        assert allocated(machine) == "192.0.2.6"
        assert "the last one stays in effect, 192.0.2.6" in it.log()


def test_behind_a_nat_another_hairpin_tells_the_public_address_as_a_stun_server(tmp_path):
    stun, behind = tmp_path / "stun", tmp_path / "behind"
    stun.mkdir()
    behind.mkdir()
    with Lab("cone", "cone") as lab, servers.running(natlab.server_plan(), stun) as server:
        machine = machines.Machine(natlab.namespace("hostA"))
        asked = f'[{{ bind = "auto", public = {{ stun = "{server.ip}:{server.port}" }} }}]'
        with daemon(machine, behind, asked) as it:
            assert allocated(machine) == lab.seen_address("hostA")
            assert f"(public address {lab.seen_address('hostA')})" in it.log()


def test_private_addresses_are_warned_of_in_the_same_words(machine, tmp_path):
    machine.connect("10.0.0.5", "10.0.0.1")
    with daemon(machine, tmp_path) as it:
        warning = "relay.addresses: 10.0.0.5 is not public, so peers on the Internet cannot reach it"
        assert f"WARN {warning}" in it.log()
