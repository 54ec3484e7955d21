"""Loading a problem: everything a user can get wrong ends in one line: what was given and what was expected."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gbar.sim import GbarError, Problem, load_problem
from gbar.sim.features import traces as features
from gbar.sim.problem import Parameter
from gbar.sim.problem.loading import read_measurements

TOML = """
measurements = "cell.csv"

[model]
load = "cell.hoc"
template = "Cell"
mechanisms = ["mod"]
celsius = 36.0
v_init = -70.0

[[parameter]]
name = "gnabar"
set = ["soma.gnabar_hh"]
bounds = [0.02, 0.5]
scale = "log"

[[parameter]]
name = "Ra"
set = ["all.Ra"]
bounds = [50, 200]

[protocol.hyperpolarise]
kind = "step"
amplitude = -1.0
delay = 100.0
duration = 200.0
total = 400.0

[protocol.weak]
kind = "step"
amplitude = 1.0
delay = 100.0
duration = 200.0
total = 400.0

[protocol.strong]
kind = "step"
amplitude = 2.0
delay = 100.0
duration = 200.0
total = 400.0

[protocol.recruit]
kind = "rheobase"
delay = 100.0
duration = 50.0
total = 200.0

[protocol.gain]
kind = "fi"
steps = ["weak", "strong"]

[efel]
Threshold = -30.0

[simulation]
atol = 1e-4
"""
CSV = """protocol,feature,mean,sd,unit
hyperpolarise,ohmic_input_resistance,1.7,0.5,MOhm
recruit,rheobase,8.0,4.7,nA
gain,f_I_gain,5.0,1.0,Hz/nA
"""
JARGON = ("Value error", "Input should", "validation error", "pydantic", "tuple", "dict", "str_", "float_", "type=")

Folder = Callable[..., Path]


@pytest.fixture
def folder(write: Callable[..., Path]) -> Folder:
    """A valid problem folder, with some of its text replaced."""

    def made(*replaced: tuple[str, str], csv: str | bytes = CSV, **more: str) -> Path:
        toml = TOML
        for old, new in replaced:
            assert toml.count(old) >= 1, f"{old!r} is not in the valid problem"
            toml = toml.replace(old, new, 1)
        files = {"problem.toml": toml, "cell.hoc": "", "cell.py": "", "cell.swc": "", "mod/a.mod": "", "cell.csv": csv}
        return write("cell", **{**files, **more})

    return made


def refusal(call: Callable[[], object]) -> str:
    """The message of the GbarError that `call` must raise, checked for what every message must be."""
    with pytest.raises(GbarError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and "\r" not in message
    assert not [word for word in JARGON if word in message], message
    return message


def test_the_valid_problem_is_valid(folder: Folder) -> None:
    problem = load_problem(folder())
    assert problem.name == "cell"
    assert problem.names == ("gnabar", "Ra")
    assert [m.key for m in problem.measurements] == [
        "hyperpolarise.ohmic_input_resistance",
        "recruit.rheobase",
        "gain.f_I_gain",
    ]
    assert load_problem(folder() / "problem.toml") == problem


STEP = "[protocol.hyperpolarise]\n"
CELSIUS = "celsius = 36.0\n"
ALPHA = "weight = 1e-3\ntau1 = 1\ntau2 = 2\n"
FIRST = '[[parameter]]\nname = "gnabar"\n'
SECOND = '[[parameter]]\nname = "Ra"\nset = ["all.Ra"]\nbounds = [50, 200]\n'

PRIOR = "prior = {{mean = {}, sd = {}}}\n"

# what is changed in the valid problem; what the message must hold
BAD_TOML = {
    "broken TOML": ([("[model]", "[model")], ["not valid TOML", "line 4"]),
    "unknown key at the top": ([("[simulation]", "[simulaton]")], ["unknown key 'simulaton'", "'simulation'"]),
    "our own field at the top": ([("measurements =", "folder = 'x'\nmeasurements =")], ["unknown key 'folder'"]),
    "our other field": ([("measurements =", "measurements_file =")], ["'measurements_file'", "'measurements'"]),
    "unknown key in model": ([("template =", "templat =")], ["unknown key 'model.templat'", "'template'"]),
    "unknown key in parameter": (
        [(FIRST, FIRST + "bound = 3\n")],
        ["unknown key 'parameter.gnabar.bound'", "'bounds'"],
    ),
    "start outside the bounds": ([(FIRST, FIRST + "start = 3.0\n")], ["start = 3", "[0.02, 0.5]", "widen"]),
    "prior outside the bounds": ([(FIRST, FIRST + PRIOR.format(3.0, 1.0))], ["prior.mean = 3", "[0.02, 0.5]"]),
    "prior without a width": ([(FIRST, FIRST + PRIOR.format(0.1, 0.0))], ["parameter.gnabar.prior.sd", "more than 0"]),
    "unknown key in prior": (
        [(FIRST, FIRST + PRIOR.replace("sd", "sdev").format(0.1, 0.1))],
        ["unknown key 'parameter.gnabar.prior.sdev'", "'sd'"],
    ),
    "unknown key in protocol": (
        [(STEP, STEP + "amplitud = 3\n")],
        ["unknown key 'protocol.hyperpolarise.amplitud'", "'amplitude'"],
    ),
    "unknown key in fi": ([("steps = [", "step = 1\nsteps = [")], ["'protocol.gain.step'", "'steps'"]),
    "unknown key in rheobase": (
        [('kind = "rheobase"', 'kind = "rheobase"\nprecison = 1')],
        ["'protocol.recruit.precison'", "'precision'"],
    ),
    "unknown key in simulation": ([("atol =", "attol =")], ["unknown key 'simulation.attol'", "'atol'"]),
    "misspelt table": ([("[model]", "[modl]")], ["unknown key 'modl'", "nearest: 'model'"]),
    "misspelt required key": ([("celsius =", "celcius =")], ["unknown key 'model.celcius'", "nearest: 'celsius'"]),
    "missing celsius": ([("celsius = 36.0\n", "")], ["'model.celsius' is missing"]),
    "missing amplitude": (
        [("amplitude = -1.0\n", "")],
        ["protocol.hyperpolarise: no amplitude", "amplitude = NA", "relative_to"],
    ),
    "missing kind": (
        [(STEP + 'kind = "step"\n', STEP)],
        ["'protocol.hyperpolarise.kind' is missing", "pulse", "rheobase", "step"],
    ),
    "text for a number": ([("celsius = 36.0", 'celsius = "warm"')], ["model.celsius", "a number", "'warm'"]),
    "number for text": ([('template = "Cell"', "template = 3")], ["model.template", "text in quotes", "got 3"]),
    "text for a list": ([('["soma.gnabar_hh"]', '"soma.gnabar_hh"')], ["parameter.gnabar.set", "a list", "soma.gna"]),
    "number for a table": (
        [("[efel]\nThreshold = -30.0", ""), ("\n[model]", "efel = 3\n[model]")],
        ["efel", "a table", "got 3"],
    ),
    "list for a setting": ([("Threshold = -30.0", "Threshold = [1]")], ["efel.Threshold", "got [1]"]),
    "one bracket too few": (
        [("[[parameter]]", "[parameter]"), (SECOND, "")],
        ["parameter", "[[parameter]]"],
    ),
    "no parameter": ([("[[parameter]]", "[[a]]"), ("[[parameter]]", "[[a]]")], ["unknown key 'a'", "parameter"]),
    "a list for measurements": ([('= "cell.csv"', '= ["cell.csv"]')], ["measurements", "a file name", "['cell.csv']"]),
    "bounds reversed": ([("[0.02, 0.5]", "[0.5, 0.02]")], ["parameter.gnabar", "[0.5, 0.02]", "[low, high]"]),
    "bounds equal": ([("[50, 200]", "[50, 50]")], ["parameter.Ra", "[50, 50]", "[low, high]"]),
    "bounds NaN": ([("[50, 200]", "[nan, 200]")], ["parameter.Ra.bounds", "finite number", "nan"]),
    "bounds infinite": ([("[50, 200]", "[50, inf]")], ["parameter.Ra.bounds", "finite number", "inf"]),
    "bounds with one end": ([("[50, 200]", "[50]")], ["parameter.Ra.bounds", "[low, high]", "[50]"]),
    "bounds with three": ([("[50, 200]", "[50, 100, 200]")], ["parameter.Ra.bounds", "at most 2"]),
    "log from zero": ([("[0.02, 0.5]", "[0, 0.5]")], ["parameter.gnabar", '"log"', "low > 0", '"linear"']),
    "unknown scale": ([('scale = "log"', 'scale = "lg"')], ["parameter.gnabar.scale", "'linear' or 'log'", "'lg'"]),
    "empty name": ([('name = "Ra"', 'name = ""')], ["parameter.number 2.name", "some text", "''"]),
    "duplicate parameter": ([('name = "Ra"', 'name = "gnabar"')], ["two parameters", "'gnabar'"]),
    "set without a dot": ([('"all.Ra"', '"Ra"')], ["parameter.Ra", "'Ra'", "SECTIONS.VARIABLE", "soma.g_pas"]),
    "set nothing": ([('["all.Ra"]', "[]")], ["parameter.Ra", "set nowhere", "a formula"]),
    "unknown kind": (
        [(STEP + 'kind = "step"', STEP + 'kind = "stp"')],
        ["protocol.hyperpolarise.kind", "'stp'", "'step'"],
    ),
    "protocol with a dot": ([(STEP, '[protocol."a.b"]\n')], ["'a.b'", "without a dot", "'a_b'"]),
    "step too long": ([("total = 400.0", "total = 250.0")], ["protocol.hyperpolarise", "300 ms", "250 ms", "total"]),
    "negative duration": (
        [("duration = 200.0", "duration = -2.0")],
        ["protocol.hyperpolarise.duration", "more than 0", "-2.0"],
    ),
    "negative delay": ([("delay = 100.0", "delay = -1.0")], ["protocol.hyperpolarise.delay", "at least 0", "-1.0"]),
    "place of the current": ([(STEP, STEP + 'at = "soma"\n')], ["'soma'", "SECTION(X)", "soma(0.5)"]),
    "place of the recording": ([(STEP, STEP + 'record = "soma(0.5)"\n')], ["'soma(0.5)'", "SECTION(X).v"]),
    "rheobase reversed": (
        [('kind = "rheobase"', 'kind = "rheobase"\nbounds = [9, 1]')],
        ["protocol.recruit", "[9.0, 1.0]", "[low, high] in nA"],
    ),
    "fi of one step": ([('["weak", "strong"]', '["weak"]')], ["protocol.gain.steps", "at least 2"]),
    "fi of no such step": (
        [('["weak", "strong"]', '["weak", "strnog"]')],
        ["protocol.gain.steps", "'strnog'", "'strong'"],
    ),
    "fi of no step protocol": ([('["weak", "strong"]', '["weak", "recruit"]')], ["'recruit' is no step protocol"]),
    "fi of a negative step": (
        [('["weak", "strong"]', '["weak", "hyperpolarise"]')],
        ["protocol.gain.steps", "'hyperpolarise'", "-1 nA"],
    ),
    "fi of one current": ([('["weak", "strong"]', '["weak", "weak"]')], ["protocol.gain.steps", "two different"]),
    "protocol with a colon": ([(STEP, '[protocol."a:b"]\n')], ["'a:b'", "without a colon", "'a_b'"]),
    "place at a distance from nowhere": ([(STEP, STEP + 'at = "@300"\n')], ["'@300'", "SECTIONS@DISTANCE"]),
    "place at a negative distance": ([(STEP, STEP + 'at = "apical@-3"\n')], ["'apical@-3'", "SECTIONS@DISTANCE"]),
    "recording of nothing": ([(STEP, STEP + 'record = "apical@300"\n')], ["'apical@300'", "SECTIONS@DISTANCE.v"]),
    "current of an electrode that is none": ([(STEP, STEP + 'record = "clamp.i"\n')], ["'clamp.i'", "SECTION(X).v"]),
    "recording with no place": (
        [(STEP, STEP + 'recordings = { a = "v" }\n')],
        ["protocol.hyperpolarise.recordings", "'v'", "SECTION(X).v"],
    ),
    "recording with a dot in its name": (
        [(STEP, STEP + 'recordings = { "a.b" = "soma(0.5).v" }\n')],
        ["'a.b'", "letters and digits", "dend1"],
    ),
    "recording with the main one's name": (
        [(STEP, STEP + 'recordings = { record = "soma(0.5).v" }\n')],
        ["'record'", "no name for a recording"],
    ),
    "settings of a recording that is none": (
        [(STEP, STEP + 'recordings = { far = "soma(1).v" }\nrecordings_efel = { fra = { Threshold = 0.0 } }\n')],
        ["recordings_efel", "'fra'", "'far'"],
    ),
    "unknown setting of a recording": (
        [(STEP, STEP + 'recordings = { far = "soma(1).v" }\nrecordings_efel = { far = { Treshold = 0.0 } }\n')],
        ["recordings_efel.far", "'Treshold'", "'Threshold'"],
    ),
    "two amplitudes": (
        [(STEP, STEP + 'relative_to = "recruit"\npercent = 150\n')],
        ["protocol.hyperpolarise", "two amplitudes", "keep one"],
    ),
    "a percentage of nothing": ([("amplitude = -1.0", "percent = 150")], ["'relative_to' is missing", "percent"]),
    "a rheobase without a percentage": (
        [("amplitude = -1.0", 'relative_to = "recruit"')],
        ["'percent' is missing", "go together"],
    ),
    "relative to no rheobase": (
        [("amplitude = -1.0", 'relative_to = "weak"\npercent = 150')],
        ["protocol.hyperpolarise.relative_to", "'weak'", "no rheobase protocol"],
    ),
    "relative to a misspelt rheobase": (
        [("amplitude = -1.0", 'relative_to = "recriut"\npercent = 150')],
        ["'recriut'", "nearest: 'recruit'"],
    ),
    "fi of a negative percentage": (
        [("amplitude = 1.0", 'relative_to = "recruit"\npercent = -50')],
        ["protocol.gain.steps", "'weak'", "-50 % of a rheobase"],
    ),
    "fi of a step without a voltage": (
        [("amplitude = 1.0", 'amplitude = 1.0\nrecord = "soma(0.5).cai"')],
        ["protocol.gain.steps", "'weak'", "records no voltage"],
    ),
    "rheobase of no voltage": (
        [('kind = "rheobase"', 'kind = "rheobase"\nrecord = "soma(0.5).cai"')],
        ["protocol.recruit", "soma(0.5).cai", "no voltage"],
    ),
    "train without a rate": (
        [('kind = "step"\namplitude = -1.0', 'kind = "train"\namplitude = 1.0\nwidth = 1')],
        ["'protocol.hyperpolarise.frequency' is missing"],
    ),
    "train of pulses that touch": (
        [('kind = "step"\namplitude = -1.0', 'kind = "train"\namplitude = 1.0\nwidth = 10\nfrequency = 100')],
        ["protocol.hyperpolarise", "10 ms at 100 Hz", "below 10 ms"],
    ),
    "ramp with a key of another kind": (
        [('kind = "step"\namplitude = -1.0', 'kind = "ramp"\namplitude = 1.0\nfrist = 0')],
        ["'protocol.hyperpolarise.frist'", "'first'"],
    ),
    "noise without an SD": (
        [('kind = "step"\namplitude = -1.0', 'kind = "noise"\namplitude = 0.0')],
        ["'protocol.hyperpolarise.sd' is missing"],
    ),
    "noise with a negative correlation time": (
        [('kind = "step"\namplitude = -1.0', 'kind = "noise"\namplitude = 0.0\nsd = 1\ntau = -1')],
        ["protocol.hyperpolarise.tau", "at least 0", "got -1"],
    ),
    "noise with half a seed": (
        [('kind = "step"\namplitude = -1.0', 'kind = "noise"\namplitude = 0.0\nsd = 1\nseed = 0.5')],
        ["protocol.hyperpolarise.seed", "0.5"],
    ),
    "clamp without a voltage": (
        [('kind = "step"\namplitude = -1.0', 'kind = "clamp"\nholding = -70')],
        ["'protocol.hyperpolarise.voltage' is missing"],
    ),
    "clamp with an amplitude": (
        [('kind = "step"', 'kind = "clamp"\nholding = -70\nvoltage = 0')],
        ["unknown key 'protocol.hyperpolarise.amplitude'"],
    ),
    "clamp without resistance": (
        [('kind = "step"\namplitude = -1.0', 'kind = "clamp"\nholding = -70\nvoltage = 0\nresistance = 0')],
        ["protocol.hyperpolarise.resistance", "more than 0"],
    ),
    "synapse that rises slower than it falls": (
        [('kind = "step"\namplitude = -1.0', 'kind = "synapse"\nweight = 1e-3\ntau1 = 5\ntau2 = 2')],
        ["protocol.hyperpolarise", "tau1 = 5 ms", "tau2 = 2 ms"],
    ),
    "synapse after the end": (
        [('kind = "step"\namplitude = -1.0', f'kind = "synapse"\n{ALPHA}onsets = [0, 300]')],
        ["protocol.hyperpolarise", "onsets [0.0, 300.0]", "before total"],
    ),
    "synapse that never opens": (
        [('kind = "step"\namplitude = -1.0', f'kind = "synapse"\n{ALPHA}onsets = []')],
        ["protocol.hyperpolarise.onsets", "at least 1"],
    ),
    "waveform without a file": (
        [('kind = "step"\namplitude = -1.0', 'kind = "waveform"')],
        ["'protocol.hyperpolarise.file' is missing"],
    ),
    "waveform of a missing file": (
        [('kind = "step"\namplitude = -1.0', 'kind = "waveform"\nfile = "i.csv"')],
        ["protocol.hyperpolarise.file", "no file 'i.csv'"],
    ),
    "waveform outside the problem": (
        [('kind = "step"\namplitude = -1.0', 'kind = "waveform"\nfile = "../i.csv"')],
        ["protocol.hyperpolarise.file", "'../i.csv'", "problem's folder"],
    ),
    "waveform written out": (
        [('kind = "step"\namplitude = -1.0', 'kind = "waveform"\nfile = "i.csv"\ntimes = [0, 1]')],
        ["protocol.hyperpolarise", "read from the file", "file = NAME alone"],
    ),
    "unknown setting": ([("Threshold =", "Treshold =")], ["no setting 'Treshold'", "'Threshold'"]),
    "unknown setting of a protocol": (
        [(STEP, STEP + "efel.interp_stp = 0.1\n")],
        ["protocol.hyperpolarise.efel", "'interp_stp'", "'interp_step'"],
    ),
    "eFEL's inner workings": ([("Threshold = -30.0", "dependencyfile_path = 'x'")], ["'dependencyfile_path'"]),
    "text for a setting": ([("-30.0", '"low"')], ["efel.Threshold", "-20.0", "'low'"]),
    "flag for a setting": ([("-30.0", "true")], ["efel.Threshold", "-20.0", "True"]),
    "setting without effect": ([("Threshold = -30.0", "interp_step = 0")], ["efel.interp_step", "more than 0"]),
    "unknown integrator": (
        [("atol = 1e-4", 'engine = "euler"')],
        ["simulation.engine", "'cvode' or 'fixed'", "'euler'"],
    ),
    "accuracy of zero": ([("atol = 1e-4", "atol = 0")], ["simulation.atol", "more than 0"]),
    "missing load file": ([('"cell.hoc"', '"cel.hoc"')], ["model.load", "'cel.hoc'", "'cell.hoc'"]),
    "Python without a function": (
        [('"cell.hoc"', '"cell.py"'), ('template = "Cell"\n', "")],
        ["model.load", "'cell.py'", "cell.py:FUNCTION"],
    ),
    "neither hoc nor Python": ([('"cell.hoc"', '"cell.csv"')], ["model.load", "'cell.csv'", ".hoc nor .py"]),
    "a function of a hoc file": ([('"cell.hoc"', '"cell.hoc:build"')], ["'cell.hoc:build'", "only a Python file"]),
    "a template of a Python file": ([('"cell.hoc"', '"cell.py:build"')], ["model.template", "'cell.py:build'"]),
    "arguments of a flat hoc": ([('template = "Cell"', "arguments = [1]")], ["model.arguments", "a hoc template"]),
    "a required file that is not there": (
        [(CELSIUS, CELSIUS + 'requires = ["biophysics.hoc"]\n')],
        ["model.requires", "no file 'biophysics.hoc'"],
    ),
    "a required file of a morphology": (
        [('"cell.hoc"', '"cell.swc"'), ('template = "Cell"', 'requires = ["import3d.hoc"]')],
        ["model.requires", "for a hoc file"],
    ),
    "set-up of a template": ([(CELSIUS, CELSIUS + 'setup = ["make()"]\n')], ["model.setup", "without a template"]),
    "the axon of a hoc": ([(CELSIUS, CELSIUS + 'axon = "stub"\n')], ["model.axon", "for a morphology"]),
    "an unknown axon": ([(CELSIUS, CELSIUS + 'axon = "none at all"\n')], ["model.axon", "'stub'", "'none at all'"]),
    "two rules for segments": (
        [('"cell.hoc"', '"cell.swc"'), ('template = "Cell"', "d_lambda = 0.1\nsegment_length = 40")],
        ["d_lambda and segment_length", "keep one"],
    ),
    "segments of no length": ([(CELSIUS, CELSIUS + "segment_length = 0\n")], ["model.segment_length", "more than 0"]),
    "stimuli neither off nor kept": ([(CELSIUS, CELSIUS + 'stimuli = "on"\n')], ["model.stimuli", "'off' or 'keep'"]),
    "a word for mechanisms to insert": (
        [(CELSIUS, CELSIUS + 'insert = { all = "pas" }\n')],
        ["model.insert", "a list"],
    ),
    "a value without a place": ([(CELSIUS, CELSIUS + "values = { g_pas = 1 }\n")], ["'g_pas'", "SECTIONS.VARIABLE"]),
    "a value of a parameter": (
        [(CELSIUS, CELSIUS + 'values = { "soma.cm" = "Ra * 2" }\n')],
        ["model.values", "'Ra * 2'", "distance and own, not 'Ra'"],
    ),
    "a formula that is none": (
        [(FIRST, FIRST + 'formula = "value *"\n')],
        ["parameter.gnabar.formula", "is no formula"],
    ),
    "a formula that is code": (
        [(FIRST, FIRST + "formula = \"__import__('os').getcwd()\"\n")],
        ["parameter.gnabar.formula", "is no arithmetic"],
    ),
    "a formula that looks inside": (
        [(FIRST, FIRST + 'formula = "value.real"\n')],
        ["'value.real'", "is no arithmetic"],
    ),
    "a formula too long": ([(FIRST, FIRST + f'formula = "{"1+" * 300}1"\n')], ["601 characters", "500 or fewer"]),
    "an unknown function": ([(FIRST, FIRST + 'formula = "exq(value)"\n')], ["no function 'exq'", "nearest: 'exp'"]),
    "an unknown name in a formula": ([(FIRST, FIRST + 'formula = "value * slop"\n')], ["parameter.gnabar", "'slop'"]),
    "a formula without a place": (
        [('["all.Ra"]', "[]"), ("bounds = [50, 200]", 'bounds = [50, 200]\nformula = "value * 2"')],
        ["parameter.Ra", "formula without a place"],
    ),
    "an unknown mode": ([(FIRST, FIRST + 'mode = "add"\n')], ["parameter.gnabar.mode", "'set' or 'scale'", "'add'"]),
    "a tie without a place": (
        [(FIRST, FIRST + 'tied = { Ra = "2" }\n')],
        ["parameter.gnabar.tied", "'Ra' is no place"],
    ),
    "a tie to a number": ([(FIRST, FIRST + 'tied = { "soma.cm" = 2 }\n')], ["parameter.gnabar.tied", "text in quotes"]),
    "a tie that is no formula": ([(FIRST, FIRST + 'tied = { "soma.cm" = "2 3" }\n')], ["'2 3' is no formula"]),
    "a name that formulas know": (
        [('name = "Ra"', 'name = "distance"'), (FIRST, FIRST + 'formula = "value * 2"\n')],
        ["parameter.distance", "something else", "rename"],
    ),
    "a number to apply": ([(FIRST, FIRST + "apply = 3\n")], ["parameter.gnabar.apply", "a list", "got 3"]),
    "missing mechanisms folder": ([('["mod"]', '["mods"]')], ["model.mechanisms", "'mods'", "'mod'"]),
    "mechanisms folder without any": ([('["mod"]', '["."]')], ["model.mechanisms", "no MOD files", "'.'"]),
}


@pytest.mark.parametrize("case", BAD_TOML)
def test_bad_problem(folder: Folder, case: str) -> None:
    replaced, wanted = BAD_TOML[case]
    path = folder(*replaced)
    message = refusal(lambda: load_problem(path))
    assert "problem.toml" in message
    for part in wanted:
        assert part in message, f"{part!r} is not in: {message}"


GOOD_CURRENT = "t_ms,i_nA\n0,0\n100,0\n100,0.5\n300,0.5\n"
PLAYED = ('kind = "step"\namplitude = -1.0', 'kind = "waveform"\nfile = "current.csv"')
BAD_CURRENTS: dict[str, tuple[str | bytes, list[str]]] = {  # what the file of a waveform holds; what the message must
    "empty": ("", ["columns ''", "t_ms,i_nA"]),
    "no header": ("0,0\n1,1\n", ["columns '0,0'", "header with units"]),
    "no units": ("t,i\n0,0\n1,1\n", ["columns 't,i'", "header with units"]),
    "seconds": ("t_s,i_nA\n0,0\n1,1\n", ["'t' in 's'", "t_ms,i_nA", "convert"]),
    "picoamperes": ("t_ms,i_pA\n0,0\n1,1\n", ["'i' in 'pA'", "convert"]),
    "the other way round": ("i_nA,t_ms\n0,0\n1,1\n", ["'i' in 'nA'", "t_ms,i_nA"]),
    "a word": ("t_ms,i_nA\n0,0\n100,high\n", ["two columns of numbers", "high"]),
    "three columns": ("t_ms,i_nA,v_mV\n0,0,0\n", ["columns 't_ms,i_nA,v_mV'"]),
    "a ragged row": ("t_ms,i_nA\n0,0\n100\n", ["two columns of numbers"]),
    "one row": ("t_ms,i_nA\n0,0\n", ["two rows or more"]),
    "not finite": ("t_ms,i_nA\n0,0\n100,nan\n", ["row 2", "not finite"]),
    "time that goes back": ("t_ms,i_nA\n0,0\n200,1\n100,1\n", ["go back"]),
    "time that begins late": ("t_ms,i_nA\n5,0\n200,1\n", ["begin at 5 ms", "expected 0"]),
    "picoamperes called nA": ("t_ms,i_nA\n0,0\n200,2500\n", ["2500 nA", "divide by 1000"]),
    "seconds called ms": ("t_ms,i_nA\n0,0\n0.3,1\n", ["ends at 0.3 ms", "before delay = 100 ms"]),
    "binary": (b"\x89PNG\xff\xfe", ["not a current over time"]),
}


@pytest.mark.parametrize("case", BAD_CURRENTS)
def test_bad_current(folder: Folder, case: str) -> None:
    content, wanted = BAD_CURRENTS[case]
    path = folder(PLAYED, csv="protocol,feature,mean,sd,unit\nhyperpolarise,AP_height,3,1,mV\n")
    (path / "current.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    message = refusal(lambda: load_problem(path))
    for part in ["current.csv", *wanted]:
        assert part in message, f"{part!r} is not in: {message}"


@pytest.mark.parametrize("header", ["t_ms,i_nA", "t (ms), i (nA)", "time [ms],current [nA]"])
def test_a_current_from_a_file(folder: Folder, header: str) -> None:
    """What is in the file counts: its mean in the step is the size, and another current is another problem."""
    path = folder(PLAYED, csv="protocol,feature,mean,sd,unit\nhyperpolarise,AP_height,3,1,mV\n")
    (path / "current.csv").write_text(GOOD_CURRENT.replace("t_ms,i_nA", header))
    problem = load_problem(path)
    assert problem.protocol["hyperpolarise"].current == pytest.approx(0.5)  # type: ignore[union-attr]
    (path / "current.csv").write_text(GOOD_CURRENT.replace("0.5", "0.6"))
    assert load_problem(path).identity() != problem.identity()


@pytest.mark.parametrize("table", [np.zeros(5), np.zeros((3, 3)), np.array([["a", "b"], ["c", "d"]])])
def test_an_array_that_is_no_current(folder: Folder, table: np.ndarray) -> None:
    path = folder((PLAYED[0], PLAYED[1].replace("csv", "npy")))
    np.save(path / "current.npy", table)
    assert "current.npy: not a current over time" in refusal(lambda: load_problem(path))


def test_no_such_folder(tmp_path: Path) -> None:
    assert "nowhere" in refusal(lambda: load_problem(tmp_path / "nowhere"))


def test_folder_without_a_toml(tmp_path: Path) -> None:
    assert "problem.toml" in refusal(lambda: load_problem(tmp_path))


def test_binary_toml(write: Callable[..., Path]) -> None:
    assert "not valid TOML" in refusal(lambda: load_problem(write("cell", **{"problem.toml": b"\xff\xfe\x00m"})))


def test_toml_with_a_byte_order_mark(folder: Folder) -> None:
    path = folder()
    toml = path / "problem.toml"
    toml.write_bytes(b"\xef\xbb\xbf" + toml.read_bytes())
    assert load_problem(path).names == ("gnabar", "Ra")


def test_several_mistakes_are_counted(folder: Folder) -> None:
    path = folder(("celsius = 36.0\n", ""), ("v_init = -70.0\n", ""))
    assert "'model.celsius' is missing (and 1 more)" in refusal(lambda: load_problem(path))


RIN = "hyperpolarise,ohmic_input_resistance,1.7,0.5,MOhm"

# what stands in place of the first row; what the message must hold
BAD_CSV = {
    "unknown protocol": ("hyperpolarize,ohmic_input_resistance,1.7,0.5,MOhm", ["'hyperpolarize'", "'hyperpolarise'"]),
    "unknown feature": (
        "hyperpolarise,ohmic_input_resistence,1.7,0.5,MOhm",
        ["'ohmic_input_resistence'", "'ohmic_input_resistance'"],
    ),
    "rheobase under a step": (
        "hyperpolarise,rheobase,1.7,0.5,nA",
        ["'rheobase'", "under a step protocol", "under: rheobase"],
    ),
    "spikes under fi": (
        "gain,Spikecount,3,1,",
        ["'Spikecount'", "under a fi protocol", "under: step, pulse, train"],
    ),
    "capacitance under rheobase": ("recruit,membrane_capacitance,3,1,nF", ["membrane_capacitance", "under a rheobase"]),
    "raw trace": ("hyperpolarise,voltage,3,1,mV", ["'voltage'", "under a step protocol"]),
    "wrong unit": (RIN.replace("MOhm", "kOhm"), ["'kOhm'", "'MΩ'", "hyperpolarise.ohmic_input_resistance"]),
    "milliohm": (RIN.replace("MOhm", "mOhm"), ["'mOhm'", "'MΩ'"]),
    "volts": ("hyperpolarise,voltage_base,-0.07,0.01,V", ["'V'", "'mV'"]),
    "no unit": (RIN.replace("MOhm", ""), ["''", "'MΩ'"]),
    "SD zero": (RIN.replace("0.5", "0"), ["sd", "more than 0", "'0'"]),
    "SD negative": (RIN.replace("0.5", "-0.5"), ["sd", "more than 0", "'-0.5'"]),
    "SD NaN": (RIN.replace("0.5", "nan"), ["sd", "finite number", "'nan'"]),
    "SD infinite": (RIN.replace("0.5", "inf"), ["sd", "finite number", "'inf'"]),
    "SD missing": (RIN.replace("0.5", ""), ["sd", "a number", "''"]),
    "mean NaN": (RIN.replace("1.7", "NaN"), ["mean", "finite number", "'NaN'"]),
    "mean not a number": (RIN.replace("1.7", "1,7"), ["expected 5 fields"]),
    "mean a word": (RIN.replace("1.7", "low"), ["mean", "a number", "'low'"]),
    "too few fields": ("hyperpolarise,ohmic_input_resistance,1.7,0.5", ["expected 5 fields", "protocol,feature"]),
    "too many fields": (RIN + ",x", ["expected 5 fields"]),
    "unknown recording": (RIN.replace("hyperpolarise", "hyperpolarise:far"), ["no recording 'far'", "alone"]),
    "main recording by its name": (RIN.replace("hyperpolarise", "hyperpolarise:record"), ["no recording 'record'"]),
    "recording of an unknown protocol": (RIN.replace("hyperpolarise", "hyperpolarize:far"), ["'hyperpolarize'"]),
    "twice": (f"{RIN}\n{RIN}", ["measurement 2", "hyperpolarise.ohmic_input_resistance", "twice"]),
    "a line break in a field": (RIN.replace("hyperpolarise", '"hyper\npolarise"'), ["no protocol", "'hyperpolarise'"]),
}


@pytest.mark.parametrize("case", BAD_CSV)
def test_bad_measurement(folder: Folder, case: str) -> None:
    row, wanted = BAD_CSV[case]
    path = folder(csv=CSV.replace(RIN, row))
    message = refusal(lambda: load_problem(path))
    assert "cell.csv, measurement" in message
    for part in wanted:
        assert part in message, f"{part!r} is not in: {message}"


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ("hyperpolarise:fra,AP_height,3,1,mV", ["no recording 'fra'", "nearest: 'far'"]),
        ("hyperpolarise:ca,AP_height,3,1,mV", ["no feature 'AP_height'", "of cai"]),
        ("hyperpolarise:ca,signal_peek,3,1,mM", ["no feature 'signal_peek'", "'signal_peak'"]),
        ("hyperpolarise:ca,signal_peak,3,1,uM", ["hyperpolarise:ca.signal_peak", "'uM'", "'mM'"]),
        ("hyperpolarise:ina,signal_mean,3,1,nA", ["'nA'", "'mA/cm2'"]),
    ],
)
def test_bad_measurement_of_a_recording(folder: Folder, row: str, wanted: list[str]) -> None:
    more = 'recordings = { far = "soma(1).v", ca = "soma(0.5).cai", ina = "soma(0.5).ina" }\n'
    path = folder((STEP, STEP + more), csv=f"protocol,feature,mean,sd,unit\n{row}\n")
    message = refusal(lambda: load_problem(path))
    for part in wanted:
        assert part in message, f"{part!r} is not in: {message}"
    good = "hyperpolarise:far,AP_height,3,1,mV\nhyperpolarise:ca,signal_peak,3,1,mM\nhyperpolarise,AP_height,3,1,mV\n"
    assert (
        len(load_problem(folder((STEP, STEP + more), csv=f"protocol,feature,mean,sd,unit\n{good}")).measurements) == 3
    )


@pytest.mark.parametrize(
    ("csv", "wanted"),
    [
        ("", ["no column 'protocol'"]),
        ("# only a comment\n", ["no column 'protocol'"]),
        ("protocol,feature,mean,sd,unit\n", ["no measurements in it"]),
        (CSV.replace(",sd,", ","), ["no column 'sd'", "protocol,feature,mean,sd,unit"]),
        (CSV.replace(",sd,", ",sigma,"), ["unknown column 'sigma'"]),
        (CSV.replace("mean", "maen"), ["unknown column 'maen'", "'mean'"]),
        (CSV.replace("unit\n", "unit,mean\n"), ["two columns", "'mean'"]),
        (b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe", ["not a CSV text file"]),
    ],
    ids=["empty", "comment", "header", "column-missing", "sigma", "maen", "twice", "binary"],
)
def test_bad_table(folder: Folder, csv: str | bytes, wanted: list[str]) -> None:
    path = folder(csv=csv)
    message = refusal(lambda: load_problem(path))
    for part in ["cell.csv", *wanted]:
        assert part in message, f"{part!r} is not in: {message}"


def test_no_such_table(folder: Folder) -> None:
    path = folder()
    assert "nowhere.csv" in refusal(lambda: load_problem(path, path / "nowhere.csv"))


def test_no_table_named(folder: Folder) -> None:
    path = folder(('measurements = "cell.csv"', ""))
    assert "--measurements" in refusal(lambda: load_problem(path))
    assert load_problem(path, measured=False).measurements == ()
    assert len(load_problem(path, path / "cell.csv").measurements) == 3


def test_a_table_named_but_not_there_yet(folder: Folder) -> None:
    path = folder(('"cell.csv"', '"later.csv"'))
    assert load_problem(path, measured=False).measurements == ()
    assert "later.csv" in refusal(lambda: load_problem(path))


@pytest.mark.parametrize(
    "csv",
    [
        "# a rat\n" + CSV.replace("\nrecruit", "\n# and its\n\nrecruit"),
        b"\xef\xbb\xbf" + CSV.encode(),
        CSV.replace("\n", "\r\n"),
        CSV.replace(",", ", "),
        "unit,sd,mean,feature,protocol\nMOhm,0.5,1.7,ohmic_input_resistance,hyperpolarise\n"
        "nA,4.7,8.0,rheobase,recruit\nHz/nA,1.0,5.0,f_I_gain,gain\n",
        *(CSV.replace("MOhm", unit) for unit in ("MΩ", "MΩ", "Mohm", "megaohm", "MOHM")),  # Greek omega, ohm sign
    ],
    ids=[
        "comments",
        "bom",
        "windows",
        "spaces",
        "columns-in-another-order",
        "omega",
        "ohm-sign",
        "Mohm",
        "megaohm",
        "MOHM",
    ],
)
def test_spellings_of_the_same_table(folder: Folder, csv: str | bytes) -> None:
    plain = load_problem(folder()).measurements
    other = load_problem(folder(csv=csv)).measurements
    assert [(m.key, m.mean, m.sd) for m in other] == [(m.key, m.mean, m.sd) for m in plain]


def test_a_table_without_a_unit_for_a_pure_number(folder: Folder) -> None:
    for unit in ("", "constant", "1", "-", "dimensionless"):
        (count,) = load_problem(folder(csv=f"protocol,feature,mean,sd,unit\nweak,Spikecount,3,1,{unit}\n")).measurements
        assert count.key == "weak.Spikecount"


def test_every_feature_has_a_unit() -> None:
    for kind in ("step", "pulse", "rheobase", "fi"):
        for name in features.known_features(kind):
            assert features.unit_of(name), name
        assert set(features.catalogue(kind)) <= set(features.known_features(kind))
    assert set(features.catalogue("step", -1.0)) <= set(features.known_features("step"))


@pytest.mark.parametrize("row", ["time_constant,5,1,ms", "membrane_capacitance,3,1,nF"])
def test_a_step_too_short_for_a_time_constant(folder: Folder, row: str) -> None:
    csv = f"protocol,feature,mean,sd,unit\nhyperpolarise,{row}\n"
    assert load_problem(folder(csv=csv)).measurements[0].protocol == "hyperpolarise"
    path = folder(("duration = 200.0", "duration = 140.0"), csv=csv)
    message = refusal(lambda: load_problem(path))
    assert "a step of 140 ms" in message and "141 ms or more" in message


def test_settings_of_a_protocol_come_before_those_of_the_problem(folder: Folder) -> None:
    problem = load_problem(folder((STEP, STEP + "efel.Threshold = 0.0\n")))
    assert problem.efel_settings("hyperpolarise")["Threshold"] == 0.0
    assert problem.efel_settings("weak")["Threshold"] == -30.0
    assert problem.efel_settings("weak")["interp_step"] == features.SETTINGS["interp_step"]


def test_nothing_writes_to_a_problem(folder: Folder) -> None:
    problem = load_problem(folder())
    changes = [
        lambda: setattr(problem, "name", "x"),
        lambda: setattr(problem.parameter[0], "bounds", (0.0, 1.0)),
        lambda: setattr(problem.protocol["weak"], "amplitude", 3.0),
        lambda: setattr(problem.measurements[0], "mean", 3.0),
        lambda: setattr(problem.simulation, "atol", 1.0),
    ]
    for change in changes:
        with pytest.raises(ValidationError, match="frozen"):
            change()


UNIT = st.floats(0.0, 1.0)
LOW = st.floats(1e-6, 1e3)
RATIO = st.floats(1.01, 1e5)


def two_parameters(low: float, high: float) -> Problem:
    step = {"kind": "step", "amplitude": 1.0, "delay": 1.0, "duration": 1.0, "total": 3.0}
    parameters = [
        {"name": scale, "set": ["soma.cm"], "bounds": [low, high], "scale": scale} for scale in ("linear", "log")
    ]
    model = {"load": "cell.hoc", "celsius": 36.0, "v_init": -70.0}
    content = {
        "name": "x",
        "folder": Path("."),
        "file": Path("problem.toml"),
        "model": model,
        "parameter": parameters,
        "protocol": {"a": step},
    }
    return Problem.model_validate(content)


@given(LOW, RATIO, st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=5))
def test_unit_cube_and_back(low: float, ratio: float, points: list[tuple[float, float]]) -> None:
    """[0, 1] maps onto the bounds, inside them up to rounding, and back to where it came from."""
    problem = two_parameters(low, low * ratio)
    unit = np.array(points)
    physical = problem.physical(unit)
    assert physical.shape == unit.shape
    assert (physical >= low * (1 - 1e-12)).all() and (physical <= low * ratio * (1 + 1e-12)).all()
    np.testing.assert_allclose(problem.unit(physical), unit, rtol=0, atol=1e-8)


@given(LOW, RATIO)
def test_ends_and_middle_of_the_cube(low: float, ratio: float) -> None:
    """The middle of a linear range is the mean of its ends, of a logarithmic one their geometric mean."""
    high = low * ratio
    ends = two_parameters(low, high).physical(np.array([[0, 0], [0.5, 0.5], [1, 1]]))
    expected = [[low, low], [(low + high) / 2, np.sqrt(low * high)], [high, high]]
    np.testing.assert_allclose(ends, expected, rtol=1e-9)


def test_a_start_and_a_prior_in_the_unit_cube(folder: Folder) -> None:
    """On a log scale the prior is the log-normal distribution with the mean and SD that were given."""
    problem = load_problem(folder((FIRST, f"{FIRST}start = 0.1\n{PRIOR.format(0.2, 0.1)}")))
    assert problem.started(np.array([0.3, 70.0])).tolist() == [0.1, 70.0]
    (median, other), (sd, _) = problem.believed()
    drawn = problem.physical(np.random.default_rng(0).normal([median, 0.5], [sd, 0.0], (200_000, 2)))[:, 0]
    assert np.isclose(drawn.mean(), 0.2, rtol=0.01) and np.isclose(drawn.std(), 0.1, rtol=0.02) and np.isnan(other)


def test_identity_follows_what_decides_a_simulation(folder: Folder) -> None:
    """Model files, places and protocols count; bounds, measurements and what a run left in the folder do not."""
    here = folder()
    identity = load_problem(here).identity()
    assert load_problem(folder(("[50, 200]", "[50, 300]"), csv=CSV.replace("1.7", "1.8"))).identity() == identity
    guesses = (FIRST, f"{FIRST}start = 0.1\n{PRIOR.format(0.2, 0.1)}")
    assert load_problem(folder(guesses)).identity() == identity
    left = {"runs/a/x.hoc": "a", "out/archive.sqlite": "a", "out/solutions/01/cell.hoc": "a", "result.json": "{}"}
    built = {"mod/x86_64/a.json": "a", ".git/a.hoc": "a", "solutions/01/cell.hoc": "a"}
    assert load_problem(folder(**left, **built)).identity() == identity
    changes: list[tuple[list[tuple[str, str]], dict[str, str]]] = [
        ([], {"cell.hoc": "// changed"}),
        ([], {"mod/a.mod": ": changed"}),
        ([], {"lib/more.hoc": "// new"}),
        ([("all.Ra", "soma.Ra")], {}),
        ([("celsius = 36.0", "celsius = 35.0")], {}),
        ([("amplitude = 2.0", "amplitude = 2.5")], {}),
        ([("Threshold = -30.0", "Threshold = -31.0")], {}),
    ]
    for number, (replaced, more) in enumerate(changes):
        fresh = folder(*replaced, **more)
        assert load_problem(fresh).identity() != identity, number
        (fresh / "lib/more.hoc").unlink(missing_ok=True)


def test_identity_below_a_folder_called_measurements(write: Callable[..., Path]) -> None:
    """What the folders above a model are called is no reason to leave its files out."""
    identities = set()
    for content in ("", "// changed"):
        files = {"problem.toml": TOML, "cell.hoc": content, "mod/a.mod": "", "cell.csv": CSV}
        identities.add(load_problem(write("measurements/cell", **files)).identity())
    assert len(identities) == 2


def test_read_measurements_checks_against_the_problem(folder: Folder, tmp_path: Path) -> None:
    table = tmp_path / "other.csv"
    table.write_text("protocol,feature,mean,sd,unit\nelsewhere,Spikecount,1,1,\n")
    problem = load_problem(folder())
    assert "no protocol 'elsewhere'" in refusal(lambda: read_measurements(table, problem))


UNITS_OF_VALUES: dict[str, tuple[dict[str, Any], str]] = {  # what the parameter says; its unit where NEURON has S/cm2
    "a value": ({}, "S/cm2"),
    "a factor": ({"mode": "scale"}, "× model"),
    "a factor in a formula": ({"formula": "own * value"}, "× model"),
    "by its own name": ({"formula": "2 * own * g"}, "× model"),
    "a value that falls with distance": ({"formula": "value * exp(-distance / 100)"}, "S/cm2"),
    "added to what is there": ({"formula": "own + value"}, ""),
    "a share of another": ({"formula": "value * other"}, ""),
    "an exponent": ({"formula": "10 ** value", "unit": "decades"}, "decades"),
    "a factor through a formula": ({"mode": "scale", "formula": "1 + value * distance", "unit": "1/um"}, "1/um"),
}


@pytest.mark.parametrize("case", UNITS_OF_VALUES)
def test_the_unit_of_a_value_is_not_always_its_places(case: str) -> None:
    given, expected = UNITS_OF_VALUES[case]
    assert Parameter(name="g", set=("soma.g_pas",), bounds=(0.1, 1), **given).unit_of_value("S/cm2") == expected


def test_what_lies_outside_the_bounds_is_named() -> None:
    """Rows of an archive may have been made with other bounds, and with a scale that has no place for them."""
    problem = two_parameters(0.01, 0.24)
    assert problem.outside(np.array([0.05, 0.05])) == []
    assert problem.outside(np.array([0.24, 0.01])) == []
    assert problem.outside(np.array([0.25, -0.5])) == ["linear", "log"]
    assert problem.outside(np.array([0.01, 0.0])) == ["log"]
    for end in problem.physical(np.array([[0.0, 0.0], [1.0, 1.0]])):
        assert problem.outside(end) == [], "the last digit of a logarithm is no reason"


def test_what_lies_outside_has_a_nearest_point() -> None:
    problem = two_parameters(0.01, 0.24)
    outside = np.array([[-1.0, 5.0], [0.24, 0.0], [0.125, 0.24]])
    assert problem.nearest(outside) == pytest.approx(np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 1.0]]))
