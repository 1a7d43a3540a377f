"""aiortc's side of the calls that call_peers.py describes."""

import asyncio
import json
import sys

from aiortc import RTCConfiguration, RTCIceServer, RTCIceTransportPolicy, RTCPeerConnection, RTCSessionDescription

A_SECOND = 1
calls = {}
tasks = set()


def main():
    asyncio.run(obey())


async def obey():
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async for line in lines:
        begin(obey_one(json.loads(line)))
    await asyncio.gather(*(connection.close() for connection in calls.values()))


async def obey_one(order):
    name = order["call"]
    if "begin" in order:
        connection = calls[name] = connect(name, order)
        if order["begin"] == "offer":
            attend(name, connection.createDataChannel("echo"))
            await describe(name, await connection.createOffer())
        return
    connection, description = calls[name], RTCSessionDescription(**order["description"])
    await connection.setRemoteDescription(description)
    if description.type == "offer":
        await describe(name, await connection.createAnswer())


def connect(name, order):
    server = RTCIceServer(order["url"], order["username"], order["credential"])
    connection = RTCPeerConnection(RTCConfiguration([server], iceTransportPolicy=RTCIceTransportPolicy.RELAY))
    connection.on("connectionstatechange", lambda: say(name, state=connection.connectionState))
    connection.on("datachannel", lambda channel: attend(name, channel))
    return connection


async def describe(name, description):
    """The description with all candidates in it."""
    await calls[name].setLocalDescription(description)
    full = calls[name].localDescription
    say(name, description={"type": full.type, "sdp": full.sdp})


def attend(name, channel):
    def on_message(message):
        word, number = message.split()
        if word == "ping":
            channel.send(f"echo {number}")
        else:
            say(name, heard=int(number))

    channel.on("message", on_message)
    if channel.readyState == "open":
        begin(ping(name, channel))
    else:
        channel.on("open", lambda: begin(ping(name, channel)))


async def ping(name, channel):
    number = 0
    while channel.readyState == "open":
        number += 1
        channel.send(f"ping {number}")
        say(name, sent=number)
        await asyncio.sleep(A_SECOND)


def begin(work):
    """The loop alone holds its tasks weakly."""
    task = asyncio.ensure_future(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def say(name, **what):
    print(json.dumps({"call": name, **what}), flush=True)


main()
