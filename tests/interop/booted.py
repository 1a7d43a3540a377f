"""A Debian that is booted in a container (systemd-nspawn) and has Hairpin installed as the README says.

The container ends by its own process ids, and with it go its directory, its network namespace and its cgroup.
"""

import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import natlab
from notify import NotifySocket
from scrape import Scrape
from servers import HAIRPIN, ROOT
from stun import Address
from turn_client import TurnClient

SYSTEMS = ROOT / "target/systems"
ADDRESS = "203.0.113.10"
CLIENT = "198.51.100.7"
UNIT = "hairpin.service"
# of which 140 MB are used
ROOT_SIZE = "1g"
BOOT_LIMIT, COMMAND_LIMIT, END_LIMIT = 60, 30, 20
NOT_AT_ALL = 0.1

_PREPARE = "`tests/run prepare` gets it"
# half of the files, which nobody reads
_NEEDLESS = ("doc", "locale", "man", "perl")
_SOURCES = "usr/src/hairpin"
_PLAIN_SHELL = 'cargo() { :; }; sudo() { "$@"; }; set -e; cd /usr/src/hairpin'


def missing(release):
    """What this machine lacks to boot `release` of Debian, in a sentence, or None."""
    for program in ("systemd-nspawn", "nsenter", "setpriv"):
        if shutil.which(program) is None:
            return f"{program} is missing: {_PREPARE}"
    if not _archive(release).exists():
        return f"{_archive(release)} is missing: {_PREPARE} from Debian's mirror, with mmdebstrap"
    if not HAIRPIN.exists():
        return f"{HAIRPIN} is missing: `cargo build --release` makes it"
    return None


def require(release):
    """Fails the test if Debian 12 cannot be booted, and skips it for another release."""
    why = missing(release)
    if why and release != "bookworm":
        pytest.skip(why)
    assert not why, why


@contextmanager
def machine(release, directory):
    """A machine that has booted with Hairpin installed and enabled."""
    with _parts(release, directory) as parts:
        with Machine(*parts, directory / "first boot") as it:
            it.install_as_the_readme_says()
            it.name_every_key()
            it.power_off()
        with Machine(*parts, directory / "second boot") as it:
            yield it


@contextmanager
def bare_machine(release, directory):
    """A machine that has booted without Hairpin."""
    with _parts(release, directory) as parts, Machine(*parts, directory / "boot") as it:
        yield it


@contextmanager
def _parts(release, directory):
    with _root(release, directory) as root, network(release) as name, _cgroup(release) as cgroup:
        yield root, name, cgroup


class Machine:
    """A container under systemd-nspawn; its console is `directory`/console."""

    def __init__(self, root, network, cgroup, directory):
        directory.mkdir()
        self.root, self.network = root, network
        self.turn = Address(ADDRESS, 3478)
        self.console = directory / "console"
        self.notify = NotifySocket(directory / "notify")
        # --keep-unit, --register=no: neither this machine's systemd nor machined, where there are any, takes part
        nspawn = ["systemd-nspawn", "--quiet", "--boot", f"--directory={root}", f"--machine={network}"]
        nspawn += ["--register=no", "--keep-unit", "--link-journal=no", "--resolv-conf=off", "--timezone=off"]
        # What the container's root may do, and so what a unit in it can be given: bpf(2) too.
        nspawn += ["--capability=CAP_BPF,CAP_NET_ADMIN", "--system-call-filter=bpf"]
        nspawn += [f"--network-namespace-path=/run/netns/{network}", "--notify-ready=yes", "--console=read-only"]
        # SIGTERM: nspawn shuts the container down if this test run is killed. sh: everything is in our own cgroup.
        inside = ["setpriv", "--pdeathsig", "TERM", "sh", "-c", f'echo $$ >{cgroup}/cgroup.procs; exec "$@"', "sh"]
        self.command = [*inside, *nspawn]
        self.process = None

    def __enter__(self):
        # cgroup2 alone, which Debian uses on a real machine, whatever this machine uses
        environment = {**os.environ, "NOTIFY_SOCKET": str(self.notify.path), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        try:
            with open(self.console, "wb") as console:
                self.process = subprocess.Popen(
                    self.command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=environment
                )
            self._wait_until_booted()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self._end()
        self.notify.close()
        # pytest shows this with a failed test, and drops it otherwise
        print(f"--- end of {self.console}", *self._console_lines()[-60:], sep="\n")

    def install_as_the_readme_says(self):
        """Runs the README's commands in the container, where nothing needs to be built and root needs no sudo."""
        sources = self.root / _SOURCES
        (sources / "target/release").mkdir(parents=True)
        shutil.copy(HAIRPIN, sources / "target/release/hairpin")
        shutil.copy(ROOT / "config.toml", sources)
        for folder in ("systemd", "packaging/debian"):
            shutil.copytree(ROOT / folder, sources / folder)
        self.run("sh", "-c", f"{_PLAIN_SHELL}\n{readme_commands()}")

    def name_every_key(self):
        """Writes the configuration as config.toml has it, whose values tests replace."""
        full = (ROOT / "config.toml").read_text().replace("# secrets_file", "secrets_file").replace("\nsecrets = ", "\n# secrets = ")
        (self.root / "etc/hairpin/config.toml").write_text(full)

    def power_off(self):
        self.systemctl("poweroff")
        self.process.wait(END_LIMIT)

    def run(self, *words, check=True):
        """A command in the container."""
        command = ["nsenter", "--all", "--target", self._first_process(), "--", *words]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_LIMIT)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(words)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def in_terminal(self, text, answers, limit=COMMAND_LIMIT):
        """Runs a shell's command in a terminal of the container, and answers each question that ends with a key of `answers`.
        Returns the exit code, and what the terminal showed."""
        ours, theirs = pty.openpty()
        command = ["nsenter", "--all", "--target", self._first_process(), "--", "sh", "-c", text]
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        shown, answered, end = "", 0, time.monotonic() + limit
        try:
            while time.monotonic() < end:
                if not select.select([ours], [], [], 1)[0]:
                    continue
                try:
                    shown += os.read(ours, 4096).decode(errors="replace")
                except OSError:  # the last process that had the terminal is gone
                    return process.wait(END_LIMIT), shown
                for question, answer in answers.items():
                    if shown[answered:].endswith(question):
                        os.write(ours, f"{answer}\n".encode())
                        answered = len(shown)
            raise AssertionError(f"not within {limit} s: {text}\n{shown}")
        finally:
            os.close(ours)
            process.kill()
            process.wait()

    def systemctl(self, *words, check=True):
        return self.run("systemctl", *words, check=check)

    def show(self, *names):
        """Properties of the unit, as texts."""
        lines = self.systemctl("show", UNIT, *(f"--property={name}" for name in names)).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines)

    @property
    def pid(self):
        """The daemon's process id in the container; 0 if it does not run."""
        return int(self.show("MainPID")["MainPID"])

    def signal(self, name):
        """Sends the daemon a signal, as `kill` does."""
        self.run("sh", "-c", f"kill -s {name} {self.pid}")

    def cursor(self):
        """The end of the journal, for `journal`."""
        self.run("journalctl", "--sync")
        seconds, micros = divmod(int(self._journal("--lines=1")[-1]["__REALTIME_TIMESTAMP"]) + 1, 1_000_000)
        return f"@{seconds}.{micros:06}"

    def journal(self, after=None, priority="debug"):
        """The unit's entries in the journal: what the daemon logged, and what systemd says of it."""
        # not --after-cursor: in systemd 252 it leaves out the first entry if that of the cursor is of another unit
        return self._journal(f"--unit={UNIT}", f"--priority={priority}", *([f"--since={after}"] if after else []))

    def logged(self, after=None, priority="debug"):
        """What the daemon itself logged, of this priority or a higher one."""
        return [entry["MESSAGE"] for entry in self.journal(after, priority) if entry["SYSLOG_IDENTIFIER"] == "hairpin"]

    def metric(self, name, **labels):
        """The value of a metric of the daemon."""
        admin = Path("/proc", self._first_process(), "root/run/hairpin/admin.sock")
        return Scrape(admin).total(name, **labels)

    @contextmanager
    def stopped(self, unit):
        """The main process of a unit does nothing meanwhile. What then needs it must not be asked for."""
        process = self.systemctl("show", unit, "--property=MainPID", "--value").stdout.strip()
        self.run("sh", "-c", f"kill -s STOP {process}")
        try:
            yield
        finally:
            self.run("sh", "-c", f"kill -s CONT {process}")

    @contextmanager
    def drop_in(self, text):
        """The unit with these lines added, and restarted with them."""
        file = self.root / f"etc/systemd/system/{UNIT}.d/test.conf"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        try:
            self.systemctl("daemon-reload")
            self.systemctl("restart", UNIT)
            yield
        finally:
            file.unlink()
            self.systemctl("daemon-reload")
            self.systemctl("restart", UNIT)

    @contextmanager
    def changed(self, path, text):
        """A file of the machine with another text."""
        file = self.root / path
        before = file.read_text()
        file.write_text(text)
        try:
            yield
        finally:
            file.write_text(before)

    def client(self, username, password):
        """A TURN client on the machine's network, with an address of its own."""
        with natlab.inside(self.network):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((CLIENT, 0))
        return TurnClient(sock, self.turn, username, password)

    def _journal(self, *words):
        lines = self.run("journalctl", "--output=json", "--no-pager", *words).stdout.splitlines()
        return [json.loads(line) for line in lines]

    def _end(self):
        # At the first SIGTERM nspawn begins to shut the container down, and at the second one it ends it at once.
        for patience in (NOT_AT_ALL, END_LIMIT):
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            # with it goes the whole container
            os.kill(int(self._first_process()), signal.SIGKILL)

    def _wait_until_booted(self):
        try:
            self.notify.wait_for("READY=1", BOOT_LIMIT, lambda: self.process.poll() is None)
        except TimeoutError as error:
            raise RuntimeError("\n".join([f"the container has not booted: {error}", *self._console_lines()])) from None
        # nspawn goes on telling what the container does. It would wait for us to read that, and heed no signal meanwhile.
        self.notify.close()

    def _first_process(self):
        """The container's first process, by its number on this machine."""
        return self.notify.last("X_NSPAWN_LEADER_PID")

    def _console_lines(self):
        return self.console.read_text(errors="replace").splitlines()


def readme_commands():
    """The commands of the README's step "Build and install"."""
    text = (ROOT / "README.md").read_text()
    found = re.search(r"\*\*Build and install\*\*.*?```sh\n(.*?)```", text, re.DOTALL)
    assert found, "the README no longer has the step that this test runs"
    return found[1]


def update_commands():
    """The commands of docs/operating.md, "An update without a gap"."""
    text = (ROOT / "docs/operating.md").read_text()
    found = re.search(r"### An update without a gap\n.*?```sh\n(.*?)```", text, re.DOTALL)
    assert found, "the document no longer has the commands that this test runs"
    return found[1]


def sk_lookup_lines():
    """What docs/performance.md has administrators add to the unit."""
    text = (ROOT / "docs/performance.md").read_text()
    return re.search(r"## One socket for all relay ports\n.*?```ini\n(.*?)```", text, re.DOTALL)[1]


def wait_until(condition, seconds, what):
    """Asks again and again, and raises if `condition` is not true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def _archive(release):
    return SYSTEMS / f"{release}.tar"


def extract(release, directory):
    """Puts the files of this Debian, without those that nobody reads, into a directory."""
    needless = [f"--exclude=./usr/share/{name}" for name in _NEEDLESS]
    command = ["tar", "--extract", "--file", _archive(release), "--directory", directory, *needless]
    subprocess.run(command, check=True)


@contextmanager
def _root(release, directory):
    """A new copy of this Debian's files, in memory: a disk that others use would take ten times as long."""
    root = directory / "root"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode=755,size={ROOT_SIZE}", "tmpfs", root], check=True)
    try:
        extract(release, root)
        yield root
    finally:
        subprocess.run(["umount", root], check=True)


@contextmanager
def network(release):
    """A network namespace with an address of a server, a way to everywhere, and an address of a client."""
    name = natlab.namespace(release)
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for command in (
            "link set lo up",
            "link add eth0 type veth peer name provider",
            f"addr add {ADDRESS}/24 dev eth0",
            f"addr add {CLIENT}/32 dev lo",
            "link set eth0 up",
            "link set provider up",
            "route add default via 203.0.113.1",
        ):
            subprocess.run(["ip", "-n", name, *command.split()], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


@contextmanager
def _cgroup(release):
    """A cgroup, which is removed with its descendants and with what nspawn makes in the other hierarchies."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    unified = [Path(at) for at, kind in mounts if kind == "cgroup2"]
    if not unified:
        raise RuntimeError("cgroup2 is not mounted here: systemd cannot boot without it")
    parent = re.search(r"^0::/(.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE)[1]
    name = Path(parent, natlab.namespace(release))
    (unified[0] / name).mkdir()
    try:
        yield unified[0] / name
    finally:
        for at, kind in mounts:
            if kind.startswith("cgroup"):
                for directory, *_ in os.walk(Path(at, name), topdown=False):
                    os.rmdir(directory)
