"""Spoilt input of every kind ends in one line or can be believed. More of it: `python -m tests.fuzz --runs 2000`."""

import json
import random
from pathlib import Path

import pytest

from tests import fuzz

RUNS = 250


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> fuzz.Stock:
    return fuzz.stock(tmp_path_factory.mktemp("stock"))


def test_what_is_spoilt_was_whole(whole: fuzz.Stock, tmp_path: Path) -> None:
    """Or everything would be refused for one reason."""
    assert fuzz.called("check", whole.problem, "--quick").code == 0
    assert fuzz.called("report", whole.run).code == 0
    assert fuzz.called("export", whole.run, "--to", "json", "--out", tmp_path / "out").code == 0
    for suffix, file in whole.recordings.items():
        assert fuzz.called("recordings", whole.problem, file, "--out", tmp_path / f"{suffix}.csv").code == 0


def test_no_case_of_any_kind_is_a_finding(whole: fuzz.Stock) -> None:
    found = [finding for case in range(RUNS) if (finding := fuzz.one(case, whole))]
    assert not found, "\n".join(map(str, found))


@pytest.mark.parametrize(
    "outcome",
    [
        fuzz.Outcome(1, "", "gbar: no\n"),
        fuzz.Outcome(2, "", "Traceback (most recent call last):\n  File\nValueError: no\n"),
        fuzz.Outcome(2, "", ""),
        fuzz.Outcome(0, "\x1b[31mred", ""),
        fuzz.Outcome(2, "", f"gbar: {'x' * 5000}\n"),
    ],
)
def test_the_oracle_sees_what_is_not_proper(outcome: fuzz.Outcome) -> None:
    with pytest.raises(fuzz.Nonsense):
        fuzz.proper(outcome)


def test_the_oracle_sees_nonsense() -> None:
    content = fuzz.tomllib.loads(fuzz.PROBLEM)
    fuzz.believe_problem(content)
    for path, value in {
        ("model", "celsius"): True,
        ("model", "v_init"): 1e300,
        ("protocol", "up", "amplitude"): "5",
    }.items():
        spoilt = json.loads(json.dumps(content))
        owner = spoilt
        for key in path[:-1]:
            owner = owner[key]
        owner[path[-1]] = value
        with pytest.raises(fuzz.Nonsense):
            fuzz.believe_problem(spoilt)
    with pytest.raises(fuzz.Nonsense):
        fuzz.believe_page("<p>The largest |z| of the solution in NEURON is nan here, and more</p>")


def test_a_hang_and_a_crash_are_findings(whole: fuzz.Stock, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(draw: random.Random, whole: fuzz.Stock, here: Path) -> None:
        while True:
            pass

    def crash(draw: random.Random, whole: fuzz.Stock, here: Path) -> None:
        raise KeyError("x")

    monkeypatch.setattr(fuzz, "LIMIT_S", 0.2)
    monkeypatch.setitem(fuzz.CASES, "table", (hang, 1))
    assert "more than 0.2 s" in str(fuzz.one(0, whole, "table"))
    monkeypatch.setitem(fuzz.CASES, "table", (crash, 1))
    assert "KeyError" in str(fuzz.one(0, whole, "table"))
