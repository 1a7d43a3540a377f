"""Many people behind one address, all at once, in the default configuration: everybody is heard and gets a relay."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

import servers
import spoofed

pytestmark = pytest.mark.hairpin_only

# The default configuration, but for where it listens and what credentials are made from.
CONFIG = f"""\
[listen]
udp = ["0.0.0.0:3478", "[::]:3478"]
tcp = ["0.0.0.0:3478", "[::]:3478"]
[http]
listen = []
[relay]
addresses = ["198.51.100.1", "2001:db8:1::1"]
[credentials]
realm = "{servers.REALM}"
secrets = ["{servers.SECRET}"]
"""
# Everybody behind one IPv4 address, and each with an address of their own in one /64.
CLASSROOMS = {
    "IPv4": ("198.51.100.1", ["203.0.113.7"]),
    "one IPv6 /64": ("2001:db8:1::1", [f"2001:db8:64::{host:x}" for host in range(1, 101)]),
}


@contextmanager
def school():
    """A network namespace that has all these addresses."""
    name = f"{os.environ.get('NATLAB_PREFIX', 'hp')}-school"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for command in (
            "link set lo up",
            "addr add 198.51.100.1/32 dev lo",
            "addr add 203.0.113.7/32 dev lo",
            "addr add 2001:db8:1::1/128 dev lo nodad",
            "-6 route add local 2001:db8:64::/64 dev lo",
        ):
            subprocess.run(["ip", "-n", name, *command.split()], check=True)
        nonlocal_bind = "net.ipv6.ip_nonlocal_bind=1"
        subprocess.run(["ip", "netns", "exec", name, "sysctl", "-qw", nonlocal_bind], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def play(namespace, people, transport, where, patience=45):
    server, sources = CLASSROOMS[where]
    script = Path(__file__).with_name("classroom.py")
    command = ["ip", "netns", "exec", namespace, sys.executable, script, "--people", people, "--transport", transport]
    command += ["--server", server, "--sources", ",".join(sources), "--patience", patience]
    done = subprocess.run([str(part) for part in command], check=True, capture_output=True, timeout=120)
    return json.loads(done.stdout)


@pytest.mark.parametrize("where", CLASSROOMS)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_hundred_people_behind_one_address_are_all_served(tmp_path, transport, where):
    with school() as namespace, servers.hairpin_with(CONFIG, tmp_path, namespace) as daemon:
        daemon.wait_until_ready()

        # when
        came_of_it = play(namespace, 100, transport, where)

        # then: whatever time that takes here, nothing was refused, and nobody was left to ask again
        assert came_of_it["outcomes"] == ["allocated"], came_of_it
        assert came_of_it["unheard"] == 0, came_of_it
        assert "answers_per_ip" not in daemon.log()
        assert daemon.stop() == 0


def test_a_crowd_that_is_too_large_is_said_in_the_log_once_with_the_key_to_raise(tmp_path):
    config = CONFIG + "[limits]\nallocations_per_ip = 20\n"
    with school() as namespace, servers.hairpin_with(config, tmp_path, namespace) as daemon:
        daemon.wait_until_ready()

        # when: who never authenticates floods, and then a class has too few allocations
        spoofed.play(namespace, 1, 1, daemon.process.pid)
        came_of_it = play(namespace, 30, "udp", "IPv4")

        # then
        assert came_of_it["allocated"] == 20, came_of_it
        log = daemon.log()
        assert log.count("raise limits.answers_per_ip_burst") == log.count("raise limits.allocations_per_ip") == 1, log
        assert daemon.stop() == 0
