"""The image that packaging/docker/Dockerfile makes has nothing but Hairpin, and relays calls as its compose files say.

podman builds it by all steps of the Dockerfile, in which a program takes the place of cargo: it brings the static program that
is there already. podman-compose stands for `docker compose`.
"""

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
import yaml

import booted
import certificate
import natlab
import podman as debian
import servers
import uclient
from booted import ADDRESS, wait_until
from stun import Address

pytestmark = [pytest.mark.hairpin_only, pytest.mark.static_program]

DOCKER = servers.ROOT / "packaging/docker"
COMPOSE, PORTS = DOCKER / "compose.yaml", DOCKER / "compose.ports.yaml"
USER = 65532
CONTAINER = "hairpin"
START_LIMIT = 10
# two clients with two sessions each; each sends one packet for every 20 ms of 10 s of audio, in less time
CALL, PACKETS = ("-y", "-s", "-m", 2, "-n", 500, "-z", 5, "-l", 160), 4 * 500
CARGO = """\
#!/bin/sh
exec install -D /hairpin target/release/hairpin
"""


@pytest.fixture(scope="module")
def host():
    """The network of a machine on which nobody needs a privilege for port 443, as docs/operating.md says."""
    with booted.network("docker") as name:
        command = ["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=443"]
        subprocess.run(command, check=True)
        yield name


@pytest.fixture(scope="module")
def podman(host, tmp_path_factory):
    servers.require_static()
    booted.require("bookworm")
    with debian.running(tmp_path_factory.mktemp("podman"), host) as podman:
        make_base(podman)
        podman.build("hairpin", DOCKER / "Dockerfile", servers.ROOT, RUST="localhost/rust")
        yield podman


def make_base(podman):
    """An image that the Dockerfile takes for one with Rust."""
    root = podman.directory / "base"
    root.mkdir()
    booted.extract("bookworm", root)
    shutil.copy(servers.STATIC, root / "hairpin")
    cargo = root / "usr/local/bin/cargo"
    cargo.write_text(CARGO)
    cargo.chmod(0o755)
    (podman.directory / "Containerfile").write_text("FROM scratch\nCOPY . /\n")
    podman.build("rust", podman.directory / "Containerfile", root)
    shutil.rmtree(root)


@pytest.fixture
def settings(tmp_path):
    """A second compose file, with what a machine has besides: its secret and its certificate."""
    secret = tmp_path / "secret"
    secret.write_text(servers.SECRET)
    files = [secret]
    for source in certificate.made():
        files.append(tmp_path / source.name)
        shutil.copy(source, files[-1])
    for file in files:
        os.chown(file, USER, USER)
        file.chmod(0o400)
    service = {
        "container_name": CONTAINER,
        "environment": {
            "HAIRPIN_LISTEN__TLS": f'["{ADDRESS}:443"]',
            "HAIRPIN_TLS__CERTIFICATE": "/etc/hairpin/chain.pem",
            "HAIRPIN_TLS__KEY": "/etc/hairpin/key.pem",
            "HAIRPIN_USAGE__PATH": "auto",
        },
        "volumes": [f"{file}:/etc/hairpin/{file.name}:ro" for file in files[1:]],
    }
    file = tmp_path / "compose.override.yaml"
    file.write_text(yaml.safe_dump({"services": {"hairpin": service}, "secrets": {"hairpin": {"file": str(secret)}}}))
    return file


def test_the_image_has_the_program_and_root_certificates_and_nothing_else(podman):
    root = podman.files("hairpin")
    found = {str(file.relative_to(root)): file for file in root.rglob("*")}

    assert {name for name, file in found.items() if not file.is_dir()} == {
        "usr/bin/hairpin",
        "etc/ssl/certs/ca-certificates.crt",
    }
    assert {found[name].stat().st_uid for name in ("usr/bin/hairpin", "etc/ssl/certs/ca-certificates.crt")} == {0}
    assert {found[name].stat().st_uid for name in ("run/hairpin", "var/lib/hairpin")} == {USER}


def test_a_call_is_relayed_by_an_unprivileged_program_that_ends_when_told(podman, host, settings):
    files = COMPOSE, settings

    podman.compose(files, "up", "--detach", "--no-build")

    wait_until(lambda: is_healthy(podman), START_LIMIT, "the health check of the image succeeds")
    run = uclient.run(Address(ADDRESS, 3478), *CALL, namespace=host)
    assert run.code == 0, str(run)
    assert run.sent == run.received == PACKETS and run.lost == 0, str(run)
    assert shakes_hands(host, 443)
    state = podman.inspect(CONTAINER)
    privileges = status(state["State"]["Pid"])
    assert {privileges[name] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (privileges["NoNewPrivs"], privileges["Seccomp"]) == ("1", "2")
    assert set(privileges["Uid"].split()) == set(privileges["Gid"].split()) == {str(USER)}
    assert root_is_read_only(state["State"]["Pid"])
    assert "usage.db" in os.listdir(volume(podman))

    podman.compose(files, "stop")

    ended = podman.inspect(CONTAINER)["State"]
    assert (ended["Running"], ended["ExitCode"]) == (False, 0), podman("logs", CONTAINER).stderr


@pytest.mark.parametrize("file", [COMPOSE, PORTS], ids=lambda file: file.name)
def test_the_settings_of_the_compose_files_are_valid(file, tmp_path):
    text = file.read_text()
    # what a user writes who wants what the comments offer
    uncommented = re.sub(r"^( +)# (HAIRPIN_)", r"\1\2", text, flags=re.MULTILINE)
    for version in {text, uncommented}:
        service = yaml.safe_load(version)["services"]["hairpin"]
        environment = {**service["environment"], "HAIRPIN_CREDENTIALS__SECRETS_FILE": str(tmp_path / "secret")}
        (tmp_path / "secret").write_text(servers.SECRET)
        (tmp_path / "secret").chmod(0o400)
        (tmp_path / "config.toml").touch()
        command = [servers.HAIRPIN, "check-config", tmp_path / "config.toml"]
        done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert servers.warnings(done.stdout) == []


def test_the_port_map_has_the_ports_of_the_relay():
    service = yaml.safe_load(PORTS.read_text())["services"]["hairpin"]
    relay = service["environment"]["HAIRPIN_RELAY__PORTS"]

    assert f"{relay}:{relay}/udp" in service["ports"]


def is_healthy(podman):
    return podman("healthcheck", "run", CONTAINER, check=False).returncode == 0


def shakes_hands(host, port):
    """Whether a client gets TLS at this port."""
    with natlab.inside(host):
        sock = socket.create_connection((ADDRESS, port), 5)
    with certificate.client_context().wrap_socket(sock, server_hostname=certificate.NAME) as tls:
        return tls.version() == "TLSv1.3"


def status(pid):
    """The lines of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def root_is_read_only(pid):
    lines = [line.split() for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]
    return next("ro" in line[5].split(",") for line in lines if line[4] == "/")


def volume(podman):
    """Where the volume of the state is on this machine."""
    mounts = podman.inspect(CONTAINER)["Mounts"]
    return next(mount["Source"] for mount in mounts if mount["Destination"] == "/var/lib/hairpin")
