"""Whether a sweep, a cell and a sampling rate are good enough. Every refusal says what was found and what is asked.

The thresholds and the reasons for them are in docs/measurements.md.
"""

import re
from collections.abc import Sequence

import numpy as np
from scipy.ndimage import median_filter

from gbar.sim.errors import GbarError
from gbar.sim.recordings.stimulus import Square
from gbar.sim.recordings.sweep import CURRENT, VOLTAGE, Raw, Sweep, unit_name

LEAST_BASELINE_MS = 10.0  # before the step, to measure rest in
BASELINE_MV = (-100.0, -40.0)  # where a healthy cell rests or is held
DRIFT_MV = 3.0  # between the beginning and the end of one baseline
CELL_DRIFT_MV = 5.0  # of one sweep's baseline from the median of the cell's
WANDER_MV = 2.0  # SD of a baseline
NOISE_MV = 0.5  # SD of a baseline from sample to sample, spontaneous events apart
FLAT = 5  # equal samples at the top or bottom of a trace that are one too many,
JUMP_MV = 0.2  # if the voltage ran into them as fast as this per sample,
FLAT_IN_NOISE = 20  # or so many, where noise lets the trace
REVERSALS = 0.2  # turn round at this share of its samples, as no flat one does
RESISTANCE_MOHM = (0.3, 2e4)  # of any cell, or a unit is wrong
SEAL_GOHM = 1.0
LEAST_TEST_MS = 5.0  # of a test pulse, to see a resistance
LEAK_CHANGE = 0.3  # what the test pulse's resistance may differ by from the cell's median, as a share
FEWEST = 0.5  # a cell with a smaller share of good sweeps is refused as a whole

SPIKE_SHAPE_KHZ = 10.0  # a spike is half a millisecond wide at the least: five samples
PEAK_KHZ = 2.0
SHAPE = re.compile(
    r".*width.*|AP_(duration|rise|fall|begin|peak_(up|down)stroke|phaseslope|amplitude$|amplitude_(change|diff)).*"
    r"|AP[12]_(amp|begin).*|AP2_AP1_diff|mean_AP_amplitude|APlast_amp|amp_drop.*|max_amp_difference|phaseslope_max"
    r"|fast_AHP.*"
)
PEAK = re.compile(
    r"AP_(height|amplitude_from_voltagebase)|AP[12]_peak|AP2_AP1_peak_diff|peak_voltage|maximum_voltage.*"
)


def baseline(sweep: Sweep, step: Square, test: Square | None) -> np.ndarray:  # [T] mV
    """The voltage before the step, without a test pulse and as long a recovery from it."""
    before = sweep.v[: step.first]
    if test is None:
        return before
    recovery = max(test.last - test.first, round(LEAST_BASELINE_MS / sweep.interval))
    quiet = np.concatenate([before[: test.first], before[test.last + recovery :]])
    return quiet if len(quiet) * sweep.interval >= LEAST_BASELINE_MS else before[: test.first]


def check_sweep(sweep: Sweep, step: Square, test: Square | None, threshold: float, vouched: bool = False) -> None:
    """Refuse a sweep that says more about the rig than about the cell.

    Args:
        sweep: in mV and nA.
        step: its stimulus.
        test: the test pulse before it, if there is one.
        threshold: mV that a spike crosses.
        vouched: whether the user gave the unit of the current.

    Raises:
        GbarError: with what was found.
    """
    if step.start < LEAST_BASELINE_MS:
        raise GbarError(
            f"{sweep.name}: the step begins after {step.start:.3g} ms: expected {LEAST_BASELINE_MS:g} ms of baseline"
        )
    before = baseline(sweep, step, test)
    if len(before) * sweep.interval < LEAST_BASELINE_MS * (1 - 1e-9):
        raise GbarError(
            f"{sweep.name}: {len(before) * sweep.interval:.3g} ms of baseline beside the test pulse: "
            f"expected {LEAST_BASELINE_MS:g} ms"
        )
    rest = float(np.median(before))
    if not BASELINE_MV[0] <= rest <= BASELINE_MV[1]:
        raise GbarError(
            f"{sweep.name}: baseline {rest:.1f} mV: expected {BASELINE_MV[0]:g} to {BASELINE_MV[1]:g} mV "
            "(a dying cell, an electrode outside, or an offset not zeroed)"
        )
    if sweep.v[: step.first].max() > threshold:
        raise GbarError(f"{sweep.name}: the cell fires before the step: its features would not be the step's")
    third = max(1, len(before) // 3)
    drift = float(np.median(before[-third:]) - np.median(before[:third]))
    if abs(drift) > DRIFT_MV:
        raise GbarError(f"{sweep.name}: the baseline drifts by {drift:+.1f} mV: expected {DRIFT_MV:g} mV at most")
    noise = _noise(before)
    if noise > NOISE_MV or before.std() > WANDER_MV:
        raise GbarError(
            f"{sweep.name}: noisy baseline: SD {before.std():.2f} mV, {noise:.2f} mV from sample to sample: "
            f"expected at most {WANDER_MV:g} and {NOISE_MV:g} mV"
        )
    _check_clipping(sweep)
    if not vouched:
        _check_resistance(sweep, step, rest, threshold)


def _check_clipping(sweep: Sweep) -> None:
    """A trace that ran into the end of the amplifier's range stays there on one and the same number."""
    change = np.abs(np.diff(sweep.v))
    noisy = (np.diff(sweep.v)[1:] * np.diff(sweep.v)[:-1] < 0).mean() > REVERSALS
    for word, extreme in (("top", sweep.v.max()), ("bottom", sweep.v.min())):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], (sweep.v == extreme).astype(np.int8), [0]])))
        for first, last in edges.reshape(-1, 2):
            ran_in = first > 0 and change[first - 1] > JUMP_MV
            if (last - first >= FLAT and ran_in) or (last - first >= FLAT_IN_NOISE and noisy):
                raise GbarError(
                    f"{sweep.name}: clipped: {last - first} samples on one value, {extreme:.1f} mV, at the {word} "
                    "of the trace: the amplifier's range ended there"
                )


def _check_resistance(sweep: Sweep, step: Square, rest: float, threshold: float) -> None:
    """Ohm's law finds a current that is a thousandfold off, even where its magnitude could be another cell's."""
    during = sweep.v[step.first : step.last]
    if during.max() > threshold or step.duration < LEAST_BASELINE_MS:
        return
    resistance = (float(np.median(during[len(during) // 2 :])) - rest) / step.amplitude
    if resistance and not RESISTANCE_MOHM[0] <= abs(resistance) <= RESISTANCE_MOHM[1]:
        raise GbarError(
            f"{sweep.name}: a step of {step.amplitude:.3g} nA moves the voltage by "
            f"{resistance * step.amplitude:.3g} mV, {resistance:.2g} MOhm: no cell's: likely a wrong unit, "
            "see --current-unit and --voltage-unit"
        )


def leak(sweep: Sweep, test: Square) -> float:
    """The resistance a test pulse sees, MOhm: cell and seal in parallel."""
    rest = float(np.median(sweep.v[: test.first]))
    half = (test.first + test.last) // 2
    return (float(np.median(sweep.v[half : test.last])) - rest) / test.amplitude


def check_seal(raw: Raw) -> None:
    """Refuse the cell of a voltage-clamp sweep that is a seal test and shows a poor seal.

    Raises:
        GbarError: with the resistance.
    """
    if raw.stimulus is None or not re.search(r"(?i)seal|attached|cllatt", f"{raw.sweep} {raw.name}"):
        return
    factors = CURRENT.get(unit_name(raw.response.unit)), VOLTAGE.get(unit_name(raw.stimulus.unit))
    if None in factors:
        return
    i, v = np.asarray(raw.response.values, float) * factors[0], np.asarray(raw.stimulus.values, float) * factors[1]
    v = median_filter(v, size=3, mode="nearest")
    away = np.abs(v - v[0]) > 0.5 * np.ptp(v)
    if np.ptp(v) == 0 or not away.any():
        return
    last_half = np.flatnonzero(away)[away.sum() // 2 :]  # the charging of the membrane is over
    change_v, change_i = float(np.median(v[last_half]) - v[0]), float(np.median(i[last_half]) - np.median(i[~away]))
    seal = change_v / change_i / 1e3 if change_i else np.inf  # mV / nA = MOhm
    if 0 < seal < SEAL_GOHM:
        raise GbarError(f"{raw.name}: a seal of {seal:.2g} GOhm: expected {SEAL_GOHM:g} GOhm or more")


def check_cell(sweeps: Sequence[tuple[Sweep, Square, Square | None]]) -> list[tuple[Sweep, str]]:
    """The sweeps of one cell that do not fit its others: its rest or its leak has drifted away. With the reasons."""
    if not sweeps:
        return []
    rests = [float(np.median(baseline(*one))) for one in sweeps]
    leaks = [leak(sweep, test) if test and test.duration >= LEAST_TEST_MS else None for sweep, _, test in sweeps]
    usual = float(np.median(rests))
    tested = [value for value in leaks if value is not None]
    refused = []
    for (sweep, _, _), rest, resistance in zip(sweeps, rests, leaks, strict=True):
        if abs(rest - usual) > CELL_DRIFT_MV:
            said = f"baseline {rest:.1f} mV, in the cell's other sweeps {usual:.1f}: the cell has drifted"
            refused.append((sweep, f"{sweep.name}: {said}"))
        elif resistance is not None and abs(resistance / np.median(tested) - 1) > LEAK_CHANGE:
            said = f"the test pulse sees {resistance:.3g} MOhm, in the cell's other sweeps {np.median(tested):.3g}"
            refused.append((sweep, f"{sweep.name}: {said}: the seal or the bridge has changed"))
    return refused


def too_coarse(feature: str, rate_khz: float) -> str:
    """Why a feature is not measured at a sampling rate; "" where it is."""
    least = SPIKE_SHAPE_KHZ if SHAPE.fullmatch(feature) else PEAK_KHZ if PEAK.fullmatch(feature) else 0.0
    if rate_khz >= least * (1 - 1e-6):
        return ""
    return f"sampled at {rate_khz:g} kHz, which is too coarse: {least:g} kHz or more"


def peak_error(sweep: Sweep, threshold: float) -> float:
    """How much of a spike's peak lies between two samples at the most, mV: half the drop to a peak's neighbours.

    For a parabola through three samples the true peak is above the highest by at most an eighth of the drop to both.
    """
    v = sweep.v
    tops = 1 + np.flatnonzero((v[1:-1] > threshold) & (v[1:-1] >= v[:-2]) & (v[1:-1] > v[2:]))
    if len(tops) == 0:
        return 0.0
    return float(np.median(2 * v[tops] - v[tops - 1] - v[tops + 1]) / 8)


def shake(sweep: Sweep, step: Square, seed: int = 0) -> np.ndarray:  # [T] mV
    """The voltage with white noise of its own size on it, the same for a seed: a feature that this moves is no better
    known than by as much. eFEL's time constant of a small deflection is such a one."""
    change = np.abs(np.diff(sweep.v[: step.first]))
    resolution = float(change[change > 0].min(initial=np.inf))  # of a converter, whose steps hide smaller noise
    sd = max(_noise(sweep.v[: step.first]), resolution / np.sqrt(12) if np.isfinite(resolution) else 0.0)
    return sweep.v + np.random.default_rng(seed).normal(0, sd, len(sweep.v))


def _noise(baseline: np.ndarray) -> float:
    """SD from sample to sample, mV; slow changes and single events left out."""
    return 1.4826 * float(np.median(np.abs(np.diff(baseline)))) / float(np.sqrt(2))
