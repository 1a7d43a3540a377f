"""Autobahn's fuzzing client finds no fault with our WebSockets, but that they take no message over 64 KiB.

It is written for Python 2.7, which Debian 12 does not have; pyenv does.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import servers

pytestmark = [pytest.mark.hairpin_only, pytest.mark.compiles]

ECHO = servers.ROOT / "target/debug/examples/websocket_echo"
LIBRARY = servers.ROOT / "target/autobahn"
RUN = f"import site; site.addsitedir({str(LIBRARY)!r}); from autobahntestsuite.wstest import run; run()"
LIMIT = 120
TOO_BIG = 1009
# compression, which we do not offer: it costs memory for each socket, and signals are small
NOT_OFFERED = ["12.*", "13.*"]
# messages of 256 KiB and more, whole and in fragments
LARGE = re.compile(r"9\.[12]\.[2-6]$|9\.[3-6]\.")
# those of 4 MiB and more: the daemon reads 1 MiB after its Close, and resets the connection of a client that sends more
LARGER_THAN_LINGER = re.compile(r"9\.[12]\.[4-6]$|9\.[34]\.")


def python2():
    # before the PATH, where pyenv has a python2.7 that works only after `pyenv shell`
    versions = sorted(Path.home().glob(".pyenv/versions/2.7.*/bin/python2.7"))
    return versions[-1] if versions else shutil.which("python2.7")


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """What became of each case, by its number."""
    python = python2()
    if not python:
        pytest.skip("there is no Python 2.7, which Autobahn needs: pyenv install 2.7.18")
    subprocess.run(["cargo", "build", "--quiet", "--example", ECHO.name], cwd=servers.ROOT, check=True)
    directory = tmp_path_factory.mktemp("autobahn")
    install(python)
    port = servers.free_port()
    spec = {
        "outdir": str(directory / "report"),
        "servers": [{"agent": "hairpin", "url": f"ws://127.0.0.1:{port}"}],
        "cases": ["*"],
        "exclude-cases": NOT_OFFERED,
        "exclude-agent-cases": {},
    }
    (directory / "spec.json").write_text(json.dumps(spec))
    echo = subprocess.Popen([ECHO, str(port)], stdout=subprocess.PIPE)
    try:
        assert echo.stdout.readline() == b"listening\n"
        command = [python, "-c", RUN, "-m", "fuzzingclient", "-s", "spec.json"]
        subprocess.run(command, cwd=directory, capture_output=True, timeout=LIMIT, check=True)
    finally:
        echo.kill()
        echo.wait()
    return json.loads((directory / "report/index.json").read_text())["hairpin"]


def install(python):
    wanted = (servers.ROOT / "tests/interop/autobahn-requirements.txt").read_text()
    installed = LIBRARY / "requirements.txt"
    if installed.exists() and installed.read_text() == wanted:
        return
    shutil.rmtree(LIBRARY, ignore_errors=True)
    requirements = servers.ROOT / "tests/interop/autobahn-requirements.txt"
    pip = [python, "-m", "pip", "install", "-q", "--no-warn-script-location", "--target", LIBRARY, "-r", requirements]
    subprocess.run(pip, capture_output=True, check=True)
    installed.write_text(wanted)


def test_every_case_passes_but_those_of_large_messages(cases):
    faults = {
        number: case
        for number, case in cases.items()
        if not LARGE.match(number)
        and not (case["behavior"] in ("OK", "NON-STRICT", "INFORMATIONAL") and case["behaviorClose"] != "FAILED")
    }

    assert len(cases) > 290
    assert faults == {}


def test_a_message_over_64_kib_is_refused_by_the_code_for_that(cases):
    large = {number: case["remoteCloseCode"] for number, case in cases.items() if LARGE.match(number)}

    assert len(large) == 40
    cut_off = {number for number, code in large.items() if code is None}
    assert set(large.values()) - {None} == {TOO_BIG}
    assert all(LARGER_THAN_LINGER.match(number) for number in cut_off), cut_off
