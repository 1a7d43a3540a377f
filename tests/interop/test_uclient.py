"""Debian's turnutils_uclient, made for coturn, loses no packet through our server, whatever mode it is in.

Its `-e PEER` also decides the relay's address family, so `-X` and `-x` mean something only with `-y` (client to
client). Unless told otherwise, it asks for a pair of ports (EVEN-PORT, RESERVATION-TOKEN) and uses both (RTP, RTCP).
`-t` is TCP, `-t -S` TLS, and `-T` a TCP relay too (RFC 6062).
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

import servers
import uclient
from stun import Address
from turn_client import TCP, UDP, Refused, TurnClient

MESSAGES = 20


@dataclass(frozen=True)
class Mode:
    """Flags of uclient, and what it is to do with them."""

    flags: str
    server: str = "127.0.0.1"
    peer: str | None = "127.0.0.1"
    sessions: int = 2
    messages: int = MESSAGES
    relays: str = "IPv4"

    def __str__(self):
        return f"{self.flags or 'default'} {self.server} -> {self.peer or 'client'}"


MODES = [
    Mode(""),  # channels
    Mode("", server="::1"),
    Mode("-s"),  # Send and Data indications
    Mode("-y", peer=None, sessions=4),  # relay to relay
    Mode("-y -s", peer=None, sessions=4),
    Mode("-y -X", server="::1", peer=None, sessions=4),  # asks for an IPv4 relay by name
    Mode("-y -x", peer=None, sessions=4, relays="IPv6"),  # asks for an IPv6 relay
    Mode("-x", server="::1", peer="::1", relays="IPv6"),
    # both families in one allocation, by the number that ADDITIONAL-ADDRESS-FAMILY had in a draft (0x8032), and a
    # Refresh that names one of the two, or none
    Mode("-Z", sessions=1),
    Mode("-Z", peer="::1", sessions=1, relays="IPv6"),
    Mode("-g"),  # DONT-FRAGMENT in Allocate
    Mode("-g -s"),  # and in every Send indication
    Mode("-D -l 101"),  # ChannelData padded to four bytes over UDP too, with a length that needs it
    Mode("-G"),  # more channels and permissions than it needs, most of them for peers we refuse
    Mode("-G -y -s", peer=None, sessions=4),
    Mode("-t"),
    Mode("-t", server="::1"),
    Mode("-t -s"),
    Mode("-t -l 101"),
    Mode("-t -y", peer=None, sessions=4),
    Mode("-t -y -x", server="::1", peer=None, sessions=4, relays="IPv6"),
    Mode("-t -m 20 -z 5", sessions=20, messages=1000),
    # RFC 6062, client to client: one sends Connect, the other one hears ConnectionAttempt, and both ConnectionBind
    Mode("-T", peer=None),
    Mode("-T", server="::1", peer=None),
    Mode("-T -x", peer=None, relays="IPv6"),
]
LENGTH = 1000
TLS_MODES = [
    Mode("-t -S"),
    Mode("-t -S", server="::1"),
    Mode("-t -S -s"),
    Mode("-t -S -y", peer=None, sessions=4),
    Mode("-t -S -m 20", sessions=20, messages=200),
    Mode("-T -S", peer=None),
    Mode("-T -S", server="::1", peer=None),
]
# RFC 6062 with a peer that is no client, but connects to the relay by itself
A_PEER_CONNECTS = [Mode("-P", peer=None), Mode("-P -x", server="::1", peer=None, relays="IPv6")]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    plan = servers.Plan(tcp=True, relay_tcp=True)
    with servers.running(plan, tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture(scope="module")
def peers():
    with uclient.echo_peer("127.0.0.1") as on_ipv4, uclient.echo_peer("::1") as on_ipv6:
        yield {"127.0.0.1": on_ipv4, "::1": on_ipv6}


@pytest.fixture(scope="module")
def runs(request, server, peers):
    """The run of every mode that a test was chosen for, all started together: uclient mostly waits, up to 15 s."""
    own = [item for item in request.session.items if item.path == request.path]
    chosen = [item.callspec.params["mode"] for item in own if "runs" in item.fixturenames]

    def start(mode):
        target = ("-e", mode.peer, "-r", peers[mode.peer]) if mode.peer else ()
        length = ("-l", LENGTH) if mode in TLS_MODES else ()
        flags = (*mode.flags.split(), "-v", "-n", mode.messages, *length, *target)
        return uclient.run(Address(mode.server, server.port), *flags)

    with ThreadPoolExecutor(len(chosen)) as pool:
        yield {mode: pool.submit(start, mode) for mode in chosen}


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_no_packet_is_lost(mode, runs):
    run = runs[mode].result()

    assert run.code == 0, str(run)
    assert run.sent == run.received == mode.messages * mode.sessions, str(run)
    assert (run.lost, run.dropped) == (0, 0), str(run)
    assert mode.relays in run.relay_families, str(run)


@pytest.mark.parametrize("mode", TLS_MODES, ids=str)
def test_no_packet_is_lost_over_tls(mode, runs):
    run = runs[mode].result()

    assert run.code == 0, str(run)
    assert run.sent == run.received_over_tls(LENGTH) == mode.messages * mode.sessions, str(run)
    assert run.dropped == 0, str(run)
    assert mode.relays in run.relay_families, str(run)


@pytest.mark.parametrize("mode", A_PEER_CONNECTS, ids=str)
def test_everything_arrives_that_a_peer_sends_on_a_connection_of_its_own(mode, runs):
    run = runs[mode].result()

    # uclient counts what its peer sends, and not what its peer receives
    assert run.code == 0, str(run)
    assert (run.sent, run.received, run.dropped) == (2 * MESSAGES, MESSAGES, 0), str(run)
    assert mode.relays in run.relay_families, str(run)


@pytest.fixture(scope="module")
def server_without_tcp_relays(tmp_path_factory):
    with servers.running(servers.Plan(tcp=True), tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.mark.parametrize("flags", ["-T", "-T -S"])
def test_a_tcp_relay_is_refused_with_442_unless_the_operator_wants_it(flags, server_without_tcp_relays):
    run = uclient.run(server_without_tcp_relays, *flags.split(), "-v")

    assert run.code not in (0, None), str(run)
    assert "error 442" in run.output, str(run)
    connect = TurnClient.over_tls if "-S" in flags else TurnClient.over_tcp
    assert refusal(server_without_tcp_relays, *servers.credential(), connect, TCP) == 442


def test_a_tcp_relay_is_refused_over_udp(server):
    """RFC 6062 §5.1: 400, for the client could never hear of its connections."""
    assert refusal(server, *servers.credential(), transport=TCP) == 400


def test_a_hundred_clients_with_a_thousand_messages_each_lose_no_packet(server, peers):
    flags = ("-m", 100, "-n", 1000, "-z", 5, "-e", "127.0.0.1", "-r", peers["127.0.0.1"])

    run = uclient.run(server, *flags, limit=120)

    assert run.code == 0, str(run)
    assert run.sent == run.received == 100_000, str(run)
    assert (run.lost, run.dropped) == (0, 0), str(run)


def test_a_wrong_secret_ends_in_401(server):
    wrong = "not-the-secret-of-the-server-at-all"

    run = uclient.run(server, "-y", login=("-u", servers.TAG, "-W", wrong))

    assert run.code not in (0, None), str(run)
    assert "Cannot complete Allocation" in run.output, str(run)
    assert refusal(server, *servers.credential(secret=wrong)) == 401


def test_an_expired_credential_ends_in_401_though_its_password_is_right(server):
    username, password = servers.credential(expires_in=-60)

    run = uclient.run(server, "-y", login=("-u", username, "-w", password))

    assert run.code not in (0, None), str(run)
    assert "Cannot complete Allocation" in run.output, str(run)
    assert refusal(server, username, password) == 401


def refusal(server, username, password, connect=TurnClient.over_udp, transport=UDP):
    """The error code of an Allocate under this credential; uclient does not print it."""
    with connect(server, username, password) as client, pytest.raises(Refused) as refused:
        client.allocate(transport=transport)
    return refused.value.code


# Flags under which uclient misbehaves, and how often to run it; the best run counts. -R damages a tenth of what uclient
# sends, and a damaged request is sent again as it is, so that run is stuck: about four in ten get through.
ABUSES = {"-N": 1, "-N -y": 1, "-M": 1, "-M -y": 1, "-R -c": 20}
ABUSE_LIMIT = 12


@pytest.fixture(scope="module")
def contest(tmp_path_factory, peers):
    """All runs of all abuses against our server and against Debian's coturn, started together."""

    def start(server, flags):
        target = () if "-y" in flags else ("-e", "127.0.0.1", "-r", peers["127.0.0.1"])
        return uclient.run(server, *flags.split(), "-n", 5, *target, limit=ABUSE_LIMIT)

    with ExitStack() as stack:
        stands = {
            who: stack.enter_context(servers.running(servers.Plan(), tmp_path_factory.mktemp(who), which))
            for who, which in (("ours", None), ("coturn", "coturn"))
        }
        with ThreadPoolExecutor(2 * sum(ABUSES.values())) as pool:
            started = {
                (who, flags): [pool.submit(start, server, flags) for _ in range(times)]
                for who, server in stands.items()
                for flags, times in ABUSES.items()
            }
        yield stands["ours"], {which: [run.result() for run in runs] for which, runs in started.items()}


@pytest.mark.parametrize("flags", ABUSES)
def test_a_client_that_breaks_the_rules_ends_no_worse_than_with_debians_coturn(flags, contest):
    _, runs = contest

    ours, coturns = (min(runs[who, flags], key=lambda run: run.badness) for who in ("ours", "coturn"))

    assert ours.badness <= coturns.badness, f"ours: {ours}\n\ncoturn: {coturns}"


def test_clients_that_break_the_rules_leave_the_server_as_good_as_before(contest, peers):
    server, _ = contest

    run = uclient.run(server, "-e", "127.0.0.1", "-r", peers["127.0.0.1"])

    assert (run.code, run.lost, run.dropped) == (0, 0, 0), str(run)
    assert run.sent == run.received == 10, str(run)
