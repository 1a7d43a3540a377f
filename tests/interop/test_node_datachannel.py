"""node-datachannel (libdatachannel, libjuice) gives no allocation back, and gets one whenever it needs one."""

import os
import subprocess

import pytest

import servers
from call_peers import CALLS, INSTALLED
from uclient import ENDS_WITH_PARENT

CONNECTIONS = 20
LIMIT = 120


@pytest.fixture
def server(tmp_path):
    with servers.running(servers.Plan(default_limits=True), tmp_path) as address:
        yield address


def test_one_user_gets_a_relay_for_each_of_twenty_connections_one_after_the_other(server):
    command = [*ENDS_WITH_PARENT, "node", CALLS / "relays.js", *server, *servers.credential(), CONNECTIONS]
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env={**os.environ, "CALLS_NODE": str(INSTALLED)},
    )

    assert (done.returncode, done.stdout) == (0, f"{CONNECTIONS}\n"), done.stderr
