"""aioice, the ICE library under aiortc, gets an allocation from our server and exchanges data through a channel."""

import asyncio

import pytest
from aioice import stun, turn

import servers

WAIT = 5


class Inbox(asyncio.DatagramProtocol):
    """What arrived, and from whom; and whether the transport is gone."""

    def __init__(self):
        self.arrived = asyncio.Queue()
        self.gone = asyncio.Event()

    def datagram_received(self, data, source):
        self.arrived.put_nowait((data, source[:2]))

    def connection_lost(self, _):
        self.gone.set()

    async def next(self):
        return await asyncio.wait_for(self.arrived.get(), WAIT)


@pytest.fixture
def server(tmp_path):
    with servers.running(servers.Plan(), tmp_path) as address:
        yield address


@pytest.mark.parametrize("server_ip", ["127.0.0.1", "::1"])
def test_aioice_exchanges_data_with_a_peer_on_a_channel(server, server_ip):
    asyncio.run(exchange((server_ip, server.port)))


async def exchange(server):
    # given: an allocation, and a peer
    relay, client = await allocate(server, *servers.credential())
    loop = asyncio.get_running_loop()
    socket, peer = await loop.create_datagram_endpoint(Inbox, local_addr=("127.0.0.1", 0))
    peer_address = socket.get_extra_info("sockname")

    # when: both send; aioice binds a channel before its first datagram
    relay.sendto(b"to the peer", peer_address)
    at_the_peer = await peer.next()
    socket.sendto(b"to the client", at_the_peer[1])
    at_the_client = await client.next()

    # then
    assert at_the_peer == (b"to the peer", relay.get_extra_info("sockname"))
    assert at_the_client == (b"to the client", peer_address)

    # and the allocation can be given back
    relay.close()
    await asyncio.wait_for(client.gone.wait(), WAIT)
    socket.close()


def test_aioice_is_refused_with_401_when_its_password_is_wrong(server):
    username, _ = servers.credential()

    with pytest.raises(stun.TransactionFailed) as refused:
        asyncio.run(allocate(server, username, "wrong"))

    assert refused.value.response.error_code == 401


async def allocate(server, username, password):
    return await asyncio.wait_for(turn.create_turn_endpoint(Inbox, server, username, password), WAIT)
