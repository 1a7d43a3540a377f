"""STUN messages as the tests write and read them (RFC 8489, RFC 8656), sharing no code with what is tested."""

import hashlib
import hmac
import ipaddress
import os
import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

MAGIC_COOKIE = 0x2112A442


class Method(IntEnum):
    BINDING = 0x001
    ALLOCATE = 0x003
    REFRESH = 0x004
    SEND = 0x006
    DATA = 0x007
    CREATE_PERMISSION = 0x008
    CHANNEL_BIND = 0x009
    CONNECT = 0x00A
    CONNECTION_BIND = 0x00B
    CONNECTION_ATTEMPT = 0x00C


class Kind(IntEnum):
    REQUEST = 0x000
    INDICATION = 0x010
    SUCCESS = 0x100
    ERROR = 0x110


class Attribute(IntEnum):
    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    CHANNEL_NUMBER = 0x000C
    LIFETIME = 0x000D
    XOR_PEER_ADDRESS = 0x0012
    DATA = 0x0013
    REALM = 0x0014
    NONCE = 0x0015
    XOR_RELAYED_ADDRESS = 0x0016
    REQUESTED_ADDRESS_FAMILY = 0x0017
    REQUESTED_TRANSPORT = 0x0019
    DONT_FRAGMENT = 0x001A
    XOR_MAPPED_ADDRESS = 0x0020
    CONNECTION_ID = 0x002A
    ADDITIONAL_ADDRESS_FAMILY = 0x8000
    ADDRESS_ERROR_CODE = 0x8001
    ICMP = 0x8004


class Address(NamedTuple):
    """A transport address; the first two members of what the socket module calls an address."""

    ip: str
    port: int


@dataclass
class Message:
    kind: Kind
    method: Method
    attributes: list = field(default_factory=list)
    transaction: bytes = field(default_factory=lambda: os.urandom(12))

    def add(self, attribute, value=b""):
        self.attributes.append((attribute, value))
        return self

    def add_address(self, attribute, address):
        return self.add(attribute, encode_address(address, self.transaction))

    def get(self, attribute):
        return next((value for name, value in self.attributes if name == attribute), None)

    def get_address(self, attribute):
        return next(iter(self.get_addresses(attribute)), None)

    def get_addresses(self, attribute):
        return [decode_address(value, self.transaction) for name, value in self.attributes if name == attribute]

    @property
    def error_code(self):
        value = self.get(Attribute.ERROR_CODE)
        return None if value is None else value[2] * 100 + value[3]

    def encode(self, key=None):
        body = b"".join(encode_attribute(name, value) for name, value in self.attributes)
        if key is None:
            return self._header(len(body)) + body
        covered = self._header(len(body) + 24) + body
        return covered + encode_attribute(Attribute.MESSAGE_INTEGRITY, hmac.digest(key, covered, "sha1"))

    def _header(self, body_length):
        return struct.pack("!HHI", self.kind | self.method, body_length, MAGIC_COOKIE) + self.transaction


def decode(datagram):
    """The message in `datagram`, or ValueError if it is none."""
    if len(datagram) < 20 or datagram[0] >= 0x40:
        raise ValueError("not a STUN message")
    kind_and_method, length, cookie = struct.unpack_from("!HHI", datagram)
    if cookie != MAGIC_COOKIE or length % 4 or len(datagram) != 20 + length:
        raise ValueError("not a STUN message of this length")
    message = Message(Kind(kind_and_method & 0x110), Method(kind_and_method & ~0x110), [], datagram[8:20])
    at = 20
    while at < len(datagram):
        name, size = struct.unpack_from("!HH", datagram, at)
        if at + 4 + size > len(datagram):
            raise ValueError("an attribute runs past the end")
        message.add(name, datagram[at + 4 : at + 4 + size])
        at += 4 + size + -size % 4
    return message


def has_integrity(datagram, key):
    """Whether `datagram` carries the MESSAGE-INTEGRITY that `key` gives it (RFC 8489 §14.5)."""
    at = 20
    while at + 24 <= len(datagram):
        name, size = struct.unpack_from("!HH", datagram, at)
        if name == Attribute.MESSAGE_INTEGRITY:
            covered = datagram[:2] + struct.pack("!H", at + 4) + datagram[4:at]
            return hmac.compare_digest(datagram[at + 4 : at + 24], hmac.digest(key, covered, "sha1"))
        at += 4 + size + -size % 4
    return False


def long_term_key(username, realm, password):
    return hashlib.md5(f"{username}:{realm}:{password}".encode()).digest()


def encode_attribute(name, value):
    return struct.pack("!HH", name, len(value)) + value + bytes(-len(value) % 4)


def encode_address(address, transaction):
    ip = ipaddress.ip_address(address[0])
    port = address[1] ^ (MAGIC_COOKIE >> 16)
    return struct.pack("!BBH", 0, 1 if ip.version == 4 else 2, port) + _mask(ip.packed, transaction)


def decode_address(value, transaction):
    _, family, port = struct.unpack_from("!BBH", value)
    if (family, len(value)) not in ((1, 8), (2, 20)):
        raise ValueError("not an address")
    return Address(str(ipaddress.ip_address(_mask(value[4:], transaction))), port ^ (MAGIC_COOKIE >> 16))


def _mask(packed, transaction):
    return bytes(a ^ b for a, b in zip(packed, struct.pack("!I", MAGIC_COOKIE) + transaction))
