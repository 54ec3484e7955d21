"""models/hh: the ten-second example loads, fires, and has the resistance that cable theory gives it."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gbar.sim import Integrator, Problem, Workers, load_problem, simulate
from tests.problems import HH

pytestmark = pytest.mark.neuron

SQUID = np.array([0.12, 0.036, 3e-4])  # Hodgkin & Huxley's own conductances, S/cm2
RESISTANCE_TOLERANCE = 0.002  # relative: CVODE atol 1e-4 and makima resampling against a fixed 0.005 ms
PASSIVE_TOLERANCE = 0.01  # relative: five compartments against the continuous cable

RAW = """
import json, sys
import numpy as np
from neuron import h
h.load_file("stdrun.hoc")
h.load_file(sys.argv[1])
axon = h.SquidAxon()
h.celsius, h.dt, h.steps_per_ms, h.secondorder = 6.3, 0.005, 200, 2
clamp = h.IClamp(axon.axon(0.5))
clamp.delay, clamp.dur, clamp.amp = 50, 100, -0.2
t, v = h.Vector().record(h._ref_t), h.Vector().record(axon.axon(0.5)._ref_v)
h.finitialize(-65)
h.continuerun(200)
t, v = np.array(t), np.array(v)
print(json.dumps([v[(t >= 45) & (t < 50)].mean(), v[(t >= 140) & (t < 150)].mean(), v.min()]))
"""


@pytest.fixture(scope="module")
def problem() -> Problem:
    return load_problem(HH, measured=False)


def test_what_is_found_in_the_model(problem: Problem) -> None:
    """Five compartments, and every parameter everywhere, with the squid's value and NEURON's unit."""
    with Workers(problem) as pool:
        found = pool.found
    assert found.compartments == 5
    assert list(found.parameters) == list(problem.names) == ["gnabar", "gkbar", "gl"]
    assert [p.value for p in found.parameters.values()] == pytest.approx(SQUID)
    assert {(p.unit, p.places) for p in found.parameters.values()} == {("S/cm2", 5)}
    low, high = (problem.physical(np.full(3, end)) for end in (0.0, 1.0))
    assert (low < SQUID).all() and (high > SQUID).all()


def test_fires_through_the_whole_step(problem: Problem) -> None:
    (done,) = simulate(problem, [SQUID])
    fire, step = (
        {k.partition(".")[2]: v for k, v in done.features.items() if k.startswith("fire.")},
        problem.protocol["fire"],
    )
    assert done.status == "ok"
    assert fire["depol_block_bool"] == 0
    assert fire["time_to_last_spike"] > step.duration - 2 * 1000 / fire["inv_last_ISI"]
    assert fire["Spikecount"] == pytest.approx(step.duration / 1000 * fire["inv_last_ISI"], abs=1.5)
    assert 50 < fire["mean_frequency"] < 100  # Hz, the squid's own at 6.3 degC
    assert 90 < fire["AP_amplitude_from_voltagebase"] < 110  # mV
    assert -66 < fire["voltage_base"] < -64


def test_hyperpolarised_as_by_plain_neuron(problem: Problem, fresh: Callable[..., Any]) -> None:
    """Input resistance against a script that shares nothing with sim: fixed steps, no resampling, no eFEL."""
    (done,) = simulate(problem, [SQUID])
    base, steady, minimum = fresh(RAW, HH / "hh.hoc")
    found = done.features
    assert found["hyperpolarise.voltage_base"] == pytest.approx(base, abs=0.01)
    assert found["hyperpolarise.minimum_voltage"] == pytest.approx(minimum, abs=0.01)
    assert found["hyperpolarise.ohmic_input_resistance_vb_ssse"] == pytest.approx(
        (steady - base) / -0.2, rel=RESISTANCE_TOLERANCE
    )


def test_passive_resistance_follows_cable_theory(problem: Problem) -> None:
    """Without its channels the axon is a sealed cable fed in the middle: R = r_m coth(l / 2 lambda) / 2 lambda."""
    g, length, diameter, ra = 6e-4, 500e-4, 10e-4, 35.4  # S/cm2, cm, cm, ohm cm
    bare = simulate(problem, [np.array([1e-12, 1e-12, g])], integrator=Integrator().tight())[0].features
    space = math.sqrt(diameter / (4 * ra * g))  # cm
    membrane = 1 / (g * math.pi * diameter)  # ohm cm
    expected = membrane / (2 * space) / math.tanh(length / (2 * space)) / 1e6
    assert bare["hyperpolarise.ohmic_input_resistance_vb_ssse"] == pytest.approx(expected, rel=PASSIVE_TOLERANCE)
    assert bare["hyperpolarise.steady_state_voltage_stimend"] < bare["hyperpolarise.voltage_base"] - 1
