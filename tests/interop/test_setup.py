"""From nothing to a call on a server: only what the README says under "Put it on a VPS", in a booted Debian."""

import re
import shutil
import subprocess
import time
from contextlib import contextmanager

import pytest

import booted
import certificate
import natlab
import pebble
import servers
from booted import ADDRESS
from test_package import package, relays

pytestmark = pytest.mark.hairpin_only

NAME = "call.example.org"
MINUTES = 10
CONFIG = "etc/hairpin/config.toml"
NO_SUDO = 'sudo() { "$@"; }; cd /root'
WRONG_CONFIGURATION = 78
# there is nobody outside whom it could ask
ALONE = "--stun ''"


def readme(step):
    """The command of a step of the README's section."""
    text = (servers.ROOT / "README.md").read_text()
    found = re.search(rf"## Put it on a VPS\n.*?\*\*{step}\*\*.*?```sh\n *(.*?)\n", text, re.DOTALL)
    assert found, f"the README no longer has the step {step!r}"
    return found[1]


@pytest.fixture
def machine(tmp_path):
    booted.require("bookworm")
    with booted.bare_machine("bookworm", tmp_path) as machine:
        # the DNS record that the README asks for
        (machine.root / "etc/hosts").write_text(f"127.0.0.1 localhost\n{ADDRESS} {NAME}\n")
        shutil.copy(package("1"), machine.root / "root")
        yield machine


@pytest.fixture
def authority(machine, tmp_path):
    """A certificate authority that this machine reaches, in the place of Let's Encrypt."""
    directory = tmp_path / "authority"
    directory.mkdir()
    shutil.copy(certificate.made().chain, machine.root / "etc/ssl/authority.pem")
    with pebble.running(directory, http_port=80, tls_port=443, namespace=machine.network) as authority:
        authority.lead(NAME, ADDRESS)
        yield authority


def installed(machine):
    machine.run("sh", "-c", f"{NO_SUDO}; {readme('Install the package.')}")


def test_ten_minutes_are_enough_for_the_readme(machine, authority, tmp_path):
    transcript, begun = [], time.monotonic()

    def step(command, answers=None):
        start = time.monotonic()
        code, shown = machine.in_terminal(f"{NO_SUDO}; {command}", answers or {}, limit=120)
        transcript.append(f"$ {command}\n{shown}\n[{time.monotonic() - start:.1f} s]\n")
        assert code == 0, "\n".join(transcript)
        return shown

    step(readme("Install the package."))
    # the questions that the README's command asks, and this authority in the place of Let's Encrypt
    in_test = f"--directory https://127.0.0.1:{authority.port}/dir --roots /etc/ssl/authority.pem {ALONE}"
    shown = step(f"{readme('Set the server up')} {in_test}", {"[Y/n] ": ""})

    assert time.monotonic() - begun < MINUTES * 60
    assert f"Open https://{NAME}" in shown
    with natlab.inside(machine.network):
        page = subprocess.run(
            ["curl", "--silent", "--resolve", f"{NAME}:443:{ADDRESS}", "--cacert", roots(authority, tmp_path), f"https://{NAME}/"],
            capture_output=True,
            text=True,
        )
    assert "<title>" in page.stdout, page
    assert relays(machine)
    checked = machine.run("hairpin", "doctor", "--stun", "", check=False).stdout
    assert "FAIL" not in checked, checked
    assert not [line for line in machine.logged(priority="err")]
    print("\n".join(transcript))


def test_behind_a_web_server_the_pages_go_through_it(machine):
    installed(machine)
    with web_server(machine):
        refused = machine.run("sh", "-c", f"hairpin setup {NAME} --yes --accept-terms {ALONE}", check=False)
        before = (machine.root / CONFIG).read_text()
        done = machine.run("sh", "-c", f"hairpin setup {NAME} --yes --behind-proxy {ALONE}")

    assert refused.returncode == WRONG_CONFIGURATION
    assert "port 443 belongs to nginx" in refused.stderr and "--behind-proxy" in refused.stderr
    config = (machine.root / CONFIG).read_text()
    assert f'public_url = "https://{NAME}"' in config and "[tls" not in config
    assert "reverse_proxy 127.0.0.1:8080" in done.stdout and "proxy_pass http://127.0.0.1:8080;" in done.stdout
    assert (machine.root / f"{CONFIG}.before-setup").read_text() == before
    assert machine.show("ActiveState") == {"ActiveState": "active"}
    assert relays(machine)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "write: hairpin setup call.example.org"),
        ("not_a_name! --yes", "not_a_name!"),
        (f"{NAME} --yes", "--accept-terms"),
        (f"{NAME} --accept-terms", "--yes"),
    ],
)
def test_without_a_terminal_it_says_what_to_write_and_changes_nothing(tmp_path, words, says):
    config, secret = tmp_path / "config.toml", tmp_path / "secret"
    secret.write_text(servers.SECRET)
    command = f"{servers.HAIRPIN} setup {words} --config {config} {ALONE}"

    done = subprocess.run(["sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, text=True)

    assert done.returncode == WRONG_CONFIGURATION, done
    assert says.lower() in done.stderr.lower(), done.stderr
    assert not config.exists()


@contextmanager
def web_server(machine):
    """Another program that has port 443. It is called nginx, and is Hairpin's own program."""
    text = '[listen]\nudp = ["127.0.0.1:9"]\ntcp = []\n[http]\nlisten = ["0.0.0.0:443"]\n[admin]\nlisten = []\n'
    (machine.root / "root/nginx.toml").write_text(text)
    shutil.copy(machine.root / "usr/bin/hairpin", machine.root / "root/nginx")
    machine.run("systemd-run", "--unit=nginx", "--property=Type=notify", "/root/nginx", "--config", "/root/nginx.toml")
    try:
        yield
    finally:
        machine.systemctl("stop", "nginx")


def roots(authority, directory):
    """A file with the root certificate of the authority."""
    file = directory / "roots.pem"
    file.write_text(authority.root())
    return file
