"""Every recipe of docs/http.md carries twenty users at once, each with what the product makes of the recipe."""

import base64
import configparser
import hmac
import json
import re
import shlex
import socket
import subprocess
import time
import tomllib
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import pytest

import servers
from backend import Key, curl
from stun import Address
from turn_client import TurnClient

pytestmark = pytest.mark.hairpin_only

USERS = 20
HOST = "turn.example.org"
PASSWORD = "a password of the recipes"
RECIPES = (servers.ROOT / "docs/http.md").read_text().partition("\n## Recipes\n")[2]
# A name in bold at the beginning of a line, and what follows it.
SECTIONS = dict(re.findall(r"^\*\*([^,:*]+)[^*]*\*\*(.*?)(?=^\*\*|\Z)", RECIPES, re.MULTILINE | re.DOTALL))
BLOCKS = {name: re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL) for name, text in SECTIONS.items()}


@dataclass(frozen=True)
class Login:
    """What one user of a product has in the end."""

    url: str
    username: str
    password: str


def block(recipe, *kinds):
    """The product's own configuration in a recipe, with its secrets filled in."""
    text = next(text for kind, text in BLOCKS[recipe] if kind in kinds)
    return text.replace("SECRET", servers.SECRET).replace("PASSWORD", PASSWORD)


def timed(tag=None, ttl=3600, secret=servers.SECRET):
    username = str(int(time.time()) + ttl) + (f":{tag}" if tag is not None else "")
    return username, base64.b64encode(hmac.digest(secret.encode(), username.encode(), "sha1")).decode()


def matrix(_site):
    text = block("Matrix Synapse", "yaml")
    urls = json.loads(re.search(r"^turn_uris: (.*)$", text, re.MULTILINE)[1])
    secret = re.search(r'^turn_shared_secret: "(.*)"$', text, re.MULTILINE)[1]
    for user in range(USERS):
        yield Login(urls[user % len(urls)], *timed(f"@user{user}:example.org", secret=secret))


def nextcloud(_site):
    command = next(line for line in block("Nextcloud Talk", "sh").splitlines() if "talk:turn:add" in line)
    scheme, server, protocols, secret = shlex.split(command)[2:]
    protocols = protocols.split(",")
    for user in range(USERS):
        url = f"{scheme}:{server}?transport={protocols[user % len(protocols)]}"
        yield Login(url, *timed(f"session{user}", 86400, secret.removeprefix("--secret=")))


def jitsi(_site):
    text = block("Jitsi Meet", "lua")
    secret = re.search(r'external_service_secret = "(.*)"', text)[1]
    services = [dict(re.findall(r'(\w+) = "?([^",}]+?)"?[ ,]', line)) for line in re.findall(r"{ type = .*}", text)]
    services = [service for service in services if service["type"] != "stun"]
    for user in range(USERS):
        service = services[user % len(services)]
        assert service["secret"] == "true" and service["algorithm"] == "turn", "as mod_external_services wants it"
        url = "{type}:{host}:{port}?transport={transport}".format(**service)
        yield Login(url, *timed(service.get("username"), int(service["ttl"]), secret))


def mattermost(_site):
    urls = [url for server in json.loads(block("Mattermost Calls", "json")) for url in server["urls"]]
    urls = [url for url in urls if url.startswith("turn")]
    for user in range(USERS):
        yield Login(urls[user % len(urls)], *timed(f"user{user}"))


def livekit(_site):
    lines = re.findall(r"- {.*}", block("LiveKit", "yaml"))
    turn_servers = [dict(re.findall(r'(\w+): "?([^",}]+?)"?[ ,]', line)) for line in lines]
    for user in range(USERS):
        server = turn_servers[user % len(turn_servers)]
        scheme, transport = {"udp": ("turn", "udp"), "tls": ("turns", "tcp")}[server["protocol"]]
        url = f"{scheme}:{server['host']}:{server['port']}?transport={transport}"
        yield Login(url, *timed(f"PA_{user}", secret=server["secret"]))


def galene(_site):
    (server,) = json.loads(block("Galène", "json"))
    assert server["credentialType"] == "hmac-sha1"
    # one for all, for some minutes
    login = timed(server["username"], 86400, server["credential"])
    for user in range(USERS):
        yield Login(server["urls"][user % len(server["urls"])], *login)


def janus_by_key(site):
    (text,) = [text for kind, text in BLOCKS["Janus"] if "turn_rest_api_key" in text]
    settings = dict(re.findall(r'(\w+) = "(.*)"', text))
    api = settings["turn_rest_api"].replace(f"https://{HOST}", site.url)
    for user in range(USERS):
        # what turnrest.c puts together: with POST in both places
        query = f"service=turn&key={site.key.text}&api={site.key.text}&username=session{user}"
        post = ("-X", "POST", "-d", query)
        answer = curl(f"{api}?{query}", *(post if user % 2 else ()))
        assert answer.status == 200, answer
        uri = next(uri for uri in answer.json["uris"] if uri.startswith("turn:"))
        yield Login(uri, answer.json["username"], answer.json["password"])


def janus_by_password(_site):
    (text,) = [text for kind, text in BLOCKS["Janus"] if "turn_pwd" in text]
    settings = dict(re.findall(r'(\w+) = "?([^"\n]+)"?', text))
    url = "turn:{turn_server}:{turn_port}?transport={turn_type}".format(**settings)
    for _ in range(USERS):
        yield Login(url, settings["turn_user"], settings["turn_pwd"].replace("PASSWORD", PASSWORD))


def asterisk(_site):
    settings = configparser.ConfigParser()
    settings.read_string(block("Asterisk", "ini"))
    general = settings["general"]
    for user in range(USERS):
        url = f"turn:{general['turnaddr']}?transport={['udp', 'tcp'][user % 2]}"
        yield Login(url, general["turnusername"], general["turnpassword"])


def gstreamer(site):
    for user in range(USERS):
        body = json.dumps({"user": f"camera{user}"})
        answer = curl(f"{site.url}/api/v1/ice-servers", "-X", "POST", "-H", site.key.header, "-d", body)
        given = f"const {{ username, credential }} = {json.dumps(answer.turn)};"
        uri = urlsplit(node(given + block("GStreamer", "js") + "console.log(uri);"))
        login = [unquote(part) for part in (uri.username, uri.password)]
        yield Login(f"{uri.scheme}:{uri.hostname}:{uri.port}?{uri.query}", *login)


def own_backend(_site):
    text = block("Your own backend", "js")
    show = "console.log(JSON.stringify([username, credential]));"
    for user in range(USERS):
        # 42 is the user
        code = text.replace(servers.SECRET, json.dumps(servers.SECRET)).replace(":42`", f":{user}`")
        yield Login(f"turn:{HOST}:3478", *json.loads(node(code + show)))


def node(code):
    command = ["node", "--input-type=module", "-e", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


PRODUCTS = {
    "Matrix Synapse": [matrix],
    "Nextcloud Talk": [nextcloud],
    "Jitsi Meet": [jitsi],
    "Mattermost Calls": [mattermost],
    "LiveKit": [livekit],
    "Galène": [galene],
    "Janus": [janus_by_key, janus_by_password],
    "Asterisk": [asterisk],
    "GStreamer": [gstreamer],
    "Your own backend": [own_backend],
}


def test_every_recipe_is_tried():
    assert list(SECTIONS) == list(PRODUCTS)


class Site:
    """A daemon with the defaults, but for what the recipe says."""

    def __init__(self, recipe):
        self.key = Key.made("service", "allow_query = true")
        settings = f'ice_host = "127.0.0.1"\n{self.key.config}'
        self.plan = servers.Plan(tcp=True, tls=servers.free_port(), http=servers.free_port(), http_settings=settings)
        self.url = f"http://127.0.0.1:{self.plan.http}"
        self.config = configuration(self.plan, recipe)

    def client(self, login):
        """A client that goes where the URL says, but for the name."""
        parts = re.fullmatch(r"(turns?):[^:?]+:(\d+)(?:\?transport=(\w+))?", login.url)
        scheme, port, transport = parts.groups()
        port = {"3478": self.plan.port, "443": self.plan.tls}.get(port, port)
        server = Address("127.0.0.1", int(port))
        if scheme == "turns":
            return TurnClient.over_tls(server, login.username, login.password)
        over = TurnClient.over_tcp if transport == "tcp" else TurnClient.over_udp
        return over(server, login.username, login.password)


def configuration(plan, recipe):
    """The plan's, with default limits and what the recipe adds."""
    more = {}
    for kind, text in BLOCKS[recipe]:
        if kind == "toml":
            more |= tomllib.loads(text.replace("PASSWORD", PASSWORD))
    written = lambda keys: "".join(f"{key} = {inline(value)}\n" for key, value in keys.items())
    lines = {table: written(keys) for table, keys in more.items()}
    assert lines.keys() <= {"limits", "credentials"}, lines
    plain = plan.hairpin_config().partition("[limits]")[0]
    plain = plain.replace("[credentials]\n", "[credentials]\n" + lines.get("credentials", ""))
    # All twenty are behind one address here, which is not what a recipe is about. That one name is for all of them is, and
    # so nobody has more than a browser needs, unless the recipe says so.
    others = "answers_per_ip = 100000\nanswers_per_network = 100000\nallocations_per_user = 5\n"
    return f"{plain}[limits]\n{others}{lines.get('limits', '')}"


def inline(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {inline(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)


@pytest.mark.parametrize("recipe, product", [(name, product) for name, all in PRODUCTS.items() for product in all])
def test_a_recipe_carries_twenty_users_at_once(recipe, product, tmp_path):
    site = Site(recipe)
    with servers.hairpin_with(site.config, tmp_path) as daemon, ExitStack() as open_clients:
        daemon.wait_until_ready()
        peer = open_clients.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(5)
        address = Address(*peer.getsockname())
        logins = list(product(site))
        assert len(logins) == USERS
        for number, login in enumerate(logins):
            client = open_clients.enter_context(site.client(login))
            client.allocate()
            client.permit(address)
            client.send(address, f"hello {number}".encode())
            heard, relayed = peer.recvfrom(100)
            peer.sendto(heard[::-1], relayed)
            assert client.receive().data == f"hello {number}".encode()[::-1]
        assert daemon.stop() == 0
