"""The Debian package is installed, upgraded and purged in a booted Debian, and leaves nothing behind."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import booted
import servers
from booted import UNIT
from flow import CHANNEL, Flow

pytestmark = pytest.mark.hairpin_only

CONFIG, SECRET = Path("etc/hairpin/config.toml"), Path("etc/hairpin/secret")
# The places where Debian keeps what belongs to packages: they remember that there was one.
OF_DPKG = ("var/lib/dpkg", "var/log", "var/cache", "var/lib/systemd", "run", "proc", "sys", "dev", "tmp", "root")


def package(revision):
    """The path of the package that packaging/deb makes."""
    environment = {**os.environ, "HAIRPIN": str(servers.HAIRPIN)}
    command = [servers.ROOT / "packaging/deb", revision]
    made = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return servers.ROOT / made.stdout.strip()


@pytest.fixture(scope="module")
def packages():
    return package("1"), package("2")


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def machine(request, tmp_path_factory):
    booted.require(request.param)
    with booted.bare_machine(request.param, tmp_path_factory.mktemp(request.param)) as machine:
        yield machine


def install(machine, package):
    shutil.copy(package, machine.root / "root")
    return machine.run("dpkg", "--install", f"/root/{package.name}")


def files(machine):
    """Every file of the machine, but what changes by itself."""
    found = (file.relative_to(machine.root) for file in machine.root.rglob("*"))
    return {str(file) for file in found if not str(file).startswith(OF_DPKG)}


def relays(machine):
    """Whether a call's worth of packets comes through the relays of two clients, whose credentials the machine's secret signs."""
    login = servers.credential(secret=(machine.root / SECRET).read_text().strip())
    with machine.client(*login) as alice, machine.client(*login) as bob:
        alice.allocate()
        bob.allocate()
        bob.permit(alice.relayed)
        alice.bind(CHANNEL, bob.relayed)
        with Flow(alice, bob) as flow:
            for _ in range(10):
                flow.goes_on()
        return not flow.lost()


def test_it_is_installed_upgraded_and_purged(machine, packages):
    before = files(machine)

    install(machine, packages[0])

    assert machine.show("ActiveState", "UnitFileState") == {"ActiveState": "active", "UnitFileState": "enabled"}
    assert relays(machine)
    assert machine.run("stat", "--format=%U:%G %a", f"/{SECRET}").stdout.strip() == "root:hairpin 640"
    secret, first = (machine.root / SECRET).read_text(), machine.pid
    assert machine.run("hairpin", "check-config", f"/{CONFIG}").stdout.endswith("good\n")

    # an upgrade asks nothing, keeps the administrator's files, and restarts once
    config = (machine.root / CONFIG).read_text() + "# mine\n"
    (machine.root / CONFIG).write_text(config)
    install(machine, packages[1])
    assert (machine.root / CONFIG).read_text() == config and (machine.root / SECRET).read_text() == secret
    assert machine.pid not in (0, first) and machine.show("NRestarts") == {"NRestarts": "0"}
    assert relays(machine)

    # what an administrator has disabled and stopped stays so
    machine.systemctl("disable", "--now", UNIT)
    install(machine, packages[0])
    assert machine.show("ActiveState", "UnitFileState") == {"ActiveState": "inactive", "UnitFileState": "disabled"}

    # a removed package keeps its configuration; a purged one keeps nothing
    machine.systemctl("enable", "--now", UNIT)
    machine.run("dpkg", "--remove", "hairpin")
    assert (machine.root / SECRET).exists() and not (machine.root / "usr/bin/hairpin").exists()
    machine.run("dpkg", "--purge", "hairpin")
    assert files(machine) - before == set()
    assert machine.run("getent", "passwd", "hairpin", check=False).returncode != 0


def test_it_has_pages_and_completions_for_every_command(packages):
    listed = subprocess.run(["dpkg-deb", "--contents", packages[0]], capture_output=True, text=True, check=True).stdout
    for path in (
        "./usr/share/man/man1/hairpin.1.gz",
        "./usr/share/man/man1/hairpin-check-config.1.gz",
        "./usr/share/bash-completion/completions/hairpin",
        "./usr/share/zsh/vendor-completions/_hairpin",
        "./usr/share/fish/vendor_completions.d/hairpin.fish",
    ):
        assert re.search(rf"{re.escape(path)}$", listed, re.MULTILINE), path


def test_lintian_finds_no_error(packages):
    done = subprocess.run(
        ["lintian", "--allow-root", "--fail-on", "error", packages[0]], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
