"""In a booted Debian, installed as the README says, systemd starts Hairpin, watches it, reloads it and restarts it."""

import json
import re
import struct
import threading
import time
from contextlib import contextmanager

import pytest

import booted
import servers
from booted import CLIENT, UNIT, wait_until
from turn_client import Refused

pytestmark = pytest.mark.hairpin_only

CHANNEL = 0x4000
CONFIG, SECRET = "etc/hairpin/config.toml", "etc/hairpin/secret"
ADMIN_SOCKET = "/run/hairpin/admin.sock"
CONFIGURATION_ERROR = 78  # EX_CONFIG of sysexits.h
NOT_ACTIVE = 3  # what `systemctl status` returns for such a unit
STARTED, RELOADED, STOPPED = r"hairpin \S+ serves STUN and TURN on ", r"the configuration was read again", r"stopping reason="
SECONDS_BETWEEN_PACKETS = 0.002
RUNS = {"ActiveState": "active", "SubState": "running"}


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def machine(request, tmp_path_factory):
    missing = booted.missing(request.param)
    if missing and request.param != "bookworm":
        pytest.skip(missing)
    assert not missing, missing
    with booted.machine(request.param, tmp_path_factory.mktemp(request.param)) as machine:
        yield machine


@pytest.fixture(autouse=True)
def started_again(machine):
    """The next test finds the service running, whatever came of this one."""
    yield
    machine.systemctl("start", UNIT)


def test_it_is_up_after_boot_under_its_own_user(machine):
    assert machine.systemctl("is-enabled", UNIT).stdout.strip() == "enabled"
    # Type=notify: active means that the daemon has said READY=1
    assert machine.show("Type", "ActiveState", "SubState", "NRestarts") == {"Type": "notify", "NRestarts": "0", **RUNS}
    assert machine.run("stat", "--format=%U", f"/proc/{machine.pid}").stdout.strip() == "hairpin"
    assert answers(machine)


def test_it_stops_starts_and_restarts_when_told_and_status_says_so(machine):
    first = machine.pid

    machine.systemctl("stop", UNIT)
    assert machine.show("ActiveState", "Result", "ExecMainStatus") == {
        "ActiveState": "inactive",
        "Result": "success",
        "ExecMainStatus": "0",
    }
    assert machine.systemctl("status", UNIT, check=False).returncode == NOT_ACTIVE
    assert not answers(machine, wait=0.2)

    machine.systemctl("start", UNIT)
    second = machine.pid
    assert "active (running)" in machine.systemctl("status", UNIT).stdout
    assert answers(machine)

    machine.systemctl("restart", UNIT)
    assert len({first, second, machine.pid}) == 3
    assert answers(machine)


def test_a_reload_under_traffic_counts_for_what_is_new_and_loses_no_packet(machine):
    before, began = machine.pid, machine.cursor()
    config = (machine.root / CONFIG).read_text()
    with traffic(machine) as flow:
        flow.goes_on()
        # when: the user may have no more than the two allocations that there are
        with machine.changed(CONFIG, config.replace("allocations_per_user = 100", "allocations_per_user = 2")):
            machine.systemctl("reload", UNIT)
            logs(machine, began, "read again: changed limits.allocations_per_user")
            flow.goes_on()
            # then
            with client(machine) as third, pytest.raises(Refused, match="486"):
                third.allocate()

        # and when it is as before
        began = machine.cursor()
        machine.systemctl("reload", UNIT)
        logs(machine, began, "read again: changed limits.allocations_per_user")
        with client(machine) as third:
            third.allocate()
            third.end()
        flow.goes_on()

    assert flow.lost() == []
    assert machine.pid == before


def test_a_reload_of_an_invalid_configuration_changes_nothing_and_the_journal_has_its_line(machine):
    before, began = machine.pid, machine.cursor()
    config, line = invalid(machine)
    with traffic(machine) as flow, machine.changed(CONFIG, config):
        machine.systemctl("reload", UNIT, check=False)
        logs(machine, began, rf"not reloaded.*config\.toml:{line}: .*relm")
        flow.goes_on()

    assert flow.lost() == []
    assert machine.pid == before


@pytest.mark.parametrize("machine", ["trixie"], indirect=True)
def test_since_systemd_253_a_reload_can_wait_until_the_daemon_says_that_it_is_over(machine):
    with machine.drop_in("[Service]\nType=notify-reload\nExecReload=\n"):
        before, began = machine.pid, machine.cursor()

        machine.systemctl("reload", UNIT)

        assert machine.show("ActiveState", "SubState") == RUNS
        logs(machine, began, RELOADED)
        assert machine.pid == before


def test_a_daemon_that_hangs_is_noticed_by_the_watchdog_and_replaced(machine):
    with machine.drop_in("[Service]\nWatchdogSec=3\n"):
        hanging, began = machine.pid, machine.cursor()

        machine.signal("STOP")

        wait_until(lambda: machine.pid not in (0, hanging) and answers(machine, 0.2), 10, "another daemon answers")
        assert machine.show("NRestarts", "ActiveState", "SubState") == {"NRestarts": "1", **RUNS}
        said = [entry["MESSAGE"] for entry in machine.journal(began)]
        assert matching(r"hairpin\.service: Watchdog timeout", said), said


def test_it_is_back_within_two_seconds_after_kill_9(machine):
    killed = machine.pid

    machine.signal("KILL")
    at = time.monotonic()

    wait_until(lambda: answers(machine, 0.05), 10, "it answers again")
    assert time.monotonic() - at <= 2
    assert machine.pid not in (0, killed)
    with traffic(machine) as flow:
        flow.goes_on()


def test_the_journal_has_a_line_for_the_start_one_for_the_reload_and_no_address_of_a_client(machine):
    machine.systemctl("stop", UNIT)
    began = machine.cursor()
    machine.systemctl("start", UNIT)
    # given: a client that relays, and one with a wrong password
    with traffic(machine) as flow:
        flow.goes_on()
    with client(machine, secret="not the secret of this machine") as stranger, pytest.raises(Refused):
        stranger.allocate()

    machine.systemctl("reload", UNIT)
    logs(machine, began, RELOADED)
    machine.systemctl("stop", UNIT)

    entries = [entry for entry in machine.journal(began) if entry["SYSLOG_IDENTIFIER"] == "hairpin"]
    lines = [entry["MESSAGE"] for entry in entries]
    assert {entry["_SYSTEMD_UNIT"] for entry in entries} == {UNIT}
    assert [len(matching(what, lines)) for what in (STARTED, RELOADED, STOPPED)] == [1, 1, 1], lines
    assert matching("allocation ended", lines), lines
    assert not matching(re.escape(CLIENT), lines), lines


def test_an_invalid_configuration_is_not_tried_again_and_status_shows_its_line(machine):
    config, line = invalid(machine)
    with machine.changed(CONFIG, config):
        assert machine.systemctl("restart", UNIT, check=False).returncode != 0

        # failed, and not activating (auto-restart)
        assert machine.show("ActiveState", "SubState", "ExecMainStatus", "NRestarts") == {
            "ActiveState": "failed",
            "SubState": "failed",
            "ExecMainStatus": str(CONFIGURATION_ERROR),
            "NRestarts": "0",
        }
        status = machine.systemctl("status", UNIT, check=False)
        assert status.returncode == NOT_ACTIVE
        assert matching(rf"config\.toml:{line}: .*relm", status.stdout.splitlines()), status.stdout


def test_hairpin_status_asks_it_by_a_socket_that_only_root_and_its_own_user_may_use(machine):
    assert machine.run("stat", "--format=%F %a %U", ADMIN_SOCKET).stdout.strip() == "socket 600 hairpin"
    with traffic(machine):
        assert json.loads(machine.run("hairpin", "status", "--json").stdout)["lifecycle"] == "serving"
        assert re.search(r"^allocations +2$", machine.run("hairpin", "status").stdout, re.MULTILINE)

    refused = machine.run("runuser", "--user", "nobody", "--", "hairpin", "status", check=False)

    assert refused.returncode != 0
    assert ADMIN_SOCKET in refused.stderr, refused.stderr


def test_the_unit_is_confined_to_an_exposure_of_1_5_or_less(machine):
    machine.run("systemd-analyze", "security", "--threshold=15", "--no-pager", UNIT)


def matching(pattern, lines):
    return [line for line in lines if re.search(pattern, line)]


def logs(machine, began, pattern):
    """Waits until the daemon has logged this."""
    wait_until(lambda: matching(pattern, machine.logged(began)), 5, f"it logs {pattern}")


def invalid(machine):
    """The machine's configuration with a mistake, and its line."""
    config = (machine.root / CONFIG).read_text()
    return config.replace("realm = ", "relm = ", 1), 1 + config[: config.index("realm = ")].count("\n")


def client(machine, secret=None):
    secret = secret or (machine.root / SECRET).read_text().strip()
    return machine.client(*servers.credential(secret=secret))


def answers(machine, wait=1):
    """Whether one single Binding request is answered."""
    with client(machine) as asking:
        asking.waits = (wait,)
        try:
            return asking.binding().ip == CLIENT
        except TimeoutError:
            return False


@contextmanager
def traffic(machine):
    """Two clients, of whom one sends to the other without a pause, through both of their relays."""
    with client(machine) as alice, client(machine) as bob:
        alice.allocate()
        bob.allocate()
        bob.permit(alice.relayed)
        alice.bind(CHANNEL, bob.relayed)
        with Flow(alice, bob) as flow:
            yield flow
        alice.end()
        bob.end()


class Flow:
    """Numbered packets from `alice` to `bob`, until it is left."""

    def __init__(self, alice, bob):
        self.alice, self.bob = alice, bob
        self.sent, self.arrived = 0, set()
        self.over = threading.Event()
        self.threads = [threading.Thread(target=act) for act in (self._send, self._receive)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def goes_on(self):
        """Waits until more packets have arrived."""
        before = len(self.arrived)
        wait_until(lambda: len(self.arrived) >= before + 100, 10, "a hundred more packets arrive")

    def lost(self):
        return sorted(set(range(self.sent)) - self.arrived)

    def _send(self):
        while not self.over.wait(SECONDS_BETWEEN_PACKETS):
            self.alice.send_on_channel(CHANNEL, struct.pack("!I", self.sent))
            self.sent += 1

    def _receive(self):
        while not self.over.is_set() or self.lost():
            try:
                self.arrived.add(struct.unpack("!I", self.bob.receive(1).data)[0])
            except TimeoutError:
                if self.over.is_set():
                    return
