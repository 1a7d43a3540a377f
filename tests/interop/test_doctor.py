"""`hairpin doctor` names what is wrong in its first FAIL line, and nothing where nothing is wrong."""

import json
import subprocess
import time
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import certificate
import debian_faketime
import natlab
import servers
from servers import HAIRPIN, Plan, free_port

pytestmark = pytest.mark.hairpin_only

HOUR = 3600
OUTSIDER = "hostA"


class Installation:
    """A daemon and its configuration, and what the doctor says of it."""

    def __init__(self, directory, plan, more=""):
        self.directory, self.namespace = directory, plan.namespace
        self.admin = directory / "admin.sock"
        self.config = plan.hairpin_config() + f'\n[admin]\nlisten = ["{self.admin}"]\n{more}'
        self.file = directory / "config.toml"

    @contextmanager
    def running(self, environment=None):
        with servers.hairpin_with(self.config, self.directory, self.namespace, environment) as daemon:
            self.file.chmod(0o600)
            daemon.wait_until_ready()
            yield daemon
            daemon.stop()

    def findings(self, *words, namespace=None, file=None):
        """The doctor's findings; `words` are its arguments."""
        namespace = namespace or self.namespace
        inside = ["ip", "netns", "exec", namespace] if namespace else []
        command = [*inside, HAIRPIN, "doctor", "--json", "--config", file or self.file, "--admin", self.admin]
        stun = [] if "--stun" in words else ["--stun", ""]
        done = subprocess.run([*command, *stun, *words], capture_output=True, text=True)
        found = json.loads(done.stdout)["findings"]
        assert done.returncode == (1 if any(one["level"] == "FAIL" for one in found) else 0), done.stderr
        return found

    def first_failure(self, *words, **where):
        found = self.findings(*words, **where)
        failures = [f"{one['subject']}: {one['text']}" for one in found if one["level"] == "FAIL"]
        assert failures, found
        return failures[0]


@pytest.fixture(scope="module")
def lab():
    with natlab.Lab("open", "open") as lab:
        yield lab


def in_lab(directory):
    """A server with peers outside that it may reach."""
    plan = Plan(
        listen=("203.0.113.10",),
        tcp=True,
        namespace=natlab.namespace("srv"),
        loopback_peers=False,
        allowed_peers=("10.10.0.0/16", "203.0.113.0/24"),
    )
    return Installation(directory, plan)


@contextmanager
def firewall(*rules):
    """nftables on the server of the lab, which lets everything in but what `rules` say."""
    lines = ["type filter hook input priority 0", "iifname lo accept", *rules]
    text = "table inet doctor {\nchain input {\n" + ";\n".join(lines) + ";\n}\n}\n"
    namespace = natlab.namespace("srv")
    nft = ["ip", "netns", "exec", namespace, "nft"]
    subprocess.run([*nft, "-f", "-"], input=text, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run([*nft, "delete", "table", "inet", "doctor"], check=True)


def test_nothing_fails_where_nothing_is_wrong(tmp_path, lab):
    installation = in_lab(tmp_path)
    with installation.running():
        here = installation.findings()
        outside = installation.findings("--server", "203.0.113.10", namespace=natlab.namespace(OUTSIDER))

    for found in (here, outside):
        assert {one["level"] for one in found} <= {"OK", "WARN", "SKIP"}, found
        tried = [one["subject"].split()[0] for one in found if one["text"].startswith("allocated")]
        assert tried == ["UDP", "TCP", "TLS"], found
        assert {one["subject"] for one in found if one["level"] == "OK"} >= {"relaying"}, found
    assert [one["text"] for one in outside if one["subject"] == "relay ports"] == ["packets from here come in at 8 of 8"]


def test_a_wrong_public_address(tmp_path):
    directory = tmp_path / "other"
    directory.mkdir()
    installation = Installation(tmp_path, Plan(listen=("127.0.0.1",), public="127.0.0.9"))
    with servers.running(Plan(listen=("127.0.0.2",)), directory) as stun, installation.running():
        failure = installation.first_failure("--stun", f"{stun.ip}:{stun.port}")

    assert failure == "public address: the public address of 127.0.0.1 is 127.0.0.1, but clients are told 127.0.0.9"


def test_a_firewall_in_front_of_the_relay_ports(tmp_path, lab):
    installation = in_lab(tmp_path)
    with installation.running(), firewall("udp dport 50000-59999 drop"):
        here = installation.first_failure()
        outside = installation.first_failure("--server", "203.0.113.10", namespace=natlab.namespace(OUTSIDER))

    assert here == "firewall: this machine's firewall closes 50000:59999/udp"
    assert outside.startswith("relay ports: packets from here come in at none of 8")


def test_an_expired_certificate(tmp_path, lab):
    chain, key = expiring(tmp_path, seconds=4)
    installation = in_lab(tmp_path)
    made = certificate.made()
    installation.config = installation.config.replace(str(made.chain), str(chain)).replace(str(made.key), str(key))
    with installation.running():
        # it is valid during the whole of its last second
        end = x509.load_pem_x509_certificate(chain.read_bytes()).not_valid_after_utc.timestamp() + 1
        while time.time() < end:
            time.sleep(0.1)
        failure = installation.first_failure()

    assert failure.startswith("certificate: "), failure
    assert "expired" in failure, failure


def test_another_secret(tmp_path):
    installation = Installation(tmp_path, Plan(listen=("127.0.0.1",)))
    other = tmp_path / "other.toml"
    other.write_text(installation.config.replace(servers.SECRET, servers.SECRET[::-1]))
    other.chmod(0o600)
    with installation.running():
        failure = installation.first_failure(file=other)

    assert failure.endswith("the server does not accept the credential")


def test_a_closed_tcp_port(tmp_path, lab):
    installation = in_lab(tmp_path)
    port = installation.config.split('tcp = ["203.0.113.10:')[1].split('"')[0]
    with installation.running(), firewall(f"tcp dport {port} drop"):
        here = installation.first_failure()
        outside = installation.first_failure("--server", "203.0.113.10", namespace=natlab.namespace(OUTSIDER))

    assert here == f"firewall: this machine's firewall closes {port}/tcp"
    assert outside == f"TCP 203.0.113.10:{port}: nothing answers"


@pytest.mark.parametrize(("ahead", "says"), [(HOUR, "ahead of"), (-HOUR, "behind")])
def test_a_clock_that_is_an_hour_off(tmp_path, ahead, says):
    installation = Installation(tmp_path, Plan(listen=("127.0.0.1",), http=free_port()))
    clock = debian_faketime.Clock(tmp_path / "clock")
    clock.set(ahead)
    with installation.running(environment=clock.environment):
        failure = installation.first_failure()

    assert failure.startswith("daemon's clock: it is "), failure
    assert f"{says} this machine's" in failure, failure


def test_a_limit_of_64_files(tmp_path):
    installation = Installation(tmp_path, Plan(listen=("127.0.0.1",)))
    with limited(installation, files=64):
        failure = installation.first_failure()

    assert failure == "open files: the daemon may have only 64, and each allocation takes one"


def test_a_port_of_another_program(tmp_path):
    plan = Plan(listen=("127.0.0.1",), tcp=True)
    installation = Installation(tmp_path, plan)
    installation.file.write_text(installation.config)
    installation.file.chmod(0o600)
    server = ["python3", "-m", "http.server", "--bind", "127.0.0.1", str(plan.port)]
    other = subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while servers._is_free(servers.socket.AF_INET, servers.socket.SOCK_STREAM, plan.port):
            assert other.poll() is None
            time.sleep(0.05)
        failure = installation.first_failure()
    finally:
        other.kill()
        other.wait()

    assert failure == f"TCP port {plan.port}: it belongs to another program: python3 (process {other.pid})"


def expiring(directory, seconds):
    """A certificate that is valid for a few seconds more, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, certificate.NAME)])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(seconds=seconds))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(certificate.NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, file = directory / "expiring.pem", directory / "expiring.key"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file.write_bytes(key.private_bytes(*encoding))
    return chain, file


@contextmanager
def limited(installation, files):
    """The daemon, with so many open files."""
    installation.file.write_text(installation.config)
    installation.file.chmod(0o600)
    command = ["prlimit", f"--nofile={files}:{files}", HAIRPIN, "--config", installation.file]
    with servers.Daemon(command, installation.directory) as daemon:
        daemon.wait_until_ready()
        yield
        daemon.stop()
