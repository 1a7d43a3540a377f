"""A flood of first requests from addresses that never asked: how much is answered, and what the server remembers.

Run by itself inside a namespace whose loopback is the whole of 127.0.0.0/8, it sends from many addresses and counts what
comes back to each; nobody there wants the answers.
"""

import json
import selectors
import socket
import subprocess
import sys
import time
from pathlib import Path

from stun import Attribute, Kind, Message, Method

UDP = bytes([17, 0, 0, 0])
# a name, the addresses, and for how many seconds
FLOODS = [
    ("one address, 10 s", 1, 10),
    ("one /24, 10 s", 256, 10),
    ("a million requests, 4096 addresses in 16 /24", 4096, 0),
]
MILLION = 1_000_000


def flood(addresses, seconds):
    server = ("127.0.0.1", 3478)
    sockets = []
    for number in range(addresses):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((f"127.1.{number // 256}.{number % 256}", 0))
        one.setblocking(False)
        sockets.append(one)
    request = Message(Kind.REQUEST, Method.ALLOCATE).add(Attribute.REQUESTED_TRANSPORT, UDP).encode()
    selector = selectors.DefaultSelector()
    for one in sockets:
        selector.register(one, selectors.EVENT_READ)
    sent = answers = received = 0
    end = time.monotonic() + seconds

    def collect(timeout):
        nonlocal answers, received
        found = 0
        for key, _ in selector.select(timeout):
            while True:
                try:
                    received += len(key.fileobj.recv(2000))
                except BlockingIOError:
                    break
                answers += 1
                found += 1
        return found

    while time.monotonic() < end if seconds else sent < MILLION:
        for _ in range(100):
            sockets[sent % addresses].sendto(request, server)
            sent += 1
        collect(0)
        if seconds:
            time.sleep(0.01)
    while collect(0.5):
        pass
    return {"requests": sent, "bytes_in": sent * len(request), "answers": answers, "bytes_out": received}


def resident(pid):
    """KiB, of the daemon behind the shell that started it."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def play(namespace, addresses, seconds, pid):
    before = resident(pid)
    command = ["ip", "netns", "exec", namespace, sys.executable, __file__, str(addresses), str(seconds)]
    done = subprocess.run(command, check=True, capture_output=True, timeout=300)
    return {**json.loads(done.stdout), "before": before, "after": resident(pid)}


if __name__ == "__main__":
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    print(json.dumps(flood(int(sys.argv[1]), int(sys.argv[2]))))
