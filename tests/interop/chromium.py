"""Starts Debian's Chromium without a window, on a host of a natlab, with a camera and a microphone that are made up."""

import os
import signal
import subprocess
from contextlib import contextmanager

from natlab import namespace

FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --disable-sync
    --disable-background-networking --disable-component-update --no-first-run
    --use-fake-device-for-media-stream --use-fake-ui-for-media-stream --ignore-certificate-errors
""".split()


@contextmanager
def showing(url, host, directory):
    """Chromium with a profile of its own in `directory`; all of it is gone afterwards."""
    directory.mkdir()
    inside = ["ip", "netns", "exec", namespace(host), "setpriv", "--pdeathsig", "KILL"]
    command = [*inside, "chromium", *FLAGS, f"--user-data-dir={directory / 'profile'}", url]
    log_file = directory / "log"
    with open(log_file, "wb") as log:
        # a session of its own: its many processes end together
        browser = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "HOME": str(directory)},
        )
    try:
        yield
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()
        print(f"--- end of {log_file}", *log_file.read_text(errors="replace").splitlines()[-30:], sep="\n")
