"""Debian's libfaketime, which `tests/run prepare` unpacks: preloaded into a program, it shows it another wall clock."""

import os
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_UNPACKED = _ROOT / "target/peers/libfaketime"


class Clock:
    """A wall clock that is ahead of this machine's by so many seconds, which are in a file."""

    def __init__(self, file):
        self.file, self.ahead = file, 0

    def set(self, ahead):
        """From now on; for a program that runs, too."""
        part = self.file.with_suffix(".part")
        part.write_text(f"{ahead:+f}\n")
        part.rename(self.file)
        self.ahead = ahead

    @property
    def environment(self):
        (library,) = _UNPACKED.glob("usr/lib/*/faketime/libfaketime.so.1")
        faketime = {"FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1"}
        return {**os.environ, "LD_PRELOAD": str(library), "FAKETIME_DONT_FAKE_MONOTONIC": "1", **faketime}
