"""The comparison: the same problem for every method, resumed row by row, and every peer on a known response."""

import shutil
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import psutil
import pytest

from gbar.agent.learning.agent import AgentConfig
from gbar.agent.learning.target import Target
from gbar.scripts.bench.compare import Settings, check_archive, compare, find_tables
from gbar.scripts.bench.figure import draw
from gbar.scripts.bench.methods import ARMS, METHODS, PEERS, choose_methods, peer
from gbar.scripts.bench.peers.amortised import LARGEST, SENTINEL, observed
from gbar.scripts.bench.score import Score, append, read_scores, summarise
from gbar.scripts.bench.trial import Known, Over, Trial, max_score, sum_score
from gbar.sim import GbarError, load_problem
from tests.problems import HH, MOTONEURON

TINY = Settings(tolerance=3.0, budget=40)


@pytest.fixture
def axon(tmp_path: Path) -> Path:
    """The squid axon with its engine given, so that none is tried."""
    folder = Path(shutil.copytree(HH, tmp_path / "hh"))
    with (folder / "problem.toml").open("a") as stream:
        stream.write('\n[simulation]\nengine = "cvode"\n')
    return folder


@pytest.mark.neuron
def test_methods_take_turns_on_the_same_problem_and_rows_are_kept(axon: Path, tmp_path: Path) -> None:
    cells = [(axon, table) for table in find_tables(axon)]
    out = tmp_path / "scores.csv"
    scores = list(compare(cells, ["random", "cma"], [0, 1], out, TINY))
    assert [(s.cell, s.seed, s.method) for s in scores] == [
        ("squid", seed, method) for seed in (0, 1) for method in ("random", "cma")
    ]
    assert all(s.evaluations <= TINY.budget and s.simulate_s <= s.total_s and s.largest_batch == 16 for s in scores)
    assert all(s.solved == (s.reason == "") for s in scores)
    assert all(s.progress[-1].evaluations == s.evaluations and s.progress[-1].seconds <= s.total_s for s in scores)
    assert read_scores(out) == scores
    written = out.read_text()
    assert list(compare(cells, ["random", "cma"], [0, 1], out, TINY)) == scores
    assert out.read_text() == written  # nothing was run again


@pytest.mark.neuron
def test_a_method_that_fails_costs_its_own_row(axon: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut short by the time limit before anything is done: unsolved at the whole budget, with the reason."""
    cells = [(axon, axon / "measurements" / "squid.csv")]
    (score,) = compare(cells, ["random"], [0], tmp_path / "scores.csv", TINY._replace(time_limit=0.2))
    assert (score.solved, score.evaluations, score.reason) == (False, TINY.budget, "not done within 0.2 s")
    monkeypatch.setattr("sys.executable", shutil.which("false"))  # ends with code 1 and not a word
    (score,) = compare(cells, ["random"], [1], tmp_path / "scores.csv", TINY)
    assert (score.solved, score.evaluations) == (False, TINY.budget)
    assert score.reason == "ended with code 1"


@pytest.mark.neuron
def test_a_run_ends_with_a_comparison_that_is_killed(axon: Path, tmp_path: Path) -> None:
    """Its workers too: nothing is left that would take the processor from whatever is measured next."""
    table, out = axon / "measurements" / "squid.csv", tmp_path / "scores.csv"
    code = (
        "from pathlib import Path; from gbar.scripts.bench.compare import Settings, compare;"
        f"list(compare([(Path({str(axon)!r}), Path({str(table)!r}))], ['random'], [0], Path({str(out)!r}),"
        " Settings(tolerance=1e-3, budget=10**6)))"
    )
    comparison = psutil.Popen([sys.executable, "-c", code])
    try:
        deadline, running = time.monotonic() + 60, []
        while len(running) < 3 and time.monotonic() < deadline:  # the run and its two workers
            time.sleep(0.2)
            running = comparison.children(recursive=True)
        assert len(running) >= 3
    finally:
        comparison.kill()
        comparison.wait()
    _, alive = psutil.wait_procs(running, timeout=60)
    for process in alive:
        process.kill()
    assert not alive


def test_half_a_row_is_run_again(tmp_path: Path) -> None:
    """What a crash leaves of a row is neither read nor kept."""
    out = tmp_path / "scores.csv"
    append(out, score("a", 10))
    whole = out.read_bytes()
    append(out, score("b", 20))
    out.write_bytes(out.read_bytes()[:-9])
    assert read_scores(out) == [score("a", 10)]
    append(out, score("c", 30, rmse=0.25))
    assert out.read_bytes().startswith(whole)
    assert read_scores(out) == [score("a", 10), score("c", 30, rmse=0.25)]


def test_another_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("a,b\n1,2\n")
    with pytest.raises(GbarError, match="other columns"):
        read_scores(tmp_path / "scores.csv")


def score(method: str, evaluations: int, solved: bool = True, problem: str = "p", rmse: float | None = None) -> Score:
    reason = "" if solved else "out of budget"
    return Score(
        problem,
        "00",
        method,
        0,
        1.0,
        100,
        2,
        "cvode",
        solved,
        evaluations,
        16,
        1.0,
        2.0,
        3.0,
        reason,
        rmse,
        0.9 if rmse else None,
    )


def test_unsolved_runs_count_at_the_budget() -> None:
    rows = summarise([score("a", 100, solved=False), score("a", 100, solved=False), score("a", 10), score("b", 90)])
    assert [(row.method, row.runs, row.solved, row.median_evaluations) for row in rows] == [
        ("b", 1, 1, 90.0),
        ("a", 3, 1, 100.0),
    ]


def test_predictions_are_summed_up_over_the_runs_that_made_some() -> None:
    rows = summarise([score("gbar", 10, rmse=0.2), score("gbar", 20, rmse=0.4), score("gbar", 30), score("cma", 90)])
    assert [(row.method, row.median_rmse_over_sd, row.median_coverage_90) for row in rows] == [
        ("gbar", pytest.approx(0.3), 0.9),
        ("cma", None, None),
    ]


def test_figure(tmp_path: Path) -> None:
    """A curve for each method on each axis, ending at the share that was solved."""
    scores = [score("gbar", 10), score("gbar", 40), score("cma", 100, solved=False), score("cma", 50)]
    draw([*scores, *(score._replace(method=arm) for score in scores[:1] for arm in ARMS)], tmp_path / "bench.svg")
    text = "".join(ElementTree.parse(tmp_path / "bench.svg").getroot().itertext())
    assert "evaluations to the first solution" in text or "<!--" in (tmp_path / "bench.svg").read_text()
    draw(scores, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(GbarError, match=r"\.svg, \.png, \.pdf"):
        draw(scores, tmp_path / "bench.gif")


def test_unknown_names_are_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(GbarError, match=r"no method 'cmaes'.*nearest: 'cma'"):
        list(compare([(HH, find_tables(HH)[0])], ["cmaes"], [0], tmp_path / "scores.csv", TINY))
    with pytest.raises(GbarError, match=r"no table 'squit'.*nearest: 'squid'"):
        find_tables(HH, only=["squit"])
    with pytest.raises(GbarError, match="no tables"):
        find_tables(HH, tmp_path)
    assert not (tmp_path / "scores.csv").exists()


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(GbarError, match=r"'botorch-turbo' needs botorch.*pip install"):
        choose_methods(["random", "botorch-turbo"])


def test_groups_and_tables() -> None:
    assert choose_methods(["arms", "random", "gbar"]) == [*ARMS, "random"]
    assert set(METHODS) == set(ARMS) | set(PEERS)
    assert [table.stem for table in find_tables(MOTONEURON)] == [f"{i:02d}" for i in range(10)]
    kinetics = find_tables(MOTONEURON / "kinetics.toml", only=["03"])
    assert [table.parent.name for table in kinetics] == ["kinetics"]


def test_every_arm_changes_the_mind() -> None:
    changed = [arm.change(AgentConfig()) for arm in ARMS.values()]
    assert changed[0] == AgentConfig()
    assert len(set(changed)) == len(changed)


def bowl(u: np.ndarray) -> np.ndarray:  # [B, 3] -> [B, 4]
    z = 10 * (u - 0.7)
    return np.concatenate([z, np.where(u[:, :1] > 0.2, z[:, 1:2] - z[:, :1], np.nan)], axis=1)


class Bowl(Trial):
    """A response known in closed form instead of a simulator: |z| is the distance from 0.7, ten times over."""

    def __init__(self, budget: int):
        self.problem, self.tolerance = load_problem(HH), 0.3
        self.target = Target(np.zeros(4), np.ones(4))
        self.keys = ["a.b", "a.c", "a.d", "a.e"]
        self.own = np.array([0.12, 0.036, 0.0003])  # the model's own values
        self.dimension, self.budget, self.made, self.largest_batch, self.solved = 3, budget, 0, 0, False

    def __call__(self, u: np.ndarray) -> np.ndarray:
        assert u.ndim == 2 and u.shape[1] == 3
        assert ((u > -1e-9) & (u < 1 + 1e-9)).all()
        self.made, self.largest_batch = self.made + len(u), max(self.largest_batch, len(u))
        z = bowl(u)
        if (np.nan_to_num(np.abs(z), nan=9.0).max(axis=1) <= 0.3).any():
            self.solved = True
            raise Over
        if self.made >= self.budget:
            raise Over
        return z


def bowl_known() -> Known:
    """What a few hundred simulations of the bowl would have given."""
    u = np.random.default_rng(0).uniform(size=(512, 3))
    return Known(u, bowl(u))


@pytest.mark.parametrize("name", [name for name in PEERS if name != "random"])
def test_peer_finds_the_bottom_of_a_bowl(name: str) -> None:
    package = PEERS[name].package
    if package != "cma":
        pytest.importorskip(package)
    trial = Bowl(1200)
    trial.known = bowl_known() if PEERS[name].retargets else None
    with pytest.raises(Over):
        peer(name)(trial, 0)
    assert trial.solved, trial.made
    assert trial.largest_batch > 1 or name.startswith("dfo-ls")  # whole populations at a time; a least-squares step


def test_what_is_not_defined_is_observed_far_off() -> None:
    z = np.array([[0.0, 30.0], [np.nan, 1e9], [-3.0, np.nan]])
    x = observed(z, np.random.default_rng(0), 1e-6)
    assert np.isfinite(x).all() and np.allclose(x[[0, 2], 0], np.arcsinh([0.0, -3.0]), atol=1e-4)
    assert x[1, 0] == pytest.approx(max(x[0, 0], x[2, 0]) + SENTINEL) and x[1, 1] == LARGEST and x[2, 1] > LARGEST


def test_methods_that_learn_from_an_archive_ask_for_one(tmp_path: Path) -> None:
    none = tmp_path / "none.sqlite"
    with pytest.raises(GbarError, match=r"'npe' learns from an archive.*--archive FILE"):
        check_archive(["gbar", "npe"], None)
    with pytest.raises(GbarError, match="'random' begins from nothing"):
        check_archive(["gbar", "npe", "random"], none)
    with pytest.raises(GbarError, match="no such file: gbar sample"):
        check_archive(["gbar", "npe"], none)
    none.touch()
    check_archive(["gbar", "npe"], none)
    assert "npe" in METHODS and "npe" not in choose_methods(["random", "arms"])


def test_scores() -> None:
    z = np.array([[0.0, 0.0], [3.0, 3.0], [0.0, 5.0], [0.0, np.nan]])
    assert list(np.argsort(max_score(z))) == [0, 1, 2, 3]
    assert list(np.argsort(sum_score(z))) == [0, 2, 1, 3]
