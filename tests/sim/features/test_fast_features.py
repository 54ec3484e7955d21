"""Our formulas beside eFEL: the same value, and NaN exactly where eFEL gives none. eFEL is called through its own API.

Traces come from the bundled models and from a generator of awkward ones. eFEL is asked for one feature at a time: asked
for several it interpolates the trace again for each, which changes the last bits of what follows.
"""

import contextlib
import math
from collections.abc import Iterable
from pathlib import Path

import efel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gbar.sim import Integrator, Workers, design, load_problem, simulate
from gbar.sim.engine.response import amplitude, watched_until
from gbar.sim.features import formulas
from gbar.sim.features import traces as features
from gbar.sim.features.grid import grid
from gbar.sim.features.traces import (
    FIRING,
    PASSIVE,
    SETTINGS,
    SPIKE,
    Trace,
    known_settings,
    measure,
    measure_by_efel,
)
from gbar.sim.features.voltage import Undefined, UseEfel, Voltage
from gbar.sim.problem import MAIN
from tests import every_kind
from tests.problems import ROOT, SHARED_DATA, free, model_of, step_of, toml_of

NAMES = sorted(formulas.FORMULAS)
OURS = {*features.OWN, *features.OWN_OF_SIGNAL, *features.OWN_OF_STEP}
EVERY = [name for name in features.known_features("step") if name not in OURS]  # that gbar takes from eFEL
RELATIVE = 1e-9
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:efel", "ignore:Mean of empty", "ignore:invalid value"
)
VARIED = [
    {},
    {"Threshold": -35.0},
    {"strict_stiminterval": True},
    {"DerivativeThreshold": 4.0, "DerivativeWindow": 5},
    {"DerivativeThreshold": 25.0, "DerivativeWindow": 1},
    {"DownDerivativeThreshold": -30.0},
    {"interp_step": 0.1},
    {"voltage_base_start_perc": 0.5, "voltage_base_end_perc": 0.97},
    {"voltage_base_mode": "median", "precision_threshold": 1e-3},
    {"spike_skipf": 0.3, "max_spike_skip": 1, "ignore_first_ISI": False},
    {"rise_start_perc": 0.1, "rise_end_perc": 0.9, "depol_block_min_duration": 5.0},
]


def differences(
    trace: Trace, setting: features.Settings, names: Iterable[str] = NAMES, together: bool = False
) -> dict[str, object]:
    """The features on which we and eFEL differ, or that are a number here where eFEL reads outside its arrays."""
    settings = {**SETTINGS, **setting}
    ours, outside = measure(trace, names, settings), outside_efel(trace, names, settings)
    inside = [name for name in names if name not in outside]  # what is outside may crash
    asked = [inside] if together else [[name] for name in inside]
    theirs = dict.fromkeys(outside, math.nan)
    for some in asked:
        theirs |= by_efel(trace, some, settings)
    return {name: (ours[name], value) for name, value in theirs.items() if not same(ours[name], value)}


def same(ours: float, theirs: float) -> bool:
    return (math.isnan(ours) and math.isnan(theirs)) or math.isclose(ours, theirs, rel_tol=RELATIVE)


def by_efel(trace: Trace, names: list[str], settings: features.Settings) -> dict[str, float]:
    """The means of features as eFEL gives them for the whole trace; of half-widths, for the spikes that have ended."""
    for key, value in {**known_settings(), **settings}.items():
        efel.set_setting(key, value)
    data = {"T": trace.t, "V": trace.v, "stim_start": [trace.start], "stim_end": [trace.end]}
    data["stimulus_current"] = [trace.current]
    try:
        found = efel.get_feature_values([data], names, raise_warnings=False)[0]
    except (IndexError, ValueError):  # of eFEL's own, on traces that end too soon
        assert len(names) == 1
        return {names[0]: math.nan}
    for name in {*names} & {"AP_duration_half_width", "AP_duration_half_width_change"}:
        if found[name] is not None:
            counted = efel.get_feature_values([data], ["AP_end_indices", "AP_begin_indices"], raise_warnings=False)[0]
            ended, begun = (0 if counted[which] is None else len(counted[which]) for which in counted)
            found[name] = found[name][: len(found[name]) + min(ended - begun, 0)]
    return {name: math.nan if v is None or len(v) == 0 else float(np.mean(v)) for name, v in found.items()}


def outside_efel(trace: Trace, names: Iterable[str], settings: features.Settings) -> set[str]:
    """The features that eFEL would crash on, or take from memory that is not the trace's."""
    in_force = {**known_settings(), **settings}
    found = set()
    with np.errstate(all="ignore"), contextlib.suppress(UseEfel):
        try:
            voltage = Voltage(*trace[:5], in_force)
        except Undefined:
            return {*names}
        for name in {*names} & {*formulas.FORMULAS}:
            try:
                formulas.FORMULAS[name](voltage)
            except Undefined:
                found.add(name)
            except UseEfel:
                continue
    return found


def left_to_efel(trace: Trace, names: Iterable[str] = NAMES) -> set[str]:
    """The features that our formulas are unsure of."""
    return {*names} - {*formulas.values(names, *trace[:5], {**known_settings(), **SETTINGS})}


def drawn(
    knots: Iterable[tuple[float, float]],
    start: float = 50.0,
    end: float = 120.0,
    total: float = 160.0,
    step: float = 0.025,
) -> Trace:
    """Straight lines between (ms, mV), from and to rest at -65 mV, evenly sampled."""
    t = np.arange(0.0, total, step)
    times, voltages = zip((0.0, -65.0), *knots, (1e4, -65.0), strict=True)
    return Trace(t, np.interp(t, times, voltages), start, end, 0.5)


def spike(at: float, top: float = 30.0, low: float = -75.0) -> list[tuple[float, float]]:
    return [(at - 3, -65.0), (at - 0.6, -50.0), (at, top), (at + 1.1, low), (at + 14, -65.0)]


def flattened(trace: Trace, top: float) -> Trace:
    return trace._replace(v=np.minimum(trace.v, top))


def noisy(trace: Trace, sd: float) -> Trace:
    return trace._replace(v=trace.v + np.random.default_rng(3).normal(0, sd, len(trace.v)))


def until(trace: Trace, end: float) -> Trace:
    return trace._replace(t=trace.t[trace.t < end], v=trace.v[trace.t < end])


TRAIN = [knot for at in (60, 75, 92, 110) for knot in spike(at)]
LONG_TRAIN = [knot for at in range(60, 400, 23) for knot in spike(at, 30.0 - at / 40)]
AWKWARD = {
    "silent": drawn([]),
    "never falls": drawn([(60, -65), (61, 0), (1e3, 0)]),
    "only above the threshold": drawn([(0.01, 10), (9e3, 10)]),
    "one spike": drawn(spike(60)),
    "two spikes": drawn(spike(60) + spike(90)),
    "four spikes": drawn(TRAIN),
    "adapting": drawn(LONG_TRAIN, end=350.0, total=450.0),
    "before the stimulus": drawn(spike(30) + TRAIN),
    "only before the stimulus": drawn(spike(30)),
    "at the onset": drawn(spike(50.0) + spike(80)),
    "after the stimulus": drawn(spike(60) + spike(130)),
    "only after the stimulus": drawn(spike(130)),
    "spontaneous": drawn([knot for at in range(20, 150, 17) for knot in spike(at)]),
    "cut off": until(drawn(TRAIN), 110.5),
    "cut at the peak": until(drawn(TRAIN), 110.02),
    "ends in the stimulus": until(drawn(TRAIN), 119.0),
    "block": drawn([*spike(55), (69.5, -65), (70, 0), (118, -10), (119, -65)]),
    "block without a spike before": drawn([(52, -65), (53, 5), (54, -15), (119, -15), (120, -65)]),
    "long hyperpolarisation": drawn([*spike(55, low=-85.0)[:-1], (115, -85), (116, -65)]),
    "short": until(drawn(spike(60)), 60.9),
    "flat top": flattened(drawn(TRAIN), 10.0),
    "top at the threshold": flattened(drawn(TRAIN), -20.0),
    "noise": noisy(drawn(TRAIN), 0.2),
    "much noise": noisy(drawn(TRAIN), 5.0),
    "rounded": drawn(TRAIN)._replace(v=np.round(drawn(TRAIN).v, 0)),
    "no current": drawn(spike(60))._replace(current=0.0),
    "stimulus at zero": drawn(spike(60), start=0.0),
    "coarse": drawn(TRAIN, step=0.1),
    "off the grid": drawn(TRAIN, step=0.017),
}


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_traces(name: str) -> None:
    assert differences(AWKWARD[name], {}, EVERY) == {}


@pytest.mark.parametrize("setting", VARIED, ids=str)
def test_settings(setting: features.Settings) -> None:
    for name in ("adapting", "before the stimulus", "block", "noise", "off the grid"):
        assert differences(AWKWARD[name], setting) == {}, name


@pytest.mark.parametrize("tau", [0.8, 5.0, 30.0])
@pytest.mark.parametrize("sag", [0.0, 3.0])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_passive_responses(tau: float, sag: float, noise: float) -> None:
    t = np.arange(0.0, 700.0, 0.025)
    on, off = np.clip(t - 200, 0, 300), np.maximum(t - 500, 0)
    v = -70 - 8 * (1 - np.exp(-on / tau)) * np.exp(-off / tau) + sag * (1 - np.exp(-on / 80)) * np.exp(-off / 80)
    trace = noisy(Trace(t, v, 200.0, 500.0, -0.5), noise)
    assert differences(trace, {}) == {}
    assert math.isfinite(measure(trace, ["time_constant"], SETTINGS)["time_constant"]) or noise


def a_trace(seed: int) -> Trace:
    """Spikes of random shape on a random step, at times noisy, rounded, flat on top, blocked or unevenly sampled."""
    random = np.random.default_rng(seed)
    step = random.choice([0.025, 0.025, 0.05, 0.013])
    t = random.choice([0.0, 13.7]) + np.arange(random.integers(600, 3000)) * step
    start, length = t[0] + (t[-1] - t[0]) * random.choice([0.1, 0.3]), (t[-1] - t[0]) * random.choice([0.03, 0.3, 0.6])
    start, end = (round(start), round(start + length) + 1) if random.random() < 0.4 else (start, start + length)
    tau, step_mv = random.uniform(0.5, 8), random.choice([-8, 6, 20])
    v = -65 + step_mv * (1 - np.exp(-np.clip(t - start, 0, end - start) / tau)) * np.exp(-np.maximum(t - end, 0) / tau)
    for at in random.uniform(*((t[0], t[-1]) if random.random() < 0.3 else (start, end + 1)), random.integers(0, 8)):
        after = np.maximum(t - at, 0)
        v += random.choice([100, 60, 45.2]) * np.exp(-(((t - at) / random.uniform(0.15, 2)) ** 2))
        v -= random.uniform(0, 12) * np.where(after > 0, np.exp(-after / random.uniform(1, 9)), 0)
    match random.integers(0, 8):
        case 0:
            v = np.minimum(v, random.choice([20, -19.5]))
        case 1:
            v += random.normal(0, random.choice([0.01, 3]), len(t))
        case 2:
            v = np.round(v, 1)
        case 3:
            v[t > start + 1] = np.maximum(v[t > start + 1], -15)
        case 4:
            kept = np.sort(random.choice(len(t), len(t) // 2, replace=False))
            t, v = t[kept], v[kept]
    return Trace(t, v, float(start), float(end), float(random.choice([-1, 2.5])))


@hypothesis_settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(VARIED))
def test_any_trace(seed: int, setting: features.Settings) -> None:
    assert differences(a_trace(seed), setting) == {}


@pytest.fixture(scope="module")
def simulated(cache: Path) -> list[tuple[str, Trace]]:
    """Traces of both bundled models at random parameters within their bounds, under every protocol."""
    traces = []
    for model, count in (("hh", 6), ("motoneuron", 2)):
        problem = load_problem(ROOT / "models" / model, measured=False)
        points = [problem.physical(point) for point in design(len(problem.names), count, 11)]
        for i, done in enumerate(simulate(problem, points, workers=2, traces=True)):
            for name, (t, v) in done.traces.items():
                protocol = problem.protocol[name]
                current = getattr(protocol, "amplitude", 8.0)
                trace = Trace(t, v, protocol.delay, protocol.delay + protocol.duration, current)
                traces.append((f"{model} {i} {name}", trace))
    assert len(traces) > 20
    return traces


@pytest.mark.neuron
def test_simulated_traces(simulated: list[tuple[str, Trace]]) -> None:
    for name, trace in simulated:
        assert differences(trace, {}, {*PASSIVE, *FIRING, *SPIKE}) == {}, name


@pytest.mark.neuron
def test_simulated_traces_under_other_settings(simulated: list[tuple[str, Trace]]) -> None:
    for i, (name, trace) in enumerate(simulated[::2]):
        setting = VARIED[i % len(VARIED)]
        assert differences(trace, setting, {*PASSIVE, *FIRING, *SPIKE}) == {}, (name, setting)


@pytest.mark.neuron
@pytest.mark.parametrize("engine", ["cvode", "neuron"])
def test_every_kind_of_protocol(engine: str, tmp_path: Path) -> None:
    """What an engine stores is eFEL's on the traces it hands out, alone or in a batch, and so is all that it could."""
    every_kind.write(tmp_path)
    problem = load_problem(tmp_path, measured=False)
    with Workers(problem, 1, Integrator(engine)) as pool:
        ((_, done),) = pool.run([np.array([0.12, 1e-4])], traces=True)
    assert done.status == "ok", done.reason
    compared = 0
    for response, (t, v) in done.traces.items():
        name, _, recording = response.partition(":")
        protocol = problem.protocol[name]
        if protocol.variables[recording or MAIN] != "v":
            continue
        assert t[-1] == pytest.approx(protocol.total)
        current = amplitude(problem, name, {"threshold": done.features["threshold.rheobase"]})
        trace = Trace(t, v, protocol.delay, protocol.delay + protocol.duration, current)
        settings = problem.efel_settings(response)
        assert differences(trace, settings, EVERY, together=True) == {}, response
        stored = {feature for feature in EVERY if f"{response}.{feature}" in done.features}
        found = by_efel(trace, sorted(stored), settings)
        apart = {f: (done.features[f"{response}.{f}"], found[f]) for f in stored}
        assert all(same(*pair) for pair in apart.values()), (response, apart)
        compared += len(stored)
    assert compared > 150


REBOUNDING = """
begintemplate Rebound
public soma
create soma
proc init() { soma { L = 20  diam = 20  insert hh } }
endtemplate Rebound
"""
HYPERPOLARISED = toml_of(
    model_of(template="Rebound", v_init=-60),
    free("gnabar", "soma.gnabar_hh", 0.1, 0.2),
    step_of("down", amplitude=-0.1, delay=60, duration=150, total=300),
)


@pytest.mark.neuron
def test_a_trace_is_as_long_as_its_features_look(tmp_path: Path) -> None:
    """A batch ends a step down where the usual features stop looking, and no sooner than a measured one does."""
    (tmp_path / "cell.hoc").write_text(REBOUNDING)
    (tmp_path / "problem.toml").write_text(HYPERPOLARISED)
    (tmp_path / "all.csv").write_text("protocol,feature,mean,sd,unit\ndown,Spikecount,1,0.5,constant\n")
    found, ends = [], []
    for table in (None, tmp_path / "all.csv"):
        problem = load_problem(tmp_path, table, measured=table is not None)
        with Workers(problem, 1, Integrator("neuron")) as pool:
            ((_, done),) = pool.run([np.array([0.15])], traces=True)
        found.append(done.features)
        ends.append(done.traces["down"][0][-1])
    assert found[1].pop("down.Spikecount") == 1  # on the rebound
    assert found[0] == pytest.approx(found[1], rel=RELATIVE, nan_ok=True)
    assert ends == pytest.approx([watched_until(load_problem(tmp_path, measured=False), "down"), 300])
    rest_is_late = "[efel]\nvoltage_base_start_perc = 3.9\nvoltage_base_end_perc = 4.2\n"  # 234 to 252 ms
    (tmp_path / "problem.toml").write_text(HYPERPOLARISED + rest_is_late)
    assert ends[0] < 252 < watched_until(load_problem(tmp_path, measured=False), "down") < 300


@pytest.mark.parametrize("kind", ["four spikes", "silent", "adapting"])
def test_the_catalogues_never_go_to_efel(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("went to eFEL")

    monkeypatch.setattr(features, "_efel_values", refuse)
    for protocol, size in (("step", 1.0), ("step", -1.0), ("pulse", 1.0), ("rheobase", 1.0)):
        wanted = [name for name in features.catalogue(protocol, size) if name != "rheobase"]
        assert list(measure(AWKWARD[kind], wanted, SETTINGS)) == wanted


def test_what_is_left_to_efel() -> None:
    """Features without a formula, cases that depend on how eFEL was compiled, and times or voltages that are none."""
    train = AWKWARD["four spikes"]
    assert left_to_efel(train, [*NAMES, "AP_phaseslope"]) == {"AP_phaseslope"}
    assert left_to_efel(AWKWARD["before the stimulus"]) == {"spike_half_width"}
    phase = measure(train, ["AP_phaseslope", "AP_height"], SETTINGS)
    assert phase == measure_by_efel(train, ["AP_phaseslope", "AP_height"], SETTINGS)
    again = train._replace(t=np.sort(np.append(train.t, 70.0)), v=np.insert(train.v, 2800, train.v[2800]))
    assert left_to_efel(again) == {*NAMES}  # a time that comes twice
    assert left_to_efel(train._replace(v=np.append(train.v[:-1], np.nan))) == {*NAMES}


def test_hardly_any_samples() -> None:
    """Nothing is defined of them, where eFEL would read beyond their ends."""
    assert all(math.isnan(value) for value in measure(until(drawn([]), 0.09), NAMES, SETTINGS).values())


def test_a_last_spike_that_is_cut_off_has_no_width() -> None:
    """The others keep theirs, whatever eFEL finds in memory behind them; an exported script says the same."""
    names = ["AP_duration_half_width", "AP_duration_half_width_change", "Spikecount", "AP_height"]
    whole, cut = drawn(TRAIN), until(drawn(TRAIN), 110.8)
    before = measure(until(whole, 105.0), names, SETTINGS)
    found = [measure(cut, names, SETTINGS), measure_by_efel(cut, names, SETTINGS)]
    assert all(one == pytest.approx(found[0], rel=RELATIVE) for one in found)
    assert [found[0][name] for name in names[:2]] == pytest.approx([before[name] for name in names[:2]], rel=RELATIVE)
    assert (before["Spikecount"], found[0]["Spikecount"]) == (3, 4)  # eFEL counts it: it has crossed the threshold


def test_the_whole_trace_is_measured() -> None:
    """Spikes and the voltage before rest is measured count, as they do in eFEL."""
    settling = drawn([*spike(20), *spike(60), *spike(75)])
    settling = settling._replace(v=settling.v + 5 * np.exp(-settling.t / 8))
    by_hand = settling.v[settling.t > 119.7][:5].mean() - settling.v[settling.t < 50].mean()
    found = measure(settling, ["Spikecount", "ohmic_input_resistance"], SETTINGS)
    assert found == {"Spikecount": 3, "ohmic_input_resistance": pytest.approx(by_hand / 0.5, abs=0.01)}


@pytest.mark.shared_data
@pytest.mark.skipif(SHARED_DATA is None, reason="no recordings beside the repository")
def test_recorded_traces() -> None:
    """Two cortical cells, sampled at 4 kHz, with all the noise and drift that no model has."""
    from neo.io import IgorIO

    assert SHARED_DATA is not None
    files = sorted(SHARED_DATA.glob("recordings_ibw/*/*_Ch3_*.ibw"))
    assert len(files) == 10
    for file in files[::3]:
        signal = IgorIO(str(file)).read_block().segments[0].analogsignals[0]
        t, v = signal.times.rescale("ms").magnitude, signal.rescale("mV").magnitude[:, 0].astype(float)
        trace = Trace(t, v, 700.0, 2700.0, 0.1)
        assert differences(trace, {}, EVERY, together=True) == {}, file.name
        shorter = until(trace, 2640.0)._replace(end=2600.0)
        assert differences(shorter, {}, EVERY, together=True) == {}, file.name


@pytest.mark.parametrize("step", [0.025, 0.1, 0.3])
@pytest.mark.parametrize("name", ["four spikes", "coarse", "off the grid"])
def test_grid_is_efels_to_the_last_bit(name: str, step: float) -> None:
    trace = AWKWARD[name]
    for key, value in {**known_settings(), "interp_step": step}.items():
        efel.set_setting(key, value)
    data = {"T": trace.t, "V": trace.v, "stim_start": [trace.start], "stim_end": [trace.end]}
    even = grid(trace.t, step)
    assert even is not None
    assert np.array_equal(even.t, efel.get_feature_values([data], ["time"])[0]["time"])
    assert np.array_equal(even.on(trace.v), efel.get_feature_values([data], ["voltage"])[0]["voltage"])


def test_a_grid_belongs_to_its_own_times() -> None:
    """Grids are kept, and found again by the times themselves: not by their ends, nor by an array since changed."""
    t = np.arange(0.0, 10.0, 0.1)
    even = grid(t, 0.025)
    assert grid(t.copy(), 0.025) is even and grid(t, 0.05) is not even
    t[50] += 0.03
    bent = grid(t, 0.025)
    assert even is not None and bent is not None and not np.array_equal(bent.on(t), even.on(t))
    assert np.allclose(bent.on(t), bent.t)
    assert grid(t[::-1].copy(), 0.025) is None and grid(t[:2], 0.025) is None and grid(t, 0.0) is None
