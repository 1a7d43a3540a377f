"""slowhttptest's three slow modes: the daemon is rid of every connection in time, and serves others all the while."""

import csv
import os
import subprocess
import time
from contextlib import ExitStack

import pytest

import servers

pytestmark = pytest.mark.hairpin_only

CONNECTIONS = 150
OPENED_WITHIN = 3
# How long the daemon waits: for slow headers; for a stranger whose body it refused to hear why; for a slow reader.
MODES = {"-H": 10, "-B": 2, "-X": 30}
SLACK = 4
LENGTH = max(MODES.values()) + OPENED_WITHIN + SLACK


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """For each mode: how many sockets more than before the daemon had each second, what slowhttptest saw, and what it said."""
    plans = {mode: servers.Plan(http=servers.free_port()) for mode in MODES}
    directories = {mode: tmp_path_factory.mktemp("slow") for mode in MODES}
    with ExitStack() as stack:
        daemons = {mode: stack.enter_context(servers.hairpin(plans[mode], directories[mode])) for mode in MODES}
        for daemon in daemons.values():
            daemon.wait_until_ready()
        own = {mode: count_sockets(daemon.process.pid) for mode, daemon in daemons.items()}
        attacks = [attack(mode, plans[mode].http, directories[mode]) for mode in MODES]
        sockets = {mode: [] for mode in MODES}
        for _ in range(LENGTH):
            time.sleep(1)
            for mode, daemon in daemons.items():
                sockets[mode].append(count_sockets(daemon.process.pid) - own[mode])
        said = {mode: process.communicate(timeout=LENGTH)[0] for mode, process in zip(MODES, attacks)}
        assert [daemon.stop() for daemon in daemons.values()] == [0] * len(MODES)
    return {mode: (sockets[mode], history(directories[mode]), said[mode]) for mode in MODES}


def attack(mode, port, directory):
    pace = ["-c", str(CONNECTIONS), "-r", str(CONNECTIONS // 2), "-i", "1", "-l", str(LENGTH), "-p", "3"]
    # ten requests in a row, whose answers are read five bytes a second through the smallest window
    slow_read = ["-k", "10", "-w", "1", "-y", "10", "-n", "1", "-z", "5"] if mode == "-X" else []
    command = ["slowhttptest", mode, *pace, *slow_read, "-u", f"http://127.0.0.1:{port}/"]
    command += ["-g", "-o", directory / "report", "-v", "1"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def count_sockets(pid):
    descriptors = f"/proc/{pid}/fd"
    return sum(1 for name in os.listdir(descriptors) if is_socket(f"{descriptors}/{name}"))


def is_socket(descriptor):
    try:
        return os.readlink(descriptor).startswith("socket:")
    except FileNotFoundError:
        return False


def history(directory):
    with open(directory / "report.csv") as report:
        return [{key: int(value) for key, value in row.items()} for row in csv.DictReader(report)]


@pytest.mark.parametrize("mode", MODES)
def test_the_daemon_is_rid_of_every_slow_connection_in_time(seen, mode):
    sockets, rows, said = seen[mode]

    # There was an attack. Where all its connections are over as soon as they are open, so is the attack, and what its
    # last second brought is in no row.
    is_over_at_once = MODES[mode] < OPENED_WITHIN
    assert max(row["Connected"] + row["Closed"] for row in rows) > (0.5 if is_over_at_once else 0.9) * CONNECTIONS
    assert "No open connections left" in said or not is_over_at_once
    deadline = OPENED_WITHIN + MODES[mode] + SLACK
    assert max(sockets[deadline - 1 :]) < CONNECTIONS / 10, sockets


@pytest.mark.parametrize("mode", MODES)
def test_others_are_served_all_the_while(seen, mode):
    _, rows, _ = seen[mode]

    assert rows and all(row["Service Available"] for row in rows)
