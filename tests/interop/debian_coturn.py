"""Where Debian's coturn is: unpacked by tests/run into target/peers, never installed."""

import os
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_BIN = Path(os.environ.get("COTURN", _ROOT / "target/peers/coturn")) / "usr/bin"

SERVER = _BIN / "turnserver"
UCLIENT = _BIN / "turnutils_uclient"
PEER = _BIN / "turnutils_peer"
