"""The bundled motoneuron, in plain NEURON, held to its reference behaviour (models/motoneuron/README.md).

NEURON runs in one spawned process (SCRIPT) that prints every measured figure as JSON; the tests compare.
Reference figures: 36 degC, fixed step 0.025 ms, first order, stimuli after 600 ms of settling from -70 mV.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.problems import MOTONEURON

pytestmark = pytest.mark.neuron

# Gate values at finitialize(-70), dimensionless: six significant figures given, half of the last one allowed.
GATES_AT_MINUS_70 = {
    "soma.m_naf": 0.005909,
    "soma.h_naf": 0.864964,
    "soma.n_kdr": 0.0649692,
    "soma.m_can": 1.01029e-4,
    "soma.h_can": 0.996316,
    "hillock.m_naf": 0.0131252,
    "hillock.h_naf": 0.864964,
    "hillock.n_kdr": 0.0649692,
    "hillock.p_nap": 0.00214921,
}
GATE_RELATIVE_TOLERANCE = 1e-5

# figure: (reference, tolerance), in the unit its name ends with
REFERENCE = {
    "rest_mV": (-65.89, 0.01),
    "input_resistance_MOhm": (1.257, 0.003),  # -1 nA x 100 ms, largest deflection
    "tau_ms": (2.45, 0.03),  # the same response, 63 %
    "minus_5nA_steady_mV": (-71.91, 0.02),  # at the end of 100 ms
    "minus_5nA_minimum_mV": (-72.09, 0.02),
    "pulse_spikes": (1, 0),  # 21 nA x 1 ms, hillock
    "pulse_peak_mV": (15.59, 0.05),
    "pulse_height_mV": (81.48, 0.05),  # above rest
    "pulse_half_width_ms": (0.90, 0.01),
    "ahp_depth_mV": (4.40, 0.01),  # below rest
    "ahp_time_to_trough_ms": (16.3, 0.05),  # after the peak
    "ahp_half_decay_ms": (22.5, 0.1),  # after the trough
    "pulse_20nA_spikes": (0, 0),
    "rheobase_nA": (7.89, 0.01),  # 50 ms
    "rate_8nA_Hz": (13.2, 0.05),  # last interval of 500 ms
    "rate_10nA_Hz": (19.6, 0.05),
    "rate_15nA_Hz": (30.5, 0.05),
}

# (section, state and time constant, v_mV) where x/(exp(x/k) - 1) is 0/0
SINGULARITIES = [
    ("soma", "naf", "m", -48.0),
    ("soma", "naf", "m", -24.0),
    ("hillock", "naf", "m", -52.0),
    ("hillock", "naf", "m", -32.0),
    ("hillock", "nap", "p", -20.4),
    ("hillock", "nap", "p", -24.7),
]
NEIGHBOUR_MV = 1e-2  # outside the series branch (5e-4 mV), so both branches are compared
SINGULARITY_RELATIVE_TOLERANCE = 1e-5  # curvature over NEIGHBOUR_MV is below this

CVODE_SPIKE_TIME_TOLERANCE_MS = 0.15  # CVODE atol 1e-6 against dt 0.005 ms, over 300 ms at 10 nA
CVODE_REST_TOLERANCE_MV = 1e-3

SCRIPT = r"""
import json, math, sys
import numpy as np
from neuron import h

h.load_file("stdrun.hoc")
sections_before = len(list(h.allsec()))
h.load_file(sys.argv[1])
sections_after_load = len(list(h.allsec())) - sections_before
singularities = json.loads(sys.argv[2])
neighbour_mV = float(sys.argv[3])
h.celsius = 36.0
cell = h.Motoneuron()
soma, hillock = cell.soma(0.5), cell.hillock(0.5)
out = {"sections_after_load": sections_after_load, "clamps": int(h.List("IClamp").count())}
out["lists"] = {
    name: [s.name().split(".")[-1] for s in getattr(cell, name)] for name in ("all", "somatic", "dendrites")
}

h.finitialize(-70)
out["gates"] = {
    where + "." + gate: getattr(getattr(cell, where)(0.5), gate)
    for where, gates in (("soma", "m_naf h_naf n_kdr m_can h_can"), ("hillock", "m_naf h_naf n_kdr p_nap"))
    for gate in gates.split()
}
out["eca_mV"] = {"soma": soma.eca, "dend2": cell.dend2(0.5).eca}

def gate_and_tau(where, mech, gate, v_mV):
    h.finitialize(v_mV)
    seg = getattr(cell, where)(0.5)
    return [getattr(seg, gate + "_" + mech), getattr(seg, "tau" + gate + "_" + mech)]

out["singular"] = [
    [gate_and_tau(*place, v + d) for d in (-neighbour_mV, 0.0, neighbour_mV)] for *place, v in singularities
]

at_soma, at_hillock = h.IClamp(soma), h.IClamp(hillock)
SETTLE_MS = 600.0

def settle(dt_ms):  # dt 0: CVODE
    h.CVode().active(dt_ms == 0)
    h.CVode().atol(1e-6)
    if dt_ms:
        h.steps_per_ms, h.dt = 1 / dt_ms, dt_ms
    at_soma.delay = at_hillock.delay = 1e9
    h.finitialize(-70)
    h.continuerun(SETTLE_MS)

def run(clamp, amp_nA, dur_ms, after_ms=0.0):
    # one settled state serves every stimulus
    at_soma.delay = at_hillock.delay = 1e9
    clamp.delay, clamp.amp, clamp.dur = SETTLE_MS, amp_nA, dur_ms
    t, v = h.Vector().record(h._ref_t), h.Vector().record(soma._ref_v)
    h.finitialize(-70)
    settled.restore(1)
    h.frecord_init()
    h.continuerun(SETTLE_MS + dur_ms + after_ms)
    return np.array(t) - SETTLE_MS, np.array(v)

def spikes(t, v, threshold_mV=-20.0):
    return t[1:][(v[1:] >= threshold_mV) & (v[:-1] < threshold_mV)]

def crossing(t, v, level, k):  # between samples k - 1 and k
    return t[k - 1] + (level - v[k - 1]) / (v[k] - v[k - 1]) * (t[k] - t[k - 1])

settle(0.025)
rest = soma.v
settled = h.SaveState()
settled.save()
f = out["figures"] = {"rest_mV": rest}

t, v = run(at_soma, -1.0, 100.0)
f["input_resistance_MOhm"] = (v.min() - rest) / -1.0
level = rest + (1 - math.exp(-1)) * (v.min() - rest)
f["tau_ms"] = crossing(t, v, level, int(np.argmax(v <= level)))
t, v = run(at_soma, -5.0, 100.0)
f["minus_5nA_steady_mV"], f["minus_5nA_minimum_mV"] = v[-1], v.min()

t, v = run(at_hillock, 21.0, 1.0, 60.0)
peak = int(v.argmax())
f["pulse_spikes"], f["pulse_peak_mV"], f["pulse_height_mV"] = len(spikes(t, v)), v[peak], v[peak] - rest
half = (v[peak] + rest) / 2
above = np.flatnonzero(v > half)
f["pulse_half_width_ms"] = crossing(t, v, half, above[-1] + 1) - crossing(t, v, half, above[0])
trough = peak + int(v[peak:].argmin())
f["ahp_depth_mV"], f["ahp_time_to_trough_ms"] = rest - v[trough], t[trough] - t[peak]
half = (v[trough] + rest) / 2
f["ahp_half_decay_ms"] = crossing(t, v, half, trough + int(np.argmax(v[trough:] >= half))) - t[trough]
f["pulse_20nA_spikes"] = len(spikes(*run(at_hillock, 20.0, 1.0, 10.0)))

low, high = 7.5, 8.5
while high - low > 0.004:
    middle = (low + high) / 2
    low, high = (low, middle) if len(spikes(*run(at_soma, middle, 50.0, 10.0))) else (middle, high)
f["rheobase_nA"] = high
out["last_200ms"] = {}
for amp in (8, 10, 15, 20, 30):
    t, v = run(at_soma, float(amp), 500.0)
    f[f"rate_{amp}nA_Hz"] = 1000 / np.diff(spikes(t, v))[-1]
    late = v[t > 300]
    out["last_200ms"][str(amp)] = [late.min(), late.max()]

out["solvers"] = []
for dt in (0.005, 0.0):
    settle(dt)
    base = soma.v
    at_soma.delay, at_soma.amp, at_soma.dur = SETTLE_MS, 10.0, 300.0
    t, v = h.Vector().record(h._ref_t), h.Vector().record(soma._ref_v)
    h.finitialize(-70)
    h.continuerun(SETTLE_MS + 300.0)
    out["solvers"].append({"rest_mV": base, "spikes_ms": spikes(np.array(t), np.array(v)).tolist()})
json.dump(out, sys.stdout, default=float)
"""


@pytest.fixture(scope="session")
def measured(tmp_path_factory):
    """Every figure SCRIPT measures: the MOD files built in a temporary folder, NEURON run there, once."""
    folder = tmp_path_factory.mktemp("motoneuron")
    tools = Path(sys.executable).parent
    env = {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "NEURON_MODULE_OPTIONS": "-nogui",
    }
    for command in (
        [str(tools / "nrnivmodl"), str(MOTONEURON / "mod")],
        [
            sys.executable,
            "-c",
            SCRIPT,
            str(MOTONEURON / "motoneuron.hoc"),
            json.dumps(SINGULARITIES),
            str(NEIGHBOUR_MV),
        ],
    ):
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads(done.stdout)  # also fails if the model prints anything


@pytest.mark.parametrize("gate", GATES_AT_MINUS_70)
def test_gate_at_minus_70_mV(measured, gate):
    assert measured["gates"][gate] == pytest.approx(GATES_AT_MINUS_70[gate], rel=GATE_RELATIVE_TOLERANCE)


@pytest.mark.parametrize("figure", REFERENCE)
def test_reference_figure(measured, figure):
    expected, tolerance = REFERENCE[figure]
    assert measured["figures"][figure] == pytest.approx(expected, abs=tolerance, rel=0)


def test_depolarisation_block(measured):
    """At 15 nA spikes overshoot 0 mV to the end; at 20 nA they no longer do; at 30 nA they stop."""
    late = measured["last_200ms"]  # nA -> [lowest, highest] mV
    assert late["15"][1] > 0
    assert -10 < late["20"][1] < 0
    assert late["30"][0] > -50 and late["30"][1] < -30


@pytest.mark.parametrize("place", range(len(SINGULARITIES)), ids=lambda i: "{0}.{1} {3}".format(*SINGULARITIES[i]))
def test_removable_singularity(measured, place):
    """The gate and its time constant at the singular voltage lie midway between their neighbours'."""
    below, here, above = measured["singular"][place]
    for low, value, high in zip(below, here, above, strict=True):
        assert low != high
        assert value == pytest.approx((low + high) / 2, rel=SINGULARITY_RELATIVE_TOLERANCE)


def test_calcium_reversal(measured):
    """Nernst with 2 mM outside and 1e-4 mM inside at 36 degC in the soma; the dendrite's is fixed."""
    assert measured["eca_mV"]["soma"] == pytest.approx(131.92, abs=0.01)
    assert measured["eca_mV"]["dend2"] == 60.0


def test_cvode_agrees_with_a_small_fixed_step(measured):
    fixed, adaptive = measured["solvers"]
    assert adaptive["rest_mV"] == pytest.approx(fixed["rest_mV"], abs=CVODE_REST_TOLERANCE_MV)
    assert len(fixed["spikes_ms"]) >= 5
    assert adaptive["spikes_ms"] == pytest.approx(fixed["spikes_ms"], abs=CVODE_SPIKE_TIME_TOLERANCE_MS, rel=0)


def test_the_template_only_builds_the_cell(measured):
    assert measured["sections_after_load"] == 0
    assert measured["clamps"] == 0
    assert measured["lists"] == {
        "all": ["soma", "hillock", "dend1", "dend2", "dend3"],
        "somatic": ["soma", "hillock"],
        "dendrites": ["dend1", "dend2", "dend3"],
    }


@pytest.mark.parametrize("path", sorted((MOTONEURON / "mod").glob("*.mod")), ids=lambda path: path.stem)
def test_mechanism_runs_anywhere(path):
    """What CVODE, threads or CoreNEURON cannot use, and a GLOBAL a modeller could not free, is absent."""
    code = re.sub(r":.*", "", re.sub(r"(?s)COMMENT.*?ENDCOMMENT", "", path.read_text()))
    assert "THREADSAFE" in code
    assert not re.search(r"\b(VERBATIM|POINTER|TABLE|GLOBAL|dt|celsius)\b", code)
