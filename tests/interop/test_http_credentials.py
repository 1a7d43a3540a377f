"""What curl is given over HTTP opens the relay to clients that are not ours, until it expires, is revoked, or its secret is
gone; and the log knows nothing of it."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import certificate
import servers
import uclient
from backend import Key, curl, revoke
from stun import Address
from turn_client import Refused, TurnClient

pytestmark = pytest.mark.hairpin_only

ICE = "/api/v1/ice-servers"
OTHER_SECRET = "t8Qw3mXc5vLz7Kj1Hf9Rd2Np4Bs6Gy0E"
LOUDEST = '[log]\nlevel = "trace"\n'


class Site:
    """A daemon with one key for headers and one for URLs."""

    def __init__(self, ice_host='ice_host = "127.0.0.1"\n', more=""):
        self.key, self.url_key = Key.made("shop"), Key.made("page", "allow_query = true")
        settings = ice_host + self.key.config + self.url_key.config + more
        self.plan = servers.Plan(tcp=True, http=servers.free_port(), http_settings=settings)
        self.url = f"http://127.0.0.1:{self.plan.http}"

    @property
    def server(self):
        return Address("127.0.0.1", self.plan.port)

    def post(self, path, body="", *options):
        return curl(self.url + path, "-X", "POST", "-H", self.key.header, "-d", body, *options)

    def get(self, path):
        return curl(f"{self.url}{path}key={self.url_key.text}")

    def client(self, username, credential, over="udp"):
        connect = {"udp": TurnClient.over_udp, "tcp": TurnClient.over_tcp, "tls": TurnClient.over_tls}[over]
        return connect(self.server, username, credential)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site()
    with servers.running(site.plan, tmp_path_factory.mktemp("site")):
        yield site


@pytest.fixture(scope="module")
def peer():
    with uclient.echo_peer("127.0.0.1") as port:
        yield Address("127.0.0.1", port)


def of_ice_servers(answer):
    turn = answer.json[-1] if isinstance(answer.json, list) else answer.turn
    return turn["urls"], turn["username"], turn["credential"]


def of_the_draft(answer):
    assert sorted(answer.json) == ["password", "ttl", "uris", "username"]
    return answer.json["uris"], answer.json["username"], answer.json["password"]


def check_ice(site):
    return curl(f"{site.url}/api/v1/check-ice", "-X", "POST", "-H", f"Origin: {site.url}")


# How each is asked for, the status of the answer, and where in it the credential is.
ENDPOINTS = {
    "POST ice-servers": (lambda site: site.post(ICE, '{"user": "alice"}'), 201, of_ice_servers),
    "GET ice-servers": (lambda site: site.get(f"{ICE}?user=alice&"), 200, of_ice_servers),
    "format=array": (lambda site: site.get(f"{ICE}?user=alice&format=array&"), 200, of_ice_servers),
    "format=uris": (lambda site: site.post(f"{ICE}?format=uris"), 201, of_the_draft),
    "GET turn": (lambda site: site.get("/turn?service=turn&username=alice&"), 200, of_the_draft),
    "GET turn/credentials": (lambda site: site.get("/turn/credentials?service=turn&"), 200, of_the_draft),
    "POST check-ice": (check_ice, 201, of_ice_servers),
}
URLS = ["udp", "tcp"]


@pytest.fixture(scope="module")
def relayed(site, peer):
    """uclient's run with each URL of each answer, all started together: it mostly waits."""
    with ThreadPoolExecutor(len(ENDPOINTS) * len(URLS)) as pool:
        relayed = {}
        for name, (ask, status, read) in ENDPOINTS.items():
            answer = ask(site)
            assert answer.status == status, answer
            urls, *login = read(answer)
            assert [url.rpartition("=")[2] for url in urls] == URLS
            for url in urls:
                relayed[name, url.rpartition("=")[2]] = pool.submit(relay, url, *login, peer)
        yield relayed


def relay(url, username, password, peer):
    """Lets uclient relay by exactly what a URL says."""
    host, port, transport = re.fullmatch(r"turn:([0-9.]+):(\d+)\?transport=(udp|tcp)", url).groups()
    flags = {"udp": (), "tcp": ("-t",)}[transport]
    login = ("-u", username, "-w", password)
    return uclient.run(Address(host, int(port)), *flags, "-v", "-n", 5, "-e", peer.ip, "-r", peer.port, login=login)


@pytest.mark.parametrize("transport", URLS)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_uclient_relays_with_exactly_what_curl_got(endpoint, transport, relayed):
    run = relayed[endpoint, transport].result()

    assert (run.code, run.lost) == (0, 0), str(run)
    assert run.sent == run.received > 0, str(run)


def test_curl_gets_tokens_for_rooms(site):
    answer = site.post("/api/v1/room-tokens", '{"room": "standup"}')

    assert (answer.status, answer.json["token"][:3]) == (201, "r1.")


def test_with_a_certificate_and_its_name_there_is_a_url_for_tls(tmp_path):
    site = Site(ice_host="")
    with servers.running(site.plan, tmp_path):
        urls = site.post(ICE).turn["urls"]

    host = f"{certificate.NAME}:{site.plan.port}"
    assert urls == [f"turn:{host}?transport=udp", f"turn:{host}?transport=tcp", f"turns:{host}?transport=tcp"]


@pytest.mark.parametrize("over", ["udp", "tcp", "tls"])
def test_a_revoked_users_call_ends_within_a_second(site, peer, over):
    # given
    turn = site.post(ICE, '{"user": "alice"}').turn
    other = site.post(ICE, '{"user": "bob"}').turn
    with site.client(turn["username"], turn["credential"], over) as revoked:
        with site.client(other["username"], other["credential"], over) as kept:
            for client in (revoked, kept):
                client.allocate()
                client.bind(0x4000, peer)
                client.send_on_channel(0x4000, b"hello")
                assert client.receive().data == b"hello"

            # when
            assert revoke(site.url, site.key, turn["username"]).status == 204

            # then
            assert seconds_until_silence(revoked) < 1
            kept.send_on_channel(0x4000, b"still there")
            assert kept.receive().data == b"still there"
            for method in (revoked.allocate, lambda: revoked.permit(peer)):
                with pytest.raises(Refused) as refused:
                    method()
                assert refused.value.code == 401

    with site.client(turn["username"], turn["credential"]) as again:
        with pytest.raises(Refused) as refused:
            again.allocate()
    assert refused.value.code == 401


def seconds_until_silence(client):
    """How long it takes until three packets in a row have no echo."""
    begun, last = time.monotonic(), 0
    while True:
        for _ in range(3):
            client.send_on_channel(0x4000, b"are you there?")
        try:
            client.receive(wait=0.2)
            last = time.monotonic() - begun
        except TimeoutError:
            return last
        assert last < 5, "it goes on"


def test_an_expired_credential_is_refused(site):
    username, password = servers.credential(expires_in=-1, tag="shop.alice")
    with site.client(username, password) as client:
        with pytest.raises(Refused) as refused:
            client.allocate()
    assert refused.value.code == 401


def test_a_secret_is_replaced_with_both_good_until_the_old_one_is_removed(tmp_path):
    def allocates(plan, secrets, credential, name):
        directory = tmp_path / name
        directory.mkdir()
        config = plan.hairpin_config().replace(f'["{servers.SECRET}"]', f"{secrets}".replace("'", '"'))
        with servers.hairpin_with(config, directory) as daemon:
            daemon.wait_until_ready()
            made = site.post(ICE).turn
            opened = []
            for login in (credential, (made["username"], made["credential"])):
                with site.client(*login) as client:
                    try:
                        client.allocate()
                        opened.append(True)
                    except Refused as refused:
                        opened.append(refused.code)
            daemon.stop()
            return opened, (made["username"], made["credential"])

    site = Site()
    old = servers.credential(tag="shop.alice")
    both, of_the_new = allocates(site.plan, [OTHER_SECRET, servers.SECRET], old, "both")
    assert both == [True, True]
    new_alone, _ = allocates(site.plan, [OTHER_SECRET], old, "new")
    assert new_alone == [401, True]
    new_still, _ = allocates(site.plan, [OTHER_SECRET], of_the_new, "still")
    assert new_still == [True, True], "what was made while both were good is of the new one"


def test_the_log_has_no_key_no_password_and_no_name_even_at_its_loudest(tmp_path):
    # given
    site = Site(more=LOUDEST)
    names = ["user-of-the-log", "room-of-the-log"]
    secure = f"https://{certificate.NAME}:{site.plan.port}"
    over_tls = ("-k", "--http2", "--resolve", f"{certificate.NAME}:{site.plan.port}:127.0.0.1")

    # when
    with servers.hairpin(site.plan, tmp_path) as daemon:
        daemon.wait_until_ready()
        wish = f'{{"user": "{names[0]}", "room": "{names[1]}"}}'
        made = site.post(ICE, wish)
        answers = [
            site.post(ICE, wish[:-1]),
            site.get(f"{ICE}?user={names[0]}&"),
            site.get(f"/turn?service=turn&username={names[0]}&"),
            curl(f"{site.url}{ICE}?key=wrong-{site.key.text}"),
            curl(f"{site.url}{ICE}?key={site.key.text}"),
            revoke(site.url, site.key, made.turn["username"]),
            site.post("/api/v1/room-tokens", f'{{"room": "{names[1]}"}}'),
            curl(f"{secure}{ICE}", *over_tls, "-X", "POST", "-H", site.key.header, "-d", wish),
        ]
        used = site.post(ICE).turn
        with site.client(used["username"], used["credential"]) as client:
            client.allocate()
        daemon.stop()
        log = daemon.log()

    # then
    assert [answer.status for answer in answers] == [400, 200, 200, 401, 403, 204, 201, 201]
    assert "HTTP request" in log and "DEBUG" in log, log
    token = answers[6].json["token"]
    secrets = [servers.SECRET, site.key.text, site.url_key.text, made.turn["credential"], used["credential"], token]
    assert [text for text in secrets + names if text in log] == []
