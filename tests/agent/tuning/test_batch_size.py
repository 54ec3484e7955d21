"""The batch size that measured times ask for, and that it can be given back."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbar.agent import tune
from gbar.agent.tuning.batch_size import SIZES, SPARE, choose_batch, new_agent, next_batch
from gbar.agent.tuning.definition import TuneConfig
from gbar.agent.tuning.ledger import Kept, Ledger
from gbar.agent.tuning.outcome import Pretraining
from gbar.sim import Evaluation, load_problem
from tests.agent.tuning.test_design import known
from tests.problems import HH
from tests.synthetic import AGENT

seconds = st.floats(0, 100)


@pytest.mark.parametrize(
    ("think_s", "round_s", "at_once", "batch"),
    [
        (1.0, 20.0, 2, 4),  # simulating is dear: think after every few
        (10.0, 0.02, 2, 64),  # simulating is free: think rarely
        (0.0, 2.0, 2, 4),
        (0.25, 0.5, 16, 8),  # sixteen would take as long, and be more
        (1.0, 20.0, 8, 8),  # four would leave half of a vector empty
        (0.25, 0.5, 400, 400),  # a large cluster
    ],
)
def test_by_hand(think_s: float, round_s: float, at_once: int, batch: int) -> None:
    assert choose_batch(think_s, round_s, at_once) == batch


@pytest.mark.parametrize(
    ("whole", "made", "batch"),
    [(1, 0, 1), (8, 0, 1), (8, 11, 1), (8, 12, 2), (8, 24, 4), (8, 100, 8), (16, 0, 16), (256, 0, 256), (256, 40, 256)],
)
def test_first_batches_are_small_and_grow(whole: int, made: int, batch: int) -> None:
    assert next_batch(whole, Pretraining(None, ""), made) == batch


@given(think_s=seconds, round_s=st.floats(0.001, 100), more=seconds, at_once=st.sampled_from([1, 2, 16, 64]))
def test_slower_thinking_never_makes_batches_smaller(think_s: float, round_s: float, more: float, at_once: int) -> None:
    chosen = choose_batch(think_s, round_s, at_once)
    assert chosen in SIZES and chosen <= choose_batch(think_s + more, round_s, at_once)


def test_bad_times() -> None:
    with pytest.raises(ValueError, match="0 s"):
        choose_batch(-1.0, 0.0, 1)
    with pytest.raises(ValueError, match="at once"):
        choose_batch(1.0, 0.0, 0)


def test_an_agent_has_room_for_what_earlier_sessions_made() -> None:
    """However little is allowed now."""
    findings, ledger = known(np.empty((0, 3)), np.empty((0, 8)), config=TuneConfig(agent=AGENT)), Ledger(20)
    made = np.random.default_rng(0).random((150, 3))
    ledger.kept = {(x.tobytes(), False): Kept(x, Evaluation({}), 0, "design", i) for i, x in enumerate(made)}
    assert new_agent(findings, ledger, None, 0).rows >= 150 + SPARE


@pytest.mark.neuron
def test_the_choice_is_remembered_and_given_back_repeats_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured in a first run, remembered in a second, asked for in a third: the same evaluations to the last digit."""
    monkeypatch.setenv("GBAR_CACHE", str(tmp_path / "cache"))
    problem, runs = load_problem(HH), []
    for number, batch in enumerate((None, None, "as chosen")):
        config = TuneConfig(budget=40, solutions=10, tolerance=0.01, batch=batch and runs[0].batch, agent=AGENT)
        runs.append(tune(problem, config, tmp_path / str(number)))
    first, second, third = runs
    assert first.pace is not None and first.pace == second.pace and third.pace is None
    assert first.batch == first.pace.batch == choose_batch(first.pace.think_s, first.pace.round_s, first.pace.at_once)
    assert first.history == second.history == third.history
    assert first.next_nearest == third.next_nearest and first.nearest == third.nearest
