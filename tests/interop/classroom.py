"""A classroom behind one address: everybody starts a call in the same half second, as libwebrtc does.

Run by itself, it plays one classroom against a server and prints what came of it as one line of JSON. Each person makes
three allocations. Over UDP a request is sent again after 250 ms, then after twice as long each time, up to 8 s, nine times
in all; over TCP it is sent once.
"""

import argparse
import heapq
import json
import random
import selectors
import socket
import statistics
import struct
import sys
import time

from servers import REALM, credential
from stun import Attribute, Kind, Message, Method, decode, long_term_key

ALLOCATIONS = 3
WITHIN = 0.5
FIRST_WAIT, LONGEST_WAIT, TRIES = 0.25, 8.0, 9
UDP = bytes([17, 0, 0, 0])


class Attempt:
    """One allocation of one person: a first request without credentials, and one with the nonce that it brought."""

    def __init__(self, person, transport, server, source, start):
        self.username, self.password = credential(tag=f"person{person}")
        self.transport, self.server, self.source, self.begun = transport, server, source, start
        self.transactions = {}
        self.sent = self.sent_first = self.heard_first = 0
        self.challenged_after = self.code = None
        self.outcome = None
        self.buffer = b""

    def connect(self):
        family = socket.AF_INET6 if ":" in self.server[0] else socket.AF_INET
        kind = socket.SOCK_DGRAM if self.transport == "udp" else socket.SOCK_STREAM
        self.socket = socket.socket(family, kind)
        self.socket.bind((self.source, 0))
        self.socket.settimeout(5)
        self.socket.connect(self.server)
        self.socket.setblocking(False)
        self.ask(Message(Kind.REQUEST, Method.ALLOCATE).add(Attribute.REQUESTED_TRANSPORT, UDP))

    def ask(self, message, key=None):
        self.request, self.tries, self.transaction = message.encode(key), 0, message.transaction
        self.send()

    def send(self):
        self.tries += 1
        self.sent += 1
        if self.challenged_after is None:
            self.sent_first += 1
        try:
            self.socket.send(self.request)
        except OSError as error:
            self.outcome = f"{error.__class__.__name__}"

    def wait(self):
        """When the request is sent again, from now on."""
        return min(FIRST_WAIT * 2 ** (self.tries - 1), LONGEST_WAIT)

    def receive(self, now):
        try:
            received = self.socket.recv(2000)
        except BlockingIOError:
            return
        except OSError as error:
            self.outcome = error.__class__.__name__
            return
        if self.transport == "udp":
            self.hear(decode(received), now)
            return
        if not received:
            self.outcome = self.outcome or "closed"
            return
        self.buffer += received
        while len(self.buffer) >= 20 and len(self.buffer) >= 20 + struct.unpack_from("!H", self.buffer, 2)[0]:
            length = 20 + struct.unpack_from("!H", self.buffer, 2)[0]
            message, self.buffer = self.buffer[:length], self.buffer[length:]
            self.hear(decode(message), now)

    def hear(self, message, now):
        if self.challenged_after is None or message.error_code == 401 and message.get(Attribute.NONCE):
            self.heard_first += 1
        if message.transaction != self.transaction or self.outcome:
            return
        if message.kind == Kind.SUCCESS:
            self.outcome = "allocated"
        elif message.error_code == 401 and self.challenged_after is None:
            self.challenged_after = now - self.begun
            realm, nonce = message.get(Attribute.REALM), message.get(Attribute.NONCE)
            request = Message(Kind.REQUEST, Method.ALLOCATE).add(Attribute.REQUESTED_TRANSPORT, UDP)
            request.add(Attribute.USERNAME, self.username.encode()).add(Attribute.REALM, realm)
            request.add(Attribute.NONCE, nonce)
            self.ask(request, long_term_key(self.username, realm.decode(), self.password))
        else:
            self.outcome = str(message.error_code)


def play(people, transport, server, sources, patience):
    """Every attempt of a classroom, ended."""
    chance, now = random.Random(1), time.monotonic()
    attempts = [
        Attempt(person, transport, server, sources[person % len(sources)], now + chance.uniform(0, WITHIN))
        for person in range(people)
        for _ in range(ALLOCATIONS)
    ]
    agenda = [(attempt.begun, number, 0) for number, attempt in enumerate(attempts)]
    heapq.heapify(agenda)
    selector, end = selectors.DefaultSelector(), now + patience
    while any(attempt.outcome is None for attempt in attempts) and time.monotonic() < end:
        timeout = max(0, agenda[0][0] - time.monotonic()) if agenda else 0.1
        for key, _ in selector.select(timeout):
            attempt = attempts[key.data]
            before = attempt.challenged_after
            attempt.receive(time.monotonic())
            if attempt.challenged_after != before:
                heapq.heappush(agenda, (time.monotonic() + attempt.wait(), key.data, attempt.sent))
        while agenda and agenda[0][0] <= time.monotonic():
            _, number, sent = heapq.heappop(agenda)
            attempt = attempts[number]
            if attempt.outcome or attempt.sent != sent:
                continue
            if sent == 0:
                attempt.begun = time.monotonic()
                try:
                    attempt.connect()
                except OSError as error:
                    attempt.outcome = error.__class__.__name__
                    continue
                selector.register(attempt.socket, selectors.EVENT_READ, number)
            elif attempt.transport == "udp" and attempt.tries < TRIES:
                attempt.send()
            elif attempt.transport == "udp":
                attempt.outcome = "unanswered"
                continue
            if attempt.transport == "udp":
                heapq.heappush(agenda, (time.monotonic() + attempt.wait(), number, attempt.sent))
    for attempt in attempts:
        attempt.outcome = attempt.outcome or "unanswered"
    return attempts


def report(attempts):
    waits = [attempt.challenged_after for attempt in attempts]
    heard = sorted(wait for wait in waits if wait is not None)
    needed = sum(2 if attempt.challenged_after is not None else 1 for attempt in attempts)
    return {
        "attempts": len(attempts),
        "allocated": sum(attempt.outcome == "allocated" for attempt in attempts),
        "outcomes": sorted({attempt.outcome for attempt in attempts}),
        "challenged_within_600_ms": round(sum(wait <= 0.6 for wait in heard) / len(waits), 3),
        "median_ms": round(statistics.median(heard) * 1000, 1) if heard else None,
        "p95_ms": round(heard[int(len(heard) * 0.95) - 1] * 1000, 1) if heard else None,
        "retransmitted": round(sum(attempt.sent for attempt in attempts) / needed - 1, 3),
        "unheard": sum(max(0, attempt.sent_first - attempt.heard_first) for attempt in attempts),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--transport", choices=["udp", "tcp"], default="udp")
    parser.add_argument("--server", required=True, help="address of the server")
    parser.add_argument("--port", type=int, default=3478)
    parser.add_argument("--sources", required=True, help="the classroom's addresses, with commas between them")
    parser.add_argument("--patience", type=float, default=45)
    arguments = parser.parse_args()
    server = (arguments.server, arguments.port)
    attempts = play(arguments.people, arguments.transport, server, arguments.sources.split(","), arguments.patience)
    json.dump(report(attempts), sys.stdout)
    print()


if __name__ == "__main__":
    main()
