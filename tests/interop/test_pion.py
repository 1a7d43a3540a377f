"""pion (Debian's turn 2.1) goes on when one of its peers has a closed port."""

import socket
import subprocess

import pytest

import servers
from call_peers import INSTALLED
from uclient import ENDS_WITH_PARENT

# pion tries a transaction for eight seconds
LIMIT = 60


@pytest.fixture
def server(tmp_path):
    with servers.running(servers.Plan(), tmp_path) as address:
        yield address


@pytest.fixture
def closed():
    """A port on which nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return "{}:{}".format(*sock.getsockname())


def test_a_pion_client_goes_on_when_the_port_of_a_peer_is_closed(server, closed):
    command = [*ENDS_WITH_PARENT, INSTALLED / "pion", "closed-port", "{}:{}".format(*server)]
    command += [*servers.credential(), closed]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)

    assert (done.returncode, done.stdout) == (0, "heard: and here?\n"), done.stderr
