"""Recordings to measurements: every format, units, quality checks, protocols, averages; and what is refused."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gbar.sim import GbarError, Problem, load_problem, simulate
from gbar.sim.features import traces as features
from gbar.sim.problem.kinds import Step
from gbar.sim.recordings import Findings, Reading, measure_recordings, read_kept
from gbar.sim.recordings import write as keep
from tests.problems import MOTONEURON, SHARED_DATA, free, model_of, protocol_of, step_of, toml_of
from tests.recorded import (
    MV_A_BIT,
    WRITERS,
    passive,
    step_current,
    write_abf,
    write_npz,
    write_nwb,
)

# What a trace's last bit can move: eFEL's fits and troughs where the voltage is nearly flat.
FRAGILE = {"time_constant", "membrane_capacitance", "AHP_time_from_peak"}

PASSIVE = toml_of(
    model_of(celsius=36, v_init=-70),
    free("g_pas", "soma.g_pas", 1e-5, 1e-3),
    step_of("down", amplitude=-0.1, delay=200, duration=300, total=800),
)
TOML = toml_of(
    PASSIVE,
    step_of("weak", amplitude=0.2, delay=200, duration=300, total=800),
    step_of("strong", amplitude=0.4, delay=200, duration=300, total=800),
    protocol_of("recruit", "rheobase", delay=200, duration=300, total=800),
    protocol_of("gain", "fi", steps=["weak", "strong"]),
)


@pytest.fixture
def problem(write: Callable[..., Path]) -> Problem:
    return load_problem(write("cell", **{"problem.toml": TOML, "cell.hoc": ""}), measured=False)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(GbarError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    return message


def means(found: Findings) -> dict[str, float]:
    return {f"{row.protocol}.{row.feature}": row.mean for row in found.rows}


def recorded(folder: Path, *sweeps: tuple[np.ndarray, np.ndarray], interval: float = 0.1) -> Path:
    """A folder with sweeps of one cell."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, sweep in enumerate(sweeps):
        write_npz(folder / f"{number}.npz", [sweep], interval)
    return folder


# --- the same features


@pytest.fixture(scope="module")
def simulated() -> tuple[Problem, dict[str, tuple[np.ndarray, np.ndarray]], dict[str, float]]:
    """Traces of the bundled motoneuron, and the features computed from them."""
    problem = load_problem(MOTONEURON)
    (done,) = simulate(problem, [problem.physical(np.full(len(problem.names), 0.5))], traces=True)
    assert done.status == "ok", done.reason
    names = ["hyperpolarise", "brief", "fire_mid"]
    kept = {name: done.traces[name] for name in names}
    return problem, kept, {key: v for key, v in done.features.items() if key.partition(".")[0] in names}


@pytest.mark.neuron
@pytest.mark.parametrize("suffix", WRITERS)
def test_a_recording_has_the_features_of_the_same_trace_simulated(
    suffix: str, simulated: tuple[Problem, dict[str, Any], dict[str, float]], tmp_path: Path
) -> None:
    problem, traces, expected = simulated
    for name, (t, v) in traces.items():
        protocol = problem.protocol[name]
        assert isinstance(protocol, Step) and protocol.amplitude is not None
        end = protocol.delay + protocol.duration
        interval = t[1] - t[0]
        i = step_current(len(v), interval, protocol.delay, end, protocol.amplitude)
        if suffix == ".abf":  # 16 bits: the features of the trace as those can hold it
            v = np.round(v / MV_A_BIT).astype(np.float32) * np.float32(MV_A_BIT)
            trace = features.Trace(t, v.astype(float), protocol.delay, end, protocol.amplitude)
            names = [key.partition(".")[2] for key in expected if key.startswith(f"{name}.")]
            again = features.measure(trace, names, problem.efel_settings(name))
            steady = [f for f in names if f not in FRAGILE]
            assert {f: again[f] for f in steady} == pytest.approx(
                {f: expected[f"{name}.{f}"] for f in steady}, rel=0.05, abs=0.5, nan_ok=True
            )
            expected = expected | {f"{name}.{f}": value for f, value in again.items()}
        WRITERS[suffix](tmp_path / f"{name}{suffix}", [(v, i)], float(f"{interval:.9g}"))
    found = measure_recordings(problem, [tmp_path], wanted=["all"], sd_floor=0)
    defined = {key: value for key, value in expected.items() if math.isfinite(value)}
    assert means(found) == pytest.approx(defined, rel=1e-4 if suffix == ".abf" else 1e-9)
    omitted = {f"{row.protocol}.{row.feature}" for row in found.omitted if row.protocol != "fi"}
    assert omitted == set(expected) - set(defined)


@pytest.mark.neuron
def test_what_noise_changes_has_a_larger_sd(simulated: tuple[Problem, dict[str, Any], Any], tmp_path: Path) -> None:
    """eFEL's sag of a deflection of a millivolt is mostly noise, where there is any."""
    problem, traces, _ = simulated
    v = traces["hyperpolarise"][1]
    v = v + np.random.default_rng(3).normal(0, 0.02, len(v))
    write_npz(tmp_path / "a.npz", [(v, step_current(len(v), 0.025, 500, 800, -1.0))], 0.025)
    found = measure_recordings(problem, [tmp_path], wanted=["sag_ratio1", "voltage_base"], sd_floor=0)
    sag, base = found.rows
    assert sag.sd > 0.01 and sag.note.endswith("(what noise of its size changes)")
    assert base.sd == 0.5 and base.note.endswith("(of mV)")


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_holds_the_same_sweeps(suffix: str, problem: Problem, tmp_path: Path) -> None:
    sweep = passive(-0.1)
    WRITERS[suffix](tmp_path / f"a{suffix}", [sweep], 0.1)
    found = measure_recordings(problem, [tmp_path], wanted=["voltage_base", "ohmic_input_resistance"])
    assert means(found) == pytest.approx({"down.voltage_base": -70, "down.ohmic_input_resistance": 100}, rel=0.01)
    assert (found.sweeps, found.refused) == (1, [])


def test_a_command_kept_in_the_protocol_is_the_stimulus(problem: Problem, tmp_path: Path) -> None:
    """Where an ABF file records only the voltage, as most do."""
    sweeps = [passive(-0.1), passive(0.05), passive(0.2, spikes=4)]
    write_abf(tmp_path / "a.abf", sweeps, 0.1, units=["mV"], epochs=(200.0, 500.0))
    found = measure_recordings(problem, [tmp_path], wanted=["ohmic_input_resistance", "Spikecount"])
    assert means(found)["down.ohmic_input_resistance"] == pytest.approx(100, rel=0.01)
    assert means(found)["weak.Spikecount"] == 4


@pytest.mark.parametrize("tabled", [True, False])
def test_nwb_stimuli_find_their_responses(tabled: bool, problem: Problem, tmp_path: Path) -> None:
    """By the file's table, else by the time they began; each electrode is a cell of its own."""
    sweeps = [passive(-0.1), passive(-0.1, resistance=60), passive(0.2, spikes=3), passive(0.2, spikes=5)]
    write_nwb(tmp_path / "a.nwb", sweeps, 0.1, tabled=tabled, electrodes=2)
    found = measure_recordings(problem, [tmp_path], wanted=["ohmic_input_resistance", "Spikecount"])
    assert found.cells == ["a.nwb, e0", "a.nwb, e1"]
    values = means(found)
    assert values["down.ohmic_input_resistance"] == pytest.approx(80, rel=0.01)
    assert values["weak.Spikecount"] == 4


# --- units


def test_conversions_are_made_and_said(problem: Problem, tmp_path: Path) -> None:
    v, i = passive(-0.1)
    np.savez(tmp_path / "a.npz", rate_kHz=np.array(10.0), voltage_V=v / 1e3, current_pA=1e3 * i)
    np.savez(tmp_path / "b.npz", rate_kHz=np.array(10.0), voltage_mV=v, current_µA=i / 1e3)
    found = measure_recordings(problem, [tmp_path], Reading(junction_mv=14.0), ["voltage_base"])
    assert means(found) == pytest.approx({"down.voltage_base": -84}, rel=1e-3)
    said = ["V → mV, pA → nA in 1 sweep", "uA → nA in 1 sweep", "14 mV of junction potential subtracted"]
    assert found.said == said


SPELT = ["mV nA", "millivolts nanoamperes", "Volts picoamps", "microvolt ampere", "V uA", "millivolt Picoampere"]


@pytest.mark.parametrize("units", SPELT)
def test_units_are_spelt_in_many_ways(units: str, problem: Problem, tmp_path: Path) -> None:
    v, i = passive(-0.1)
    of_v, of_i = units.split()
    per_mv = {"m": 1.0, "V": 1e-3, "u": 1e3}["u" if "micro" in of_v else of_v[0]]
    per_na = {"n": 1.0, "p": 1e3, "a": 1e-9, "u": 1e-3}[of_i[0].lower()]
    columns = {f"voltage_{of_v}": v * per_mv, f"current_{of_i}": i * per_na}
    np.savez(tmp_path / "a.npz", rate_Hz=np.array(1e4), **columns)
    found = measure_recordings(problem, [tmp_path], wanted=["ohmic_input_resistance"])
    assert means(found) == pytest.approx({"down.ohmic_input_resistance": 100}, rel=0.01)


SLIPS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "mV said to be V": ({"voltage_V": -70.0}, ["no cell's", "likely mV", "--voltage-unit mV"]),
    "V said to be mV": ({"voltage_mV": -0.07}, ["no cell's", "likely V", "--voltage-unit V"]),
    "pA said to be nA": ({"current_nA": -500.0}, ["likely pA", "--current-unit pA"]),
    "nA said to be pA": ({"current_pA": -0.1}, ["likely nA", "--current-unit nA"]),
    "nA said to be A": ({"current_A": -0.1}, ["likely nA", "--current-unit nA"]),
}


@pytest.mark.parametrize("case", SLIPS)
def test_a_slip_of_the_unit_is_named(case: str, problem: Problem, tmp_path: Path) -> None:
    wrong, wanted = SLIPS[case]
    v, i = passive(-0.1)
    columns: dict[str, Any] = {"voltage_mV": v, "current_nA": i}
    for name, size in wrong.items():
        kind = name.partition("_")[0]
        columns = {key: value for key, value in columns.items() if not key.startswith(kind)}
        columns[name] = v / 70 * abs(size) if kind == "voltage" else i / 0.1 * abs(size)
    np.savez(tmp_path / "a.npz", rate_Hz=np.array(1e4), **columns)
    message = refusal(lambda: measure_recordings(problem, [tmp_path]))
    for word in wanted:
        assert word in message
    given = {"voltage": "voltage_unit", "current": "current_unit"}
    name, size = next(iter(wrong.items()))
    unit = wanted[-1].rpartition(" ")[2]
    if abs(size) != 500:  # the unit named is the right one
        reading = Reading(**{given[name.partition("_")[0]]: unit})
        assert measure_recordings(problem, [tmp_path], reading, ["voltage_base"]).rows


def test_a_thousandfold_current_is_found_by_ohms_law(problem: Problem, tmp_path: Path) -> None:
    v, i = passive(-0.1)
    np.savez(tmp_path / "a.npz", rate_Hz=np.array(1e4), voltage_mV=v * 1.0, current_nA=1e3 * i)
    assert "no cell's: likely a wrong unit" in refusal(lambda: measure_recordings(problem, [tmp_path]))


# --- quality


def drifting() -> tuple[np.ndarray, np.ndarray]:
    v, i = passive()
    return v + np.linspace(0, 20, len(v)), i


def clipped(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    v, i = passive(0.4, spikes=4)
    return np.clip(v, low, high), i


def saturated(low: float) -> tuple[np.ndarray, np.ndarray]:
    v, i = passive(-0.3)
    return np.maximum(v, low), i


def early_spike() -> tuple[np.ndarray, np.ndarray]:
    v, i = passive()
    return v + 90 * (np.abs(np.arange(len(v)) - 1000) < 5), i


def interrupted(*levels: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    v, i = passive()
    t = np.arange(len(i)) * 0.1
    for start, end, amplitude in levels:
        i = i + np.where((t >= start) & (t < end), amplitude, 0)
    return v, i


BAD_SWEEPS: dict[str, tuple[Callable[[], tuple[np.ndarray, np.ndarray]], list[str]]] = {
    "dying cell": (lambda: passive(rest=-4.0), ["baseline -4.0 mV", "-100 to -40 mV"]),
    "electrode outside": (lambda: passive(rest=-12.0, resistance=1.0), ["baseline -12.0 mV"]),
    "drifting": (drifting, ["the baseline drifts by +3.3 mV", "3 mV at most"]),
    "noisy": (lambda: passive(noise=1.5), ["noisy baseline", "from sample to sample"]),
    "clipped at the top": (lambda: clipped(-100, -20), ["clipped", "-20.0 mV, at the top"]),
    "clipped at the bottom": (lambda: saturated(-90), ["clipped", "-90.0 mV, at the bottom"]),
    "fires before the step": (early_spike, ["fires before the step"]),
    "no baseline": (lambda: passive(times=(5.0, 305.0, 800.0)), ["begins after 5 ms", "10 ms of baseline"]),
    "no step": (lambda: passive(0.0), ["no step in the current", "stays at 0 pA"]),
    "several steps": (lambda: interrupted((600, 650, 0.05)), ["leaves its holding level 2 times", "expected one step"]),
    "a staircase": (lambda: interrupted((100, 200, -0.05), (500, 600, -0.05)), ["is not square"]),
    "a ramp": (lambda: (passive()[0], np.interp(np.arange(8000), [2000, 5000], [0, 0.5])), ["is not square"]),
}


@pytest.mark.parametrize("case", BAD_SWEEPS)
def test_a_bad_sweep_is_refused_with_the_reason(case: str, problem: Problem, tmp_path: Path) -> None:
    made, wanted = BAD_SWEEPS[case]
    bad, good = recorded(tmp_path / "bad", made()), recorded(tmp_path / "good", passive())
    message = refusal(lambda: measure_recordings(problem, [bad]))
    assert message.startswith("no sweep is left to measure: ")
    found = measure_recordings(problem, [good, bad])
    assert (found.sweeps, found.cells) == (1, ["good"])
    for word in wanted:
        assert word in message
        assert word in found.refused[0]


def test_a_sweep_that_does_not_fit_its_cell_is_refused(problem: Problem, tmp_path: Path) -> None:
    sweeps = [passive(seed=k, rest=-70 + k % 2) for k in range(4)] + [passive(rest=-60)]
    found = measure_recordings(problem, [recorded(tmp_path / "cell", *sweeps)])
    assert found.sweeps == 4
    assert "4.npz: baseline -60.0 mV, in the cell's other sweeps -69" in found.refused[0]


def test_a_cell_with_mostly_bad_sweeps_is_refused(problem: Problem, tmp_path: Path) -> None:
    cell = recorded(tmp_path / "cell", passive(), passive(rest=-4), passive(rest=-5))
    found = measure_recordings(problem, [cell, recorded(tmp_path / "other", passive())])
    assert found.cells == ["other"]
    assert found.refused[-1] == "cell cell: 2 of its 3 sweeps failed: not measured"


def test_a_test_pulse_that_sees_another_resistance_is_refused(problem: Problem, tmp_path: Path) -> None:
    def tested(resistance: float) -> tuple[np.ndarray, np.ndarray]:
        v, i = passive()
        pulse = step_current(len(i), 0.1, 50, 100, -0.02)
        return v + resistance * pulse, i + pulse

    cell = recorded(tmp_path / "cell", tested(100), tested(101), tested(99), tested(200))
    found = measure_recordings(problem, [cell])
    assert found.sweeps == 3
    assert "the test pulse sees 200 MOhm, in the cell's other sweeps 10" in found.refused[0]


@pytest.mark.parametrize(("mohm", "kept"), [(2500.0, True), (400.0, False)])
def test_a_poor_seal_refuses_the_cell(mohm: float, kept: bool, problem: Problem, tmp_path: Path) -> None:
    write_nwb(tmp_path / "leaky.nwb", [passive()], 0.1, seal_mohm=mohm)
    recorded(tmp_path / "other", passive())
    found = measure_recordings(problem, [tmp_path])
    assert ("leaky.nwb" in found.cells) == kept
    if not kept:
        assert "a seal of 0.4 GOhm: expected 1 GOhm or more" in found.refused[0]


def test_four_kilohertz_is_too_coarse_for_spike_width(problem: Problem, tmp_path: Path) -> None:
    cell = recorded(tmp_path / "cell", passive(0.4, spikes=6, interval=0.25), interval=0.25)
    found = measure_recordings(problem, [cell])
    left_out = "\n".join(found.left_out())
    assert "AP_duration_half_width: sampled at 4 kHz, which is too coarse: 10 kHz or more (strong)" in left_out
    assert means(found)["strong.Spikecount"] == 6
    (height,) = [row for row in found.rows if row.feature == "AP_height"]
    assert "what a peak may hide between two samples" in height.note


def test_transients_in_the_current_are_cleaned(problem: Problem, tmp_path: Path) -> None:
    v, i = passive(-0.1)
    i[2000:2002] -= 5.0  # capacitive, at both edges
    i[5000:5002] += 5.0
    i += np.random.default_rng(1).normal(0, 0.002, len(i))
    found = measure_recordings(problem, [recorded(tmp_path / "cell", (v, i))], wanted=["ohmic_input_resistance"])
    assert means(found) == pytest.approx({"down.ohmic_input_resistance": 100}, rel=0.02)


def test_spike_shapes_are_what_efel_knows() -> None:
    from gbar.sim.recordings import quality
    from gbar.sim.recordings.averages import FIRING, NEGATIVE, PULSE, RHEOBASE, SILENT

    known = features.known_features("step")
    shapes = {name for name in known if quality.SHAPE.fullmatch(name)}
    assert {"AP_duration_half_width", "spike_half_width", "AP_begin_voltage", "AP_peak_upstroke"} <= shapes
    assert not {"AHP_duration", "AHP_half_duration", "Spikecount", "AHP_depth", "AP_height"} & shapes
    for names in (NEGATIVE, SILENT, FIRING):
        assert set(names) <= set(known)
    assert set(PULSE) <= set(features.known_features("pulse"))
    assert set(RHEOBASE) <= set(features.known_features("rheobase"))


# --- averages


def test_means_and_sds_are_over_sweeps_then_cells(problem: Problem, tmp_path: Path) -> None:
    first = recorded(tmp_path / "first", *(passive(resistance=r, noise=0) for r in (90, 110)))
    wanted = ["ohmic_input_resistance"]
    (row,) = measure_recordings(problem, [first], wanted=wanted, sd_floor=0).rows
    assert (row.mean, row.sd) == pytest.approx((100, np.std([90, 110], ddof=1)), rel=1e-4)
    assert row.note == "2 sweeps of 1 cell; SD over sweeps"
    second = recorded(tmp_path / "second", passive(resistance=130, noise=0))
    (row,) = measure_recordings(problem, [first, second], wanted=wanted, sd_floor=0).rows
    assert (row.mean, row.sd) == pytest.approx((115, np.std([100, 130], ddof=1)), rel=1e-4)
    assert row.note == "3 sweeps of 2 cells; SD over cells"


def test_a_floor_under_the_sd_is_applied_and_said(problem: Problem, tmp_path: Path) -> None:
    cell = recorded(tmp_path / "cell", passive(seed=1), passive(seed=2))
    (row,) = measure_recordings(problem, [cell], wanted=["ohmic_input_resistance"], sd_floor=0.1).rows
    assert row.sd == pytest.approx(10, rel=0.01)
    assert row.note.endswith("floor 10 (0.1 of the mean)")
    (row,) = measure_recordings(problem, [cell], wanted=["voltage_base"], sd_floor=0.0).rows
    assert (row.sd, row.note.partition("floor")[2]) == (0.5, " 0.5 (of mV)")


def with_a_bump(noise: float = 0.01) -> tuple[np.ndarray, np.ndarray]:
    """Spikes whose fall ends in a bump of a tenth of a millivolt, at -56.3 mV, on the way to the trough at -60."""
    t = np.arange(0, 800, 0.05)
    v = np.where((t >= 200) & (t < 500), -50.0, -70.0)
    for at in (250, 320, 390, 460):
        falls = [at - 0.6, at, at + 1, at + 1.6, at + 2.2, at + 15, at + 39]
        v += np.interp(t, falls, [0, 90, -6.3, -6.2, -6.3, -10, 0])
    return v + np.random.default_rng(0).normal(0, noise, len(t)), step_current(len(t), 0.05, 200, 500, 0.2)


def test_the_choice_of_a_trough_is_part_of_the_sd(problem: Problem, tmp_path: Path) -> None:
    cell = recorded(tmp_path / "cell", with_a_bump(), interval=0.05)
    found = measure_recordings(problem, [cell], wanted=["AHP_depth", "AHP_depth_abs", "AHP_time_from_peak"])
    rows = {row.feature: row for row in found.rows}
    assert rows["AHP_depth_abs"].mean == pytest.approx(-56.3, abs=0.1)
    for feature in ("AHP_depth", "AHP_depth_abs"):
        assert rows[feature].sd == pytest.approx(3.7, abs=0.1)
        assert "what the choice of its trough changes" in rows[feature].note
    assert "AHP_time_from_peak: what the choice of its trough changes: 14" in "\n".join(found.left_out())


@pytest.mark.neuron
def test_an_sd_holds_what_another_grid_gives(
    simulated: tuple[Problem, dict[str, Any], dict[str, float]], tmp_path: Path
) -> None:
    problem, traces, _ = simulated
    t, v = traces["fire_mid"]
    protocol = problem.protocol["fire_mid"]
    assert isinstance(protocol, Step) and protocol.amplitude is not None
    end = protocol.delay + protocol.duration
    current = step_current(len(v), t[1] - t[0], protocol.delay, end, protocol.amplitude)
    write_npz(tmp_path / "a.npz", [(v, current)], float(f"{t[1] - t[0]:.9g}"))
    found = measure_recordings(problem, [tmp_path], wanted=["all"], sd_floor=0)
    rows = {row.feature: row for row in found.rows if row.protocol == "fire_mid"}
    trace = features.Trace(t, v, protocol.delay, end, protocol.amplitude)
    for step in (0.1, 0.05):
        settings = {**problem.efel_settings("fire_mid"), "interp_step": step}
        for feature, value in features.measure(trace, rows, settings).items():
            if math.isfinite(value):
                assert abs(value - rows[feature].mean) <= rows[feature].sd * (1 + 1e-3), feature
    assert any("what a coarser grid changes" in row.note for row in rows.values())


def test_one_sweep_gives_no_share_of_an_absolute_voltage(problem: Problem, tmp_path: Path) -> None:
    one = recorded(tmp_path / "one", passive())
    many = recorded(tmp_path / "many", *(passive(seed=seed) for seed in range(3)))
    for feature in ("voltage_base", "minimum_voltage"):
        (row,) = measure_recordings(problem, [one], wanted=[feature]).rows
        assert row.sd >= 2 and "0.02 of the mean" not in row.note
        (row,) = measure_recordings(problem, [many], wanted=[feature]).rows
        assert row.sd < 2 and "0.02 of the mean" not in row.note


def test_rows_that_say_the_same_are_thinned(problem: Problem, tmp_path: Path) -> None:
    cell = recorded(tmp_path / "cell", passive(), *(passive(k / 10, spikes=2 + k, resistance=50) for k in range(1, 6)))
    found = measure_recordings(problem, [cell], create=True)
    kept: dict[str, list[str]] = {}
    for row in found.rows:
        kept.setdefault(row.feature, []).append(row.protocol)
    assert len(kept["voltage_base"]) == 1
    assert sorted(kept["AP_height"]) == ["step_100pA", "step_300pA", "step_500pA"]
    assert len(kept["Spikecount"]) == 5
    assert any(
        line.startswith("AP_height: ") and "already under step_100pA, step_300pA, step_500pA" in line
        for line in found.left_out()
    )
    asked = measure_recordings(problem, [cell], wanted=["AP_height"], create=True)
    assert len(asked.rows) == 5


def test_rheobase_and_gain(problem: Problem, tmp_path: Path) -> None:
    for cell, threshold in (("a", 0.2), ("b", 0.3)):
        currents = [0.1, 0.2, 0.3, 0.4]
        spikes = [round(50 * (current - threshold)) + 2 if current >= threshold - 1e-9 else 0 for current in currents]
        sweeps = [passive(c, spikes=n, resistance=50) for c, n in zip(currents, spikes, strict=True)]
        recorded(tmp_path / cell, *sweeps)
    found = measure_recordings(problem, [tmp_path], wanted=["rheobase", "f_I_gain", "mean_frequency"])
    rows = {f"{row.protocol}.{row.feature}": row for row in found.rows}
    assert rows["recruit.rheobase"].mean == pytest.approx(0.25)
    assert rows["recruit.rheobase"].sd == pytest.approx(np.std([0.2, 0.3], ddof=1))
    one = measure_recordings(problem, [tmp_path / "a"], wanted=["rheobase", "f_I_gain", "mean_frequency"])
    rows = {f"{row.protocol}.{row.feature}": row for row in one.rows}
    assert rows["recruit.rheobase"].note.endswith("floor 0.05 (half the distance between steps)")
    rates = [rows[f"{step}.mean_frequency"].mean for step in ("weak", "strong")]
    assert rows["gain.f_I_gain"].mean == pytest.approx((rates[1] - rates[0]) / 0.2)


# --- cells of different sizes


def of_two_sizes(folder: Path, silent: bool = True) -> Path:
    """Two cells, one of half the rheobase of the other, that fire alike at the same percentages of it."""
    for cell, rheobase, holding in (("small", 0.1, 0.0), ("large", 0.2, -0.04)):
        shares = [(-1.0, 0), *([(0.8, 0)] if silent else []), (1.0, 1), (1.48, 6), (2.0, 12)]
        recorded(
            folder / cell,
            *(passive(share * rheobase, spikes=n, resistance=50, holding=holding) for share, n in shares),
        )
    return folder


def test_cells_are_averaged_at_percentages_of_their_rheobase(problem: Problem, tmp_path: Path) -> None:
    folder = of_two_sizes(tmp_path / "rig")
    found = measure_recordings(problem, [folder], wanted=["Spikecount", "rheobase"], relative=True)
    rows = {f"{row.protocol}.{row.feature}": row for row in found.rows if row.protocol not in {"weak", "strong"}}
    assert rows["step_100pct.Spikecount"].mean == 1
    assert rows["step_150pct.Spikecount"].mean == 6
    assert rows["step_150pct.Spikecount"].note.startswith("2 sweeps of 2 cells at 148 % of rheobase")
    assert found.created["step_150pct"] == {
        "kind": "step", "relative_to": "recruit", "percent": 150, "holding": -0.02,
        "delay": 200.0, "duration": 300.0, "total": 800.0,
    }  # fmt: skip
    assert {"step_minus_100pct", "step_80pct", "step_200pct"} <= set(found.created)
    said = "\n".join(found.notes())
    assert "rheobase of small (300 ms): 100 pA" in said and "the true one is lower" not in said
    assert "held at different currents (large -40, small 0 pA)" in said


def test_a_rheobase_that_was_not_bracketed_is_said(problem: Problem, tmp_path: Path) -> None:
    folder = of_two_sizes(tmp_path / "rig", silent=False)
    found = measure_recordings(problem, [folder], wanted=["Spikecount", "rheobase"], relative=True)
    assert any("rheobase of small" in line and "the true one is lower" in line for line in found.noted)
    assert "recruit.rheobase" not in means(found)
    silent = recorded(tmp_path / "silent", passive(0.1), passive(-0.1))
    assert "no cell fires" in refusal(lambda: measure_recordings(problem, [silent], relative=True))


def test_protocols_in_percent_are_written_and_found_again(write: Callable[..., Path], tmp_path: Path) -> None:
    problem = load_problem(write("cell", **{"problem.toml": PASSIVE, "cell.hoc": ""}), measured=False)
    folder = of_two_sizes(tmp_path / "rig")
    found = measure_recordings(problem, [folder], relative=True)
    keep(found, problem, tmp_path / "all.csv")
    loaded = load_problem(problem.folder, tmp_path / "all.csv")
    rheobase = loaded.protocol["rheobase"]
    assert (rheobase.kind, rheobase.duration) == ("rheobase", 300)
    again = measure_recordings(loaded, [folder])
    assert (means(again), again.unmatched, again.created) == (means(found), [], {})
    assert means(again)["rheobase.rheobase"] == pytest.approx(0.15)
    assert measure_recordings(loaded, [folder], relative=True).created == {}


def test_several_cells_have_a_table_each(problem: Problem, tmp_path: Path) -> None:
    recorded(tmp_path / "rig" / "mouse 3, slice 2", passive(-0.1, resistance=90), passive(-0.1, resistance=92))
    recorded(tmp_path / "rig" / "b", passive(-0.1, resistance=130), passive(0.3, spikes=4))
    found = measure_recordings(problem, [tmp_path / "rig"], wanted=["ohmic_input_resistance"], create=True)
    keep(found, problem, tmp_path / "rat.csv")
    tables = sorted((tmp_path / "rat_cells").glob("*.csv"))
    assert [table.name for table in tables] == ["b.csv", "mouse_3_slice_2.csv"]
    loaded = [load_problem(problem.folder, table) for table in [*tables, tmp_path / "rat.csv"]]
    values = [{m.key: m.mean for m in one.measurements}["down.ohmic_input_resistance"] for one in loaded]
    assert values == pytest.approx([130, 91, 110.5], rel=0.01)
    assert [len(one.measurements) for one in loaded] == [2, 1, 2]
    (tmp_path / "rat.csv").unlink()
    assert "rat_cells: exists" in refusal(lambda: keep(found, problem, tmp_path / "rat.csv"))
    assert not (tmp_path / "rat.csv").exists()


def test_files_that_are_cells_have_a_table_each(problem: Problem, tmp_path: Path) -> None:
    recorded(tmp_path / "rig", passive(seed=1), passive(seed=2))
    keep(measure_recordings(problem, [tmp_path / "rig"], Reading(cells="file")), problem, tmp_path / "o.csv")
    assert sorted(os.listdir(tmp_path / "o_cells")) == ["0.csv", "0_sweeps.npz", "1.csv", "1_sweeps.npz"]


def test_the_sweeps_are_kept_beside_their_table(problem: Problem, tmp_path: Path) -> None:
    """On the protocol's own clock, those of each cell beside its own table too."""
    recorded(tmp_path / "rig" / "a", passive(-0.1, resistance=90), passive(-0.1, resistance=92))
    recorded(tmp_path / "rig" / "b", passive(-0.1, resistance=130))
    found = measure_recordings(problem, [tmp_path / "rig"], wanted=["ohmic_input_resistance"])
    keep(found, problem, tmp_path / "rat.csv")
    kept = read_kept(tmp_path / "rat.csv")
    assert list(kept) == ["down"]
    assert [Path(one.sweep.partition(",")[0]).parent.name for one in kept["down"]] == ["a", "b", "a"]  # cells in turn
    stimulus = problem.stimuli["down"]
    for one in kept["down"]:
        before, during = one.t < stimulus.delay, (one.t > stimulus.delay + 150) & (one.t < stimulus.delay + 300)
        assert one.current == pytest.approx(-0.1)
        assert np.median(one.v[before]) == pytest.approx(-70, abs=0.1)
        assert np.median(one.v[during]) < -78
    assert [len(read_kept(tmp_path / "rat_cells" / f"{cell}.csv")["down"]) for cell in "ab"] == [2, 1]
    assert read_kept(tmp_path / "typed.csv") == {}
    (tmp_path / "rat_sweeps.npz").write_bytes(b"no zip")
    assert "rat_sweeps.npz: is damaged" in refusal(lambda: read_kept(tmp_path / "rat.csv"))


def test_cells_of_one_name_are_told_apart(problem: Problem, tmp_path: Path) -> None:
    for mouse in ("m1", "m2"):
        recorded(tmp_path / mouse / "cell", passive(seed=1))
    found = measure_recordings(problem, [tmp_path])
    assert list(found.by_cell) == ["m1/cell", "m2/cell"]


# --- protocols


def test_steps_without_a_protocol_are_made_into_one(problem: Problem, tmp_path: Path) -> None:
    sweeps = [passive(-0.05, holding=0.02), passive(-0.0505, holding=0.02), passive(0.3, spikes=3)]
    cell = recorded(tmp_path / "cell", passive(), *sweeps)
    found = measure_recordings(problem, [cell])
    assert found.unmatched == ["-0.05025 nA on 0.02 nA, 300 ms, 2 sweeps", "0.3 nA, 300 ms, 1 sweep"]
    assert found.created == {}
    found = measure_recordings(problem, [cell], create=True)
    assert found.created["step_minus_50pA"] == {
        "kind": "step", "amplitude": -0.05025, "delay": 200.0, "duration": 300.0, "total": 800.0, "holding": 0.02
    }  # fmt: skip
    assert "step_300pA.Spikecount" in means(found)


def test_the_table_and_new_protocols_are_written_together(problem: Problem, tmp_path: Path) -> None:
    cell = recorded(tmp_path / "cells", passive(), passive(0.3, spikes=3))
    found = measure_recordings(problem, [cell], create=True)
    keep(found, problem, tmp_path / "out" / "cell.csv")
    loaded = load_problem(problem.folder, tmp_path / "out" / "cell.csv")
    assert [m.key for m in loaded.measurements] == [f"{row.protocol}.{row.feature}" for row in found.rows]
    assert loaded.measurements[0].note == found.rows[0].note
    assert isinstance(step := loaded.protocol["step_300pA"], Step)
    assert (step.amplitude, step.delay, step.duration, step.total) == (0.3, 200, 300, 800)
    again = measure_recordings(loaded, [cell])
    assert (again.unmatched, means(again)) == ([], means(found))
    before = (problem.folder / "problem.toml").read_text()
    assert "exists, and may hold your edits" in refusal(lambda: keep(found, loaded, tmp_path / "out" / "cell.csv"))
    assert (problem.folder / "problem.toml").read_text() == before
    assert sorted(os.listdir(problem.folder)) == ["cell.hoc", "problem.toml"]
    assert sorted(os.listdir(tmp_path / "out")) == ["cell.csv", "cell_sweeps.npz"]


def test_a_new_protocol_is_where_the_others_are(write: Callable[..., Path], tmp_path: Path) -> None:
    moved = TOML.replace('kind = "step"', 'kind = "step"\nat = "dend[1](0.3)"\nrecord = "axon(0.5).v"')
    problem = load_problem(write("cell", **{"problem.toml": moved, "cell.hoc": ""}), measured=False)
    found = measure_recordings(problem, [recorded(tmp_path / "cells", passive(0.3, spikes=3))], create=True)
    keep(found, problem, tmp_path / "out.csv")
    made = load_problem(problem.folder, tmp_path / "out.csv").protocol["step_300pA"]
    assert isinstance(made, Step) and (made.at, made.record) == ("dend[1](0.3)", "axon(0.5).v")


def test_an_offset_is_no_holding_current(problem: Problem, tmp_path: Path) -> None:
    cell = recorded(tmp_path / "cell", passive(holding=-0.05))
    assert "--create makes protocols" in refusal(lambda: measure_recordings(problem, [cell]))
    assert measure_recordings(problem, [cell], Reading(no_holding=True)).rows


def test_cells_are_folders_or_files(problem: Problem, tmp_path: Path) -> None:
    recorded(tmp_path / "a", passive(seed=1), passive(seed=2))
    recorded(tmp_path / "b" / "a", passive(seed=3))
    assert measure_recordings(problem, [tmp_path]).rows[0].note.startswith("3 sweeps of 2 cells")
    assert measure_recordings(problem, [tmp_path], Reading(cells="file")).rows[0].note.startswith("3 sweeps of 3 cells")


# --- real cells


@pytest.mark.shared_data
@pytest.mark.skipif(SHARED_DATA is None, reason="no recordings beside the repository")
def test_two_real_cells(problem: Problem, tmp_path: Path) -> None:
    """Rat cortical cells, five steps of two seconds each, one wave a channel, 4 kHz, on a holding current."""
    assert SHARED_DATA is not None
    found = measure_recordings(problem, [SHARED_DATA / "recordings_ibw"], create=True)
    assert (found.sweeps, found.cells, found.refused) == (10, ["B6", "B8"], [])
    assert found.said == ["pA → nA in 10 sweeps"]
    assert {round(keys["duration"]) for keys in found.created.values()} == {2000}
    assert sorted(round(1e3 * keys["holding"]) for keys in found.created.values()) == [-53] * 5 + [-12] * 5
    counts = [row.mean for row in found.rows if row.feature == "Spikecount"]
    assert counts == sorted(counts) or len(counts) == 10
    assert min(counts) >= 20
    assert all("width" not in row.feature for row in found.rows)
    keep(found, problem, tmp_path / "cells.csv")
    assert len(load_problem(problem.folder, tmp_path / "cells.csv").measurements) == len(found.rows)


@pytest.mark.shared_data
@pytest.mark.skipif(SHARED_DATA is None, reason="no recordings beside the repository")
def test_two_real_cells_at_percentages_of_their_rheobase(write: Callable[..., Path], tmp_path: Path) -> None:
    """What eFEL's authors' own tool finds: rheobases of 119 and 94 pA, 23.8 Hz at 150 %, 1.5 as SD of a population."""
    assert SHARED_DATA is not None
    problem = load_problem(write("cell", **{"problem.toml": PASSIVE, "cell.hoc": ""}), measured=False)
    found = measure_recordings(problem, [SHARED_DATA / "recordings_ibw"], wanted=["mean_frequency"], relative=True)
    assert [line.partition(",")[0] for line in found.noted[:2]] == [
        "rheobase of B6 (2000 ms): 118.7 pA",
        "rheobase of B8 (2000 ms): 93.75 pA",
    ]
    (row,) = [row for row in found.rows if row.protocol == "step_150pct"]
    assert (row.mean, row.sd) == pytest.approx((23.8, 1.5 * math.sqrt(2)), abs=0.1)
    assert set(found.by_cell) == {"B6", "B8"}
