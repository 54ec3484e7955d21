"""docs/notes/faults.md says what happens."""

from pathlib import Path

import psutil
import pytest

from gbar.sim import Integrator
from tests.faults import moments, table

pytestmark = [pytest.mark.neuron, pytest.mark.slow]


def documented(rows: list[table.Fault], folder: Path | None = None) -> None:
    shown = table.PAGE.read_text().splitlines()
    for row in rows:
        said = row.saw if folder is None else row.saw.replace(str(folder), "RUN")
        assert table.line(row._replace(saw=said)) in shown
    assert rows


@pytest.mark.parametrize("accuracy", [Integrator(), Integrator("neuron")], ids=str)
def test_in_a_worker(accuracy: Integrator) -> None:
    rows = list(table.in_a_worker(accuracy))
    assert len(rows) == 7
    documented(rows)


def test_a_killed_worker() -> None:
    documented(list(table.a_killed_worker()))


@pytest.mark.parametrize(
    "several", [table.a_changed_model, table.a_bad_archive, table.a_stopped_run, table.a_narrow_place]
)
def test_outside_the_worker(several: table.Several, tmp_path: Path) -> None:
    documented(list(several(tmp_path)), tmp_path)
    assert not [p for p in psutil.Process().children(recursive=True) if "gbar.sim.pool.worker" in " ".join(p.cmdline())]


@pytest.mark.parametrize("kind", moments.KINDS)
def test_a_random_moment(kind: str) -> None:
    """A hundred: python -m tests.faults.moments 100."""
    assert len(moments.moments(1, 3, 20.0, (kind,))) == 1
