"""Every curl in docs/http.md does what the page says."""

import json
import re
import subprocess
import time

import pytest

import servers
from backend import Key

pytestmark = pytest.mark.hairpin_only

PAGE = (servers.ROOT / "docs/http.md").read_text()
# A command, and the answer that may follow it.
EXAMPLES = re.findall(r"```sh\n(curl [^`]+)```(?:\n[^`]*\n```json\n([^`]+)```)?", PAGE)
USERNAME = "1800003600%3Ashop.42"


# Of the one that needs a password; all others are for a site where everybody may open rooms.
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    yield from serve(tmp_path_factory)


@pytest.fixture(scope="module")
def site_with_password(tmp_path_factory):
    made = subprocess.run([servers.HAIRPIN, "room-password"], input=PASSWORD, text=True, capture_output=True, check=True)
    yield from serve(tmp_path_factory, made.stdout[made.stdout.index("\n[rooms]") :])


def serve(tmp_path_factory, tables=""):
    key, page_key = Key.made("shop"), Key.made("page", "allow_query = true")
    names = 'ice_host = "turn.example.org"\npublic_url = "https://call.example.org"\n'
    settings = names + key.config + page_key.config + "[compat]\nscript = true\n" + tables
    plan = servers.Plan(tcp=True, http=servers.free_port(), http_settings=settings, public="203.0.113.10")
    with servers.running(plan, tmp_path_factory.mktemp("site")):
        keys = {"KEY": key.text, "PAGE_KEY": page_key.text}
        yield f"http://127.0.0.1:{plan.http}", keys


@pytest.mark.parametrize("command, answer", EXAMPLES, ids=[command.split()[-1] for command, _ in EXAMPLES])
def test_a_curl_of_the_page_is_answered_as_it_says(request, command, answer):
    url, keys = request.getfixturevalue("site_with_password" if PASSWORD in command else "site")
    # what the page took in its day
    command = command.replace(USERNAME, f"{int(time.time()) + 3600}%3Ashop.42")
    command = command.replace("https://turn.example.org", url).replace("curl ", "curl -sS --fail-with-body ", 1)

    done = subprocess.run(["sh", "-c", command], env={**keys, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    if answer:
        assert shape(json.loads(done.stdout)) == shape(json.loads(answer))


def shape(value):
    """The names of all fields."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    return [shape(value[-1])] if isinstance(value, list) and value else type(value).__name__


def test_every_endpoint_has_a_curl():
    paths = json.loads((servers.ROOT / "src/http/openapi.json").read_text())["paths"]
    commands = "".join(command for command, _ in EXAMPLES).replace(USERNAME, "{username}")
    without = [path for path in paths if f"turn.example.org{path}" not in commands]
    assert without == ["/turn/credentials"], "which is /turn"
