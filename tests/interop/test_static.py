"""The program that packaging/static makes needs no file of the system: it does all of its work in an empty root."""

import json
import shutil
import subprocess
import tarfile
from concurrent.futures import ThreadPoolExecutor

import pytest

import booted
import certificate
import pebble
import servers
import uclient
from stun import Address
from test_acme import Site, ports

pytestmark = [pytest.mark.hairpin_only, pytest.mark.static_program]

NAMES_AT = "127.53.0.53"
# of each session; `-y` makes four of them, which send to each other
MESSAGES, SESSIONS, LENGTH = 20, 4, 1000


class EmptyRoot:
    """A directory that the program takes for the whole system."""

    def __init__(self, path):
        servers.require_static()
        path.mkdir()
        self.path = path
        shutil.copy(servers.STATIC, path / "hairpin")

    def write(self, name, text):
        file = self.path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.chmod(0o600)

    def run(self, *words):
        return subprocess.run(["chroot", self.path, "/hairpin", *words], capture_output=True, text=True, check=True).stdout

    def daemon(self, config):
        self.write("config.toml", config.replace(str(self.path), ""))
        command = ["env", "NOTIFY_SOCKET=/notify", "chroot", self.path, "/hairpin", "--config", "/config.toml"]
        daemon = servers.Daemon(command, self.path)
        daemon.wait_until_ready()
        return daemon


@pytest.fixture
def root(tmp_path):
    return EmptyRoot(tmp_path / "root")


@pytest.fixture
def trusted(root):
    """The certificate of the tests, in the root."""
    return [shutil.copy(file, root.path) for file in certificate.made()]


def test_it_relays_over_udp_tcp_and_tls(root, trusted):
    plan = servers.Plan(tcp=True)
    config = plan.hairpin_config()
    for file in certificate.made():
        config = config.replace(str(file), f"/{file.name}")
    with root.daemon(config) as daemon, ThreadPoolExecutor() as pool:
        flags = ("-y", "-t -y", "-t -S -y")
        command = ("-v", "-l", LENGTH, "-n", MESSAGES)
        runs = pool.map(lambda mode: uclient.run(Address("127.0.0.1", plan.port), *mode.split(), *command), flags)
        for mode, run in zip(flags, runs, strict=True):
            received = run.received_over_tls(LENGTH) if "-S" in mode else run.received
            assert (run.code, run.dropped) == (0, 0), str(run)
            assert run.sent == received == MESSAGES * SESSIONS, str(run)
        assert daemon.stop() == 0


def test_its_commands_work(root):
    root.write("config.toml", f'[credentials]\nsecrets = ["{servers.SECRET}"]\n')

    assert root.run("check-config", "/config.toml").endswith("/config.toml: good\n")
    assert json.loads(root.run("credential", "--user", "alice", "--config", "/config.toml"))["username"].endswith(":alice")


@pytest.mark.parametrize("file", ["etc/hosts", "etc/resolv.conf"])
def test_it_looks_up_the_name_of_an_authority_and_gets_a_certificate(file, root, trusted, tmp_path):
    # without effect: a module of another glibc than the program's would crash it
    root.write("etc/nsswitch.conf", "hosts: resolve [UNAVAIL=return]\n")
    root.write(file, {"etc/hosts": f"127.0.0.1 {certificate.NAME}\n", "etc/resolv.conf": f"nameserver {NAMES_AT}\n"}[file])
    with pebble.running(tmp_path, **ports()) as authority:
        authority.answer_names_at(NAMES_AT)
        site = Site(authority, root.path)
        config = site.config().replace(f"https://127.0.0.1:{authority.port}", f"https://{certificate.NAME}:{authority.port}")
        config = config.replace(str(certificate.made().chain), f"/{certificate.made().chain.name}")
        config = config.replace(f"{tmp_path}/acme", "/acme")
        with root.daemon(config) as daemon:
            assert site.wait_for_certificate(), daemon.log()


def test_the_archive_has_all_that_the_readme_installs(tmp_path):
    servers.require_static()
    made = subprocess.run(
        [servers.ROOT / "packaging/static", "archive"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    with tarfile.open(servers.ROOT / made) as archive:
        archive.extractall(tmp_path, filter="data")
    [unpacked] = tmp_path.iterdir()

    version = subprocess.run([unpacked / "hairpin", "--version"], capture_output=True, text=True, check=True).stdout
    assert unpacked.name.startswith(f"hairpin-{version.split()[1]}-")
    for named in booted.readme_commands().split():
        if named.startswith(("config.toml", "packaging/", "systemd/")):
            assert (unpacked / named).exists(), named
    for name in ("man/hairpin.1", "completions/hairpin.bash", "LICENSE-MIT", "LICENSE-APACHE", "README.md"):
        assert (unpacked / name).exists(), name
