"""In a booted Debian, installed as the README says, systemd starts Hairpin, watches it, reloads it and restarts it."""

import json
import re
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

import booted
import natlab
import servers
from booted import ADDRESS, CLIENT, UNIT, wait_until
from flow import CHANNEL, Flow
from turn_client import Refused

pytestmark = pytest.mark.hairpin_only

CONFIG, SECRET = "etc/hairpin/config.toml", "etc/hairpin/secret"
ADMIN_SOCKET = "/run/hairpin/admin.sock"
# two instances of the template unit that docs/operating.md describes
OLD, NEW = ("hairpin@a", "/run/hairpin-a/admin.sock"), ("hairpin@b", "/run/hairpin-b/admin.sock")
AS_HAIRPIN = ("runuser", "--user=hairpin", "--")
CONFIGURATION_ERROR = 78  # EX_CONFIG of sysexits.h
REFUSED = 1
NOT_ACTIVE = 3  # what `systemctl status` returns for such a unit
STARTED, RELOADED, STOPPED = r"hairpin \S+ serves STUN and TURN on ", r"the configuration was read again", r"stopping reason="
SECONDS_TO_STOP = 1
ENDED = {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0", "NRestarts": "0"}
RUNS = {"ActiveState": "active", "SubState": "running"}


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def machine(request, tmp_path_factory):
    booted.require(request.param)
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


@dataclass(frozen=True)
class Mistake:
    """A configuration that is not accepted: a text in place of another, and what is said of it."""

    right: str
    wrong: str
    said: str


MISTAKES = [
    Mistake("[relay]", "[relay", r"config\.toml:{line}: "),
    Mistake("realm = ", "relm = ", r"config\.toml:{line}: credentials\.relm: "),
    Mistake("allow = []", 'allow = ["10.1.0.0/33"]', r"config\.toml:{line}: peers\.allow: .*10\.1\.0\.0/33"),
    Mistake('"/etc/hairpin/secret"', '"/etc/shadow"', r"config\.toml:{line}: credentials\.secrets_file: .* cannot be read"),
]


def test_a_reload_of_an_invalid_configuration_changes_nothing_and_the_journal_has_its_line(machine):
    before, bad = machine.pid, machine.metric("hairpin_reloads_total", outcome="bad")
    with traffic(machine) as flow:
        for number, mistake in enumerate(MISTAKES, 1):
            began = machine.cursor()
            config, line = with_mistake(machine, mistake)
            with machine.changed(CONFIG, config):
                machine.systemctl("reload", UNIT, check=False)
                logs(machine, began, "not reloaded.*" + mistake.said.format(line=line))
                checked = machine.run(*AS_HAIRPIN, "hairpin", "check-config", f"/{CONFIG}", check=False)

            flow.goes_on()
            assert len(machine.logged(began, priority="err")) == 1
            assert machine.metric("hairpin_reloads_total", outcome="bad") == bad + number
            assert checked.returncode == CONFIGURATION_ERROR, mistake
            assert re.search(mistake.said.format(line=line), checked.stderr), checked.stderr

    assert flow.lost() == []
    assert machine.pid == before


def test_a_reload_that_wants_a_port_of_another_program_changes_nothing_and_the_journal_names_it(machine):
    before, began = machine.pid, machine.cursor()
    config = (machine.root / CONFIG).read_text()
    with traffic(machine) as flow, listener(machine) as taken:
        wanted = config.replace('tcp = ["0.0.0.0:3478"', f'tcp = ["{taken}", "0.0.0.0:3478"')
        with machine.changed(CONFIG, wanted.replace("allocations_per_user = 100", "allocations_per_user = 2")):
            machine.systemctl("reload", UNIT, check=False)
            logs(machine, began, rf"not reloaded.*config\.toml:\d+: listen\.tcp: .*{re.escape(taken)}")
            flow.goes_on()
        # nothing of it is in force
        with client(machine) as third:
            third.allocate()
            third.end()

    assert flow.lost() == []
    assert len(machine.logged(began, priority="err")) == 1
    assert machine.pid == before


def test_hairpin_reload_says_what_has_changed(machine):
    config = (machine.root / CONFIG).read_text()
    with machine.changed(CONFIG, config.replace("allocations_per_user = 100", "allocations_per_user = 2")):
        assert machine.run("hairpin", "reload").stdout == "changed: limits.allocations_per_user\n"
        assert machine.run("hairpin", "reload").stdout == "changed: nothing\n"
    broken, line = with_mistake(machine, MISTAKES[1])
    with machine.changed(CONFIG, broken):
        refused = machine.run("hairpin", "reload", check=False)
        assert refused.returncode == REFUSED
        assert re.search(MISTAKES[1].said.format(line=line), refused.stderr), refused.stderr

    assert machine.run("hairpin", "reload").stdout == "changed: limits.allocations_per_user\n"


def test_hairpin_drain_refuses_new_clients_and_ends_the_service_after_the_last_call(machine):
    with traffic(machine) as flow:
        assert machine.run("hairpin", "drain").stdout.startswith("draining: 2 allocations go on")

        assert json.loads(machine.run("hairpin", "status", "--json").stdout)["lifecycle"] == "draining"
        with client(machine) as late, pytest.raises(Refused, match="508"):
            late.allocate()
        flow.goes_on()

    assert flow.lost() == []
    wait_until(lambda: machine.show(*ENDED) == ENDED, 5, "systemd has seen it end")


def test_a_stop_waits_for_the_last_call_longer_than_timeout_stop_sec(machine):
    config = (machine.root / CONFIG).read_text().replace('drain_timeout = "0s"', 'drain_timeout = "1h"')
    with machine.drop_in(f"[Service]\nTimeoutStopSec={SECONDS_TO_STOP}\n"), machine.changed(CONFIG, config):
        began = machine.cursor()
        machine.systemctl("reload", UNIT)
        logs(machine, began, RELOADED)
        with traffic(machine) as flow:
            machine.systemctl("stop", "--no-block", UNIT)

            too_late = time.monotonic() + 2 * SECONDS_TO_STOP
            while time.monotonic() < too_late:
                flow.goes_on()
            assert machine.show("ActiveState", "SubState") == {"ActiveState": "deactivating", "SubState": "stop-sigterm"}

        assert flow.lost() == []
        wait_until(lambda: machine.show(*ENDED) == ENDED, 5, "systemd has seen it end")


def test_an_update_as_the_documentation_says_loses_no_packet_and_the_new_instance_serves_new_clients(machine):
    config = (machine.root / CONFIG).read_text()
    machine.systemctl("stop", UNIT)
    with machine.changed(CONFIG, config.replace("takeover = false", "takeover = true")), instances(machine):
        (old, old_admin), (new, new_admin) = OLD, NEW
        began = machine.cursor()
        machine.systemctl("enable", "--now", old)
        with traffic(machine) as flow:
            flow.goes_on()

            machine.run("sh", "-c", f"set -e\n{booted.update_commands()}")

            flow.goes_on()
            with client(machine) as late:
                late.allocate()
                assert [allocations(machine, admin) for admin in (old_admin, new_admin)] == [2, 1]
                late.end()
            flow.goes_on()

        assert flow.lost() == []
        wait_until(lambda: state(machine, "is-active", old) == "inactive", 5, "the old one ends after its last call")
        assert [state(machine, "is-enabled", name) for name in (old, new)] == ["disabled", "enabled"]
        with client(machine) as later:
            later.allocate()
            later.end()
        log = machine.run("journalctl", "--unit=hairpin@*", "--output=cat", f"--since={began}").stdout
        assert len(re.findall(STARTED, log)) == 2, log


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


def test_journalctl_shows_what_needs_attention_and_leaves_out_what_is_normal(machine):
    began = machine.cursor()
    config, _ = with_mistake(machine, MISTAKES[1])
    with machine.changed(CONFIG, config):
        machine.systemctl("reload", UNIT, check=False)
        logs(machine, began, "not reloaded")
    machine.signal("USR1")
    machine.systemctl("reload", UNIT)
    logs(machine, began, RELOADED)

    warnings, errors = (machine.logged(began, priority) for priority in ("warning", "err"))
    assert [len(matching("not reloaded", lines)) for lines in (warnings, errors)] == [1, 1]
    assert [len(matching("SIGUSR1 is ignored", lines)) for lines in (warnings, errors)] == [1, 0]
    assert len(warnings) == 2, warnings
    # the marks are for journald alone
    assert not matching(r"^<\d>", machine.logged(began))


@pytest.mark.parametrize("machine", ["bookworm"], indirect=True)
def test_a_journald_that_has_stopped_costs_lines_of_the_log_and_no_packet(machine):
    config = (machine.root / CONFIG).read_text().replace('level = "info"', 'level = "debug"')
    config = re.sub(r"(allocations_per_(?:user|ip)) = \S+", r"\1 = 10000", config)
    began = machine.cursor()
    with machine.changed(CONFIG, config):
        machine.systemctl("reload", UNIT)
        logs(machine, began, RELOADED)
        with traffic(machine) as flow, machine.stopped("systemd-journald.service"):
            wait_until(lambda: talk(machine) and lost_lines(machine) > 0, 20, "more is logged than can wait")
            flow.goes_on()

        logs(machine, began, "log lines were lost")
        assert flow.lost() == []
    machine.systemctl("reload", UNIT)


def test_an_invalid_configuration_is_not_tried_again_and_status_shows_its_line(machine):
    config, line = with_mistake(machine, MISTAKES[1])
    with machine.changed(CONFIG, config):
        assert machine.systemctl("restart", UNIT, check=False).returncode != 0

        # failed, and not activating (auto-restart)
        assert machine.show("ActiveState", "SubState", "ExecMainStatus", "NRestarts") == {
            "ActiveState": "failed",
            "SubState": "failed",
            "ExecMainStatus": str(CONFIGURATION_ERROR),
            "NRestarts": "0",
        }
        machine.run("journalctl", "--sync")  # the journal may not have written yet what status is to show
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


def test_the_unit_is_confined_to_an_exposure_of_1_6_or_less(machine):
    machine.run("systemd-analyze", "security", "--threshold=16", "--no-pager", UNIT)


def test_the_unit_lets_relay_threads_have_short_slices_of_the_processor(machine):
    threads = machine.run("sh", "-c", f"grep -h -e '^relay-' -e '^se.slice' /proc/{machine.pid}/task/*/sched").stdout
    if "se.slice" not in threads:
        pytest.skip("a kernel before Linux 6.12 has no slices of threads")

    slices = re.findall(r"^relay-\d+ .*\nse\.slice +: +(\d+)$", threads, re.MULTILINE)

    assert set(slices) == {"100000"}, threads


def test_four_lines_more_let_the_service_have_sk_lookup_which_it_may_not_have_without_them(machine):
    lines = machine.root / f"etc/systemd/system/{UNIT}.d/sk_lookup.conf"
    config = (machine.root / CONFIG).read_text()
    try:
        with machine.changed(CONFIG, config.replace('sk_lookup = "off"', 'sk_lookup = "on"')):
            began = machine.cursor()
            machine.systemctl("restart", UNIT, check=False)
            logs(machine, began, "relay.sk_lookup.*CAP_BPF, CAP_NET_ADMIN.*not permitted")

            lines.parent.mkdir(exist_ok=True)
            lines.write_text(booted.sk_lookup_lines())
            machine.systemctl("daemon-reload")
            began = machine.cursor()
            machine.systemctl("restart", UNIT)
            logs(machine, began, r"\(sk_lookup\)")
            with traffic(machine) as flow:
                flow.goes_on()
            assert flow.lost() == []
    finally:
        lines.unlink(missing_ok=True)
        machine.systemctl("daemon-reload")
        machine.systemctl("restart", UNIT)


def matching(pattern, lines):
    return [line for line in lines if re.search(pattern, line)]


def logs(machine, began, pattern):
    """Waits until the daemon has logged this."""
    wait_until(lambda: matching(pattern, machine.logged(began)), 5, f"it logs {pattern}")


def with_mistake(machine, mistake):
    """The machine's configuration with a mistake, and its line."""
    config = (machine.root / CONFIG).read_text()
    at = config.index(f"\n{mistake.right}") + 1 if mistake.right[0] != '"' else config.index(mistake.right)
    return config[:at] + mistake.wrong + config[at + len(mistake.right) :], 1 + config[:at].count("\n")


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


def state(machine, question, unit):
    """What `systemctl is-active` and its like say."""
    return machine.systemctl(question, unit, check=False).stdout.strip()


def allocations(machine, admin):
    """Live allocations of the instance with this admin socket."""
    return sum(json.loads(machine.run("hairpin", "status", "--json", "--admin", admin).stdout)["relay"]["allocations"])


def lost_lines(machine):
    return machine.metric("hairpin_log_lines_lost_total")


def talk(machine):
    """Has the daemon log about a megabyte, at the level debug."""
    secret = (machine.root / SECRET).read_text().strip()
    with machine.client(*servers.credential(tag="\x7f" * 480, secret=secret)) as client:
        for _ in range(160):
            client.allocate()
            client.end()
    return True


@contextmanager
def listener(machine):
    """Another program of this machine that listens at a TCP port; its address as the configuration writes it."""
    with natlab.inside(machine.network):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with sock:
        sock.bind((ADDRESS, 0))
        sock.listen()
        yield f"{ADDRESS}:{sock.getsockname()[1]}"


@contextmanager
def instances(machine):
    """The template unit, as docs/operating.md describes it."""
    units = machine.root / "etc/systemd/system"
    template = units / "hairpin@.service"
    template.write_text((units / UNIT).read_text().replace("RuntimeDirectory=hairpin\n", "RuntimeDirectory=hairpin-%i\n"))
    machine.systemctl("daemon-reload")
    try:
        yield
    finally:
        machine.systemctl("disable", "--now", OLD[0], NEW[0])
        template.unlink()
        machine.systemctl("daemon-reload")


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
