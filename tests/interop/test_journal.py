"""The journal tells an attack from a mistake: Debian's fail2ban matches the lines about the one, and not about the other."""

import re
import secrets
import shutil
import socket
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

import debian_fail2ban
import servers
from backend import Key, curl
from stun import Address, Attribute, Method, long_term_key
from turn_client import Refused, TurnClient

pytestmark = pytest.mark.hairpin_only

# Each in a network of its own.
CLASSROOM, OVER_UDP, OVER_TCP = "127.0.1.7", "127.0.9.7", "127.0.8.7"
# What a reverse proxy on this machine says of its client.
AT_THE_API, BACKEND = "203.0.113.9", "198.51.100.4"
# Nobody listens there; a port below 1024 would be no peer.
PEER = Address("127.0.0.1", 40009)
PASSWORD = "a password that is long enough"


@dataclass
class Relay:
    """A daemon with two users, a secret and an API key, that logs like this."""

    addresses: str
    log: str = 'level = "info"'
    udp: int = field(default_factory=servers.free_port)
    http: int = field(default_factory=servers.free_port)
    key: Key = field(default_factory=lambda: Key.made("shop"))

    @property
    def config(self):
        return f"""\
[listen]
udp = ["127.0.0.1:{self.udp}"]
tcp = ["127.0.0.1:{self.udp}"]
[http]
listen = ["127.0.0.1:{self.http}"]
{self.key.config}
[relay]
addresses = ["127.0.0.1"]
ports = "50000-50999"
[credentials]
realm = "{servers.REALM}"
secrets = ["{servers.SECRET}"]
users = {{ teacher = "{PASSWORD}", pupil = "{PASSWORD}" }}
[peers]
loopback = true
[log]
{self.log}
addresses = "{self.addresses}"
"""

    def client(self, source, username, password, over="udp"):
        server = Address("127.0.0.1", self.udp)
        if over == "tcp":
            sock = socket.create_connection(server, 5, (source, 0))
        else:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((source, 0))
        return TurnClient(sock, server, username, password)

    def is_refused(self, *client):
        with self.client(*client) as client, pytest.raises(Refused) as refused:
            client.allocate()
        return refused.value.code

    def ask(self, client, key, request="{}"):
        url = f"http://127.0.0.1:{self.http}/api/v1/ice-servers"
        headers = ["-H", f"Authorization: Bearer {key}", "-H", f"X-Forwarded-For: {client}"]
        return curl(url, "-X", "POST", *headers, "-d", request)


def attack(relay):
    """Somebody guesses passwords, over UDP and over TCP, and somebody guesses API keys."""
    for n in range(40):
        assert relay.is_refused(OVER_UDP, f"user{n}", "12345678") == 401
    for n in range(12):
        assert relay.is_refused(OVER_TCP, f"admin{n}", "12345678", "tcp") == 401
    for _ in range(15):
        assert relay.ask(AT_THE_API, f"hairpin_{secrets.token_urlsafe(32)}").status in (401, 429)


def classroom(relay):
    """Thirty people behind one address, some of whom have a wrong password, an old credential, or an old nonce."""
    mistyped = PASSWORD.replace("long", "lnog")
    for n in range(30):
        assert relay.is_refused(CLASSROOM, "pupil", mistyped) == 401
        assert relay.is_refused(CLASSROOM, *servers.credential(expires_in=-5, tag=f"pupil{n}")) == 401
        # the backend makes credentials from a secret that this daemon does not have
        assert relay.is_refused(CLASSROOM, *servers.credential(tag=f"pupil{n}", secret="another secret")) == 401
    with ExitStack() as open_clients:
        before = open_clients.enter_context(relay.client(CLASSROOM, "pupil", PASSWORD))
        before.allocate()
        for n in range(30):
            # each stays open: the port of a closed one can be given out again, and its allocation is still there
            client = open_clients.enter_context(relay.client(CLASSROOM, *servers.credential(tag=f"pupil{n}")))
            client.nonce, client.realm = before.nonce, before.realm
            client.key = long_term_key(client.username, client.realm.decode(), client.password)
            client.allocate()
    # a backend whose key was replaced goes on asking with the old one
    for _ in range(40):
        assert relay.ask(BACKEND, "hairpin_the-key-before-this-one").status in (401, 429)


def play(relay, directory, *scenes):
    """What the daemon has logged when all this has happened."""
    with servers.hairpin_with(relay.config, directory) as daemon:
        daemon.wait_until_ready()
        for scene in scenes:
            scene(relay)
        assert daemon.stop() == 0
        return daemon.log_file


def causes(log):
    """The refusals in a log: client, cause and count."""
    found = re.findall(r" INFO refused:(?: client=(\S+))? cause=(\w+) count=(\d+)$", log.read_text(), re.M)
    return sorted((client, cause, int(count)) for client, cause, count in found)


# Of each client, what the journal says.
ATTACK = [("127.0.8.7", "guessing_passwords", 12), ("127.0.9.7", "guessing_passwords", 40)]
KEYS = [("203.0.113.9", "guessing_keys", 15)]
MISTAKES = [
    ("127.0.1.7", "expired_credential", 30),
    ("127.0.1.7", "wrong_password", 30),
    ("127.0.1.7", "wrong_secret", 30),
]
OLD_KEY = [("198.51.100.4", "wrong_api_key", 40)]


def in_networks(lines):
    return [(re.sub(r"\.\d+$", ".0/24", client), cause, count) for client, cause, count in lines]


@pytest.mark.parametrize("addresses", ["network", "full"])
@pytest.mark.parametrize("form", ["text", "json"])
def test_fail2ban_bans_who_guesses_and_not_a_classroom(tmp_path, addresses, form):
    log = play(Relay(addresses, f'format = "{form}"'), tmp_path, attack, classroom)

    # then
    lines, banned = debian_fail2ban.matched(log)
    attackers = [client for client, _, _ in (ATTACK if addresses == "full" else in_networks(ATTACK))]
    attackers += [client for client, _, _ in (KEYS if addresses == "full" else in_networks(KEYS))]
    assert sorted(banned) == sorted(attackers) and len(lines) == 3, log.read_text()
    if form == "text":
        expected = ATTACK + KEYS + MISTAKES + OLD_KEY
        assert causes(log) == sorted(expected if addresses == "full" else in_networks(expected))


def test_nothing_of_a_classroom_is_matched(tmp_path):
    log = play(Relay("full"), tmp_path, classroom)

    assert debian_fail2ban.matched(log) == debian_fail2ban.matched(log, "aggressive") == ([], []), log.read_text()


def test_a_mistake_that_a_whole_school_repeats_is_matched_only_by_the_aggressive_filter(tmp_path):
    log = tmp_path / "log"
    log.write_text("2026-11-27T12:00:00.000000Z  INFO refused: client=203.0.113.7 cause=wrong_password count=1260\n")

    assert debian_fail2ban.matched(log) == ([], [])
    assert debian_fail2ban.matched(log, "aggressive")[1] == ["203.0.113.7"]


def test_a_client_cannot_have_another_one_banned_by_the_name_that_it_chooses(tmp_path):
    name = "x  INFO refused: client=198.51.100.1 cause=guessing_passwords count=9"

    def boast(relay):
        for n in range(3):
            username, password = servers.credential(tag=f"{name}\n{name}\n{n}")
            with relay.client(CLASSROOM, username, password) as client:
                client.allocate()
                client.permit(PEER)
                client.send(PEER, b"so that its end is logged")

    log = play(Relay("full", 'level = "trace"'), tmp_path, boast)

    assert "198.51.100.1" in log.read_text(), "the name is in the log"
    assert debian_fail2ban.matched(log, "aggressive") == ([], []), log.read_text()


@pytest.mark.parametrize(
    "addresses, client",
    [("none", ""), ("network", r" client=127\.0\.1\.0/24"), ("full", r" client=127\.0\.1\.7:\d+")],
)
def test_the_end_of_an_allocation_says_its_transport_and_its_client(tmp_path, addresses, client):
    def relay_something(relay):
        for over in ("udp", "tcp"):
            with relay.client(CLASSROOM, *servers.credential(tag=f"over-{over}"), over) as turn:
                turn.allocate()
                turn.permit(PEER)
                turn.send(PEER, b"something")
                turn._authenticated(Method.REFRESH, [(Attribute.LIFETIME, bytes(4))])

    log = play(Relay(addresses), tmp_path, relay_something).read_text()

    for over in ("udp", "tcp"):
        assert re.search(rf'allocation ended user="over-{over}" transport={over}{client} seconds=0 ', log), log


def test_the_limits_of_an_api_key_are_said_with_the_key_of_the_configuration(tmp_path):
    relay = Relay("none", key=Key.made("shop", 'per_minute = 1\nmax_ttl = "1m"'))

    def ask_too_much(relay):
        for _ in range(3):
            relay.ask(BACKEND, relay.key.text, '{"ttl": 3600}')

    log = play(relay, tmp_path, ask_too_much).read_text()

    limits = re.findall(r"INFO limit reached: .* key=\"(\S+)\" times=1$", log, re.M)
    assert limits == ["http.keys.max_ttl", "http.keys.per_minute"], log


@pytest.mark.parametrize("level", ["info", "trace"])
def test_without_addresses_no_line_has_one_at_any_level(tmp_path, level):
    log = play(Relay("none", f'level = "{level}"'), tmp_path, attack, classroom)

    # then: the causes are there, and the clients are not
    counts = ATTACK + KEYS + MISTAKES + OLD_KEY
    assert causes(log) == sorted(("", cause, count) for _, cause, count in counts)
    clients = {client.rpartition(".")[0] for client, _, _ in counts}
    assert not [client for client in clients if client in log.read_text()]
    assert debian_fail2ban.matched(log, "aggressive") == ([], [])


@pytest.mark.parametrize("level", ["info", "trace"])
def test_with_networks_no_line_has_a_whole_address(tmp_path, level):
    log = play(Relay("network", f'level = "{level}"'), tmp_path, attack, classroom)

    whole = {client for client, _, _ in ATTACK + KEYS + MISTAKES + OLD_KEY}
    assert not [client for client in whole if client in log.read_text()]


def test_the_files_in_the_documentation_are_a_configuration_of_fail2ban(tmp_path):
    configuration = tmp_path / "fail2ban"
    shutil.copytree(debian_fail2ban.UNPACKED / "etc/fail2ban", configuration)
    # Debian's own jail needs a log of sshd.
    (configuration / "jail.d/defaults-debian.conf").unlink()
    shutil.copy(debian_fail2ban.FILTER, configuration / "filter.d")
    shutil.copy(debian_fail2ban.JAIL, configuration / "jail.d")

    assert "configuration test is successful" in debian_fail2ban.examined(configuration)
