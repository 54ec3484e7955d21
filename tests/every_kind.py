"""A problem with every kind of protocol on a small cell of hoc, for tests of what has to cope with all of them."""

from pathlib import Path

from tests.problems import BRANCHED_HOC

TOML = """
[model]
load = "cell.hoc"
template = "Cell"
celsius = 6.3
v_init = -65
[[parameter]]
name = "gnabar"
set = ["soma.gnabar_hh"]
bounds = [0.1, 0.13]
[[parameter]]
name = "g_pas"
set = ["basal.g_pas"]
bounds = [5e-5, 2e-4]

[protocol.step]
kind = "step"
amplitude = 0.3
holding = -0.01
delay = 20
duration = 40
total = 80
record = "basal@60.v"
recordings = { soma = "soma(0.5).v", ina = "soma(0.5).ina" }
recordings_efel = { soma = { Threshold = -30.0 } }
[protocol.threshold]
kind = "rheobase"
bounds = [0, 1]
precision = 0.01
delay = 20
duration = 30
total = 60
[protocol.strong]
kind = "step"
relative_to = "threshold"
percent = 200
delay = 20
duration = 60
total = 90
[protocol.stronger]
kind = "step"
relative_to = "threshold"
percent = 300
delay = 20
duration = 60
total = 90
[protocol.gain]
kind = "fi"
steps = ["strong", "stronger"]
[protocol.series]
kind = "train"
amplitude = 2
width = 1
frequency = 50
delay = 20
duration = 50
total = 90
[protocol.up]
kind = "ramp"
amplitude = 0.5
first = 0.1
delay = 20
duration = 60
total = 90
[protocol.up_and_down]
kind = "triangle"
amplitude = 0.5
at = "basal@60"
delay = 20
duration = 60
total = 90
[protocol.rough]
kind = "noise"
amplitude = 0.2
sd = 0.1
tau = 3
seed = 7
delay = 20
duration = 60
total = 90
[protocol.file]
kind = "waveform"
file = "currents/amplifier.csv"
scale = 2
delay = 20
duration = 30
total = 90
[protocol.held]
kind = "clamp"
voltage = -10
holding = -65
delay = 20
duration = 20
total = 50
recordings = { ik = "soma(0.5).ik" }
[protocol.open]
kind = "synapse"
weight = 1e-3
tau1 = 0.5
tau2 = 3
onsets = [0, 10]
at = "basal@160"
delay = 20
duration = 30
total = 60
"""
AMPLIFIER = "t_ms,i_nA\n0,0\n20,0\n20,0.2\n50,0.1\n50,0\n"
MEASURED = [  # something of every kind of protocol, and of every recording
    "step.maximum_voltage",
    "step:soma.AP_height",
    "step:ina.signal_minimum",
    "threshold.rheobase",
    "strong.AP_begin_voltage",
    "gain.f_I_gain",
    "series.Spikecount",
    "up.time_to_first_spike",
    "up_and_down.AP_height",
    "rough.AP_height",
    "file.AP_height",
    "file.ohmic_input_resistance",
    "held.signal_peak",
    "held.signal_tail",
    "held:ik.signal_steady_state",
    "open.signal_peak_change",
]


def write(folder: Path) -> None:
    """Put the problem into a folder."""
    (folder / "currents").mkdir(parents=True, exist_ok=True)
    (folder / "problem.toml").write_text(TOML)
    (folder / "cell.hoc").write_text(BRANCHED_HOC)
    (folder / "currents" / "amplifier.csv").write_text(AMPLIFIER)
