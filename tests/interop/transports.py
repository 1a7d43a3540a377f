"""How messages travel between a client and its server: each in a datagram, or one after the other in a stream."""

import socket
import struct
import time


class Datagrams:
    """RFC 8489 §6.2.1: a request is sent again after 500 ms, and then after twice as long each time."""

    waits = (0.5, 1, 2, 4)

    def __init__(self, sock, server):
        self.sock, self.server = sock, server

    def send(self, message):
        self.sock.sendto(message, self.server)

    def receive(self, end):
        """The next message, or TimeoutError."""
        self.sock.settimeout(_until(end))
        return self.sock.recv(65536)


class Stream:
    """RFC 8489 §6.2.2: a request is sent once. RFC 8656 §12.5: ChannelData fills up to four bytes."""

    waits = (7.5,)

    def __init__(self, sock):
        self.sock = sock
        self.arrived = b""

    def send(self, message):
        self.sock.sendall(message + bytes(-len(message) % 4))

    def receive(self, end):
        """The next message without what it was filled up with, TimeoutError, or EOFError if none will come any more."""
        while (length := _message_length(self.arrived)) is None or len(self.arrived) < length + -length % 4:
            self.sock.settimeout(_until(end))
            more = self.sock.recv(65536)
            if not more:
                raise EOFError("the server has closed the connection")
            self.arrived += more
        message = self.arrived[:length]
        self.arrived = self.arrived[length + -length % 4 :]
        return message


def over(sock, server):
    """The transport that fits this socket; one of a stream is connected already."""
    return Stream(sock) if sock.type == socket.SOCK_STREAM else Datagrams(sock, server)


def _message_length(head):
    """The length that a message says it has, or None if too little of it is here."""
    if len(head) < 4:
        return None
    kind, length = struct.unpack_from("!HH", head)
    return length + (4 if 0x4000 <= kind < 0x8000 else 20)


def _until(end):
    return max(end - time.monotonic(), 0.001)
