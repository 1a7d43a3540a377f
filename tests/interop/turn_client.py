"""A blocking TURN client over UDP, TCP or TLS with nothing but the standard library: every wait in it has an end."""

import socket
import struct
import time
from collections import deque
from dataclasses import dataclass

import certificate
import transports
from stun import Address, Attribute, Kind, Message, Method, decode, has_integrity, long_term_key

DEFAULT_WAIT = 5
UDP, TCP = b"\x11\0\0\0", b"\x06\0\0\0"
FAMILIES = {socket.AF_INET: b"\x01\0\0\0", socket.AF_INET6: b"\x02\0\0\0"}


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, request, code):
        super().__init__(f"{request.method.name} was refused with {code}")
        self.code = code


@dataclass(frozen=True)
class Received:
    """What the server passed on from a peer: data, or news of an ICMP packet."""

    peer: Address | None
    data: bytes | None
    channel: int | None = None
    icmp: tuple[int, int] | None = None


class TurnClient:
    """One client of one server; `sock` may live in any network namespace, and is connected if it is a stream's."""

    def __init__(self, sock, server, username=None, password=None):
        self.sock, self.server = sock, server
        self.username, self.password = username, password
        self.realm = self.nonce = self.key = None
        self.mapped = self.relayed = self.all_relayed = self.address_error = None
        self.transport = transports.over(sock, server)
        self.waits = self.transport.waits
        self.waiting = deque()

    @classmethod
    def over_udp(cls, server, username=None, password=None):
        """A client on this machine."""
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        return cls(socket.socket(family, socket.SOCK_DGRAM), server, username, password)

    @classmethod
    def over_tcp(cls, server, username=None, password=None):
        """A client on this machine."""
        return cls(socket.create_connection(server, DEFAULT_WAIT), server, username, password)

    @classmethod
    def over_tls(cls, server, username=None, password=None):
        """A client on this machine."""
        return cls(with_tls(socket.create_connection(server, DEFAULT_WAIT)), server, username, password)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def binding(self):
        """Our address as the server sees it."""
        response = self._transact(Message(Kind.REQUEST, Method.BINDING), key=None)
        return response.get_address(Attribute.XOR_MAPPED_ADDRESS)

    def allocate(self, family=None, transport=UDP):
        """Asks for a relayed address of `family`, or of the one that the server prefers."""
        families = [] if family is None else [(Attribute.REQUESTED_ADDRESS_FAMILY, FAMILIES[family])]
        return self._allocate(families, transport)

    def allocate_both_families(self):
        """Asks for an IPv4 address and an IPv6 address in one allocation; returns all that it gets."""
        self._allocate([(Attribute.ADDITIONAL_ADDRESS_FAMILY, FAMILIES[socket.AF_INET6])])
        return self.all_relayed

    def end(self):
        """Ends the allocation."""
        self._authenticated(Method.REFRESH, [(Attribute.LIFETIME, bytes(4))])

    def _allocate(self, families, transport=UDP):
        response = self._authenticated(Method.ALLOCATE, [(Attribute.REQUESTED_TRANSPORT, transport), *families])
        self.mapped = response.get_address(Attribute.XOR_MAPPED_ADDRESS)
        self.all_relayed = response.get_addresses(Attribute.XOR_RELAYED_ADDRESS)
        self.relayed = self.all_relayed[0]
        self.address_error = _address_error(response.get(Attribute.ADDRESS_ERROR_CODE))
        return self.relayed

    def permit(self, *peers):
        self._authenticated(Method.CREATE_PERMISSION, [], peers)

    def bind(self, channel, peer):
        self._authenticated(Method.CHANNEL_BIND, [(Attribute.CHANNEL_NUMBER, struct.pack("!HH", channel, 0))], [peer])

    def connect(self, peer):
        """RFC 6062: the name of a new TCP connection with a peer."""
        return self._authenticated(Method.CONNECT, [], [peer]).get(Attribute.CONNECTION_ID)

    def become_connection(self, name):
        """RFC 6062: what this client's own connection carries from now on is what the peer's does."""
        self._authenticated(Method.CONNECTION_BIND, [(Attribute.CONNECTION_ID, name)])
        return self.sock

    def send(self, peer, data, dont_fragment=False):
        indication = Message(Kind.INDICATION, Method.SEND).add_address(Attribute.XOR_PEER_ADDRESS, peer)
        if dont_fragment:
            indication.add(Attribute.DONT_FRAGMENT)
        self.transport.send(indication.add(Attribute.DATA, data).encode())

    def send_on_channel(self, channel, data):
        self.transport.send(struct.pack("!HH", channel, len(data)) + data)

    def receive(self, wait=DEFAULT_WAIT):
        """The next thing that came from a peer, or TimeoutError."""
        end = time.monotonic() + wait
        while not self.waiting:
            self._read_one(end)
        return self.waiting.popleft()

    def _authenticated(self, method, attributes, peers=()):
        """A request under the long-term credential; one more try when the server wants a (new) nonce."""
        for first_try in (True, False):
            request = Message(Kind.REQUEST, method, list(attributes))
            for peer in peers:
                request.add_address(Attribute.XOR_PEER_ADDRESS, peer)
            if self.nonce is not None:
                request.add(Attribute.USERNAME, self.username.encode())
                request.add(Attribute.REALM, self.realm).add(Attribute.NONCE, self.nonce)
            try:
                return self._transact(request, self.key)
            except Refused as refused:
                fresh = refused.code == 438 or (refused.code == 401 and self.key is None)
                if not (first_try and fresh):
                    raise
                self._take_challenge()

    def _take_challenge(self):
        self.realm = self.challenge.get(Attribute.REALM)
        self.nonce = self.challenge.get(Attribute.NONCE)
        self.key = long_term_key(self.username, self.realm.decode(), self.password)

    def _transact(self, request, key):
        datagram = request.encode(key)
        for wait in self.waits:
            self.transport.send(datagram)
            try:
                return self._await_response(request, key, time.monotonic() + wait)
            except TimeoutError:
                continue
        raise TimeoutError(f"{request.method.name} was not answered by {self.server[0]}:{self.server[1]}")

    def _await_response(self, request, key, end):
        while True:
            answer = self._read_one(end)
            if answer is None:
                continue
            datagram, response = answer
            if response.transaction != request.transaction or response.method != request.method:
                continue
            if response.kind is Kind.ERROR:
                self.challenge = response
                raise Refused(request, response.error_code)
            if key is not None and not has_integrity(datagram, key):
                raise ValueError(f"the answer to {request.method.name} lacks our MESSAGE-INTEGRITY")
            return response

    def _read_one(self, end):
        """Reads one message: a response is returned, what comes from a peer is kept for `receive`."""
        datagram = self.transport.receive(end)
        if datagram[:1] and 0x40 <= datagram[0] < 0x80:
            channel, length = struct.unpack_from("!HH", datagram)
            self.waiting.append(Received(None, datagram[4 : 4 + length], channel))
            return None
        message = decode(datagram)
        if message.kind is not Kind.INDICATION:
            return datagram, message
        self.waiting.append(_from_indication(message))
        return None


def with_tls(sock):
    """TLS on a connection to the server under test, whose certificate must hold."""
    return certificate.client_context().wrap_socket(sock, server_hostname=certificate.NAME)


def _address_error(value):
    """RFC 8656 §18.12: the family of which there is no address, and the code that says why."""
    if value is None:
        return None
    return next(family for family, number in FAMILIES.items() if number[0] == value[0]), value[2] * 100 + value[3]


def _from_indication(message):
    icmp = message.get(Attribute.ICMP)
    if icmp is not None:
        # RFC 8656 §18.13: 16 reserved bits, 7 of type, 9 of code, 32 of error data.
        type_and_code = struct.unpack_from("!HH", icmp)[1]
        icmp = (type_and_code >> 9, type_and_code & 0x1FF)
    return Received(message.get_address(Attribute.XOR_PEER_ADDRESS), message.get(Attribute.DATA), icmp=icmp)
