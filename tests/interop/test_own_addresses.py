"""No client reaches the server's own machine or its neighbours, whatever its addresses become, but what is opened."""

import socket
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest

import natlab
import servers
from deny_family import deny_family
from natlab import Lab
from stun import Address
from turn_client import DEFAULT_WAIT, TCP, Refused, TurnClient

pytestmark = pytest.mark.hairpin_only

SERVER = natlab.SERVER_ADDRESSES[0]
LATER = "203.0.113.77"
# A public network: nothing in it is special, and nobody in a natlab is there by itself.
NEIGHBOUR, IN_THE_SAME_NETWORK = "9.9.9.1", "9.9.9.10/24"
PUBLIC = "192.0.2.10"
CHANNEL = 0x4000
# from an address's coming or going until it counts
FOLLOWED_WITHIN = 2
STOP, MARK = b"stop", b"mark"
EX_OSERR = 71  # of sysexits.h


@pytest.fixture(scope="module")
def lab():
    with Lab("cone", "cone") as lab:
        yield lab


@contextmanager
def server(directory, **plan):
    plan = servers.Plan(listen=(SERVER,), namespace=natlab.namespace("srv"), loopback_peers=False, **plan)
    with servers.running(plan, directory) as server:
        yield server


@contextmanager
def client_of(lab, server):
    with lab.socket("hostA") as sock:
        client = TurnClient(sock, server, *servers.credential())
        client.sock.bind(("0.0.0.0", 0))
        client.allocate()
        yield client


class Echo:
    """A service on the server's machine, or another, that sends everything back and remembers it."""

    def __init__(self, lab, port, ip="0.0.0.0", host="srv"):
        self.sock, self.marker = lab.socket(host), lab.socket(host)
        self.sock.bind((ip, port))
        self.marker.settimeout(DEFAULT_WAIT)
        self.address = ("127.0.0.1" if ip == "0.0.0.0" else ip, port)
        self.heard = []
        self.thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.marker.sendto(STOP, self.address)
        self.thread.join()
        self.sock.close()
        self.marker.close()

    def _serve(self):
        while (packet := self.sock.recvfrom(2000))[0] != STOP:
            if packet[0] != MARK:
                self.heard.append(packet[0])
            self.sock.sendto(*packet)

    def heard_by_now(self):
        """Everything that had arrived when this was called."""
        self.marker.sendto(MARK, self.address)
        assert self.marker.recv(2000) == MARK
        return list(self.heard)


@contextmanager
def address_on_the_server(address):
    natlab.ip("srv", "addr", "add", address, "dev", "eth0")
    try:
        yield
    finally:
        natlab.ip("srv", "addr", "del", address, "dev", "eth0")


def code_of(ask, *words):
    """The error code of the answer, or None."""
    try:
        ask(*words)
    except Refused as refused:
        return refused.code
    return None


def becomes(code, ask, *words):
    """Whether the answer becomes this one soon enough."""
    end = time.monotonic() + FOLLOWED_WITHIN
    while time.monotonic() < end:
        if code_of(ask, *words) == code:
            return True
    return False


def is_echoed(client, peer, data):
    """Whether what is sent to `peer` in an indication comes back, from there."""
    client.permit(peer)
    client.send(peer, data)
    try:
        news = client.receive(DEFAULT_WAIT)
    except TimeoutError:
        return False
    return (news.peer, news.data) == (peer, data)


def test_an_address_that_comes_later_is_closed_at_once_and_open_again_when_it_is_gone(lab, tmp_path):
    peer = Address(LATER, 20000)
    with (
        server(tmp_path, allowed_peers=("203.0.113.0/24",)) as address,
        client_of(lab, address) as client,
        Echo(lab, 20000) as service,
    ):
        # given: it is somebody else's
        client.bind(CHANNEL, peer)

        # when
        with address_on_the_server(f"{LATER}/24"):
            # then
            assert becomes(403, client.permit, peer), "a permission"
            assert code_of(client.bind, CHANNEL, peer) == 403
            assert code_of(client.bind, CHANNEL + 1, Address(LATER, client.server.port)) == 403, "our own listener"
            # and what was bound before carries nothing more
            client.send_on_channel(CHANNEL, b"on the old channel")
            client.send(peer, b"by the old permission")
            # what is answered later was read later
            client.binding()
            assert service.heard_by_now() == []

        # and when it is gone
        assert becomes(None, client.permit, peer)
        client.bind(CHANNEL, peer)


@pytest.mark.parametrize("allowed", [(), ("9.9.9.0/24",)], ids=["closed by default", "opened"])
def test_neighbours_in_a_public_network_are_for_the_operator_to_open(lab, tmp_path, allowed):
    neighbour = Address(NEIGHBOUR, 20000)
    natlab.ip("inet", "addr", "add", f"{NEIGHBOUR}/24", "dev", "br0")
    try:
        with address_on_the_server(IN_THE_SAME_NETWORK), server(tmp_path, allowed_peers=allowed) as address:
            with client_of(lab, address) as client, Echo(lab, 20000, NEIGHBOUR, "inet"):
                if not allowed:
                    assert code_of(client.permit, neighbour) == 403
                    assert code_of(client.permit, Address("9.9.8.1", 20000)) is None, "the next network"
                else:
                    assert is_echoed(client, neighbour, b"hello")
                    assert code_of(client.bind, CHANNEL, Address("9.9.9.10", 20000)) == 403, "our own address in it"
    finally:
        natlab.ip("inet", "addr", "del", f"{NEIGHBOUR}/24", "dev", "br0")


@pytest.fixture(params=["with a public address", "behind a 1:1 NAT"])
def addresses(request):
    """By which the server's machine is known."""
    return [SERVER, PUBLIC] if "NAT" in request.param else [SERVER]


@pytest.fixture
def relay(lab, addresses, tmp_path):
    """A server beside which there is an SFU."""
    public = PUBLIC if PUBLIC in addresses else None
    with server(tmp_path, public=public, allowed_own=("10000/udp",), tcp=True) as address, Echo(lab, 10000):
        yield address


def test_an_sfu_on_the_same_machine_is_reached_at_the_opened_port_alone(lab, relay, addresses):
    with Echo(lab, 10001) as beside:
        for ip in addresses:
            with client_of(lab, relay) as client:
                assert is_echoed(client, Address(ip, 10000), b"in an indication"), ip
                for closed in (10001, relay.port, client.relayed.port ^ 1, 22):
                    assert code_of(client.bind, CHANNEL, Address(ip, closed)) == 403, (ip, closed)
                client.send(Address(ip, 10001), b"to the port beside it")
                client.binding()
        assert beside.heard_by_now() == []


def test_an_sfu_answers_by_the_address_that_its_client_chose(lab, relay, addresses):
    for ip in addresses:
        with client_of(lab, relay) as client:
            # given: permissions for all of its candidates, as browsers ask for
            client.permit(*(Address(known, 10000) for known in addresses))
            client.bind(CHANNEL, Address(ip, 10000))

            client.send_on_channel(CHANNEL, b"on a channel")
            news = client.receive()

            assert (news.channel, news.data) == (CHANNEL, b"on a channel"), ip


def test_two_clients_still_meet_relay_to_relay_beside_an_sfu(lab, relay):
    with client_of(lab, relay) as alice, client_of(lab, relay) as bob:
        alice.permit(bob.relayed)
        bob.permit(alice.relayed)

        alice.send(bob.relayed, b"hello")
        news = bob.receive()

        assert (news.peer, news.data) == (alice.relayed, b"hello")


@contextmanager
def tcp_peer(lab, host, address):
    """Somebody who waits for one connection; yields a function that returns it."""
    with lab.socket(host, kind=socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
        listener.settimeout(DEFAULT_WAIT)
        yield lambda: listener.accept()[0]


def over_tcp(lab, server, credential):
    return TurnClient(lab.connect("hostA", server, DEFAULT_WAIT), server, *credential)


@contextmanager
def bridge(lab, server, peer, accept):
    """A TCP connection with a peer: the client's end, and the peer's."""
    credential = servers.credential()
    with over_tcp(lab, server, credential) as client, over_tcp(lab, server, credential) as data:
        client.allocate(transport=TCP)
        name = client.connect(peer)
        with accept() as theirs:
            yield client, data.become_connection(name), theirs


def test_an_opened_tcp_port_on_the_same_machine_is_reached(lab, tmp_path):
    plan = {"tcp": True, "relay_tcp": True, "allowed_own": ("4443/tcp",)}
    with server(tmp_path, **plan) as address, tcp_peer(lab, "srv", (SERVER, 4443)) as accept:
        with bridge(lab, address, Address(SERVER, 4443), accept) as (client, ours, theirs):
            ours.sendall(b"over TCP")
            assert theirs.recv(100) == b"over TCP"
            for closed in (4444, address.port):
                assert code_of(client.connect, Address(SERVER, closed)) == 403


def test_a_tcp_connection_with_an_address_that_becomes_our_own_ends(lab, tmp_path):
    natlab.ip("inet", "addr", "add", f"{NEIGHBOUR}/32", "dev", "br0")
    try:
        with server(tmp_path, tcp=True, relay_tcp=True) as address:
            with tcp_peer(lab, "inet", (NEIGHBOUR, 20000)) as accept:
                with bridge(lab, address, Address(NEIGHBOUR, 20000), accept) as (client, ours, theirs):
                    ours.sendall(b"hello")
                    assert theirs.recv(100) == b"hello"

                    with address_on_the_server(f"{NEIGHBOUR}/32"):
                        ours.settimeout(FOLLOWED_WITHIN)
                        assert ours.recv(100) == b"", "the client's end is closed"
                        assert code_of(client.connect, Address(NEIGHBOUR, 20000)) == 403
    finally:
        natlab.ip("inet", "addr", "del", f"{NEIGHBOUR}/32", "dev", "br0")


def test_a_server_that_cannot_know_its_addresses_does_not_start(tmp_path):
    (tmp_path / "config.toml").write_text(servers.Plan().hairpin_config())
    command = [servers.HAIRPIN, "--config", tmp_path / "config.toml"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=10, preexec_fn=lambda: deny_family(socket.AF_NETLINK))

    assert done.returncode == EX_OSERR
    assert "cannot read this machine's own addresses" in done.stderr and "AF_NETLINK" in done.stderr
