"""A `turnserver.conf` serves the same clients before, by Debian's coturn, and after, by Hairpin with what
`hairpin import-coturn` makes of it.

The files in `coturn/` are as other projects want them. Here only addresses, ports, certificates and secrets are replaced,
and coturn's peers on loopback are opened, as the remark of the import says for Hairpin.
"""

import hashlib
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

import certificate
import debian_coturn
import servers
import uclient
from stun import Address

pytestmark = pytest.mark.hairpin_only

FILES = servers.ROOT / "tests/interop/coturn"
EXAMPLE = debian_coturn.SERVER.parents[2] / "etc/turnserver.conf"
# the addresses of a server behind a NAT, as this machine has them
OWN = {"10.0.0.10": "127.0.0.1", "10.0.0.11": "127.0.0.2", "2001:db8::10": "::1", "0.0.0.0": "127.0.0.1"}
CAROLS_PASSWORD = "correct horse saddle"
MESSAGES, LENGTH = 10, 1000
UDP, TCP, TLS = (), ("-t",), ("-t", "-S")
# what an administrator changes in coturn's own example, at least
SHARED_SECRET = "use-auth-secret\nstatic-auth-secret=SECRET\nrealm=example.org\n"
# several run at once, and port 8080 is one
NO_HTTP = {"HAIRPIN_HTTP__LISTEN": "[]"}
FOR_LOOPBACK = "allow-loopback-peers\nallowed-peer-ip=127.0.0.1\nrfc5766-channel-numbers\nno-cli\n"


@dataclass(frozen=True)
class Case:
    """A configuration, and what clients do with it."""

    name: str
    transports: tuple
    logins: tuple = (("-u", servers.TAG, "-W", servers.SECRET),)
    servers: tuple = ("127.0.0.1",)

    def __str__(self):
        return self.name

    def clients(self):
        """The first user at every address over every transport, and the other users once."""
        first, *others = self.logins
        yield from ((ip, transport, first) for ip in self.servers for transport in self.transports)
        yield from ((self.servers[0], self.transports[0], login) for login in others)

    def text(self):
        if self.name == "example":
            return EXAMPLE.read_text() + SHARED_SECRET
        return (FILES / f"{self.name}.conf").read_text()


CASES = [
    Case("example", (UDP, TCP)),
    Case("matrix", (UDP, TCP, TLS)),
    Case("nextcloud", (UDP, TCP)),
    Case("jitsi", (UDP, TLS)),
    Case("mattermost", (UDP, TCP)),
    Case(
        "hand-grown",
        (UDP, TCP, TLS),
        logins=(
            ("-u", "alice", "-w", "correct horse battery"),
            ("-u", "bob", "-w", "correct horse stapler"),
            ("-u", "carol", "-w", CAROLS_PASSWORD),
        ),
        servers=("127.0.0.1", "127.0.0.2", "::1"),
    ),
]


@dataclass(frozen=True)
class Ports:
    plain: int
    tls: int


def adapted(text, ports):
    """The configuration, with this machine's addresses, ports, certificates and secrets."""
    made = certificate.made()
    key = hashlib.md5(f"carol:example.org:{CAROLS_PASSWORD}".encode()).hexdigest()
    text = text.replace("SECRET", servers.SECRET).replace("0xKEY", f"0x{key}")
    text = re.sub(r"^cert=.*", f"cert={made.chain}", text, flags=re.MULTILINE)
    text = re.sub(r"^pkey=.*", f"pkey={made.key}", text, flags=re.MULTILINE)
    text = re.sub(r"^(listening-port|tls-listening-port|proc-user|userdb|pidfile|syslog|log-file)\b.*\n", "", text, flags=re.MULTILINE)
    for here, there in OWN.items():
        text = re.sub(rf"^(listening-ip|relay-ip|external-ip)(.*[ =/]){re.escape(here)}$", rf"\1\g<2>{there}", text, flags=re.MULTILINE)
    if "listening-ip" not in re.sub(r"^#.*", "", text, flags=re.MULTILINE):
        text += "\nlistening-ip=127.0.0.1\n"
    if not re.search(r"^relay-ip", text, re.MULTILINE):
        text += "\nrelay-ip=127.0.0.1\n"
    return text + f"\nlistening-port={ports.plain}\ntls-listening-port={ports.tls}\n{FOR_LOOPBACK}"


def imported(conf):
    """The configuration that Hairpin makes of a file, and its remarks."""
    done = subprocess.run([servers.HAIRPIN, "import-coturn", conf], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def opened_by_hand(toml):
    """What the remarks ask for: loopback peers for tests, and the password of a user of whom coturn knew only a key."""
    toml = re.sub(r"^\[peers\]\n", "[peers]\nloopback = true\n", toml, flags=re.MULTILINE)
    if "loopback = true" not in toml:
        toml += "\n[peers]\nloopback = true\n"
    return toml.replace("[credentials.users]\n", f'[credentials.users]\ncarol = "{CAROLS_PASSWORD}"\n')


def check(toml, directory):
    path = directory / "config.toml"
    path.write_text(toml)
    path.chmod(0o600)
    return subprocess.run([servers.HAIRPIN, "check-config", path], capture_output=True, text=True)


def run_clients(case, ports, peers):
    """Every client of a case, one after the other."""
    runs = []
    for ip, transport, login in case.clients():
        family = ("-x",) if ":" in ip else ()
        server = Address(ip, ports.tls if transport == TLS else ports.plain)
        # a pair of ports, and all modes of the clients, are tried in test_uclient.py
        flags = (*transport, *family, "-v", "-c", "-m", 1, "-n", MESSAGES, "-l", LENGTH)
        target = ("-e", "::1" if family else "127.0.0.1", "-r", peers[bool(family)])
        runs.append((transport, uclient.run(server, *flags, *target, login=login)))
    return runs


def coturn(conf, directory):
    files = ["--log-file", "stdout", "--pidfile", directory / "pid", "--db", directory / "db"]
    return servers.Daemon([debian_coturn.SERVER, "-c", conf, *files], directory)


def before_and_after(case, directory, peers):
    """The clients' runs with coturn, and with Hairpin."""
    ports = Ports(servers.free_port(), servers.free_port())
    conf = directory / "turnserver.conf"
    conf.write_text(adapted(case.text(), ports))
    (directory / "coturn").mkdir()
    (directory / "hairpin").mkdir()
    toml, _ = imported(conf)
    found = {}
    for who, daemon in (
        ("coturn", lambda: coturn(conf, directory / "coturn")),
        ("hairpin", lambda: servers.hairpin_with(opened_by_hand(toml), directory / "hairpin", environment=NO_HTTP)),
    ):
        with daemon() as running:
            running.wait_until_ready()
            found[who] = run_clients(case, ports, peers)
            running.stop(limit=20)
    return found


@pytest.fixture(scope="module")
def peers():
    with uclient.echo_peer("127.0.0.1") as on_ipv4, uclient.echo_peer("::1") as on_ipv6:
        yield {False: on_ipv4, True: on_ipv6}


@pytest.fixture(scope="module")
def contest(request, tmp_path_factory, peers):
    """All chosen cases at once: uclient mostly waits."""
    own = [item for item in request.session.items if item.path == request.path]
    chosen = {item.callspec.params["case"] for item in own if "contest" in item.fixturenames}
    certificate.made()  # once, and not by several threads
    with ThreadPoolExecutor(len(chosen)) as pool:
        yield {
            case: pool.submit(before_and_after, case, tmp_path_factory.mktemp(case.name), peers) for case in chosen
        }


@pytest.mark.parametrize("who", ["coturn", "hairpin"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_same_clients_are_served_before_and_after(case, who, contest):
    runs = contest[case].result()[who]

    assert len(runs) == len(list(case.clients()))
    for transport, run in runs:
        assert run.code == 0, str(run)
        received = run.received_over_tls(LENGTH) if transport == TLS else run.received
        assert run.sent == received == MESSAGES, str(run)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_imported_passes_check_config(case, tmp_path):
    conf = tmp_path / "turnserver.conf"
    conf.write_text(adapted(case.text(), Ports(3478, 5349)))

    toml, _ = imported(conf)

    checked = check(toml, tmp_path)
    assert checked.returncode == 0, f"{toml}\n{checked.stderr}"


def options(text):
    """Every option of an example, those behind a comment sign, too."""
    lines = re.findall(r"^#?([A-Za-z][\w-]+(?:=.*)?)$", text, re.MULTILINE)
    return [line for line in lines if re.match(r"[a-zA-Z]+(-|=|$)", line) and " " not in line.partition("=")[0]]


def test_coturns_own_example_is_imported_with_every_option_switched_on(tmp_path):
    conf = tmp_path / "turnserver.conf"
    lines = options(EXAMPLE.read_text())
    conf.write_text("\n".join(lines) + "\n")

    toml, remarks = imported(conf)

    assert len(lines) > 100
    assert "no such option" not in remarks, remarks
    named = {int(line) for line in re.findall(r"\(line (\d+)\)", toml) + re.findall(r"conf:(\d+):", remarks)}
    assert named == set(range(1, len(lines) + 1)), [lines[at - 1] for at in set(range(1, len(lines) + 1)) - named]


def test_remarks_are_one_line_each_and_show_no_secret(tmp_path):
    conf = tmp_path / "turnserver.conf"
    conf.write_text(adapted((FILES / "hand-grown.conf").read_text(), Ports(3478, 5349)))

    _, remarks = imported(conf)

    for text in ["no-such-option: by hand", "mobility: not supported", "no-loopback-peers: needless"]:
        assert text in remarks, remarks
    for secret in ["correct horse", "an older password", "qwerty", "0x", "carol"]:
        assert secret not in remarks, remarks
    kinds = r"(?:needless|not supported|by hand|note)"
    for line in remarks.splitlines():
        assert re.fullmatch(rf"{re.escape(str(conf))}(?::\d+)?: [\w, -]+: {kinds}: .+", line), line


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    done = subprocess.run([servers.HAIRPIN, "import-coturn", tmp_path / "none"], capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (78, "")
    assert "cannot be read" in done.stderr
