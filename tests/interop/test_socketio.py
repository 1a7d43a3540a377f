"""npm's client of socket.io, in Node: by long polling, over a WebSocket, and with the change from one to the other."""

import json
import os
import subprocess

import pytest

import servers
from backend import Key, curl
from uclient import ENDS_WITH_PARENT

pytestmark = pytest.mark.hairpin_only

COMPAT = servers.ROOT / "tests/interop/compat"
ENVIRONMENT = {**os.environ, "COMPAT_NODE": str(servers.ROOT / "target/compat")}
ORIGIN = "https://app.example.org"
LIMIT = 60


KEY = Key.made("shop")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    settings = f'allowed_origins = ["{ORIGIN}"]\n{KEY.config}[compat]\nsocketio = true\n'
    plan = servers.Plan(tcp=True, http=servers.free_port(), http_settings=settings)
    with servers.running(plan, tmp_path_factory.mktemp("site")):
        yield f"http://127.0.0.1:{plan.http}"


def meet(url, origin, transports, room="", token=""):
    command = [*ENDS_WITH_PARENT, "node", str(COMPAT / "socketio_client.js"), url, origin, transports, room, token]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=LIMIT, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("transports, last", [("polling", "polling"), ("websocket", "websocket"), ("polling,websocket", "websocket")])
def test_two_clients_meet_and_one_whose_network_fails_comes_back(site, transports, last):
    room = f"한글 방 {transports}"
    met = meet(site, ORIGIN, transports, room)

    assert met["transport"] == last
    first, again = ({"type": "offer", "sdp": sdp} for sdp in ("v=0", "again"))
    assert met["heard"]["ada"] == [["created", room], ["ready"], ["offer", first], ["ready"], ["offer", again]]
    entered = [["joined", room], ["ready"]]
    assert met["heard"]["bob"] == [*entered, ["answer", {"type": "answer", "sdp": "v=0"}], *entered]


@pytest.mark.parametrize("transports", ["polling", "websocket"])
def test_a_client_without_an_origin_shows_a_token(site, transports):
    room = f"token {transports}"
    answer = curl(f"{site}/api/v1/room-tokens", "-H", KEY.header, "-d", json.dumps({"room": room}))

    assert meet(site, "", transports, room, answer.json["token"])["heard"]["ada"][0] == ["created", room]
    assert meet(site, "", transports, room)["heard"]["ada"][0] == ["connect_error", "a valid token is required"]


def test_a_page_of_another_site_is_refused(site):
    assert meet(site, "https://evil.example", "polling")["heard"]["ada"][0][0] == "connect_error"
