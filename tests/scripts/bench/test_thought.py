"""What `gbar bench surrogate` reads and reckons; the timing itself is the command's."""

from pathlib import Path

import numpy as np
import pytest

from gbar.scripts.bench.thought import bench_thought, network_flops, read_archive
from gbar.sim import Archive, Evaluation, GbarError, load_problem
from gbar.surrogate import Response
from tests.problems import HH

TABLE = HH / "measurements" / "squid.csv"


def archive_of(folder: Path, count: int) -> Path:
    """An archive of the squid axon with made-up features, every second one silent."""
    problem = load_problem(HH)
    draw = np.random.default_rng(0)
    with Archive(folder / "archive.sqlite", problem) as archive:
        for slot, u in enumerate(draw.random((count, 3))):
            features = {m.key: float(10 + slot) for m in problem.measurements}
            features["fire.AP_height"] = 30.0 if slot % 2 else float("nan")
            x = problem.physical(u[None])[0]
            archive.add("sample", 0, slot, "design", "cvode atol 0.0001", x, Evaluation(features=features))
    return folder / "archive.sqlite"


def test_an_archive_alone_is_enough(tmp_path: Path) -> None:
    u, features, names, sd = read_archive(archive_of(tmp_path, 64))
    assert u.shape == (64, 3)
    assert (u.min(axis=0).tolist(), u.max(axis=0).tolist()) == ([0, 0, 0], [1, 1, 1])
    assert names[-1] == "fire.AP_height"  # the least often defined
    assert np.isnan(features[::2, -1]).all()
    assert (sd > 0).all()


def test_a_table_says_which_features(tmp_path: Path) -> None:
    _, features, names, _ = read_archive(archive_of(tmp_path, 64), TABLE)
    assert names[:2] == ["hyperpolarise.voltage_base", "hyperpolarise.ohmic_input_resistance_vb_ssse"]
    assert features.shape == (64, len(names))


def test_too_little_and_nothing(tmp_path: Path) -> None:
    with pytest.raises(GbarError, match="at least 64"):
        bench_thought(archive_of(tmp_path, 63))
    with pytest.raises(GbarError, match="gbar sample"):
        bench_thought(TABLE)
    with pytest.raises(GbarError, match="gbar sample"):
        bench_thought(tmp_path / "none.sqlite")


def test_operations_by_hand() -> None:
    """3 inputs, layers of 5 and 5, two heads of 4 on 5 + 3: multiplications and additions."""
    assert network_flops(Response(features=4, hidden=5, layers=2), 3) == 2 * (3 * 5 + 5 * 5 + (5 + 3) * 8)
