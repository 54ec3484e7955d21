"""Whole tunings come to the solutions that they came to before, to the last digit."""

import os
import platform
from importlib import metadata
from pathlib import Path

import pytest

from gbar.sim import processor
from tests.golden.record import kept, tuned

ASKED = pytest.mark.skipif("GBAR_TEST_GOLDEN" not in os.environ, reason="CoreNEURON is built: GBAR_TEST_GOLDEN=1 asks")


@pytest.mark.neuron
@pytest.mark.slow
@pytest.mark.parametrize("name", ["hh", pytest.param("motoneuron", marks=ASKED)])
def test_the_same_solutions(name: str, tmp_path: Path) -> None:
    records = kept(name)
    if processor() not in records:
        pytest.skip(f"recorded on {', '.join(records)}, this is {processor()}")
    golden = records[processor()]
    here = {of: platform.python_version() if of == "python" else metadata.version(of) for of in golden["versions"]}
    if golden["versions"] != here:
        pytest.skip(f"recorded with other versions: {golden['versions']}, these are {here}")
    assert tuned(name, tmp_path) == golden, "changed on purpose? tests/golden/record.py says how to keep it"
