"""The oracle for our peer policy is right itself, by the slow and obvious way to ask the same question."""

import subprocess
import sys
from ipaddress import ip_address

import pytest

import peer_policy_oracle as oracle

DENIED = """
    169.254.169.254 169.254.169.253 169.254.170.2 100.100.100.200 192.0.0.192 168.63.129.16
    fd00:ec2::254 fd20:ce::254 fe80::a9fe:a9fe
    0.0.0.0 127.0.0.1 255.255.255.255 10.0.0.1 172.31.255.255 192.168.0.1 100.127.255.255
    :: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:8.8.8.8
    64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::7f00:1 2002:7f00:1:: 2001::1 2001:1ff::1 2001:db8::1
    2620:4f:8000::1 3ffe::1 3fff:fff::1 5f00::1 fc00::1 fec0::1 ff02::1 4000::1 1fff::1
    2a00::5efe:8.8.8.8 2a00::200:5efe:8.8.8.8
""".split()

ALLOWED = """
    8.8.8.8 1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 168.63.129.15 168.63.129.17 172.15.255.255
    172.32.0.0 192.0.1.0 192.0.3.0 198.17.255.255 198.20.0.0 203.0.112.255 203.0.114.0 223.255.255.255
    2000:: 2001:200:: 2001:4860:4860::8888 2001:db7:ffff:: 2001:db9:: 2003:: 2620:4f:7fff:: 2620:4f:8001::
    3ffd:: 3fff:1000:: 2a00::5eff:8.8.8.8 2a00::100:5efe:8.8.8.8
""".split()


@pytest.mark.parametrize(("address", "verdict"), [(a, False) for a in DENIED] + [(a, True) for a in ALLOWED])
def test_a_known_address_gets_its_verdict(address, verdict):
    assert oracle.permits(address) == verdict


def test_made_up_addresses_get_the_verdict_of_a_plain_search_through_the_tables():
    answer = ask("--random", "20000", "--seed", "7")

    pairs = [line.split() for line in answer.splitlines()]
    assert len(pairs) == 20000
    assert {verdict for _, verdict in pairs} == {"allow", "deny"}
    wrong = [(address, verdict) for address, verdict in pairs if plainly_permitted(address) != (verdict == "allow")]
    assert wrong == []


def test_both_ways_to_ask_agree_and_the_seed_decides():
    first = ask("--random", "3000", "--seed", "1")

    addresses = "".join(line.split()[0] + "\n" for line in first.splitlines())
    verdicts = "".join(line.split()[1] + "\n" for line in first.splitlines())
    assert ask(stdin=addresses) == verdicts
    assert ask("--random", "3000", "--seed", "1") == first
    assert ask("--random", "3000", "--seed", "2") != first


def plainly_permitted(text):
    address = ip_address(text)
    if address.version == 4:
        return not any(address in net for net in oracle.networks(oracle.IPV4_DENIED))
    identifier = int(address).to_bytes(16, "big")[8:]
    if identifier[:4] in (b"\0\0\x5e\xfe", b"\2\0\x5e\xfe"):
        return False
    is_global = any(address in net for net in oracle.networks(oracle.IPV6_PERMITTED))
    return is_global and not any(address in net for net in oracle.networks(oracle.IPV6_DENIED))


def ask(*arguments, stdin=""):
    command = [sys.executable, oracle.__file__, *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True).stdout
