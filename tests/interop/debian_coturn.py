"""Where Debian's coturn is: unpacked by tests/run into target/peers, never installed."""

import os
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_BIN = Path(os.environ.get("COTURN", _ROOT / "target/peers/coturn")) / "usr/bin"

SERVER = _BIN / "turnserver"
UCLIENT = _BIN / "turnutils_uclient"
PEER = _BIN / "turnutils_peer"

# what uclient is run with, so that it never binds two channels under one number: see distinct_draws.c
DISTINCT_DRAWS = _ROOT / "target/peers/distinct_draws.so"
