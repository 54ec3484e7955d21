"""What every test shares: a cache of its own for built mechanisms, and a fresh interpreter for whatever runs NEURON.

NEURON keeps its sections, templates and globals for the life of a process, so tests run it in processes of their own.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.problems import ROOT

if TYPE_CHECKING:
    from tests.synthetic import Fitted

START_LIMIT_S = 120.0  # two busy cores

# A shell starts what it puts into the background with Ctrl-C ignored, and programs that tests start inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that quick ones fill the end of a run in several processes."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Mechanisms are built into a folder of this session's, which its workers share, not into the user's cache."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    folder.mkdir(mode=0o700, exist_ok=True)
    os.environ["GBAR_CACHE"] = str(folder)
    os.environ["GBAR_ENGINE"] = "cvode atol 0.0001"  # trying engines builds CoreNEURON's, half a minute for each model
    os.environ["NEURON_MODULE_OPTIONS"] = "-nogui"
    return folder


@pytest.fixture(scope="session")
def fresh() -> Callable[..., Any]:
    """Run a script in a fresh interpreter; what it prints last, as JSON, is returned."""

    def run(script: str, *arguments: object, folder: Path = ROOT) -> Any:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", script, *map(str, arguments)]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=START_LIMIT_S
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write files into a folder of the test's own: write("model/mod", **{"a.mod": text}) returns the folder."""

    def into(folder: str, /, **files: str | bytes) -> Path:
        path = tmp_path / folder
        for name, content in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return into


@pytest.fixture(scope="session")
def fitted() -> "Fitted":
    """A surrogate of the synthetic response, trained once."""
    from gbar.agent.learning import configure
    from tests.synthetic import fit_synthetic

    configure()  # what one process of a test run has compiled, the other need not
    return fit_synthetic(np.random.default_rng(0).random((200, 3)))
