"""Debian's fail2ban, which `tests/run prepare` unpacks: the tool that says which lines a filter matches."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNPACKED = ROOT / "target/peers/fail2ban"
FILTER = ROOT / "docs/fail2ban/filter.d/hairpin.conf"
JAIL = ROOT / "docs/fail2ban/jail.d/hairpin.conf"


def _run(tool, configuration, *arguments):
    packages = UNPACKED / "usr/lib/python3/dist-packages"
    done = subprocess.run(
        ["/usr/bin/python3", UNPACKED / "usr/bin" / tool, "-c", configuration, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(packages)},
    )
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr, done.stdout + done.stderr
    return done.stdout


def examined(configuration):
    """What fail2ban says of a directory with its configuration."""
    return _run("fail2ban-client", configuration, "--test")


def matched(log, mode="normal"):
    """The lines of the file `log` that the filter matches, and what would be banned for them."""
    filter_ = f"{FILTER}[mode={mode}]"
    configuration = UNPACKED / "etc/fail2ban"
    lines = _run("fail2ban-regex", configuration, "--print-all-matched", log, filter_)
    found = re.search(r"^\|- Matched line\(s\):\n(.*?)^`-", lines, re.M | re.S)
    banned = _run("fail2ban-regex", configuration, "--out", "ip", log, filter_).split()
    return [line[2:].strip() for line in found[1].splitlines()] if found else [], banned
