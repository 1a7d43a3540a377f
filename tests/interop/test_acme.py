"""Hairpin gets its certificate from a real certificate authority, Debian's pebble, and renews it while clients relay."""

import json
import socket
import ssl
import stat
import subprocess
import time
from dataclasses import dataclass, field

import pytest

import pebble
import servers
from scrape import Scrape
from stun import Address
from turn_client import TurnClient

pytestmark = pytest.mark.hairpin_only

NAME = "call.hairpin.test"
# An order takes pebble about a second; the machine may be busy.
ORDER_LIMIT = 30


@dataclass
class Site:
    """A daemon that wants a certificate of `authority`."""

    authority: pebble.Pebble
    directory: object
    names: tuple = (NAME,)
    acme: str = ""
    udp: int = field(default_factory=servers.free_port)
    starts: int = 0

    def config(self):
        tls, http = self.authority.tls_port, self.authority.http_port
        return f"""
[listen]
udp = ["127.0.0.1:{self.udp}"]
tcp = []
tls = ["127.0.0.1:{tls}"]
[http]
listen = ["127.0.0.1:{http}"]
[tls.acme]
names = {json.dumps(list(self.names))}
{self.authority.acme}{self.acme}
[relay]
addresses = ["127.0.0.1"]
ports = "{servers.RELAY_PORTS}"
[credentials]
secrets = ["{servers.SECRET}"]
[peers]
loopback = true
[admin]
listen = ["{self.directory}/admin"]
{servers.WIDE_LIMITS}"""

    def start(self):
        self.starts += 1
        directory = self.directory / f"start-{self.starts}"
        directory.mkdir()
        daemon = servers.hairpin_with(self.config(), directory)
        daemon.wait_until_ready()
        return daemon

    def connect(self, name=NAME):
        """A TLS connection by a client that believes the authority."""
        plain = self.authority.trust()
        sock = socket.create_connection(("127.0.0.1", self.authority.tls_port), 5)
        return plain.wrap_socket(sock, server_hostname=name)

    def serial(self, name=NAME):
        """The serial number of the certificate that TLS clients get, or None."""
        try:
            with self.connect(name) as tls:
                return tls.getpeercert()["serialNumber"]
        except (ssl.SSLError, ConnectionError):
            return None

    def wait_for_certificate(self, name=NAME, other_than=None):
        return until(lambda: (serial := self.serial(name)) != other_than and serial)

    def metrics(self):
        return Scrape(f"{self.directory}/admin")

    def files(self):
        return list(self.authority.directory.glob("acme/*/*"))


def until(what):
    """The first true value of `what`."""
    end = time.monotonic() + ORDER_LIMIT
    while time.monotonic() < end:
        if value := what():
            return value
        time.sleep(0.1)
    raise TimeoutError("it does not happen")


def ports():
    first, second = servers.free_port(), servers.free_port()
    return {"http_port": first, "tls_port": second}


@pytest.mark.parametrize("challenge", ["tls-alpn-01", "http-01"])
def test_the_first_certificate_comes_by_each_challenge_and_is_kept_for_the_daemon_alone(tmp_path, challenge):
    with pebble.running(tmp_path, **ports()) as authority:
        site = Site(authority, tmp_path, acme=f'challenge = "{challenge}"\ncontact = "admin@hairpin.test"')
        with site.start() as daemon:
            serial = site.wait_for_certificate()
            # clients are shown the certificate a moment before the order is over
            until(lambda: f"the certificate has been issued names=\"{NAME}\"" in daemon.log())
            until(lambda: site.metrics().total("hairpin_acme_orders_total", outcome="issued") == 1)
            left = site.metrics().total("hairpin_acme_next_order_timestamp_seconds") - time.time()
            assert left == pytest.approx(60 * 24 * 3600, abs=600), "two thirds of ninety days"
            assert daemon.stop() == 0
        assert {stat.S_IMODE(file.stat().st_mode) for file in site.files()} == {0o600}
        assert sorted(file.name for file in site.files()) == ["account.json", "certificate.pem"]

        # when
        with site.start() as daemon:
            assert site.serial() == serial, "it is there from the first connection"
            assert "ordering a certificate" not in daemon.log()


@pytest.mark.parametrize("names", [("127.0.0.1",), (NAME, "other.hairpin.test")])
def test_a_certificate_can_be_for_an_ip_address_and_for_several_names(tmp_path, names):
    with pebble.running(tmp_path, **ports()) as authority, Site(authority, tmp_path, names).start():
        site = Site(authority, tmp_path, names)
        for name in names:
            assert site.wait_for_certificate(name)


def test_an_authority_that_refuses_nonces_is_asked_again(tmp_path):
    with pebble.running(tmp_path, **ports(), PEBBLE_WFE_NONCEREJECT="30") as authority:
        site = Site(authority, tmp_path)
        with site.start() as daemon:
            # three refusals in a row end an order, and a reload begins the next
            def retry():
                if "no certificate" in daemon.log():
                    daemon.process.send_signal(1)
                return site.serial()

            assert until(retry)


def test_while_the_authority_is_down_everything_else_is_served_and_a_reload_tries_again(tmp_path):
    with pebble.running(tmp_path, **ports(), is_down=True) as authority:
        site = Site(authority, tmp_path)
        with site.start() as daemon:
            until(lambda: "no certificate: the authority cannot be reached" in daemon.log())
            with TurnClient.over_udp(Address("127.0.0.1", site.udp), *servers.credential()) as client:
                client.allocate()
            assert site.metrics().total("hairpin_acme_failures") >= 1

            # when
            authority.start()
            daemon.process.send_signal(1)

            assert site.wait_for_certificate()
            assert site.metrics().total("hairpin_acme_failures") == 0


def test_a_refused_order_is_logged_in_the_words_of_the_authority(tmp_path):
    with pebble.running(tmp_path, **ports()) as authority:
        authority.lead(NAME, "127.0.0.77")
        site = Site(authority, tmp_path)
        with site.start() as daemon:
            until(lambda: "tls.acme: no certificate:" in daemon.log())
            line = next(line for line in daemon.log().splitlines() if "no certificate:" in line)
            assert "could not verify the names by tls-alpn-01" in line and f"{NAME}: " in line, line
            assert "Failed to connect to 127.0.0.77" in line or "connection refused" in line, line
            assert "nothing keeps the authority from TCP port 443" in line, line
            status = subprocess.run(
                [servers.HAIRPIN, "status", "--json", "--admin", tmp_path / "admin"], capture_output=True, check=True
            )
            assert "could not verify" in json.loads(status.stdout)["acme"]["problem"]
            assert site.serial() is None


def test_an_authority_that_has_forgotten_the_account_gets_another(tmp_path):
    with pebble.running(tmp_path, **ports()) as authority:
        site = Site(authority, tmp_path)
        with site.start() as daemon:
            site.wait_for_certificate()
            assert daemon.stop() == 0
        certificate = next(file for file in site.files() if file.name == "certificate.pem")
        account = next(file for file in site.files() if file.name == "account.json")
        kept = account.read_text()
        certificate.unlink()
        with site.start() as daemon:
            site.wait_for_certificate()
            assert account.read_text() == kept, "the account is the same after a restart"
            assert daemon.stop() == 0
        certificate.unlink()

        # when
        authority.process.kill()
        authority.process.wait()
        authority.start()

        with site.start():
            site.wait_for_certificate()
        assert account.read_text() != kept


def test_a_renewal_ends_no_connection(tmp_path):
    with pebble.running(tmp_path, **ports(), lifetime=12) as authority:
        site = Site(authority, tmp_path)
        with site.start() as daemon:
            first = site.wait_for_certificate()
            server = Address("127.0.0.1", authority.tls_port)
            clients = [TurnClient(site.connect(), server, *servers.credential()) for _ in range(200)]
            for client in clients:
                client.allocate()

            # when
            site.wait_for_certificate(other_than=first)

            for client in clients:
                client.permit(Address("127.0.0.1", 9))
            assert daemon.log().count("the certificate has been issued") >= 2
            for client in clients:
                client.sock.close()
