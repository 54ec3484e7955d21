"""Why it cannot be done: problems made so that each reason is true, run through the real thing; and one with none."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gbar.agent import Result, tune
from gbar.agent.report.limits import findings
from gbar.agent.result import Achieved, Unreachable, write_result
from gbar.agent.tuning.definition import TuneConfig
from gbar.sim import load_problem
from tests.problems import HH
from tests.synthetic import AGENT

RIN = ("hyperpolarise.ohmic_input_resistance_vb_ssse", 5.143, 0.15, "MOhm")
RATE = ("fire.mean_frequency", 87.2, 2.0, "Hz")
HEIGHT = ("fire.AP_height", 35.8, 1.0, "mV")
WIDTH = ("fire.AP_duration_half_width", 1.346, 0.03, "ms")
WIDE_BASE = ("hyperpolarise.voltage_base", -65.0, 20.0, "mV")
WIDE_TROUGH = ("hyperpolarise.minimum_voltage", -67.0, 50.0, "mV")

CONFIG = TuneConfig(solutions=2, batch=8, agent=AGENT)

pytestmark = [pytest.mark.neuron, pytest.mark.slow]
Row = tuple[str, float, float, str]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    """Tune the squid axon, within other bounds where they are given, to a table of the test's own."""

    def tuned(
        *rows: Row, budget: int = 64, solutions: int = 2, seed: int = 0, bounds: dict[str, str] | None = None
    ) -> Result:
        model = Path(shutil.copytree(HH, tmp_path / "hh"))
        text = (model / "problem.toml").read_text()
        for old, new in (bounds or {}).items():
            assert old in text
            text = text.replace(old, new)
        (model / "problem.toml").write_text(text)
        lines = [",".join([*key.split("."), str(mean), str(sd), unit]) for key, mean, sd, unit in rows]
        (tmp_path / "table.csv").write_text("\n".join(["protocol,feature,mean,sd,unit", *lines, ""]))
        problem = load_problem(model, tmp_path / "table.csv")
        return tune(problem, CONFIG._replace(budget=budget, solutions=solutions, seed=seed), tmp_path / "run")

    return tuned


def said(result: Result) -> str:
    """What the page and the terminal say of what limits the answer."""
    return "\n".join(sentence for finding in findings(result) for sentence in finding.sentences)


def test_a_measurement_that_no_parameter_set_reaches(run: Callable[..., Result]) -> None:
    """No spike overshoots sodium's reversal potential, 50 mV. With this seed the surrogate hopes to the end."""
    result = run(RIN, RATE, ("fire.AP_height", 60.0, 2.0, "mV"), WIDTH, budget=96, seed=5)
    found = result.diagnosis
    (unreachable,) = found.unreachable
    assert (unreachable.nearest.feature, result.solutions) == ("fire.AP_height", [])
    assert unreachable.nearest.value is not None and 42.0 < unreachable.nearest.value < 50.0
    assert unreachable.parameters["gnabar"] > 0.15  # where the sodium conductance is large
    assert found.probed


def test_two_measurements_that_can_only_be_met_one_at_a_time(run: Callable[..., Result]) -> None:
    """A cell that does not adapt has one rate, not two."""
    result = run(RIN, HEIGHT, ("fire.inv_first_ISI", 66.0, 1.0, "Hz"), ("fire.inv_last_ISI", 78.0, 1.0, "Hz"))
    (conflict,) = result.diagnosis.conflicts
    first, second = conflict.together
    assert (first.feature, second.feature) == ("fire.inv_first_ISI", "fire.inv_last_ISI")
    assert first.z is not None and second.z is not None and max(abs(first.z), abs(second.z)) > result.tolerance
    ends = conflict.trade_off[0][0], conflict.trade_off[-1][1]
    assert all(end.z is not None and abs(end.z) <= result.tolerance for end in ends)  # each can be met alone
    assert not result.diagnosis.unreachable


def test_what_carries_no_information_and_what_nothing_constrains(run: Callable[..., Result]) -> None:
    """Below threshold sodium does little; an SD of 20 mV takes everything; a cell held silent has no spikes."""
    quiet = {"[0.06, 0.24]": "[0.06, 0.10]", "[0.018, 0.072]": "[0.036, 0.072]"}
    rough, silent = (RIN[0], RIN[1], 0.6, RIN[3]), ("hyperpolarise.Spikecount", 0.0, 1.0, "")
    found = run(rough, WIDE_BASE, WIDE_TROUGH, silent, solutions=20, bounds=quiet).diagnosis  # more than the design has
    assert {measurement.feature: measurement.reason for measurement in found.uninformative} == {
        "hyperpolarise.voltage_base": "always met",
        "hyperpolarise.minimum_voltage": "always met",
        "hyperpolarise.Spikecount": "constant",
    }
    assert "gnabar" in found.unconstrained
    assert found.probed is None and not found.unreachable and not found.conflicts  # solutions were found


def test_solutions_that_press_on_a_bound(run: Callable[..., Result]) -> None:
    """An input resistance that only the largest conductances give, whatever a prior believes."""
    low = ("hyperpolarise.ohmic_input_resistance_vb_ssse", 2.74, 0.04, "MOhm")
    believed = {"[0.018, 0.072]": "[0.018, 0.072]\nprior = {mean = 0.03, sd = 0.003}"}
    result = run(
        low, WIDE_BASE, WIDE_TROUGH, ("hyperpolarise.steady_state_voltage_stimend", -70.0, 30.0, "mV"), bounds=believed
    )
    (far,) = result.diagnosis.far_from_prior
    assert (far.parameter, far.sets, far.of) == ("gkbar", far.of, len(result.solutions) or 1 + len(result.next_nearest))
    assert far.sds > 3 and f"gkbar: {far.sets} of" in said(result)
    (pressing,) = [p for p in result.diagnosis.pressing if p.parameter == "gkbar"]
    assert (pressing.side, pressing.bound) == ("upper", 0.072)
    assert pressing.sets * 2 >= pressing.of == (len(result.solutions) or 1 + len(result.next_nearest))


def test_nothing_to_say(run: Callable[..., Result]) -> None:
    """A cell with an answer, measured well: solved, or out of budget before that, nothing is made up."""
    found = run(RIN, RATE, HEIGHT, WIDTH).diagnosis
    assert not (found.pressing or found.unreachable or found.conflicts or found.uninformative or found.unconstrained)


def test_a_short_budget_is_no_reason(run: Callable[..., Result]) -> None:
    """And what a session says cannot be met is taken back when a later one meets it."""
    result = run(RIN, RATE, HEIGHT, WIDTH, budget=8)  # one batch after the design; with 11 it is solved
    assert result.solutions == [] and result.diagnosis.probed is not None
    assert not (result.diagnosis.unreachable or result.diagnosis.conflicts)
    then = Achieved(feature="fire.AP_height", value=30.0, z=-5.8)
    result.diagnosis.unreachable = [Unreachable(nearest=then, parameters={})]
    write_result(result.folder, result)
    later = tune(
        load_problem(result.problem_folder, result.measurements_file), CONFIG._replace(budget=12), result.folder
    )
    (overturned,) = later.diagnosis.overturned
    (now,) = overturned.since
    assert overturned.before == [then] and now.feature == then.feature and now.z is not None and abs(now.z) <= 2
    assert "an earlier session said that fire.AP_height cannot be met (nearest 30.0" in said(later)
