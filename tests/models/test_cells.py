"""The target cells have an answer: their hidden vectors reproduce their tables, and they keep firing."""

import csv
from pathlib import Path

import numpy as np
import pytest

from sim import Accuracy, load_problem, simulate
from sim.synthetic import SD_SHARE, _usable

MODEL = Path(__file__).parents[2] / "models" / "motoneuron"
CELLS = MODEL / "measurements" / "cells"


def hidden() -> dict[str, list[float]]:
    with (CELLS / "hidden.csv").open() as stream:
        return {row.pop("cell"): [float(value) for value in row.values()] for row in csv.DictReader(stream)}


@pytest.mark.neuron
def test_hidden_vectors_reproduce_their_tables() -> None:
    vectors = hidden()
    assert sorted(vectors) == [f"{number:02d}" for number in range(10)]
    problem = load_problem(MODEL, CELLS / "00.csv")
    accuracy = Accuracy.of(problem).tight()
    names = ["00", "04", "09"]
    for name, cell in zip(names, simulate(problem, [vectors[n] for n in names], accuracy=accuracy), strict=True):
        measured = load_problem(MODEL, CELLS / f"{name}.csv").measurements
        assert _usable(problem, cell, [m.key for m in measured])
        z = np.array([(cell.features[m.key] - m.mean) / m.sd for m in measured])
        assert np.abs(z).max() < 0.02, dict(zip([m.key for m in measured], z, strict=True))


@pytest.mark.parametrize("file", sorted(CELLS.glob("[0-9]*.csv")), ids=lambda file: file.stem)
def test_tables_are_alike(file: Path) -> None:
    measured = load_problem(MODEL, file).measurements
    assert [m.key for m in measured] == [m.key for m in load_problem(MODEL, CELLS / "00.csv").measurements]
    for m in measured:
        assert m.sd >= SD_SHARE * abs(m.mean) * 0.999, m.key
    assert all(m.mean > 0 for m in measured if m.feature == "mean_frequency")


def test_hidden_vectors_keep_off_the_bounds() -> None:
    problem = load_problem(MODEL, measured=False)
    u = problem.unit(np.array(list(hidden().values())))
    assert u.min() >= 0.1 - 1e-6
    assert u.max() <= 0.9 + 1e-6
