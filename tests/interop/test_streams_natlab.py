"""Where a network lets no UDP out, our server is reached over TCP; where it lets out port 443 alone, over TLS."""

import socket
import struct
import time

import pytest

import servers
from natlab import SERVER_ADDRESSES, Lab, server_plan
from stun import Address
from turn_client import DEFAULT_WAIT, TurnClient, with_tls

CHANNEL = 0x4000
HTTPS = 443
# the router between the networks of a natlab
INTERNET = "203.0.113.1"
A_MOMENT = 0.5
# SO_LINGER: close at once, with a reset
NO_GOODBYE = struct.pack("ii", 1, 0)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """One host that no UDP leaves, one that may connect to port 443 only, and a server with a public address."""
    plan = server_plan(tcp=True, tls=HTTPS)
    with Lab("noudp", "tls443") as lab, servers.running(plan, tmp_path_factory.mktemp("srv")) as server:
        lab.server = server
        yield lab


def over_tcp(lab, server_ip=SERVER_ADDRESSES[0]):
    server = Address(server_ip, lab.server.port)
    return TurnClient(lab.connect("hostA", server, DEFAULT_WAIT), server, *servers.credential())


def over_tls(lab, server_ip=SERVER_ADDRESSES[0]):
    server = Address(server_ip, HTTPS)
    return TurnClient(with_tls(lab.connect("hostB", server, DEFAULT_WAIT)), server, *servers.credential())


every_way = pytest.mark.parametrize("connect", [over_tcp, over_tls], ids=["TCP where no UDP gets out", "TLS on 443"])


@pytest.fixture
def peer(lab):
    """Somebody in the Internet."""
    sock = lab.socket("inet")
    sock.settimeout(DEFAULT_WAIT)
    sock.bind((INTERNET, 0))
    return sock


def address_of(peer):
    return Address(*peer.getsockname())


@every_way
@pytest.mark.parametrize("server_ip", SERVER_ADDRESSES, ids=["IPv4", "IPv6"])
def test_data_passes_both_ways_between_a_stream_and_a_udp_peer(lab, peer, connect, server_ip):
    # given
    with connect(lab, server_ip) as client:
        client.allocate(socket.AF_INET)
        client.permit(address_of(peer))

        # when: first in indications, and then on a channel, with lengths that need padding
        client.send(address_of(peer), b"in a Send indication")
        client.send(address_of(peer), b"and another one right behind it")
        sent = [peer.recvfrom(2000) for _ in range(2)]
        peer.sendto(b"in a Data indication", client.relayed)
        back = client.receive()
        client.bind(CHANNEL, address_of(peer))
        client.send_on_channel(CHANNEL, b"a")
        client.send_on_channel(CHANNEL, b"channel")
        sent_on_channel = [peer.recvfrom(2000) for _ in range(2)]
        peer.sendto(b"b", client.relayed)
        peer.sendto(b"ack", client.relayed)
        back_on_channel = [client.receive() for _ in range(2)]

        # then
        relayed = client.relayed
        assert sent == [(b"in a Send indication", relayed), (b"and another one right behind it", relayed)]
        assert (back.peer, back.data) == (address_of(peer), b"in a Data indication")
        assert sent_on_channel == [(b"a", relayed), (b"channel", relayed)]
        assert [(news.channel, news.data) for news in back_on_channel] == [(CHANNEL, b"b"), (CHANNEL, b"ack")]


@every_way
def test_a_client_on_a_stream_learns_the_address_that_its_nat_gave_it(lab, connect):
    with connect(lab) as client:
        mapped = client.binding()
        client.allocate()

        host = "hostA" if connect is over_tcp else "hostB"
        assert mapped == client.mapped
        assert mapped.ip == lab.seen_address(host)


@every_way
@pytest.mark.parametrize("ending", ["closed", "reset"])
def test_an_allocation_ends_with_its_connection(lab, peer, connect, ending):
    # given: an allocation that carries data
    with connect(lab) as client:
        client.allocate()
        client.permit(address_of(peer))
        peer.connect(client.relayed)
        peer.send(b"is anybody there?")
        assert client.receive().data == b"is anybody there?"

        # when
        if ending == "reset":
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_GOODBYE)

    # then: soon nobody is there any more, says the server's kernel
    assert is_closed(peer)


def is_closed(peer):
    """Whether the port that `peer` is connected to closes, within DEFAULT_WAIT."""
    end = time.monotonic() + DEFAULT_WAIT
    peer.settimeout(A_MOMENT)
    while time.monotonic() < end:
        try:
            peer.send(b"are you still there?")
            peer.recv(2000)
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            continue
    return False


def test_the_networks_of_these_tests_let_nothing_else_out(lab):
    with TurnClient(lab.socket("hostA"), lab.server) as client:
        client.waits = (A_MOMENT,)
        with pytest.raises(TimeoutError):
            client.binding()
    with pytest.raises(TimeoutError):
        lab.connect("hostB", lab.server, A_MOMENT)
