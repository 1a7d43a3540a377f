"""The BPF program of relay.sk_lookup: cargo needs no clang, because its object is committed beside its source."""

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.hairpin_only

PROGRAM = Path(__file__).parents[2] / "src/relay/lookup"


def test_the_committed_object_is_what_its_source_compiles_to(tmp_path):
    compiled = tmp_path / "program.o"
    subprocess.run([PROGRAM / "compile", compiled], check=True, timeout=60)
    assert compiled.read_bytes() == (PROGRAM / "program.o").read_bytes(), "run src/relay/lookup/compile"
