"""Data passes through our server between hosts behind every mix of NATs, in packets that survive the way."""

import itertools
import socket
import struct

import pytest

import servers
from natlab import Lab, server_plan
from stun import Address
from turn_client import DEFAULT_WAIT, TurnClient

NATS = ("open", "cone", "symmetric")
CHANNEL = 0x4000
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0
# ICMP type and code
UNREACHABLE_PORT = {socket.AF_INET: (3, 3), socket.AF_INET6: (1, 4)}


@pytest.fixture(scope="module")
def lab(request, tmp_path_factory):
    """Two hosts behind the NATs that the test asks for, and a server with a public address."""
    plan = server_plan(allowed_peers=("203.0.113.0/24", "10.10.0.0/16", "fd10::/16"))
    with Lab(*request.param) as lab, servers.running(plan, tmp_path_factory.mktemp("srv")) as server:
        lab.server = server
        yield lab


every_mix_of_nats = pytest.mark.parametrize("lab", list(itertools.product(NATS, NATS)), ids="-".join, indirect=True)
an_open_peer = pytest.mark.parametrize("lab", [("cone", "open")], ids="-".join, indirect=True)


def client_on(lab, host):
    client = TurnClient(lab.socket(host), lab.server, *servers.credential(tag=host))
    client.sock.bind(("0.0.0.0", 0))
    return client


def peer_on(lab, host, family=socket.AF_INET):
    sock = lab.socket(host, family)
    sock.settimeout(DEFAULT_WAIT)
    sock.bind(("", 0))
    return sock


def address_of(lab, host, sock):
    """Where others reach a socket of `host`, if no NAT is in the way."""
    return Address(lab.seen_address(host, sock.family), sock.getsockname()[1])


def wire_of(lab, host):
    """Every UDP packet that reaches `host` over IPv4, with its IP header."""
    wire = lab.socket(host, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    wire.settimeout(DEFAULT_WAIT)
    return wire


@every_mix_of_nats
def test_two_clients_reach_each_other_relay_to_relay(lab):
    # given: each has an allocation, and lets in the relay of the other
    alice, bob = client_on(lab, "hostA"), client_on(lab, "hostB")
    alice.allocate()
    bob.allocate()
    alice.permit(bob.relayed)
    bob.permit(alice.relayed)

    # when
    alice.send(bob.relayed, b"from alice, in a Send indication")
    at_bob = bob.receive()
    bob.bind(CHANNEL, alice.relayed)
    bob.send_on_channel(CHANNEL, b"from bob, on a channel")
    at_alice = alice.receive()
    alice.bind(CHANNEL, bob.relayed)
    alice.send_on_channel(CHANNEL, b"channel to channel")
    at_bob_again = bob.receive()

    # then
    assert (at_bob.peer, at_bob.data) == (alice.relayed, b"from alice, in a Send indication")
    assert (at_alice.peer, at_alice.data) == (bob.relayed, b"from bob, on a channel")
    assert (at_bob_again.channel, at_bob_again.data) == (CHANNEL, b"channel to channel")


@every_mix_of_nats
def test_a_client_reaches_a_peer_without_turn_at_its_mapped_address(lab):
    # given: the peer's NAT has let a packet out to the relay
    client, peer = client_on(lab, "hostA"), peer_on(lab, "hostB")
    client.allocate()
    client.permit(Address(lab.seen_address("hostB"), 0))
    peer.sendto(b"from the peer", client.relayed)
    at_client = client.receive()
    mapped = at_client.peer

    # when
    client.send(mapped, b"to the peer, in a Send indication")
    first = peer.recvfrom(2000)
    client.bind(CHANNEL, mapped)
    client.send_on_channel(CHANNEL, b"to the peer, on a channel")
    second = peer.recvfrom(2000)
    peer.sendto(b"back on the channel", client.relayed)
    back = client.receive()

    # then
    assert (mapped.ip, at_client.data) == (lab.seen_address("hostB"), b"from the peer")
    assert first == (b"to the peer, in a Send indication", client.relayed)
    assert second == (b"to the peer, on a channel", client.relayed)
    assert (back.channel, back.data) == (CHANNEL, b"back on the channel")


@every_mix_of_nats
def test_a_client_learns_the_address_that_its_nat_gave_it(lab):
    client = client_on(lab, "hostA")

    mapped = client.binding()

    assert mapped.ip == lab.seen_address("hostA")
    assert client.allocate() and client.mapped.ip == mapped.ip


@an_open_peer
@pytest.mark.parametrize(
    "dont_fragment", [True, pytest.param(False, marks=pytest.mark.coturn_fails("coturn sets DF on everything"))]
)
def test_a_send_indication_leaves_with_the_df_bit_that_it_asked_for(lab, dont_fragment):
    # given: a client whose own packets have DF clear, for a server may copy the bit (RFC 8656 §14)
    client, peer = client_on(lab, "hostA"), peer_on(lab, "hostB")
    client.sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
    client.allocate()
    address = address_of(lab, "hostB", peer)
    client.permit(address)
    with wire_of(lab, "hostB") as wire:
        # when
        client.send(address, b"look at my header", dont_fragment)
        packet = wire.recv(2000)

    # then
    assert packet.endswith(b"look at my header")
    assert bool(struct.unpack_from("!H", packet, 6)[0] & 0x4000) == dont_fragment


@pytest.mark.coturn_fails("coturn counts itself as a router: 64 at the client is 61 at the peer")
@an_open_peer
@pytest.mark.parametrize("way", ["Send indication", "channel"])
def test_data_leaves_with_a_full_ttl(lab, way):
    # given
    client, peer = client_on(lab, "hostA"), peer_on(lab, "hostB")
    client.allocate()
    address = address_of(lab, "hostB", peer)
    client.bind(CHANNEL, address)
    with wire_of(lab, "hostB") as wire:
        # when
        if way == "channel":
            client.send_on_channel(CHANNEL, b"look at my header")
        else:
            client.send(address, b"look at my header")
        packet = wire.recv(2000)

    # then: the server sent it with 64, and there is one router on the way
    assert packet.endswith(b"look at my header")
    assert packet[8] >= 63


@pytest.mark.coturn_fails("coturn counts itself as a router")
@an_open_peer
def test_data_leaves_with_a_full_hop_limit_over_ipv6(lab):
    # given
    client, peer = client_on(lab, "hostA"), peer_on(lab, "hostB", socket.AF_INET6)
    peer.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    client.allocate(socket.AF_INET6)
    address = address_of(lab, "hostB", peer)
    client.permit(address)

    # when
    client.send(address, b"look at my header")
    data, ((_, _, hop_limit),), _, source = peer.recvmsg(2000, 100)

    # then
    assert (data, source[:2]) == (b"look at my header", client.relayed)
    assert struct.unpack("i", hop_limit)[0] >= 63


@pytest.mark.coturn_fails("coturn knows ADDITIONAL-ADDRESS-FAMILY by its draft's number only")
@an_open_peer
def test_one_allocation_reaches_peers_of_both_families(lab):
    # given
    client = client_on(lab, "hostA")
    peers = [peer_on(lab, "hostB", family) for family in (socket.AF_INET, socket.AF_INET6)]
    on_ipv4, on_ipv6 = client.allocate_both_families()
    client.permit(*(address_of(lab, "hostB", peer) for peer in peers))

    # when
    for peer in peers:
        client.send(address_of(lab, "hostB", peer), b"hello")
    sources = [peer.recvfrom(2000)[1][:2] for peer in peers]

    # then
    assert sources == [on_ipv4, on_ipv6]


@pytest.mark.coturn_fails("coturn does not pass ICMP on")
@an_open_peer
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_a_client_is_told_when_the_port_of_a_peer_is_closed(lab, family):
    # given: a port of hostB on which nobody listens, and one on which somebody does
    client, peer = client_on(lab, "hostA"), peer_on(lab, "hostB", family)
    with peer_on(lab, "hostB", family) as closing:
        closed = address_of(lab, "hostB", closing)
    client.allocate_both_families()  # so that the server sees that it knows RFC 8656
    client.permit(closed)

    # when
    client.send(closed, b"is anybody there?")
    news = client.receive()

    # then: a Data indication without data (RFC 8656 §11.5); the port is 0 where the system does not tell it
    assert (news.icmp, news.data) == (UNREACHABLE_PORT[family], None)
    assert news.peer in (closed, Address(closed.ip, 0))

    # and the relay goes on as before
    client.send(address_of(lab, "hostB", peer), b"and here?")
    assert peer.recvfrom(2000)[0] == b"and here?"
