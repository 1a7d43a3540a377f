"""`hairpin demo` gives a phone in the same network a call page over HTTPS, and says what the browser will warn of."""

import http.client
import re
import socket
import ssl
import subprocess
from contextlib import contextmanager

import pytest

import natlab
import servers

pytestmark = pytest.mark.hairpin_only

ADDRESS = "192.168.7.5"
PORT = 8443
ORIGIN = f"https://{ADDRESS}:{PORT}"


@pytest.fixture(scope="module")
def home():
    """A machine in a home network without a way to the Internet."""
    name = natlab.namespace("home")
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        subprocess.run(["ip", "-n", name, "addr", "add", f"{ADDRESS}/24", "dev", "lo"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


@contextmanager
def demo(home, directory, folder):
    directory.mkdir()
    with servers.Daemon([servers.HAIRPIN, "demo", "--folder", folder], directory, home) as daemon:
        daemon.wait_until_ready()
        yield daemon


def ask(home, method, path, folder, **headers):
    """A request of a browser that has accepted the certificate."""
    with natlab.inside(home):
        sock = socket.create_connection((ADDRESS, PORT), 5)
    tls = ssl.create_default_context(cafile=folder / "certificate.pem").wrap_socket(sock, server_hostname=ADDRESS)
    connection = http.client.HTTPSConnection(ADDRESS, PORT)
    connection.sock = tls
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response.status, body


def test_the_page_is_there_and_its_rooms_are_open_to_it(home, tmp_path):
    folder = tmp_path / "certificate"
    with demo(home, tmp_path / "first", folder) as daemon:
        said = daemon.log()
        assert f"Open {ORIGIN} on this computer" in said and "warns once" in said
        assert re.search(r"^[█▀▄ ]{25,}$", said, re.MULTILINE), "a QR code"
        status, page = ask(home, "GET", "/", folder)
        assert status == 200 and "<html" in page
        status, door = ask(home, "POST", "/api/v1/door", folder, Origin=ORIGIN)
        assert status == 200, door
        assert daemon.stop() == 0
    first = (folder / "certificate.pem").read_text()

    # when
    with demo(home, tmp_path / "second", folder):
        pass

    assert (folder / "certificate.pem").read_text() == first, "a browser that has accepted it is not asked again"
