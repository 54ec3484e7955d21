"""Many evaluations at once: the same answers as one at a time, wherever in a batch a vector stands."""

import numpy as np
import pytest

from gbar.sim import Integrator, Problem, Workers, choose_engine, design, load_problem, with_engine
from gbar.sim.engine.evaluation import Evaluation
from gbar.sim.pool.workers import tasks
from gbar.sim.problem.integrator import LANES
from tests.problems import HH, MOTONEURON, free, model_of, step_of, toml_of

pytestmark = pytest.mark.neuron
TOGETHER = Integrator("neuron")


@pytest.fixture(scope="module")
def squid() -> Problem:
    return load_problem(HH)


@pytest.fixture(scope="module")
def motoneuron() -> Problem:
    return load_problem(MOTONEURON)


def evaluated(problem: Problem, x: np.ndarray, accuracy: Integrator, count: int = 1) -> list[Evaluation]:
    with Workers(problem, count, accuracy) as pool:
        done = dict(pool.run(list(x), traces=True))
    return [done[i] for i in range(len(x))]


def points(problem: Problem, count: int) -> np.ndarray:
    return problem.physical(design(len(problem.names), count, 3))


def test_a_batch_is_shared_out_in_whole_vectors() -> None:
    assert tasks(3, 2, Integrator("cvode")) == [[0], [1], [2]]
    assert [len(task) for task in tasks(16, 2, TOGETHER)] == [8, 8]
    assert [len(task) for task in tasks(17, 2, TOGETHER)] == [16, 1]
    assert [len(task) for task in tasks(200, 2, TOGETHER)] == [64, 64, 64, 8]
    for count in range(1, 150):
        shared = tasks(count, 3, TOGETHER)
        assert sorted(i for task in shared for i in task) == list(range(count))
        assert all(len(task) % LANES == 0 for task in shared[:-1])


def test_copies_do_what_one_cell_does(motoneuron: Problem) -> None:
    """All protocols, settling shared, rheobases bisected together: against single cells in fixed steps."""
    x, settled = points(motoneuron, 2), 10.0  # ms, that v_init takes to be forgotten in longer steps
    for together, alone in zip(
        evaluated(motoneuron, x, TOGETHER), evaluated(motoneuron, x, Integrator("fixed", confirm="fixed")), strict=True
    ):
        assert together.status == alone.status == "ok"
        for protocol in ("hyperpolarise", "published", "threshold"):
            (t, v), (t_together, v_together) = alone.traces[protocol], together.traces[protocol]
            count = min(len(t), len(t_together))
            assert np.allclose(t_together[:count], t[:count], atol=1e-6)
            apart = np.abs(v_together[:count] - v[:count])[t[:count] > settled]
            assert np.max(apart) < 0.2, protocol  # mV: longer steps at the edges of a stimulus, a spike a little off
        rheobase = together.features["threshold.rheobase"], alone.features["threshold.rheobase"]
        assert np.array_equal(*rheobase, equal_nan=True)
        for protocol in ("brief", "fire_low", "fire_mid", "fire_high"):  # whose steps are others in a batch
            finer = protocol == "brief"
            for feature, tolerance in {
                "Spikecount": 0,
                "AP_height": 1.0 if finer else 0.5,
                "AHP_depth_abs": 0.1,
            }.items():
                one, other = (found.features[f"{protocol}.{feature}"] for found in (together, alone))
                assert one == pytest.approx(other, rel=0, abs=tolerance, nan_ok=True), (protocol, feature)


def test_an_answer_does_not_depend_on_the_batch(squid: Problem) -> None:
    """Nor on where in it a vector stands, what stands beside it or how many workers share it: to the last bit."""
    x = points(squid, 20)
    apart = [found.features for found in evaluated(squid, x, TOGETHER, 2)]
    whole = [found.features for found in evaluated(squid, x[::-1], TOGETHER)][::-1]
    alone = evaluated(squid, x[7:8], TOGETHER)[0].features
    for one, other in [*zip(apart, whole, strict=True), (alone, apart[7])]:
        assert one == pytest.approx(other, rel=0, abs=0, nan_ok=True)


@pytest.mark.slow
def test_coreneuron_does_what_neuron_does(squid: Problem) -> None:
    x = points(squid, 9)
    alone = evaluated(squid, x[4:5], Integrator("coreneuron"))[0].features
    vectorised, plain = evaluated(squid, x, Integrator("coreneuron")), evaluated(squid, x, TOGETHER)
    assert alone == pytest.approx(vectorised[4].features, rel=0, abs=0, nan_ok=True)
    for one, other in zip(vectorised, plain, strict=True):
        assert one.features == pytest.approx(other.features, rel=1e-4, abs=1e-4, nan_ok=True)


def test_an_engine_is_asked_for_as_results_name_it(squid: Problem) -> None:
    for text in ("cvode atol 1e-05", "fixed dt 0.0125", "neuron dt 0.025", "coreneuron dt 0.05"):
        assert str(Integrator.of(with_engine(squid, text))) == text
    problem, choice = choose_engine(with_engine(squid, "neuron dt 0.05"))
    assert (choice.engine, choice.why, choice.trials) == ("neuron dt 0.05", "asked for", [])
    assert problem.simulation.engine == "neuron"
    assert Integrator.of(problem).tight() == Integrator("cvode", 1e-7, 0.0025)
    assert str(Integrator.of(with_engine(squid, "fixed dt 0.0125")).tight()) == "fixed dt 0.0025"


FLAT = """
create soma, dend[2]
soma { L = 20 diam = 20 nseg = 3 insert hh }
for i = 0, 1 { connect dend[i](0), soma(1)  dend[i] { L = 100 diam = 2 insert pas } }
"""
FLAT_PROBLEM = toml_of(
    model_of("flat.hoc"),
    free("gnabar", "soma.gnabar_hh", 0.06, 0.24),
    step_of("fire", amplitude=0.5, delay=20, duration=20, total=50),
)


@pytest.mark.slow
def test_what_cannot_be_copied_is_simulated_one_at_a_time(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GBAR_ENGINE")
    folder = write("flat", **{"flat.hoc": FLAT, "problem.toml": FLAT_PROBLEM})
    problem, choice = choose_engine(load_problem(folder, measured=False))
    assert problem.simulation.engine == "cvode"
    refused = {trial.engine: trial.refused for trial in choice.trials if trial.seconds is None}
    assert set(refused) == {"coreneuron dt 0.025", "neuron dt 0.025"}
    assert all("copy" in reason or "section" in reason for reason in refused.values()), refused
    again = choose_engine(load_problem(folder, measured=False))[1]
    assert again == choice  # remembered, not tried again: times would differ


def test_the_environment_may_name_the_engine(squid: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GBAR_ENGINE", "neuron dt 0.0125")
    _, choice = choose_engine(squid)
    assert (choice.engine, choice.why) == ("neuron dt 0.0125", "asked for")
    assert choose_engine(with_engine(squid, "cvode atol 1e-05"))[0].simulation.engine == "cvode"
