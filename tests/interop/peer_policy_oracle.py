#!/usr/bin/env python3
"""A second opinion on which peers our server permits, for the Rust tests to compare with.

    peer_policy_oracle.py < addresses           writes `allow` or `deny` for each line
    peer_policy_oracle.py --random N --seed S   writes N lines `ADDRESS VERDICT`, many at the edge of a prefix
    peer_policy_oracle.py --random N --peers    writes N lines `ADDRESS PORT/PROTOCOL VERDICT`

By default on a machine that has no address of its own; --own, --on-link, --allow, --deny and --allow-own, each as often
as wanted, describe another.

Shares nothing with the daemon but the rule itself: an IPv4 peer must not be special, and an IPv6 peer must be global
unicast (2000::/3) and neither special nor an IPv4 address in disguise. Nobody in a network of the machine is permitted,
unless that network, or the special one, was opened; and of the machine itself opened ports alone. An address alone is
judged for UDP, and is permitted if a port of it may be.
"""

import argparse
import random
import socket
import sys
from bisect import bisect_right
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

IPV4_DENIED = """
    0.0.0.0/8          this network
    10.0.0.0/8         private
    100.64.0.0/10      shared by carriers (CGNAT)
    127.0.0.0/8        loopback
    168.63.129.16/32   Azure's WireServer, in the middle of public addresses
    169.254.0.0/16     link-local, and the metadata of most clouds
    172.16.0.0/12      private
    192.0.0.0/24       IETF protocol assignments
    192.0.2.0/24       documentation (TEST-NET-1)
    192.31.196.0/24    AS112
    192.52.193.0/24    AMT
    192.88.99.0/24     6to4 relays
    192.168.0.0/16     private
    192.175.48.0/24    AS112
    198.18.0.0/15      benchmarking
    198.51.100.0/24    documentation (TEST-NET-2)
    203.0.113.0/24     documentation (TEST-NET-3)
    224.0.0.0/4        multicast
    240.0.0.0/4        reserved, and broadcast
"""

IPV6_PERMITTED = """
    2000::/3           global unicast
"""

IPV6_DENIED = """
    2001::/23          IETF protocol assignments: Teredo, ORCHID, benchmarking, AMT
    2001:db8::/32      documentation
    2002::/16          6to4
    2620:4f:8000::/48  AS112
    3ffe::/16          the old 6bone
    3fff::/20          documentation
"""

# Not needed for a verdict (all outside 2000::/3): more prefixes whose edges are worth trying.
IPV6_NOTABLE = """
    ::/96              IPv4-compatible, with :: and ::1
    ::ffff:0:0/96      IPv4-mapped
    ::ffff:0:0:0/96    IPv4-translated
    64:ff9b::/96       NAT64
    64:ff9b:1::/48     local NAT64
    100::/64           discard
    100:0:0:1::/64     dummy
    5f00::/16          segment routing
    fc00::/7           unique local
    fe80::/10          link-local
    fec0::/10          site-local
    ff00::/8           multicast
"""

# The upper half of an ISATAP interface identifier; the lower half is an IPv4 address (RFC 5214 §6.1).
ISATAP = (0x0000_5EFE, 0x0200_5EFE)


# Never a peer, whatever is opened.
NEVER = """
    0.0.0.0/8
    127.0.0.0/8
    169.254.0.0/16
    224.0.0.0/4
    255.255.255.255/32
    ::/96
    ::ffff:0:0/96
    ::ffff:0:0:0/96
    64:ff9b::/96
    64:ff9b:1::/48
    2001::/32
    2002::/16
    fe80::/10
    ff00::/8
"""

PORTS_OF_SERVICES = {*range(1024)} - {443} | {1900, 3702, 5353, 5683, 11211}


@dataclass(frozen=True)
class Machine:
    """What the server's machine is, and what its operator opened and closed."""

    own: tuple = ()
    on_link: tuple = ()
    allow: tuple = ()
    deny: tuple = ()
    # triples: the first port, the last one, "udp" or "tcp"
    allow_own: tuple = ()

    def permits(self, address):
        """The verdict on an address for UDP, whatever the port."""
        return self._permits(address, lambda first, last, protocol: protocol == "udp")

    def permits_peer(self, address, port, protocol):
        opens = lambda first, last, opened: opened == protocol and first <= port <= last
        return port not in PORTS_OF_SERVICES and self._permits(address, opens)

    def _permits(self, address, opens):
        if _in(address, self.deny) or _in(address, NEVER_NETWORKS) or _is_isatap(address):
            return False
        if address in self.own:
            return any(opens(*ports) for ports in self.allow_own)
        if _in(address, self.allow):
            return True
        return permits(str(address)) and not _in(address, self.on_link)


def _in(address, nets):
    return any(address.version == net.version and address in net for net in nets)


def _is_isatap(address):
    return address.version == 6 and (int(address) >> 32) & 0xFFFF_FFFF in ISATAP


def networks(table):
    return [ip_network(line.split()[0]) for line in table.strip().splitlines()]


def ranges(nets):
    """Disjoint ranges as two sorted lists of integers: the firsts, and the lasts."""
    pairs = sorted((int(net.network_address), int(net.broadcast_address)) for net in nets)
    assert all(last < first for (_, last), (first, _) in zip(pairs, pairs[1:])), "the prefixes of a table overlap"
    return [first for first, _ in pairs], [last for _, last in pairs]


NEVER_NETWORKS = networks(NEVER)
V4_FIRSTS, V4_LASTS = ranges(networks(IPV4_DENIED))
V6_FIRSTS, V6_LASTS = ranges(networks(IPV6_DENIED))
((GLOBAL_FIRST,), (GLOBAL_LAST,)) = ranges(networks(IPV6_PERMITTED))


def permits_ipv4(address):
    at = bisect_right(V4_FIRSTS, address) - 1
    return at < 0 or address > V4_LASTS[at]


def permits_ipv6(address):
    if not GLOBAL_FIRST <= address <= GLOBAL_LAST or (address >> 32) & 0xFFFF_FFFF in ISATAP:
        return False
    at = bisect_right(V6_FIRSTS, address) - 1
    return at < 0 or address > V6_LASTS[at]


def permits(text):
    """The verdict on an address as people write it, by default; OSError if it is none."""
    if ":" in text:
        return permits_ipv6(int.from_bytes(socket.inet_pton(socket.AF_INET6, text), "big"))
    return permits_ipv4(int.from_bytes(socket.inet_pton(socket.AF_INET, text), "big"))


def random_addresses(count, chance, more=()):
    """`count` pairs (address, is IPv6): a third at edges, a third in notable prefixes or `more`, a third anywhere."""
    notable = networks(IPV4_DENIED) + networks(IPV6_DENIED) + networks(IPV6_NOTABLE) + networks(IPV6_PERMITTED)
    notable += [*more] * 5
    spans = [(int(net.network_address), int(net.broadcast_address), net.version == 6) for net in notable]
    edges = []
    for first, last, is_ipv6 in spans:
        top = (1 << (128 if is_ipv6 else 32)) - 1
        edges += [(min(max(at, 0), top), is_ipv6) for at in (first - 1, first, first + 1, last - 1, last, last + 1)]
    for n in range(count):
        kind = n % 3
        if kind == 0:
            yield chance.choice(edges)
        elif kind == 1:
            first, last, is_ipv6 = chance.choice(spans)
            yield chance.randint(first, last), is_ipv6
        else:
            yield anywhere(chance)


def anywhere(chance):
    """Any IPv4 address; or an IPv6 address, mostly a global one, and at times with an ISATAP identifier."""
    draw = chance.random()
    if draw < 0.4:
        return chance.getrandbits(32), False
    if draw < 0.5:
        return chance.getrandbits(128), True
    if draw < 0.6:
        # one bit off is no ISATAP identifier
        upper = chance.choice(ISATAP) ^ chance.choice((0, 0, 1 << chance.randrange(32)))
        return chance.randint(GLOBAL_FIRST, GLOBAL_LAST) >> 64 << 64 | upper << 32 | chance.getrandbits(32), True
    return chance.randint(GLOBAL_FIRST, GLOBAL_LAST), True


def print_random(count, seed):
    ntop, families = socket.inet_ntop, {True: (socket.AF_INET6, 16), False: (socket.AF_INET, 4)}
    lines = []
    for address, is_ipv6 in random_addresses(count, random.Random(seed)):
        family, size = families[is_ipv6]
        allowed = permits_ipv6(address) if is_ipv6 else permits_ipv4(address)
        lines.append(f"{ntop(family, address.to_bytes(size, 'big'))} {VERDICT[allowed]}\n")
    sys.stdout.writelines(lines)


def print_random_on(machine, count, seed, with_ports):
    chance = random.Random(seed)
    mine = [ip_network(address) for address in machine.own]
    # so many times the machine itself, because most of the others have nothing to do with it
    more = [*mine * 4, *machine.on_link, *machine.allow, *machine.deny]
    edges = [port for first, last, _ in machine.allow_own for port in (first - 1, first, last, last + 1)]
    lines = []
    for number, is_ipv6 in random_addresses(count, chance, more):
        address = ip_address(number.to_bytes(16 if is_ipv6 else 4, "big"))
        if with_ports:
            port = chance.choice(edges) if edges and chance.random() < 0.7 else chance.getrandbits(16)
            protocol = chance.choice(("udp", "tcp"))
            verdict = machine.permits_peer(address, port, protocol)
            lines.append(f"{address} {port}/{protocol} {VERDICT[verdict]}\n")
        else:
            lines.append(f"{address} {VERDICT[machine.permits(address)]}\n")
    sys.stdout.writelines(lines)


def judge_stdin(machine):
    verdicts = []
    for number, line in enumerate(sys.stdin, 1):
        try:
            allowed = permits(line.strip()) if machine == Machine() else machine.permits(ip_address(line.strip()))
            verdicts.append(f"{VERDICT[allowed]}\n")
        except (OSError, ValueError):
            sys.exit(f"line {number} is not an IP address: {line.strip()!r}")
    sys.stdout.writelines(verdicts)


VERDICT = {True: "allow", False: "deny"}


def ports_and_protocol(text):
    ports, protocol = text.split("/")
    first, _, last = ports.partition("-")
    return int(first), int(last or first), protocol


def main():
    parser = argparse.ArgumentParser(description="allow or deny, for peers")
    parser.add_argument("--random", type=int, metavar="N", help="make up N addresses instead of reading them")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the same seed makes the same addresses")
    parser.add_argument("--peers", action="store_true", help="make up ports and protocols, too")
    nets = {name: ip_network for name in ("on_link", "allow", "deny")}
    kinds = {"own": ip_address, **nets, "allow_own": ports_and_protocol}
    for name, kind in kinds.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, action="append", default=[])
    arguments = parser.parse_args()
    machine = Machine(**{name: tuple(getattr(arguments, name)) for name in kinds})
    if arguments.random is None:
        judge_stdin(machine)
    elif machine == Machine() and not arguments.peers:
        print_random(arguments.random, arguments.seed)
    else:
        print_random_on(machine, arguments.random, arguments.seed, arguments.peers)


if __name__ == "__main__":
    main()
