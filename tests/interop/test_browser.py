"""Two real browsers hold a video call through our server, one of them in a network that lets out little."""

import time

import pytest

import certificate
import servers
from chromium import showing
from meeting import Meeting
from natlab import Lab, server_plan

HTTPS = 443
CALL_LIMIT = 20


@pytest.mark.parametrize(
    ("kinds", "way"),
    [(("noudp", "cone"), "tcp"), (("tls443", "open"), "tls")],
    ids=["TCP where no UDP gets out", "TLS where only port 443 is open"],
)
def test_a_call_gets_through(kinds, way, tmp_path):
    plan = server_plan(tcp=True, tls=HTTPS)
    setups = [{"calls": True, **ice_servers(plan, way)}, {"calls": False, **ice_servers(plan, "udp")}]
    with Lab(*kinds) as lab, servers.running(plan, tmp_path), Meeting(lab, lab.kinds, setups) as (alice, bob):
        # when
        end = time.monotonic() + CALL_LIMIT
        with showing(alice.url, "hostA", tmp_path / "A"), showing(bob.url, "hostB", tmp_path / "B"):
            connected = [guest.wait_for(is_connected, end) for guest in (alice, bob)]
            later = [guest.wait_for(has_a_picture, end) for guest in (alice, bob)]

    # then: both were on a relay all along, each by the way that its network leaves it
    for reports in (connected, later):
        assert [(report["local"], report["remote"]) for report in reports] == [("relay", "relay")] * 2
        assert [report["relayProtocol"] for report in reports] == [way, "udp"]


def ice_servers(plan, way):
    url = {
        "udp": f"turn:{certificate.NAME}:{plan.port}?transport=udp",
        "tcp": f"turn:{certificate.NAME}:{plan.port}?transport=tcp",
        "tls": f"turns:{certificate.NAME}:{HTTPS}?transport=tcp",
    }[way]
    username, password = servers.credential()
    return {"iceServers": [{"urls": [url], "username": username, "credential": password}]}


def is_connected(report):
    return report.get("state") == "connected" and report.get("relayProtocol") is not None


def has_a_picture(report):
    """Whether video keeps coming, a second or more of it, and sound with it."""
    return report.get("state") == "connected" and report["frames"] > 30 and report["audio"] > 50
