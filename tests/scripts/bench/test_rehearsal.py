"""Sessions against an emulator: what an arm changes, and what is made of the sessions."""

from pathlib import Path

import numpy as np
import pytest

from gbar.agent.learning.environment import EnvConfig
from gbar.agent.learning.pretrained import Pretrained, pretrain
from gbar.agent.learning.target import Target
from gbar.scripts.bench import rehearsal
from gbar.scripts.bench.rehearsal import (
    ARMS,
    BATCH,
    BATCHES,
    Arm,
    Rehearsed,
    Taught,
    _schooled,
    _session,
    emulate,
    perform,
    summarise,
)
from gbar.sim import Archive, GbarError, load_problem, with_engine
from gbar.sim.archive.sampling import sample
from tests.problems import HH
from tests.synthetic import AGENT, MEAN, SD, response

HIDDEN = np.array([[0.7, 0.3, 0.5]])
TARGET = Target(MEAN, SD)


@pytest.fixture(scope="module")
def u() -> np.ndarray:
    return np.random.default_rng(0).random((256, 3))


@pytest.fixture(scope="module")
def pretrained(u: np.ndarray) -> Pretrained:
    return pretrain(u, response(u), TARGET, 1.0, AGENT.pretrain, EnvConfig())


@pytest.fixture(autouse=True)
def arms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arms on an agent that thinks fast."""
    wary = AGENT._replace(env=EnvConfig(pessimism=0.5))
    gradient = AGENT._replace(planner="gradient", env=wary.env)
    monkeypatch.setattr(rehearsal, "BOTH", AGENT)
    monkeypatch.setattr(
        rehearsal,
        "ARMS",
        {
            "both": Arm("", AGENT),
            "again": Arm("", AGENT, seed=1),
            "wary": Arm("", wary),
            "gradient": Arm("", gradient),
            "untrained": Arm("", AGENT._replace(trained=False)),
            "frozen": Arm("", AGENT, frozen=True),
        },
    )


def test_an_arm_has_a_policy_of_its_own_only_where_it_learns_otherwise(u: np.ndarray, pretrained: Pretrained) -> None:
    taught = Taught(TARGET, 1.0, pretrained, u, response(u), (u, response(u)))
    schooled = {name: _schooled(arm, taught) for name, arm in rehearsal.ARMS.items()}
    assert all(made.params is pretrained.params for made in schooled.values())  # one surrogate for all
    own = {arm for arm, made in schooled.items() if made.policy is not pretrained.policy}
    assert own == {"again", "wary", "untrained"}


def test_a_session_ends_with_a_solution(u: np.ndarray, pretrained: Pretrained) -> None:
    """Towards a cell that can be reached: found within the session, and by a planner that is in use."""
    emulator = emulate(u, response(u), TARGET, AGENT.pretrain.fit._replace(members=1))
    target = Target(emulator.simulate(HIDDEN)[0], SD)
    for arm, proposers in (("both", {"policy", "gradient"}), ("gradient", {"gradient"})):
        played = _session(arm, 0, emulator, pretrained, u, response(u), target, 1.0)
        assert played.evaluations is not None and played.evaluations <= BATCH * BATCHES
        assert played.proposer in proposers


@pytest.mark.neuron
@pytest.mark.slow
def test_sessions_against_neuron(tmp_path: Path) -> None:
    """Each arm towards each table, from the same archive; a table that measures something else is refused."""
    problem, archive = with_engine(load_problem(HH), "cvode atol 0.0001"), tmp_path / "archive.sqlite"
    with Archive(archive, problem) as kept:
        sample(problem, kept, 96, seed=0, workers=2)
        before = len(kept.rows([], "cvode atol 0.0001").x)
    squid = HH / "measurements" / "squid.csv"
    other, less = tmp_path / "b.csv", tmp_path / "less.csv"
    other.write_text(squid.read_text().replace("87.2354", "80.0"))
    less.write_text("\n".join(squid.read_text().splitlines()[:-1]) + "\n")
    sessions = list(perform(problem, [squid, other], archive, ["both", "gradient"], tolerance=2.0))
    assert [(s.arm, s.target) for s in sessions] == [("both", 0), ("both", 1), ("gradient", 0), ("gradient", 1)]
    assert all(s.evaluations for s in sessions[::2])  # the problem's own table can be reached
    assert all(s.proposer == "gradient" for s in sessions[2:] if s.evaluations)
    with Archive(archive, problem) as kept:
        assert len(kept.rows([], "cvode atol 0.0001").x) == before  # every session knows as much
    with pytest.raises(GbarError, match="no such archive"):
        next(perform(problem, [squid], tmp_path / "none.sqlite", ["both"]))
    assert not (tmp_path / "none.sqlite").exists()
    with pytest.raises(GbarError, match=r"less\.csv: expected the same features"):
        next(perform(problem, [less], archive, ["both"]))


def test_targets_are_not_among_what_the_memory_has_seen(u: np.ndarray, pretrained: Pretrained) -> None:
    features = response(u)
    features[200, 0] = np.nan
    chosen = rehearsal._targets(features, pretrained, 20, known=150)
    assert len(chosen) == len(set(chosen)) > 5
    assert chosen.min() >= 150 and 200 not in chosen


def played(arm: str, *evaluations: int | None) -> list[Rehearsed]:
    return [Rehearsed(arm, i, 2.0, count, "", 0.1, 0.9, 0.1) for i, count in enumerate(evaluations)]


def test_arms_are_compared_target_by_target() -> None:
    """By hand: differences -8, -16, 0, 96 - 24, and a sign test of two against one."""
    first, second = summarise(played("gradient", 16, 24, 8, 24) + played("both", 8, 8, 8, None))
    assert (first.arm, first.more, first.chance) == ("gradient", 0.0, 1.0)
    assert (second.solved, second.first_solved, second.mean_evaluations) == (0.75, 0.75, (8 + 8 + 8 + 96) / 4)
    assert second.more == pytest.approx(12.0)
    assert second.more_error == pytest.approx(np.std([-8, -16, 0, 72], ddof=1) / 2)
    assert (second.fewer_on, second.more_on, second.chance) == (2, 1, 1.0)


def test_a_clear_difference_is_told_from_chance() -> None:
    rows = summarise(played("both", *[16] * 8) + played("policy", *[8] * 8))
    assert rows[1].chance == pytest.approx(2 / 2**8)


def test_every_arm_is_another() -> None:
    assert len({arm[1:] for arm in ARMS.values()}) == len(ARMS)
