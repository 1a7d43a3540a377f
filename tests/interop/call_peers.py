"""The processes in which other people's WebRTC libraries make calls: one for each library and host, with all its calls.

A peer is told, one JSON object a line: {"call", "begin": "offer" or "answer", "url", "host", "port", "transport",
"username", "credential"} with the TURN server that it may use, and {"call", "description": {"type", "sdp"}} of the
other side; at the end of its orders it closes all its connections, and itself. It says {"call", "description"} once it
has all its candidates, and {"call", "state"} whenever the state of the connection changes. When its data channel is
open it sends "ping N" every second, {"call", "sent": N}; it answers "ping N" by "echo N", and says {"call", "heard": N}
when an echo has come.
"""

import asyncio
import json
import os
import sys

import certificate
import servers
from natlab import namespace

CALLS = servers.ROOT / "tests/interop/calls"
# where tests/run puts what calls/package.json names, and pion, compiled
INSTALLED = servers.ROOT / "target/calls"
# Debian's, which has the bindings to GStreamer that no virtual environment has
SYSTEM_PYTHON = "/usr/bin/python3"
CLOSE_LIMIT = 10
LONGEST_LINE = 1 << 20

COMMANDS = {
    "aiortc": [sys.executable, CALLS / "aiortc_peer.py"],
    "werift": ["node", CALLS / "werift_peer.js"],
    "werift 0.24.2": ["env", "WERIFT=werift-of-july", "node", CALLS / "werift_peer.js"],
    "node-datachannel": ["node", CALLS / "node_datachannel_peer.js"],
    "pion": [INSTALLED / "pion"],
    "GStreamer": [SYSTEM_PYTHON, CALLS / "gstreamer_peer.py"],
}


class Peer:
    """One library on one host; what it says goes to `on_news`, what it complains of to `complaints`."""

    def __init__(self, process, on_news):
        self.process = process
        self.reading = asyncio.create_task(self._read(on_news))

    @classmethod
    async def start(cls, library, host, complaints, on_news):
        # setpriv: no peer outlives this run
        command = ["ip", "netns", "exec", namespace(host), "setpriv", "--pdeathsig", "KILL", *COMMANDS[library]]
        chain = str(certificate.made().chain)
        # OpenSSL's and Go's, and Node.js' ways to be told whom to trust
        trust = {"SSL_CERT_FILE": chain, "NODE_EXTRA_CA_CERTS": chain}
        process = await asyncio.create_subprocess_exec(
            *(str(part) for part in command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=complaints,
            limit=LONGEST_LINE,
            env={**os.environ, **trust, "CALLS_NODE": str(INSTALLED)},
        )
        return cls(process, on_news)

    def tell(self, **order):
        self.process.stdin.write(json.dumps(order).encode() + b"\n")

    async def _read(self, on_news):
        async for line in self.process.stdout:
            # what else a library prints is for its developers
            if line.startswith(b"{"):
                on_news(json.loads(line))

    async def close(self):
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), CLOSE_LIMIT)
        except asyncio.TimeoutError:
            self.process.kill()
            await self.process.wait()
        await self.reading
