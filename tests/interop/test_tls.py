"""What sslscan finds at our TLS ports: TLS 1.2 and 1.3 with authenticated encryption, and nothing weaker."""

import re
import subprocess
import xml.etree.ElementTree as xml

import pytest

import certificate
import servers

pytestmark = pytest.mark.hairpin_only

AUTHENTICATED = re.compile("GCM|CCM|CHACHA20[-_]POLY1305")
SCAN_LIMIT = 60


@pytest.fixture(scope="module", params=["the port of TLS alone", "the port that TLS shares with TCP"])
def findings(request, tmp_path_factory):
    shared = servers.free_port()
    plan = servers.Plan(port=shared, tcp=True, tls=shared + 1)
    with servers.running(plan, tmp_path_factory.mktemp("server")) as server:
        yield scan(server.ip, plan.tls if "alone" in request.param else shared)


def scan(ip, port):
    command = ["sslscan", "--no-colour", "--xml=-", f"--sni-name={certificate.NAME}", f"{ip}:{port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SCAN_LIMIT, check=True)
    return xml.fromstring(done.stdout).find("ssltest")


def test_tls_1_2_and_1_3_are_all_that_is_spoken(findings):
    spoken = {
        f"{found.get('type')} {found.get('version')}"
        for found in findings.iter("protocol")
        if found.get("enabled") == "1"
    }

    assert spoken == {"tls 1.2", "tls 1.3"}


def test_every_cipher_is_an_authenticated_one_with_forward_secrecy(findings):
    ciphers = {(found.get("sslversion"), found.get("cipher")) for found in findings.iter("cipher")}

    assert {version for version, _ in ciphers} == {"TLSv1.2", "TLSv1.3"}
    weak = [name for _, name in ciphers if not AUTHENTICATED.search(name) or not name.startswith(("TLS_", "ECDHE-"))]
    assert weak == []


def test_nobody_may_renegotiate(findings):
    assert [found.get("supported") for found in findings.iter("renegotiation")] == ["0"]


def test_there_is_no_heartbleed(findings):
    tried = [found.get("vulnerable") for found in findings.iter("heartbleed")]

    assert tried and set(tried) == {"0"}
