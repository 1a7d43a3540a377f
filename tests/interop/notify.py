"""systemd's side of sd_notify(3): a socket on which a daemon says READY=1, WATCHDOG=1 and STOPPING=1."""

import socket
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """One line that the daemon sent, and when (time.monotonic)."""

    at: float
    line: str


class NotifySocket:
    def __init__(self, path):
        self.path = path
        self.notices = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))

    def listen(self, seconds):
        """Takes down what comes during `seconds`."""
        end = time.monotonic() + seconds
        while self._take_one(end):
            pass

    def wait_for(self, line, seconds, alive=lambda: True):
        """The notice that says `line`, or TimeoutError; gives up as soon as `alive()` is false."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.all(line)
            if found:
                return found[0]
            running = alive()
            if not self._take_one(min(end, time.monotonic() + 0.1)) and not running:
                raise TimeoutError(f"the daemon ended without saying {line}")
        raise TimeoutError(f"the daemon did not say {line} within {seconds} s")

    def close(self):
        self.socket.close()

    def all(self, line):
        return [notice for notice in self.notices if notice.line == line]

    def last(self, name):
        """The last value that was said for this name, or None."""
        values = [notice.line.partition("=")[2] for notice in self.notices if notice.line.startswith(f"{name}=")]
        return values[-1] if values else None

    def _take_one(self, end):
        self.socket.settimeout(max(end - time.monotonic(), 0.001))
        try:
            text = self.socket.recv(4096).decode()
        except TimeoutError:
            return False
        self.notices += [Notice(time.monotonic(), line) for line in text.splitlines()]
        return True
