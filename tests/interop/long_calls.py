"""Other people's WebRTC libraries hold calls through our server that outlast all that is renewed in TURN.

`tests/long-calls`. Both sides are behind symmetric NATs and have relay candidates alone. An echo every second, both
ways, in real time: what a library renews, and when, is its own affair, and a clock of ours would not move it. All calls
run at once, so they take as long as one.
"""

import argparse
import asyncio
import io
import re
import signal
import sys
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import certificate
import servers
from call_peers import Peer
from call_record import Record
from natlab import Lab, server_plan

PORT, TLS_PORT = 3478, 443
NAMES = {4: certificate.NAME, 6: certificate.NAME_ON_IPV6}
HOSTS = {"A": "hostA", "B": "hostB"}
# between the beginnings of two calls: nobody rings twenty times at once
BETWEEN = 1
# lines of each
COMPLAINTS = 30
AFTER_SIGTERM = 128 + signal.SIGTERM
# A permission lasts 300 s, a channel and an allocation 600 s, and our nonces 600 s.
TWELVE_MINUTES_AND_A_HALF = 750


@dataclass(frozen=True)
class Way:
    """How a peer reaches the server, and what candidate the other side's description has besides its own."""

    transport: str
    family: int = 4
    candidate: str = ""

    def __str__(self):
        besides = {"": "", CLOSED_PORT: ", and a closed port", PRIVATE: ", and a private address"}
        return f"{self.transport.upper()}, IPv{self.family}{besides[self.candidate]}"

    def server(self):
        host, port = NAMES[self.family], TLS_PORT if self.transport == "tls" else PORT
        scheme, transport = ("turns", "tcp") if self.transport == "tls" else ("turn", self.transport)
        url = f"{scheme}:{host}:{port}?transport={transport}"
        return {"url": url, "host": host, "port": port, "transport": transport}


# The router between the networks of a natlab answers by ICMP that nobody is there; 403 is the answer to the other one.
CLOSED_PORT = "candidate:99 1 udp 2130706431 203.0.113.1 40009 typ host"
PRIVATE = "candidate:99 1 udp 2130706431 10.10.2.2 40009 typ host"

UDP, TCP, TLS = Way("udp"), Way("tcp"), Way("tls")
UDP6, TCP6, TLS6 = Way("udp", 6), Way("tcp", 6), Way("tls", 6)
UDP_AND_CLOSED_PORT, TLS_AND_CLOSED_PORT = (Way(transport, candidate=CLOSED_PORT) for transport in ("udp", "tls"))
UDP_AND_PRIVATE = Way("udp", candidate=PRIVATE)
# What each library can. werift's UDP is IPv4 alone, pion asks for IPv6 where no server looks, libnice has no TLS, and
# libjuice UDP only. werift before 0.24.4 has no private address here: after one 403 it asks for no permission again.
CALLS = {
    "aiortc": [UDP, TCP, TLS, UDP6, TCP6, TLS6, UDP_AND_CLOSED_PORT, UDP_AND_PRIVATE],
    "werift": [UDP, TCP, TLS, TCP6, TLS6, UDP_AND_CLOSED_PORT, UDP_AND_PRIVATE],
    "werift 0.24.2": [UDP],
    "node-datachannel": [UDP, UDP6, UDP_AND_CLOSED_PORT, UDP_AND_PRIVATE],
    "pion": [UDP, TCP, TLS, UDP_AND_CLOSED_PORT, TLS_AND_CLOSED_PORT, UDP_AND_PRIVATE],
    "GStreamer": [UDP, TCP, UDP6, TCP6, UDP_AND_CLOSED_PORT, UDP_AND_PRIVATE],
}


class Calls:
    """All calls of one run, and the processes that hold them."""

    def __init__(self, wanted, directory):
        self.wanted, self.directory = wanted, directory
        self.peers, self.records, self.ways = {}, {}, {}

    async def run(self, seconds):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
        try:
            for library in self.wanted:
                await self._start_peers(library)
            for library, way in [(library, way) for library, ways in self.wanted.items() for way in ways]:
                self._begin(library, way)
                await asyncio.sleep(BETWEEN)
            while not all([record.is_over(seconds, time.monotonic()) for record in self.records.values()]):
                await asyncio.sleep(1)
        finally:
            await asyncio.gather(*(peer.close() for peer in self.peers.values()))

    async def _start_peers(self, library):
        for side, host in HOSTS.items():
            with open(self.directory / f"{library} {side}", "wb") as complaints:
                on_news = lambda news, side=side: self._take(library, side, news)  # noqa: E731
                self.peers[library, side] = await Peer.start(library, host, complaints, on_news)

    def _begin(self, library, way):
        call = str(way)
        self.records[library, call] = Record(library, call, time.monotonic())
        self.ways[library, call] = way
        # the one that answers is there when the offer comes
        for side, role in (("B", "answer"), ("A", "offer")):
            username, credential = servers.credential(tag=f"{library.replace(' ', '-')}-{side}")
            login = {"username": username, "credential": credential}
            self.peers[library, side].tell(call=call, begin=role, **way.server(), **login)

    def _take(self, library, side, news):
        call = news["call"]
        self.records[library, call].take(side, news, time.monotonic())
        if "description" in news:
            description = with_candidate(news["description"], self.ways[library, call].candidate)
            other = self.peers[library, "B" if side == "A" else "A"]
            other.tell(call=call, description=description)


def with_candidate(description, candidate):
    """The description with one more candidate, in front of its first."""
    if not candidate:
        return description
    sdp = re.sub("^a=candidate:", f"a={candidate}\r\na=candidate:", description["sdp"], count=1, flags=re.MULTILINE)
    return {**description, "sdp": sdp}


def report(records):
    """The table, and whether all was well."""
    rows = [("library", "way", "echo after", "lived", "A's echoes", "B's echoes", "longest gap", "result")]
    for record in records:
        waited = f"{record.opened - record.begun:.1f} s" if record.opened else "never"
        lived = f"{record.ended - record.opened:.0f} s" if record.opened else "-"
        echoes = [f"{side.heard} of {side.sent}" for side in record.sides.values()]
        rows.append(
            (record.library, record.way, waited, lived, *echoes, f"{record.longest_gap:.1f} s", record.fault or "ok")
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    return not any(record.fault for record in records)


def complain(directory):
    """What the daemon has logged, and the libraries have written."""
    for file in sorted(path for path in directory.iterdir() if path.is_file()):
        lines = file.read_text(errors="replace").splitlines()[-COMPLAINTS:]
        if lines and file.suffix != ".toml":
            print(f"--- end of {file.name}", *lines, sep="\n")


def hold(wanted, seconds, directory):
    """Holds the calls; their records."""
    plan = server_plan(port=PORT, tcp=True, tls=TLS_PORT, default_limits=True)
    with Lab("symmetric", "symmetric"), servers.running(plan, directory):
        calls = Calls(wanted, directory)
        try:
            asyncio.run(calls.run(seconds))
        finally:
            end_on_sigterm()
    return calls.records.values()


def main():
    words = argparse.ArgumentParser(description="WebRTC libraries call each other through the server.")
    words.add_argument("--seconds", type=int, default=TWELVE_MINUTES_AND_A_HALF, help="how long each call is to live")
    words.add_argument("--only", default="", help="only libraries with one of these words in their names: aiortc,pion")
    given = words.parse_args()
    wanted = {name: ways for name, ways in CALLS.items() if any(word in name for word in given.only.split(","))}
    end_on_sigterm()
    with tempfile.TemporaryDirectory(prefix="hairpin-calls-") as name:
        sys.exit(main_in(Path(name), wanted, given.seconds))


def main_in(directory, wanted, seconds):
    """The exit code."""
    try:
        with redirect_stdout(io.StringIO()):
            records = hold(wanted, seconds, directory)
    except asyncio.CancelledError:
        return AFTER_SIGTERM
    except Exception:
        complain(directory)
        raise
    if report(records):
        return 0
    complain(directory)
    return 1


def end_on_sigterm():
    """As on Ctrl-C: what was begun is taken down. asyncio has a way of its own, and leaves none behind."""

    def end(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(AFTER_SIGTERM)

    signal.signal(signal.SIGTERM, end)


if __name__ == "__main__":
    main()
