"""The wall clock is set while the daemon runs, as NTP may do: dates follow it, and nothing else does."""

import json
import subprocess
import time
from contextlib import contextmanager

import pytest

import debian_faketime
import servers
from servers import HAIRPIN, Plan
from stun import Address
from turn_client import Refused, TurnClient

pytestmark = pytest.mark.hairpin_only

HOUR = 3600
# the last second of a signed number of 32 bits: 2038-01-19
LAST_OF_32_BITS = 2**31 - 1
LIFETIME = 600
PEER = Address("127.0.0.1", 40009)


class Clocked:
    """A daemon whose wall clock can be set."""

    def __init__(self, directory, ahead):
        self.plan = Plan()
        self.admin, self.clock = directory / "admin.sock", debian_faketime.Clock(directory / "clock")
        self.clock.set(ahead)
        self.config = self.plan.hairpin_config() + f'\n[admin]\nlisten = ["{self.admin}"]\n'

    def client(self, expires_in=HOUR):
        """A client with a credential by the daemon's clock."""
        credential = servers.credential(expires_in=round(self.clock.ahead) + expires_in)
        return TurnClient.over_udp(Address("127.0.0.1", self.plan.port), *credential)

    def hairpin(self, *words):
        command = [HAIRPIN, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=self.clock.environment)
        return json.loads(done.stdout)

    def expires_in(self):
        """When the only session ends."""
        (session,) = self.hairpin("sessions", "--json", "--admin", self.admin)["sessions"]
        return self.hairpin("sessions", session["id"], "--json", "--admin", self.admin)["expires_in"]


@contextmanager
def daemon(directory, ahead=0):
    it = Clocked(directory, ahead)
    with servers.hairpin_with(it.config, directory, environment=it.clock.environment) as running:
        running.wait_until_ready()
        yield it
        assert running.stop() == 0


def is_refused(client):
    with client, pytest.raises(Refused) as refused:
        client.allocate()
    return refused.value.code


def goes_on(client):
    """The client's nonce is good, and what it sends to itself by its relay arrives."""
    nonce = client.nonce
    client.permit(client.relayed)
    client.send(client.relayed, b"still here")
    assert client.receive().data == b"still here"
    assert client.nonce == nonce


@pytest.mark.parametrize("step", [HOUR, -HOUR, 20 * 365 * 24 * HOUR])
def test_a_step_of_the_clock_ends_no_allocation_early_or_late_and_makes_no_nonce_stale(step, tmp_path):
    with daemon(tmp_path) as it, it.client() as client:
        client.allocate()
        began = time.monotonic()

        it.clock.set(step)

        goes_on(client)
        left = it.expires_in() + time.monotonic() - began
        assert LIFETIME - 2 <= left <= LIFETIME + 1


def test_a_credential_ends_when_the_clock_says_so(tmp_path):
    with daemon(tmp_path) as it:
        with it.client(expires_in=HOUR // 2) as client:
            client.allocate()
            it.clock.set(HOUR)
            assert is_refused(it.client(expires_in=-HOUR // 2)) == 401
            goes_on(client)
        with it.client(expires_in=60) as client:
            client.allocate()
        it.clock.set(-HOUR)
        assert is_refused(it.client(expires_in=-60)) == 401
        with it.client(expires_in=60) as client:
            client.allocate()


def test_the_seconds_after_2038_are_seconds_as_before(tmp_path):
    with daemon(tmp_path, ahead=LAST_OF_32_BITS - 10 - time.time()) as it, it.client() as client:
        client.allocate()

        it.clock.set(LAST_OF_32_BITS + 10 - time.time())

        goes_on(client)
        # one that ended on the last second, and one that the command makes
        assert is_refused(it.client(expires_in=-10)) == 401
        made = it.hairpin("credential", "--config", tmp_path / "config.toml", "--user", "of-2038")
        assert int(made["username"].split(":")[0]) > LAST_OF_32_BITS
        with TurnClient.over_udp(client.server, made["username"], made["password"]) as late:
            late.allocate()
