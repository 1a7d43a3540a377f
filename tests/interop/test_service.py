"""Our daemon is a good systemd service: it says when it is ready and alive, stops when told, and starts again."""

import re
import signal
import socket
import subprocess

import pytest

import servers
from booted import wait_until
from servers import HAIRPIN, ROOT, Plan, hairpin, hairpin_with
from stun import Address
from turn_client import TurnClient

MANY_ADDRESSES = ("127.0.0.1", "127.0.0.2", "127.0.0.3", "::1")
CONFIGURATION_ERROR = 78  # EX_CONFIG of sysexits.h
UNIT = ROOT / "systemd/hairpin.service"
INSTALLED = "ExecStart=hairpin "

hairpin_only = pytest.mark.hairpin_only


@hairpin_only
def test_ready_is_said_once_every_address_answers(tmp_path):
    plan = Plan(listen=MANY_ADDRESSES)
    with hairpin(plan, tmp_path) as daemon:
        daemon.wait_until_ready()

        # one Binding request to each at once, none sent again
        answers = [answers_binding(Address(ip, plan.port)) for ip in MANY_ADDRESSES]

        assert answers == [True] * len(MANY_ADDRESSES)


@hairpin_only
def test_ready_is_said_only_once(tmp_path):
    with hairpin(Plan(), tmp_path) as daemon:
        daemon.wait_until_ready()

        daemon.notify.listen(1)

        assert len(daemon.notify.all("READY=1")) == 1


@hairpin_only
def test_the_watchdog_is_fed_twice_as_often_as_systemd_asks(tmp_path):
    asked = 1.0
    with hairpin(Plan(), tmp_path, {"WATCHDOG_USEC": f"{asked * 1_000_000:.0f}"}) as daemon:
        ready = daemon.wait_until_ready()

        daemon.notify.listen(1.5 * asked)

        fed = [notice.at - ready.at for notice in daemon.notify.all("WATCHDOG=1")]
        assert len(fed) >= 2, fed


@hairpin_only
def test_the_watchdog_is_not_fed_when_systemd_does_not_ask(tmp_path):
    with hairpin(Plan(), tmp_path) as daemon:
        daemon.wait_until_ready()

        daemon.notify.listen(1)

        assert daemon.notify.all("WATCHDOG=1") == []


@hairpin_only
def test_sigterm_stops_it_cleanly_and_soon(tmp_path):
    with hairpin(Plan(), tmp_path) as daemon:
        daemon.wait_until_ready()

        code = daemon.stop(limit=2)

        daemon.notify.listen(0.1)
        assert code == 0
        assert len(daemon.notify.all("STOPPING=1")) == 1


@hairpin_only
def test_sighup_does_not_end_it(tmp_path):
    plan = Plan()
    with hairpin(plan, tmp_path) as daemon:
        daemon.wait_until_ready()

        daemon.process.send_signal(signal.SIGHUP)

        wait_until(lambda: "the configuration was read again" in daemon.log(), 5, "it reads its configuration again")
        assert all(answers_binding(Address(ip, plan.port)) for ip in plan.listen)
        assert daemon.stop(limit=2) == 0


@hairpin_only
@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
def test_an_address_in_use_ends_it_with_an_error_that_names_the_address(tmp_path, ip):
    plan = Plan()
    with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((ip, plan.port))
        with hairpin(plan, tmp_path) as daemon:
            code = daemon.process.wait(servers.START_LIMIT)

            daemon.notify.listen(0.1)
            assert code > 0
            assert daemon.notify.all("READY=1") == []
            assert (f"[{ip}]:{plan.port}" if ":" in ip else f"{ip}:{plan.port}") in daemon.log()


@hairpin_only
def test_an_unknown_key_is_named_with_its_file_and_line(tmp_path):
    config = Plan().hairpin_config().replace('realm = "', 'relm = "')
    line = 1 + config[: config.index("relm")].count("\n")
    with hairpin_with(config, tmp_path) as daemon:
        code = daemon.process.wait(servers.START_LIMIT)

        assert code == CONFIGURATION_ERROR
        # as in config.toml:12 or config.toml, line 12
        assert re.search(rf"config\.toml\b.{{0,12}}\b{line}\b", daemon.log()), daemon.log()
        assert "relm" in daemon.log()


@hairpin_only
@pytest.mark.parametrize("command", [["check-config"], ["serve", "--config"]])
def test_a_certificate_that_cannot_be_read_is_named_with_its_key_and_line(tmp_path, command):
    config = Plan().hairpin_config() + '\n[tls]\ncertificate = "/nonexistent/a.pem"\nkey = "/nonexistent/a.key"\n'
    file = tmp_path / "config.toml"
    file.write_text(config)
    line = config[: config.index("certificate")].count("\n") + 1

    done = subprocess.run([HAIRPIN, *command, file], capture_output=True, text=True, timeout=servers.START_LIMIT)

    assert done.returncode == CONFIGURATION_ERROR
    said = f"config.toml:{line}: tls.certificate: /nonexistent/a.pem: cannot be read by this user"
    assert said in done.stderr, done.stderr


@hairpin_only
def test_it_starts_again_at_once_after_sigkill(tmp_path):
    plan = Plan()
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with hairpin(plan, first) as daemon:
        daemon.wait_until_ready()
        with TurnClient.over_udp(Address("127.0.0.1", plan.port), *servers.credential()) as client:
            client.allocate()
        daemon.process.send_signal(signal.SIGKILL)
        daemon.process.wait(2)

    with hairpin(plan, second) as daemon:
        daemon.wait_until_ready()

        assert all(answers_binding(Address(ip, plan.port)) for ip in plan.listen)
        with TurnClient.over_udp(Address("127.0.0.1", plan.port), *servers.credential()) as client:
            assert client.allocate().ip == "127.0.0.1"


def answers_binding(address):
    """Whether one single Binding request is answered, with our own address."""
    with TurnClient.over_udp(address) as client:
        client.sock.connect(address)
        client.waits = (1,)
        try:
            return client.binding() == client.sock.getsockname()[:2]
        except (TimeoutError, ConnectionRefusedError):
            return False


@pytest.fixture
def unit(tmp_path):
    """A copy of our unit, whose binary exists wherever the tests run."""
    binary = HAIRPIN if HAIRPIN.exists() else "/bin/true"
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace(INSTALLED, f"ExecStart={binary} "))
    return copy


def test_systemd_finds_nothing_wrong_with_the_unit(unit):
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_unit_is_confined_to_an_exposure_of_1_6_or_less(unit):
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=16", "--no-pager", unit]

    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
