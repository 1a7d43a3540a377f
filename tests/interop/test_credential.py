"""A credential printed by `hairpin credential` is what coturn's use-auth-secret means, and both servers take it."""

import base64
import hmac
import json
import subprocess
import time

import pytest

import servers
from servers import HAIRPIN, Plan
from turn_client import TurnClient

pytestmark = pytest.mark.hairpin_only


@pytest.mark.parametrize("which", ["hairpin", "coturn"])
def test_a_printed_credential_opens_an_allocation(tmp_path, which):
    # given
    plan = Plan()
    printed = print_credential(plan, tmp_path, "alice")

    # when
    with servers.running(plan, tmp_path, which) as server:
        with TurnClient.over_udp(server, printed["username"], printed["password"]) as client:
            relayed = client.allocate()

    # then
    assert relayed.ip == server.ip


def test_a_printed_credential_is_an_expiry_and_a_tag_signed_with_the_first_secret(tmp_path):
    printed = print_credential(Plan(), tmp_path, "alice")

    expiry, tag = printed["username"].split(":")
    password = hmac.digest(servers.SECRET.encode(), printed["username"].encode(), "sha1")
    assert (tag, printed["ttl"]) == ("alice", 3600)
    assert abs(int(expiry) - time.time() - 3600) < 60
    assert base64.b64decode(printed["password"]) == password


def print_credential(plan, directory, tag):
    config = directory / "printing.toml"
    config.write_text(plan.hairpin_config())
    command = [HAIRPIN, "credential", "--user", tag, "--ttl", "1h", "--config", config]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
