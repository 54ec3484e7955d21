"""Features on voltages whose answer is known on paper, and eFEL's settings truly in force."""

import math

import numpy as np
import pytest
from scipy.interpolate import Akima1DInterpolator

from gbar.sim.cell.interpolation import between, resampled
from gbar.sim.features import definitions
from gbar.sim.features import traces as features
from gbar.sim.features.traces import SETTINGS, Trace, measure

START_MS, END_MS, TOTAL_MS = 100.0, 101.0, 400.0
PEAK_MS, PEAK_MV = 102.0, 20.0
TROUGH_MS, DEPTH_MV = 104.0, 10.0
OWN = sorted(features.OWN)


def ahp_trace(rest: float, tau: float, step: float = 0.025, second_spike: float | None = None) -> Trace:
    """A triangular spike from rest, then an AHP that recovers as exp(-t / tau); a second spike cuts it off."""
    t = np.arange(0.0, TOTAL_MS, step)
    v = np.full(len(t), rest)
    trough = rest - DEPTH_MV
    spike = (t >= START_MS) & (t < TROUGH_MS)
    v[spike] = np.interp(t[spike], [START_MS, PEAK_MS, TROUGH_MS], [rest, PEAK_MV, trough])
    after = t >= TROUGH_MS
    v[after] = rest - DEPTH_MV * np.exp(-(t[after] - TROUGH_MS) / tau)
    if second_spike is not None:
        times = second_spike + np.array([0.0, 0.5, 1.0, 3.0])
        within = (t >= times[0]) & (t < times[-1])
        v[within] = np.interp(t[within], times, [v[within][0], PEAK_MV, rest - 2 * DEPTH_MV, rest])
    return Trace(t, v, START_MS, END_MS, 1.0)


def on_the_fall(rest: float, level: float) -> float:
    """When the falling spike of `ahp_trace` passes a voltage, ms."""
    return float(np.interp(-level, [-PEAK_MV, DEPTH_MV - rest], [PEAK_MS, TROUGH_MS]))


@pytest.mark.parametrize("step", [0.025, 0.1])
@pytest.mark.parametrize("tau", [5.0, 20.0, 40.0])
@pytest.mark.parametrize("rest", [-55.0, -65.0, -78.0])
def test_exponential_recovery(rest: float, tau: float, step: float) -> None:
    """Each share of the recovery has its own closed form; neither the rest nor the sampling moves it."""
    found = measure(ahp_trace(rest, tau, step), OWN, SETTINGS)
    expected = {
        "AHP_half_decay_time": tau * math.log(2),
        "AHP_two_thirds_decay_time": tau * math.log(3),
        "AHP_half_duration": TROUGH_MS + tau * math.log(2) - on_the_fall(rest, rest - DEPTH_MV / 2),
        "AHP_duration": TROUGH_MS + tau * math.log(20) - on_the_fall(rest, rest),
    }
    assert found == pytest.approx(expected, abs=0.002)


def test_uneven_sampling() -> None:
    """Crossings lie between samples: dropping three quarters of them hardly moves a result."""
    trace = ahp_trace(-65.0, 20.0)
    keep = np.zeros(len(trace.t), bool)
    keep[::4] = True
    keep[(trace.t > 99) & (trace.t < 105)] = True
    coarse = trace._replace(t=trace.t[keep], v=trace.v[keep])
    assert measure(coarse, OWN, SETTINGS) == pytest.approx(measure(trace, OWN, SETTINGS), abs=0.002)


def test_silent_cell() -> None:
    t = np.arange(0.0, TOTAL_MS, 0.025)
    found = measure(
        Trace(t, np.full(len(t), -65.0), START_MS, END_MS, 1.0), [*OWN, "Spikecount", "AP_height"], SETTINGS
    )
    assert found.pop("Spikecount") == 0
    assert list(found) == [*OWN, "AP_height"]
    assert all(math.isnan(value) for value in found.values())


def test_spike_without_an_ahp() -> None:
    """A spike that decays to rest from above never goes below it."""
    trace = ahp_trace(-65.0, 20.0)
    found = measure(trace._replace(v=np.maximum(trace.v, -65.0)), OWN, SETTINGS)
    assert all(math.isnan(value) for value in found.values())


def test_recording_that_ends_before_the_recovery() -> None:
    """After 40 ms of a 60 ms time constant less than half has recovered, after 50 ms half but not two thirds."""
    trace = ahp_trace(-65.0, 60.0)
    for until, defined in ((40.0, []), (50.0, ["AHP_half_decay_time", "AHP_half_duration"])):
        seen = trace.t < TROUGH_MS + until
        found = measure(trace._replace(t=trace.t[seen], v=trace.v[seen]), OWN, SETTINGS)
        assert [name for name in OWN if math.isfinite(found[name])] == sorted(defined)


def test_second_spike_ends_the_ahp() -> None:
    """What had recovered when the next spike took off counts; its upstroke is no recovery."""
    tau = 20.0
    found = measure(ahp_trace(-65.0, tau, second_spike=TROUGH_MS + 16.0), OWN, SETTINGS)
    assert found["AHP_half_decay_time"] == pytest.approx(tau * math.log(2), abs=0.002)
    assert math.isnan(found["AHP_two_thirds_decay_time"])
    assert math.isnan(found["AHP_duration"])
    found = measure(ahp_trace(-65.0, tau, second_spike=TROUGH_MS + 10.0), OWN, SETTINGS)
    assert all(math.isnan(value) for value in found.values())


def test_the_first_spikes_ahp_and_no_later_one() -> None:
    """Under a sustained current a cell may go below rest only after its last spike: that is not the first one's AHP."""
    t = np.arange(0.0, TOTAL_MS, 0.025)
    v = np.full(len(t), -65.0)
    for peak in (110.0, 130.0):
        v += 85.0 * np.exp(-(((t - peak) / 0.5) ** 2))
    v[(t > 105) & (t < 135)] += 5.0
    v[t > 140] -= 8.0 * np.exp(-(t[t > 140] - 140) / 20)
    found = measure(Trace(t, v, START_MS, 135.0, 1.0), OWN, SETTINGS)
    assert all(math.isnan(value) for value in found.values())


def test_ahp_with_an_afterdepolarisation() -> None:
    """A fast trough, a hump back above the half level, then the slow, deeper trough: the first fall counts."""
    knots_ms = [0, 100, 102, 104, 108, 120, 160, 400]
    knots_mv = [-65, -65, 20, -72, -66, -75, -65, -65]
    t = np.arange(0.0, TOTAL_MS, 0.025)
    found = measure(Trace(t, np.interp(t, knots_ms, knots_mv), START_MS, END_MS, 1.0), OWN, SETTINGS)
    assert found["AHP_half_decay_time"] == pytest.approx(20.0, abs=0.002)
    first_fall = 102 + 2 * (20 + 70) / 92  # through -70 mV
    assert found["AHP_half_duration"] == pytest.approx(140.0 - first_fall, abs=0.002)


def test_threshold_serves_our_definitions_too() -> None:
    trace = ahp_trace(-65.0, 20.0)
    low = trace._replace(v=np.minimum(trace.v, -25.0))
    assert math.isnan(measure(low, OWN, {**SETTINGS, "Threshold": -20.0})["AHP_half_decay_time"])
    found = measure(low, OWN, {**SETTINGS, "Threshold": -30.0})
    assert found["AHP_half_decay_time"] == pytest.approx(20.0 * math.log(2), abs=0.002)


@pytest.mark.parametrize(
    ("currents", "rates", "gain"),
    [
        ([1.0, 2.0, 3.0], [10.0, 14.0, 18.0], 4.0),
        ([1.0, 2.0, 4.0], [np.nan, 14.0, 18.0], 2.0),
        ([1.0, 2.0, 3.0], [0.0, 1.0, 5.0], 2.5),  # least squares
        ([1.0, 2.0], [np.nan, 14.0], np.nan),
        ([1.0, 2.0], [np.nan, np.nan], np.nan),
        ([2.0, 2.0], [14.0, 15.0], np.nan),
    ],
)
def test_f_I_gain(currents: list[float], rates: list[float], gain: float) -> None:
    assert definitions.f_I_gain(currents, np.array(rates)) == pytest.approx(gain, nan_ok=True)


@pytest.mark.parametrize(("duration", "defined"), [(140.0, False), (141.0, True)])
def test_how_long_a_step_efel_needs_for_a_time_constant(duration: float, defined: bool) -> None:
    """What `features.TAU_STEP_MS` says, which a measurement is refused by."""
    t = np.arange(0.0, 400.0, 0.025)
    on = (t >= 100) & (t < 100 + duration)
    v = np.where(on, -70 - 5 * (1 - np.exp(-(t - 100) / 5)), -70.0)
    found = measure(Trace(t, v, 100.0, 100.0 + duration, -0.1), ["time_constant"], SETTINGS)["time_constant"]
    assert math.isfinite(found) == defined == (duration >= features.TAU_STEP_MS)


def test_stimulus_until_the_end_of_the_trace() -> None:
    """eFEL itself fails on some features there, which costs those features and no other."""
    t = np.append(np.arange(0.0, 300.0 - 0.03, 0.025), 300.0 - 1e-9)
    trace = two_spikes(20.0)
    v = np.interp(t, trace.t, trace.v)
    found = measure(Trace(t, v, 100.0, 300.0, 1.0), features.catalogue("step", 1.0), SETTINGS)
    assert found["Spikecount"] == 2 and found["depol_block_bool"] == 0
    beyond = measure(Trace(t, v, 100.0, 299.99, 1.0), ["AP_height", "depol_block_bool"], SETTINGS)
    assert beyond["AP_height"] == pytest.approx(20.0, abs=0.01)


@pytest.mark.parametrize(("resistance", "tau"), [(100.0, 20.0), (2.0, 5.0)])
def test_membrane_capacitance(resistance: float, tau: float) -> None:
    """A cell of one compartment charges with tau = R C; MOhm times nF is ms."""
    t = np.arange(0.0, 800.0, 0.025)
    on = (t >= 200) & (t < 500)
    current = -10.0 / resistance  # nA, for 10 mV
    v = -70.0 + np.zeros(len(t))
    v[on] -= 10.0 * (1 - np.exp(-(t[on] - 200) / tau))
    v[t >= 500] -= 10.0 * np.exp(-(t[t >= 500] - 500) / tau)
    found = measure(Trace(t, v, 200.0, 500.0, current), ["membrane_capacitance", "ohmic_input_resistance"], SETTINGS)
    assert list(found) == ["membrane_capacitance", "ohmic_input_resistance"]
    assert found["ohmic_input_resistance"] == pytest.approx(resistance, rel=0.001)
    assert found["membrane_capacitance"] == pytest.approx(tau / resistance, rel=0.02)


def two_spikes(height: float = -25.0) -> Trace:
    t = np.arange(0.0, 300.0, 0.025)
    v = np.full(len(t), -65.0)
    for peak in (120.0, 250.0):
        v += (height + 65.0) * np.exp(-(((t - peak) / 0.5) ** 2))
    return Trace(t, v, 100.0, 200.0, 1.0)


def test_threshold_is_in_force_and_does_not_stay() -> None:
    """Three calls, three answers: what one call sets is gone in the next."""
    counts = [
        measure(two_spikes(), ["Spikecount"], {**SETTINGS, **setting})["Spikecount"]
        for setting in (
            {},
            {"Threshold": -30.0},
            {"Threshold": -30.0, "strict_stiminterval": True},
            {"Threshold": -30.0},
            {},
        )
    ]
    assert counts == [0, 2, 1, 2, 0]


@pytest.mark.parametrize(("share", "base"), [(None, -60.5), (0.5, -62.5), (0.8, -61.0)])
def test_base_of_a_drifting_voltage(share: float | None, base: float) -> None:
    """Rest is measured from voltage_base_start_perc of the time before the stimulus on, however early that is."""
    t = np.arange(0.0, 300.0, 0.025)
    v = np.where(t < 100, -70 + t / 10, -60.0)
    setting = {} if share is None else {"voltage_base_start_perc": share}
    found = measure(Trace(t, v, 100.0, 200.0, 1.0), ["voltage_base"], {**SETTINGS, **setting})
    assert found["voltage_base"] == pytest.approx(base, abs=0.01)


def test_interp_step_is_in_force() -> None:
    """Spike widths come in multiples of it."""
    for step in (0.025, 0.2):
        width = measure(two_spikes(20.0), ["spike_half_width"], {**SETTINGS, "interp_step": step})["spike_half_width"]
        assert width == pytest.approx(2 * 0.5 * math.sqrt(math.log(2)), abs=2 * step)
    fine, coarse = (
        measure(two_spikes(20.0), ["AP_rise_time"], {**SETTINGS, "interp_step": step})["AP_rise_time"]
        for step in (0.025, 0.2)
    )
    assert fine != coarse


def test_mean_over_spikes() -> None:
    trace = two_spikes(20.0)
    second = trace.t > 200
    taller = trace._replace(v=np.where(second, trace.v + (trace.v + 65) * 10 / 85, trace.v))
    assert measure(taller, ["AP_height"], SETTINGS)["AP_height"] == pytest.approx(25.0, abs=0.05)


def cvode_like(total: float) -> np.ndarray:
    """Steps as CVODE takes them: microseconds in a spike at 20 ms, milliseconds in the AHP."""
    return np.concatenate([np.arange(0, 18, 1.5), np.arange(18, 23, 0.037), np.arange(23, total, 2.5), [total]])


def spike_and_trough(t: np.ndarray) -> np.ndarray:
    """A spike of 100 mV at 20 ms, and a trough of 8 mV at 41.75 ms."""
    return -65 + 100 * np.exp(-(((t - 20) / 0.4) ** 2)) - 8 / np.cosh((t - 41.75) / 8)


@pytest.mark.parametrize("seed", range(20))
def test_between_samples_it_is_the_modified_akima_spline(seed: int) -> None:
    """As SciPy computes it: on uneven steps, on what is flat in places, on three samples."""
    rng = np.random.default_rng(seed)
    count = 3 if seed == 0 else int(rng.integers(4, 500))
    t, v = np.cumsum(rng.random(count) ** 3 + 1e-6), rng.normal(size=count).cumsum()
    v = np.round(v) if seed % 2 else v
    at = np.sort(np.concatenate([t, rng.uniform(t[0], t[-1], 1000)]))
    expected = Akima1DInterpolator(t, v, method="makima")(at)
    np.testing.assert_allclose(between(t, v, at), expected, rtol=1e-12, atol=1e-12)


def test_resampling_keeps_the_spike() -> None:
    t = cvode_like(100.0)
    even, v = resampled(t, spike_and_trough(t), 0.025)
    np.testing.assert_allclose(np.diff(even), 0.025, rtol=1e-6)
    assert v.max() == pytest.approx(spike_and_trough(np.linspace(19, 21, 20001)).max(), abs=0.05)
    assert even[v.argmax()] == pytest.approx(20.0, abs=0.025)


def test_resampling_finds_the_trough_between_samples() -> None:
    """Neither on a sample nor on a straight line between two, which misses four times the tolerance."""
    t = cvode_like(100.0)
    even, v = resampled(t, spike_and_trough(t), 0.025)
    after = even > 25
    true = spike_and_trough(np.linspace(35, 47, 20001)).min()
    assert v[after].min() == pytest.approx(true, abs=0.025)
    assert even[after][v[after].argmin()] == pytest.approx(41.75, abs=0.15)
    assert spike_and_trough(t)[t > 25].min() - true > 0.09
    assert np.abs(v - spike_and_trough(even))[after].max() < 0.03


@pytest.mark.parametrize("total", [100.0, 99.99, 100.01, 99.9999999986])
def test_resampling_reaches_the_end(total: float) -> None:
    even, v = resampled(np.linspace(0, total, 1001), np.linspace(-70, -60, 1001), 0.025)
    assert even[-1] == total and v[-1] == pytest.approx(-60.0)
    assert (np.diff(even) > 0).all() and np.isfinite(v).all()


def test_resampling_at_a_stimulus_edge() -> None:
    """CVODE records an edge twice; the corner stays a corner, without ringing on its flat side."""
    before, after = np.arange(0, 50.1, 2.5), np.arange(50, 100.1, 2.5)
    t = np.concatenate([before, after])
    v = np.where(t <= 50, -70.0, -70.0 + 10 * (1 - np.exp(-(t - 50) / 10)))
    even, smooth = resampled(t, v, 0.025)
    assert np.isfinite(smooth).all()
    assert smooth[round(50 / 0.025)] == pytest.approx(-70.0, abs=1e-9)
    assert np.abs(smooth[even <= 50] + 70).max() < 0.05
    true = -70.0 + 10 * (1 - np.exp(-(even - 50) / 10))
    assert np.abs(smooth - true)[even >= 52.5].max() < 0.05


def test_spike_cut_off_by_the_end_of_the_trace() -> None:
    """eFEL reads the width of an unfinished spike from beyond the trace: it is left out, wherever it is cut."""
    t = np.arange(0.0, 100.0, 0.025)
    v = np.full(len(t), -65.0)
    for peak in (30.0, 50.0, 70.0, 90.0):
        knots = peak + np.array([-3.0, -1.0, 0.0, 1.0, 2.0, 6.0])
        within = (t >= knots[0]) & (t < knots[-1])
        v[within] = np.interp(t[within], knots, [-65, -50, 30, -60, -75, -65])
    names = ["AP_duration_half_width", "AP_height", "AP_amplitude", "AP_rise_time", "AP_fall_time", "Spikecount"]
    whole = measure(Trace(t, v, 20.0, 100.0, 1.0), names, SETTINGS)
    counts = []
    for end in np.arange(86.0, 97.0, 0.1):
        seen = t < end
        found = measure(Trace(t[seen], v[seen], 20.0, end, 1.0), names, SETTINGS)
        counts.append(found.pop("Spikecount"))
        assert found == pytest.approx({k: v for k, v in whole.items() if k != "Spikecount"}, rel=0.03, abs=0.03), end
    assert counts == sorted(counts) and set(counts) == {3, 4}
