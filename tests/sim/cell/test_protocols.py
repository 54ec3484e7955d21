"""What each kind of protocol puts on a cell, held to a membrane that can be solved on paper, with both integrators."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gbar.sim import Evaluation, GbarError, Integrator, Workers, load_problem, simulate
from gbar.sim.problem.integrator import BATCHED
from tests.problems import BRANCHED_HOC, free, model_of, toml_of

pytestmark = pytest.mark.neuron

# One compartment of 1000 µm2 with g_pas 1e-4 S/cm2 and cm 1: 1000 MΩ, 0.01 nF, 10 ms.
R_MOHM, C_NF, TAU_MS, REST = 1000.0, 0.01, 10.0, -65.0
SPHERE = """
begintemplate Cell
public soma
create soma
proc init() { soma { L = 1000 / PI  diam = 1  insert pas  g_pas = 1e-4  e_pas = -65  cm = 1 } }
endtemplate Cell
"""
HEAD = toml_of(model_of(template="Cell"), free("g_pas", "soma.g_pas", 1e-5, 1e-3))
TIMES = "delay = 50\nduration = 40\ntotal = 120\n"
PASSIVE = {
    "square": 'kind = "step"\namplitude = 0.01\n',
    "brief": 'kind = "pulse"\namplitude = 0.1\n',
    "held": 'kind = "step"\namplitude = 0.01\nholding = -0.005\n',
    "series": 'kind = "train"\namplitude = 0.05\nwidth = 2.0\nfrequency = 100\n',
    "up": 'kind = "ramp"\namplitude = 0.02\nfirst = 0.004\n',
    "up_and_down": 'kind = "triangle"\namplitude = 0.02\n',
    "file": 'kind = "waveform"\nfile = "square.csv"\n',
    "twice": 'kind = "waveform"\nfile = "square.npy"\nscale = 2.0\n',
    "open": 'kind = "synapse"\nweight = 1e-7\ntau1 = 2.0\ntau2 = 6.0\nonsets = [0.0, 20.0]\n',
    "fixed": 'kind = "clamp"\nvoltage = -45\nholding = -75\nrecordings = { v = "soma(0.5).v" }\n',
    "tail": 'kind = "clamp"\nvoltage = -45\nholding = -75\ntail = -60\nblank = 2.0\n',
}


def problem_text(protocols: dict[str, str]) -> str:
    parts = [f"[protocol.{name}]\n{text}{'' if 'total' in text else TIMES}" for name, text in protocols.items()]
    return HEAD + "\n" + "\n".join(parts)


@pytest.fixture(scope="module")
def passive(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Evaluation]:
    """Every kind of stimulus on the sphere, with every engine."""
    folder = tmp_path_factory.mktemp("sphere")
    (folder / "cell.hoc").write_text(SPHERE)
    (folder / "problem.toml").write_text(problem_text(PASSIVE))
    square = np.array([[0, 0], [50, 0], [50, 0.01], [90, 0.01], [90, 0], [200, 0]], float)
    (folder / "square.csv").write_text("# an amplifier\nt_ms, i_nA\n" + "\n".join(f"{t},{i}" for t, i in square))
    np.save(folder / "square.npy", square)
    problem = load_problem(folder, measured=False)
    accuracies = {"cvode": Integrator("cvode", atol=1e-9), "fixed": Integrator("fixed", dt=0.0125)}
    accuracies |= {engine: Integrator(engine, dt=0.0125) for engine in BATCHED}
    found = {}
    for name, accuracy in accuracies.items():
        (found[name],) = simulate(problem, [np.array([1e-4])], integrator=accuracy, traces=True)
        assert found[name].status == "ok", found[name].reason
    return found


def charging(t: np.ndarray, onset: float, end: float) -> np.ndarray:
    """The response (mV per nA) to a square current."""
    on = np.where(t > onset, 1 - np.exp(-np.maximum(t - onset, 0) / TAU_MS), 0)
    off = np.where(t > end, 1 - np.exp(-np.maximum(t - end, 0) / TAU_MS), 0)
    return R_MOHM * (on - off)


def ramping(t: np.ndarray, onset: float) -> np.ndarray:
    """The response (mV per nA/ms) to a current that rises for ever."""
    since = np.maximum(t - onset, 0)
    return R_MOHM * (since - TAU_MS * (1 - np.exp(-since / TAU_MS)))


def opening(t: np.ndarray, onset: float) -> np.ndarray:
    """The response (mV per nS) to a conductance of two exponentials, 2 and 6 ms, so small that it drives a current."""
    since = np.maximum(t - onset, 0)
    peak = 2 * 6 / (6 - 2) * math.log(6 / 2)
    scale = 1 / (math.exp(-peak / 6) - math.exp(-peak / 2))

    def one(tau: float) -> np.ndarray:  # exp(-t / tau) through the membrane
        return (np.exp(-since / TAU_MS) - np.exp(-since / tau)) / (C_NF * (1 / tau - 1 / TAU_MS))

    return 1e-3 * scale * (one(6.0) - one(2.0)) * -REST


EXPECTED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "square": lambda t: 0.01 * charging(t, 50, 90),
    "brief": lambda t: 0.1 * charging(t, 50, 90),
    "held": lambda t: 0.01 * charging(t, 50, 90) - 0.005 * charging(t, 0, 1e9),
    "series": lambda t: 0.05 * sum(charging(t, on, on + 2) for on in (50, 60, 70, 80)),
    "up": lambda t: (
        0.004 * charging(t, 50, 90) + 4e-4 * (ramping(t, 50) - ramping(t, 90)) - 0.016 * charging(t, 90, 1e9)
    ),
    "up_and_down": lambda t: 1e-3 * (ramping(t, 50) - 2 * ramping(t, 70) + ramping(t, 90)),
    "file": lambda t: 0.01 * charging(t, 50, 90),
    "twice": lambda t: 0.02 * charging(t, 50, 90),
    "open": lambda t: 1e-4 * (opening(t, 50) + opening(t, 70)),
}


@pytest.mark.parametrize("engine", ["cvode", "fixed", *BATCHED])
@pytest.mark.parametrize("name", EXPECTED)
def test_the_voltage_is_what_paper_says(passive: dict[str, Evaluation], engine: str, name: str) -> None:
    t, v = passive[engine].traces[name]
    expected = EXPECTED[name](t)
    tolerance = 2e-3 * np.abs(expected).max()
    assert np.abs(v - REST - expected).max() < tolerance
    assert np.abs(expected).max() > 0.003


@pytest.mark.parametrize("engine", ["cvode", "fixed", *BATCHED])
def test_the_current_of_a_clamp(passive: dict[str, Evaluation], engine: str) -> None:
    """Steady currents by Ohm's law, and the voltage held; charging transients are left out."""
    found = passive[engine].features
    t, v = passive[engine].traces["fixed:v"]
    assert v[(t > 1) & (t < 49.9)] == pytest.approx(-75, abs=1e-3)
    assert v[(t > 51) & (t < 89.9)] == pytest.approx(-45, abs=1e-3)
    assert found["fixed:v.signal_base"] == pytest.approx(-75, abs=1e-3)
    assert found["fixed.signal_base"] == pytest.approx(-10 / R_MOHM, rel=1e-3)
    for name in ("mean", "steady_state", "maximum", "minimum", "peak"):
        assert found[f"fixed.signal_{name}"] == pytest.approx(20 / R_MOHM, rel=1e-3), name
    assert found["fixed.signal_peak_change"] == pytest.approx(30 / R_MOHM, rel=1e-3)
    assert found["fixed.signal_tail"] == pytest.approx(-10 / R_MOHM, rel=1e-3)
    assert found["tail.signal_tail"] == pytest.approx(5 / R_MOHM, rel=1e-3)
    assert "fixed.AP_height" not in found


def test_the_size_of_a_waveform_is_its_mean_above_what_came_before(passive: dict[str, Evaluation]) -> None:
    assert passive["cvode"].features["open.signal_peak_change"] > 0
    assert passive["cvode"].features["open.signal_time_to_peak"] == pytest.approx(27, abs=3)


NOISE = """
import json, sys
from types import SimpleNamespace
import numpy as np
from neuron import h
from gbar.sim.cell import inject
soma = h.Section(name="soma")
def made(**changes):
    keys = {"delay": 50.0, "duration": 2000.0, "sd": 0.3, "tau": 5.0, "every": 0.1, "seed": 1}
    clamp, t, i = inject.noise(soma(0.5), SimpleNamespace(**{**keys, **changes}), 0.5)
    return [list(t), list(i)]
print(json.dumps([made(), made(), made(seed=2), made(tau=0.0), made(every=0.2)]))
"""


def test_noise(fresh: Callable[..., Any]) -> None:
    """Mean, SD and autocorrelation are as asked, the seed decides, and nothing flows outside the duration."""
    found = [np.array(one) for one in fresh(NOISE)]
    (t, i), again, other, white, coarse = found
    assert (i == again[1]).all() and (i != other[1]).any()
    assert t[0] == 0 and t[1] == 50 and t[-2] == t[-3] == 2050 and i[0] == i[1] == i[-1] == i[-2] == 0
    assert (np.diff(t) >= 0).all() and len(coarse[0]) < 0.51 * len(t)

    def kept(samples: np.ndarray, lag: int) -> float:
        return float(np.corrcoef(samples[:-lag], samples[lag:])[0, 1])

    for samples, near, far in ((i[2:-2], math.exp(-0.2), math.exp(-1)), (white[1][2:-2], 0.0, 0.0)):
        assert samples.mean() == pytest.approx(0.5, abs=0.05)
        assert samples.std() == pytest.approx(0.3, rel=0.1)
        assert kept(samples, 10) == pytest.approx(near, abs=0.05)
        assert kept(samples, 50) == pytest.approx(far, abs=0.1)


# ---- currents relative to a rheobase, several recordings, path distance

ACTIVE_HEAD = (
    HEAD.replace('"g_pas"', '"gnabar"').replace("soma.g_pas", "soma.gnabar_hh").replace("1e-05, 0.001", "0, 0.3")
)
SHORT = "delay = 20\nduration = 60\ntotal = 90\n"
ACTIVE = {
    "threshold": f'kind = "rheobase"\nbounds = [0, 0.5]\nprecision = 0.001\nholding = 0.01\n{SHORT}',
    "strong": f'kind = "step"\nrelative_to = "threshold"\npercent = 200\nholding = 0.01\n{SHORT}',
    "stronger": f'kind = "step"\nrelative_to = "threshold"\npercent = 400\nholding = 0.01\n{SHORT}',
    "rough": f'kind = "noise"\nrelative_to = "threshold"\npercent = 100\nsd = 0.05\ntau = 3\n{SHORT}',
    "gain": 'kind = "fi"\nsteps = ["strong", "stronger"]\ntotal = 0\n',
    "spread": """kind = "pulse"
amplitude = 1.0
at = "basal@110"
record = "dend@60.v"
recordings_efel = { far = { Threshold = 90.0 } }
recordings = { ina = "soma(0.5).ina", soma = "soma(0.5).v", far = "basal@210.v", near = "dend[0](0.5).v" }
delay = 20
duration = 3
total = 60
""",
}


@pytest.fixture(scope="module")
def active(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Evaluation]]:
    """A cell that fires and one that has no sodium."""
    folder = tmp_path_factory.mktemp("cell")
    (folder / "cell.hoc").write_text(BRANCHED_HOC)
    (folder / "problem.toml").write_text(
        (ACTIVE_HEAD + "".join(f"[protocol.{name}]\n{text}" for name, text in ACTIVE.items())).replace(
            "total = 0\n", ""
        )
    )
    problem = load_problem(folder, measured=False)
    done = simulate(problem, [np.array([0.12]), np.array([0.0])], traces=True)
    assert [one.status for one in done] == ["ok", "ok"], [one.reason for one in done]
    return folder, done


def test_a_current_relative_to_each_candidates_rheobase(active: tuple[Path, list[Evaluation]]) -> None:
    """What a percentage does is what the same current in nA does."""
    folder, (fires, _) = active
    rheobase = fires.features["threshold.rheobase"]
    text = (folder / "problem.toml").read_text()
    for percent in (200, 400, 100):
        given = f"amplitude = {percent / 100 * rheobase!r}"
        text = text.replace(f'relative_to = "threshold"\npercent = {percent}', given)
    (folder / "given.toml").write_text(text)
    assert "relative_to" not in text
    (given_in_na,) = simulate(load_problem(folder / "given.toml", measured=False), [np.array([0.12])])
    assert {k: v for k, v in given_in_na.features.items() if not math.isnan(v)} == {
        k: v for k, v in fires.features.items() if not math.isnan(v)
    }
    assert fires.features["strong.Spikecount"] > 0 and math.isfinite(fires.features["rough.mean_frequency"])
    rates = [fires.features[f"{name}.mean_frequency"] for name in ("strong", "stronger")]
    assert fires.features["gain.f_I_gain"] == pytest.approx((rates[1] - rates[0]) / (2 * rheobase))


def test_without_a_rheobase_what_depends_on_it_is_not_defined(active: tuple[Path, list[Evaluation]]) -> None:
    _, (fires, silent) = active
    assert set(silent.features) == set(fires.features)
    for key, value in silent.features.items():
        assert math.isnan(value) or key.startswith("spread"), key
    assert not {"threshold", "strong", "rough"} & set(silent.traces)
    assert math.isfinite(silent.features["spread.voltage_base"])


def test_several_recordings(active: tuple[Path, list[Evaluation]]) -> None:
    """Each recording has its own features; the one at 60 µm is the middle of the first dendrite."""
    _, (fires, _) = active
    traces, found = fires.traces, fires.features
    assert (traces["spread"][1] == traces["spread:near"][1]).all()
    assert found["spread.maximum_voltage"] == found["spread:near.maximum_voltage"]
    assert found["spread:far.maximum_voltage"] != found["spread:near.maximum_voltage"]
    assert found["spread:soma.AP_height"] > 20
    assert (found["spread:near.Spikecount"], found["spread:far.Spikecount"]) == (1, 0)  # each with its own threshold
    t, ina = traces["spread:ina"]
    assert found["spread:ina.signal_minimum"] == pytest.approx(ina.min(), rel=1e-9) and ina.min() < -0.5
    assert found["spread:ina.signal_peak"] == pytest.approx(ina.min(), rel=1e-6)
    assert found["spread:ina.signal_time_to_peak"] == pytest.approx(t[ina.argmin()] - 20)
    assert "spread:ina.AP_height" not in found


def test_every_candidate_of_a_batch_at_its_own_current(active: tuple[Path, list[Evaluation]]) -> None:
    """Copies of the cell in one process, each with its own rheobase, measure what each measures alone."""
    folder, _ = active
    problem, xs = load_problem(folder, measured=False), [np.array([g]) for g in (0.12, 0.0, 0.11)]
    alone = simulate(problem, xs, integrator=Integrator("fixed"))
    together = simulate(problem, xs, integrator=Integrator("neuron"))
    rheobases = [one.features["threshold.rheobase"] for one in together]
    assert 0 < rheobases[0] < rheobases[2] and math.isnan(rheobases[1])
    for one, other in zip(alone, together, strict=True):
        assert one.status == other.status == "ok", other.reason
        for key, value in one.features.items():
            share = 0.05 if key.startswith("spread") else 0.02  # a batch takes steps of several lengths
            assert other.features[key] == pytest.approx(value, rel=share, abs=share, nan_ok=True), key


@pytest.mark.parametrize(
    ("edit", "row", "said"),
    [
        (
            ('"dend@60.v"', '"dend@600.v"'),
            "",
            "'dend@600': nothing of 'dend' is 600 µm from the soma: expected 10 to 210",
        ),
        (('"basal@110"', '"apical@110"'), "", "no section or section list 'apical'"),
        (('"soma(0.5).ina"', '"soma(0.5).cai"'), "", "'soma(0.5).cai': there is no 'cai' at soma(0.5)"),
        (('"soma(0.5).ina"', '"soma(0.5).gnabar_hh"'), "spread:ina,signal_mean,1,1,mS/cm2", "NEURON has it in 'S/cm2'"),
    ],
)
def test_what_only_the_model_can_refuse(
    active: tuple[Path, list[Evaluation]], tmp_path: Path, edit: tuple[str, str], row: str, said: str
) -> None:
    folder, _ = active
    text = (folder / "problem.toml").read_text()
    assert edit[0] in text
    (tmp_path / "cell.hoc").write_text(BRANCHED_HOC)
    (tmp_path / "problem.toml").write_text(text.replace(*edit))
    (tmp_path / "table.csv").write_text(f"protocol,feature,mean,sd,unit\n{row or 'spread,AP_height,1,1,mV'}\n")
    problem = load_problem(tmp_path, tmp_path / "table.csv")
    with pytest.raises(GbarError) as caught, Workers(problem):
        pass
    assert said in str(caught.value) and "\n" not in str(caught.value)
