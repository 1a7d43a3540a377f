"""npm's PeerJS server and Hairpin are told the same, and answer the same; where they differ, this says how and why."""

import json
import os
import subprocess

import pytest

import servers
from uclient import ENDS_WITH_PARENT

pytestmark = pytest.mark.hairpin_only

COMPAT = servers.ROOT / "tests/interop/compat"
ENVIRONMENT = {**os.environ, "COMPAT_NODE": str(servers.ROOT / "target/compat")}
ORIGIN = "https://app.example.org"
LIMIT = 60

# What differs, by step: what `peer` answers, what Hairpin answers, and why. docs/compat.md says the same to people.
DIFFERENCES = {
    # an id is no page
    "an id with the key peerjs": ({"kind": "text/html"}, {"kind": "text/plain"}),
    "an id with the key wrong": ({"kind": "text/html"}, {"kind": "text/plain"}),
    "what the server is": ({"name": "PeerJS Server"}, {"name": "Hairpin, for clients of PeerJS"}),
    # the path exists
    "a POST": ({"status": 404}, {"status": 405}),
    "the path of the WebSocket without one": ({"status": 404}, {"status": 400}),
    # a code that says why; the client does not look at it
    "the id is taken": (
        {"c": [{"type": "ID-TAKEN", "payload": {"msg": "ID is taken"}}, "closed 1005"]},
        {"c": [{"type": "ID-TAKEN", "payload": {"msg": "ID is taken"}}, "closed 4400"]},
    ),
    # the client has an error of its own for it
    "the key is wrong": (
        {"c": [{"type": "ERROR", "payload": {"msg": "Invalid key provided"}}, "closed 1005"]},
        {"c": [{"type": "INVALID-KEY", "payload": {"msg": "Invalid key provided"}}, "closed 4400"]},
    ),
    # the list is of people
    "the peers with a wrong key": ({"status": 200}, {"status": 401}),
    # the client waits for OPEN; and an id has one socket
    "a peer comes back before it is known to be gone": (
        {"a": [], "again": [{"type": "OFFER", "src": "b", "dst": "a", "payload": 1}]},
        {"a": ["closed 4409"], "again": [{"type": "OPEN"}, {"type": "OFFER", "src": "b", "dst": "a", "payload": 1}]},
    ),
    # nobody sends in the name of an id that another may have
    "LEAVE without a receiver": ({"again": []}, {"again": ["closed 1000"]}),
}
INCOMPLETE = {"type": "ERROR", "payload": {"msg": "No id, token, or key supplied to websocket server"}}
for step in ("there is no id", "there is no token", "the token is empty", "there is no key"):
    DIFFERENCES[step] = ({"c": [INCOMPLETE, "closed 1005"]}, {"c": [INCOMPLETE, "closed 4400"]})


@pytest.fixture
def peer():
    """npm's server; what it is started with is said by the test."""
    running = []

    def start(*options):
        port = servers.free_port()
        command = [*ENDS_WITH_PARENT, "node", str(COMPAT / "peer_server.js"), str(port), *(options or [""])]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
        running.append(process)
        assert process.stdout.readline() == "ready\n"
        return f"http://127.0.0.1:{port}/peerjs"

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture
def hairpin(tmp_path):
    settings = f'allowed_origins = ["{ORIGIN}"]\n[compat]\npeerjs = "/peerjs"\npeerjs_discovery = true\n'
    plan = servers.Plan(http=servers.free_port(), http_settings=settings)
    with servers.running(plan, tmp_path):
        yield f"http://127.0.0.1:{plan.http}/peerjs"


def test_the_same_is_answered_to_the_same_and_every_difference_is_known(peer, hairpin):
    theirs, ours = transcript(peer("allow_discovery")), transcript(hairpin)

    assert theirs.keys() == ours.keys() and len(ours) > 30
    for step in ours:
        only_theirs, only_ours = DIFFERENCES.get(step, ({}, {}))
        assert theirs[step] == {**ours[step], **only_theirs} if only_theirs else theirs[step] == ours[step], step
        assert not only_ours or ours[step] == {**theirs[step], **only_ours}, step
        assert (theirs[step] != ours[step]) == (step in DIFFERENCES), step
    print(json.dumps(ours, indent=1, ensure_ascii=False))


def test_nobody_lists_the_peers_unless_that_is_on(peer, tmp_path):
    plan = servers.Plan(http=servers.free_port(), http_settings='[compat]\npeerjs = "/peerjs"\n')
    with servers.running(plan, tmp_path):
        answers = [status(f"{base}/peerjs/peers") for base in (peer(), f"http://127.0.0.1:{plan.http}/peerjs")]

    assert answers == ["401", "401"]


def transcript(base):
    command = [*ENDS_WITH_PARENT, "node", str(COMPAT / "transcript.js"), base, ORIGIN]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def status(url):
    command = ["curl", "-sS", "-o", os.devnull, "-w", "%{http_code}", url]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
