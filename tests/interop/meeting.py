"""Serves a page on the loopback of two hosts, and passes messages between them without any network."""

import json
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import SOCK_STREAM

PAGE = Path(__file__).with_name("call.html")
PATIENCE = 60


class Guest:
    """One page: what it is told, what it says, and what it last reported of itself."""

    def __init__(self, listener, setup):
        self.setup = setup
        self.inbox = queue.Queue()
        self.other = None
        self.news = threading.Condition()
        self.last_report = {}
        self.server = _Server(listener, self)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/"

    def take_report(self, report):
        with self.news:
            self.last_report = report
            self.news.notify_all()

    def wait_for(self, wanted, end):
        """The first report that is as `wanted`, or TimeoutError at `end` (time.monotonic)."""
        with self.news:
            if not self.news.wait_for(lambda: wanted(self.last_report), end - time.monotonic()):
                raise TimeoutError(f"the page last reported {self.last_report}")
            return self.last_report


class Meeting:
    """Two guests on two hosts of `lab`; `setups` are what their pages get from /setup."""

    def __init__(self, lab, hosts, setups):
        self.guests = [Guest(lab.socket(host, kind=SOCK_STREAM), setup) for host, setup in zip(hosts, setups)]
        self.guests[0].other, self.guests[1].other = reversed(self.guests)

    def __enter__(self):
        for guest in self.guests:
            threading.Thread(target=guest.server.serve_forever, args=(0.05,), daemon=True).start()
        return self.guests

    def __exit__(self, *_):
        for guest in self.guests:
            guest.server.shutdown()
            guest.server.server_close()


class _Server(ThreadingHTTPServer):
    """An HTTP server on the loopback of the network namespace that `listener` was made in."""

    daemon_threads = True

    def __init__(self, listener, guest):
        super().__init__(("127.0.0.1", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.guest = guest
        self.server_bind()
        self.server_activate()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        guest = self.server.guest
        if self.path == "/":
            self._answer(200, PAGE.read_bytes(), "text/html")
        elif self.path == "/setup":
            self._answer(200, json.dumps(guest.setup).encode())
        elif self.path == "/message":
            try:
                self._answer(200, guest.inbox.get(timeout=PATIENCE))
            except queue.Empty:
                self._answer(504)
        else:
            self._answer(404)

    def do_POST(self):
        guest, body = self.server.guest, self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/message":
            guest.other.inbox.put(body)
        elif self.path == "/report":
            guest.take_report(json.loads(body))
        self._answer(204)

    def _answer(self, status, body=b"", kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing."""
