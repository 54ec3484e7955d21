"""The target cells have an answer: their hidden vectors reproduce their tables, and they keep firing."""

import csv
from pathlib import Path

import numpy as np
import pytest

from gbar.scripts.bench.synthetic import SD_SHARE, _usable
from gbar.sim import Integrator, Workers, load_problem, simulate
from tests.problems import MOTONEURON

TABLES = {"problem.toml": "cells", "kinetics.toml": "kinetics"}
PROBLEMS = list(TABLES)
PARAMETERS = {"problem.toml": 12, "kinetics.toml": 25}


def folder_of(name: str) -> Path:
    return MOTONEURON / "measurements" / TABLES[name]


def hidden(name: str) -> dict[str, list[float]]:
    with (folder_of(name) / "hidden.csv").open() as stream:
        return {row.pop("cell"): [float(value) for value in row.values()] for row in csv.DictReader(stream)}


@pytest.mark.neuron
@pytest.mark.parametrize("name", PROBLEMS)
def test_hidden_vectors_reproduce_their_tables(name: str) -> None:
    vectors, cells = hidden(name), folder_of(name)
    assert sorted(vectors) == [f"{number:02d}" for number in range(10)]
    problem = load_problem(MOTONEURON / name, cells / "00.csv")
    accuracy = Integrator.of(problem).tight()
    names = ["00", "04", "09"]
    for cell_name, cell in zip(names, simulate(problem, [vectors[n] for n in names], integrator=accuracy), strict=True):
        measured = load_problem(MOTONEURON / name, cells / f"{cell_name}.csv").measurements
        assert _usable(problem, cell, [m.key for m in measured])
        z = np.array([(cell.features[m.key] - m.mean) / m.sd for m in measured])
        assert np.abs(z).max() < 0.02, dict(zip([m.key for m in measured], z, strict=True))


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("name", PROBLEMS)
def test_tables_are_alike(name: str, number: int) -> None:
    measured = load_problem(MOTONEURON / name, folder_of(name) / f"{number:02d}.csv").measurements
    assert [m.key for m in measured] == [
        m.key for m in load_problem(MOTONEURON, folder_of(name) / "00.csv").measurements
    ]
    for m in measured:
        assert m.sd >= SD_SHARE * abs(m.mean) * 0.999, m.key
    assert all(m.mean > 0 for m in measured if m.feature == "mean_frequency")


@pytest.mark.parametrize("name", PROBLEMS)
def test_hidden_vectors_keep_off_the_bounds(name: str) -> None:
    problem = load_problem(MOTONEURON / name, measured=False)
    u = problem.unit(np.array(list(hidden(name).values())))
    assert u.shape == (10, PARAMETERS[name])
    assert u.min() >= 0.1 - 1e-6
    assert u.max() <= 0.9 + 1e-6


def test_the_harder_problem_is_the_same_cell() -> None:
    """Same model, protocols and twelve parameters; the other thirteen surround the values the template has."""
    easy, hard = (load_problem(MOTONEURON / name, measured=False) for name in PROBLEMS)
    assert (hard.model, hard.protocol, hard.parameter[:12]) == (easy.model, easy.protocol, easy.parameter)


@pytest.mark.neuron
def test_kinetics_surround_the_published_cell() -> None:
    problem = load_problem(MOTONEURON / "kinetics.toml", measured=False)
    with Workers(problem, 1) as pool:
        own = pool.found.own
    u = problem.unit(own)[12:]
    assert ((u > 0.3) & (u < 0.7)).all(), dict(zip(problem.names[12:], u, strict=True))
