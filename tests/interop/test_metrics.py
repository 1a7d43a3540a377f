"""What Prometheus gets: a text without a fault, with byte counters that grow while sessions run and add up to what a client
sent; and alert rules that fire when they should."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

import servers
import uclient
from scrape import Scrape, promtool
from servers import ROOT
from stun import Address

MONITORING = ROOT / "docs/monitoring"
# every metric with all of its labels
WHOLE_TEXT = ROOT / "src/observed/prometheus/expected.txt"
LENGTH = 200

pytestmark = pytest.mark.hairpin_only


@dataclass(frozen=True)
class Mode:
    """Flags of uclient, and how its sessions are labelled."""

    flags: str
    transport: str
    server: str = "127.0.0.1"
    family: str = "ipv4"
    peer_transport: str = "udp"
    # without an echo peer, clients send to each other, over two relays
    peer: bool = True

    def __str__(self):
        return f"{self.flags or 'default'} {self.server}"


MODES = [
    Mode("", "udp"),
    Mode("-s", "udp"),
    Mode("-x", "udp", server="::1", family="ipv6"),
    Mode("-t", "tcp"),
    Mode("-t -S", "tls"),
    # RFC 6062: the peers are connected over TCP
    Mode("-T", "tcp", peer_transport="tcp", peer=False),
]


@pytest.fixture
def daemon(tmp_path):
    """A daemon of one test, and its admin socket."""
    plan = servers.Plan(tcp=True, relay_tcp=True)
    admin = tmp_path / "admin.sock"
    config = plan.hairpin_config() + f'\n[admin]\nlisten = ["{admin}"]\n'
    with servers.hairpin_with(config, tmp_path) as running:
        running.wait_until_ready()
        yield plan, admin


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_bytes_grow_while_a_session_runs_and_add_up_to_what_the_client_sent(mode, daemon):
    plan, admin = daemon
    labels = {"transport": mode.transport, "family": mode.family, "peer_transport": mode.peer_transport}

    with ThreadPoolExecutor(1) as pool, uclient.echo_peer(mode.server) as peer:
        flags = [*mode.flags.split(), "-n", 200, "-z", 10, "-l", LENGTH]
        target = ["-e", mode.server, "-r", peer] if mode.peer else []
        client = pool.submit(uclient.run, Address(mode.server, plan.port), *flags, *target)
        seen = []
        while not client.done():
            seen.append(Scrape(admin))
        run = client.result()

    assert run.code == 0, str(run)
    sums = [scrape.total("hairpin_relayed_bytes_total", direction="up", **labels) for scrape in seen]
    assert sums == sorted(sums)
    assert len(set(sums)) > 10, "the counter grows while the sessions run"
    running = [scrape.total("hairpin_allocations", **labels) for scrape in seen]
    assert max(running) >= 2, "and they are counted"
    sent, received = (
        Scrape(admin).total("hairpin_relayed_bytes_total", direction=direction, **labels)
        for direction in ("up", "down")
    )
    assert sent == run.sent * LENGTH, str(run)
    # uclient counts TLS records, of which one may have several messages
    assert received == sent if "-S" in mode.flags else received == run.received * LENGTH, str(run)
    other = Scrape(admin).total("hairpin_relayed_bytes_total")
    assert other == sent + received, "nothing is counted under other labels"


def test_promtool_finds_no_fault_in_a_scrape(daemon):
    plan, admin = daemon
    with uclient.echo_peer("127.0.0.1") as peer:
        run = uclient.run(Address("127.0.0.1", plan.port), "-t", "-S", "-e", "127.0.0.1", "-r", peer)
    assert run.code == 0, str(run)

    scrape = Scrape(admin)

    assert scrape.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert promtool("check", "metrics", text=scrape.text) == (0, "")
    assert scrape.total("hairpin_answers_total", method="allocate", code="success") >= 1
    assert scrape.total("hairpin_tls_handshakes_total", outcome="ok") >= 1
    assert scrape.total("process_open_fds") > 10
    assert len(scrape.text.splitlines()) < 1000


def test_the_alert_rules_are_valid_and_fire_when_they_should():
    for command in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]):
        code, said = promtool(*command, cwd=MONITORING)
        assert code == 0, said


def test_each_alert_has_a_test():
    rules, tests = ((MONITORING / name).read_text() for name in ("alerts.yml", "alerts.test.yml"))
    alerts = [line.split(":")[1].strip() for line in rules.splitlines() if "- alert:" in line]

    assert len(alerts) > 10
    for alert in alerts:
        assert f"name: {alert} fires" in tests


def test_the_queries_of_the_dashboard_are_valid(tmp_path):
    rules = [{"record": f"query{number}", "expr": query} for number, query in enumerate(queries())]
    # JSON is YAML, too
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))

    code, said = promtool("check", "rules", "rules.yml", cwd=tmp_path)

    assert code == 0, said
    assert len(rules) > 30


def test_dashboard_and_alerts_use_only_labels_that_exist():
    text = WHOLE_TEXT.read_text()
    alerts = re.sub(r"annotations:.*?(?=- alert|\Z)", "", (MONITORING / "alerts.yml").read_text(), flags=re.DOTALL)
    for query in [*queries(), *alerts.split("- alert:")[1:]]:
        everywhere = {"job", "instance"}
        for metric, matchers in re.findall(r"\b((?:hairpin|process)_\w+)(?:{([^}]*)})?", query):
            samples = re.findall(rf"^{metric}(?:{{(.*)}})? ", text, re.MULTILINE)
            labels = {name for sample in samples for name in re.findall(r'(\w+)="', sample)}
            used = set(re.findall(r"(\w+)\s*[=!]~?", matchers))
            assert used <= labels | {"job", "instance"}, query
            everywhere |= labels
        for names in re.findall(r"by \(([^)]*)\)", query):
            assert set(names.split(", ")) <= everywhere, query


def queries():
    """The queries of the dashboard, with its variables filled in."""
    panels = json.loads((MONITORING / "grafana.json").read_text())["panels"]
    variables = {"$__rate_interval": "5m", "$job": "hairpin", "$instance": ".*"}
    for target in (target for panel in panels for target in panel.get("targets", ())):
        query = target["expr"]
        for name, value in variables.items():
            query = query.replace(name, value)
        yield query
