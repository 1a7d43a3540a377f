"""Numbered packets from one TURN client to another, without a pause, so that a lost one is noticed."""

import struct
import threading

from booted import wait_until

CHANNEL = 0x4000
SECONDS_BETWEEN_PACKETS = 0.002


class Flow:
    """Numbered packets from `alice` to `bob`, until it is left."""

    def __init__(self, alice, bob):
        self.alice, self.bob = alice, bob
        self.sent, self.arrived = 0, set()
        self.over = threading.Event()
        self.threads = [threading.Thread(target=act) for act in (self._send, self._receive)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def goes_on(self):
        """Waits until more packets have arrived."""
        before = len(self.arrived)
        wait_until(lambda: len(self.arrived) >= before + 100, 10, "a hundred more packets arrive")

    def lost(self):
        return sorted(set(range(self.sent)) - self.arrived)

    def _send(self):
        while not self.over.wait(SECONDS_BETWEEN_PACKETS):
            self.alice.send_on_channel(CHANNEL, struct.pack("!I", self.sent))
            self.sent += 1

    def _receive(self):
        while not self.over.is_set() or self.lost():
            try:
                self.arrived.add(struct.unpack("!I", self.bob.receive(1).data)[0])
            except TimeoutError:
                if self.over.is_set():
                    return
