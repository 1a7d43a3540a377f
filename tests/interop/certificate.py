"""A certificate for the servers under test, made once for each test run."""

import functools
import ssl
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from natlab import SERVER_ADDRESSES

NAME, NAME_ON_IPV6 = "turn.hairpin.test", "turn6.hairpin.test"
# removed when the test run ends
_directory = tempfile.TemporaryDirectory(prefix="hairpin-certificate-")
_IPS = ("127.0.0.1", "::1", *SERVER_ADDRESSES)


class Certificate(NamedTuple):
    """Two PEM files; who trusts `chain` trusts the server."""

    chain: Path
    key: Path


@functools.cache
def made():
    directory = Path(_directory.name)
    files = Certificate(directory / "chain.pem", directory / "key.pem")
    alternatives = ",".join([f"DNS:{NAME}", f"DNS:{NAME_ON_IPV6}", *(f"IP:{ip}" for ip in _IPS)])
    command = ["openssl", "req", "-x509", "-days", "2", "-subj", f"/CN={NAME}"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-addext", f"subjectAltName={alternatives}", "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([*command, "-keyout", files.key, "-out", files.chain], check=True, capture_output=True)
    return files


def client_context():
    """For a client that believes this certificate alone."""
    return ssl.create_default_context(cafile=made().chain)
