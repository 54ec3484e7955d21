"""A BluePyOpt folder as a problem: what each file becomes, and what is refused."""

import copy
import json
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gbar.sim import GbarError, Problem, load_problem, simulate
from gbar.sim.problem.formats import bluepyopt, toml
from gbar.sim.problem.kinds import Step
from gbar.sim.setup.initial import begin
from tests.problems import GBAR

SWC = """# a soma, two basal dendrites, an apical one and an axon
1 1 0 0 0 10 -1
2 1 -10 0 0 10 1
3 1 10 0 0 10 1
4 3 0 -10 0 1.5 1
5 3 0 -160 0 1 4
6 3 -10 0 0 1.5 1
7 3 -160 0 0 1 6
8 4 0 10 0 2 1
9 4 0 210 0 1.5 8
10 4 0 410 0 1 9
11 2 10 0 0 0.8 1
12 2 110 0 0 0.8 11
"""


def entry(name: str, sections: str, **more: Any) -> dict[str, Any]:
    mechanism = {"mech": name.rpartition("_")[2], "mech_param": name.rpartition("_")[0]} if name.endswith("_hh") else {}
    kind = "range" if mechanism else "section"
    return {"param_name": name, "sectionlist": sections, "type": kind, "dist_type": "uniform", **mechanism, **more}


PARAMETERS = [
    entry("g_pas", "all", value=1e-4),
    entry("e_pas", "all", value=-70),
    entry("cm", "all", value=1),
    entry("Ra", "all", value=100),
    {"param_name": "v_init", "type": "global", "value": -70},
    {"param_name": "celsius", "type": "global", "value": 20},
    entry("cm", "basal", value=2),
    entry("gnabar_hh", "somatic", bounds=[0.05, 0.4]),
    entry("gkbar_hh", "somatic", bounds=[0.02, 0.1]),
    entry("gnabar_hh", "axonal", value=0.12),
    entry("gkbar_hh", "apical", bounds=[0.001, 0.05], dist_type="exp", dist="math.exp(-{distance}/100)*{value}"),
    entry("gnabar_hh", "apical", value=0.03, dist_type="exp", dist="math.exp(-({distance})/200)*{value}"),
]
MECHANISMS = {"all": ["pas"], "somatic": ["hh"], "axonal": ["hh"], "apical": ["hh"]}
PROTOCOLS: dict[str, Any] = {
    "bAP": {
        "stimuli": [{"delay": 100, "amp": 2.0, "duration": 3, "totduration": 200}],
        "extra_recordings": [
            {"var": "v", "somadistance": 200, "type": "somadistance", "name": "dend1", "seclist_name": "apical"}
        ],
    },
    "Step1": {
        "stimuli": [
            {"delay": 100, "amp": 0.6, "duration": 200, "totduration": 400},
            {"delay": 0, "amp": -0.02, "duration": 400, "totduration": 400},
        ]
    },
}
FEATURES: dict[str, Any] = {
    "bAP": {
        "soma": {"AP_height": [30, 8], "Spikecount": [1, 0.1]},
        "dend1": {"AP_amplitude_from_voltagebase": [50, 15]},
    },
    "Step1": {"soma": {"mean_frequency": [150, 40], "AP_height": [25, 8]}},
}
FILES = {"parameters": PARAMETERS, "mechanisms": MECHANISMS, "protocols": PROTOCOLS, "features": FEATURES}


def put(folder: Path, files: dict[str, Any], inner: str = "") -> Path:
    """A folder with these JSON files and a morphology."""
    (folder / inner).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / inner / f"{name}.json").write_text(text)
    (folder / "morphology").mkdir()
    (folder / "morphology" / "cell.swc").write_text(SWC)
    return folder


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(GbarError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return load_problem(put(tmp_path_factory.mktemp("bluepyopt") / "pyramid", FILES))


def test_every_file_becomes_part_of_the_problem(problem: Problem) -> None:
    model = problem.model
    assert (problem.name, model.load, model.celsius, model.v_init) == ("pyramid", "morphology/cell.swc", 20, -70)
    assert model.insert["apical"] == ("hh",)
    assert (model.axon, model.segment_length) == ("stub", 40)
    assert (model.values["all.cm"], model.values["basal.cm"]) == (1, 2)
    assert list(model.values).index("basal.cm") > list(model.values).index("all.cm")
    free = {parameter.name: parameter for parameter in problem.parameter}
    assert list(free) == ["gnabar_hh.somatic", "gkbar_hh.somatic", "gkbar_hh.apical"]
    assert (free["gnabar_hh.somatic"].bounds, free["gnabar_hh.somatic"].scale) == ((0.05, 0.4), "linear")
    assert free["gkbar_hh.apical"].scale == "log"
    assert isinstance(pulse := problem.protocol["bAP"], Step) and isinstance(step := problem.protocol["Step1"], Step)
    assert (pulse.kind, pulse.recordings) == ("pulse", {"dend1": "apical@200.v"})
    assert (step.kind, step.amplitude, step.holding, step.total) == ("step", 0.6, -0.02, 400)
    assert problem.efel_settings("bAP")["Threshold"] == -20
    assert problem.efel_settings("bAP:dend1")["Threshold"] == -55
    assert {m.key: (m.mean, m.sd) for m in problem.measurements} == {
        "bAP.AP_height": (30, 8),
        "bAP.Spikecount": (1, 0.1),
        "bAP:dend1.AP_amplitude_from_voltagebase": (50, 15),
        "Step1.mean_frequency": (150, 40),
        "Step1.AP_height": (25, 8),
    }


def test_it_is_found_again_by_what_a_result_keeps(problem: Problem) -> None:
    assert load_problem(problem.file, problem.measurements_file) == problem


def test_the_files_may_be_in_a_config_folder(problem: Problem, tmp_path: Path) -> None:
    moved = load_problem(put(tmp_path / "pyramid", FILES, inner="config"))
    assert (moved.parameter, moved.protocol, moved.measurements) == (
        problem.parameter,
        problem.protocol,
        problem.measurements,
    )


IH = "NEURON { SUFFIX Ih RANGE gbar } : SUFFIX Im\nPARAMETER { gbar = 0 }\n"


@pytest.mark.parametrize(
    ("inserted", "mods", "said"),
    [
        (["hh", "Ih"], {}, "mechanisms.json names Ih; no .mod file found: put them into mechanisms/"),
        (["Ih", "Im"], {"Ih.mod": IH}, "mechanisms.json names Im: no .mod file has that SUFFIX (nearest: 'Ih')"),
        (list("abcdef"), {}, "mechanisms.json names a, b, c, d and 2 more; no .mod file found"),
    ],
    ids=["none", "another", "many"],
)
def test_mechanisms_without_a_mod_file(tmp_path: Path, inserted: list[str], mods: dict[str, str], said: str) -> None:
    """Said by everything that reads the folder, before NEURON is started."""
    folder = put(tmp_path / "pyramid", {**FILES, "mechanisms": {**MECHANISMS, "somatic": inserted}})
    (folder / "mechanisms").mkdir()
    for name, text in mods.items():
        (folder / "mechanisms" / name).write_text(text)
    assert said in refusal(lambda: load_problem(folder))
    assert said in refusal(lambda: begin(folder))
    done = subprocess.run([GBAR, "check", folder, "--quick"], capture_output=True, text=True)
    assert (done.returncode, said in " ".join(done.stderr.split())) == (2, True), done.stderr
    (folder / "problem.toml").write_text(toml.written(bluepyopt.content(folder)))
    assert said.partition(";")[0].replace("mechanisms.json", "model.insert") in refusal(lambda: load_problem(folder))


def test_measurements_are_no_part_of_the_model(tmp_path: Path) -> None:
    folder = put(tmp_path / "pyramid", FILES)
    identity = load_problem(folder).identity()
    (folder / "features.json").write_text(json.dumps({"Step1": FEATURES["Step1"]}))
    assert load_problem(folder).identity() == identity


def test_a_problem_toml_says_the_same(problem: Problem, tmp_path: Path) -> None:
    folder = put(tmp_path / "pyramid", FILES)
    content = bluepyopt.content(folder)
    assert tomllib.loads(toml.written(content)) == content
    (folder / "problem.toml").write_text(toml.written(content))
    again = load_problem(folder)
    assert again.file.name == "problem.toml"
    assert again.model_dump(exclude={"file", "folder", "measurements_file"}) == problem.model_dump(
        exclude={"file", "folder", "measurements_file"}
    )


@pytest.mark.neuron
def test_the_rules_reach_the_cell(problem: Problem) -> None:
    """A spike runs up the apical dendrite and is smaller there; a free conductance changes it."""
    strong, weak = (problem.physical(np.array([u, 0.5, 0.5])) for u in (0.9, 0.3))
    done = simulate(problem, [strong, weak], workers=1)
    assert [one.status for one in done] == ["ok", "ok"], [one.reason for one in done]
    assert done[0].features["bAP.Spikecount"] == 1
    soma, dendrite = "bAP.AP_amplitude_from_voltagebase", "bAP:dend1.AP_amplitude_from_voltagebase"
    assert 20 < done[0].features[dendrite] < done[0].features[soma]
    assert done[0].features["bAP.AP_height"] > done[1].features["bAP.AP_height"]
    assert done[0].features["Step1.mean_frequency"] > 20


@pytest.mark.neuron
def test_init_writes_it_as_a_problem_toml(problem: Problem, tmp_path: Path) -> None:
    folder = put(tmp_path / "pyramid", FILES)
    begun = begin(folder)
    assert (begun.parameters, begun.protocols, begun.compartments) == (3, ["bAP", "Step1"], 38)
    assert (begun.toml.name, begun.table.name) == ("problem.toml", "features.json")
    again = load_problem(folder)
    assert again.file.name == "problem.toml"
    assert (again.parameter, again.protocol, again.measurements) == (
        problem.parameter,
        problem.protocol,
        problem.measurements,
    )


@pytest.mark.neuron
@pytest.mark.slow
def test_it_is_tuned_as_it_is(tmp_path: Path) -> None:
    """With wide tolerances, so that the design alone meets them and nothing has to be learned."""
    folder = put(tmp_path / "pyramid", FILES)
    options = [
        "--engine",
        "cvode atol 0.0001",
        "--budget",
        "24",
        "--batch",
        "1",
        "--solutions",
        "1",
        "--tolerance",
        "8",
        "--out",
        "run",
        "--json",
    ]
    ran = subprocess.run([GBAR, "tune", "pyramid", *options], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    (solution,) = json.loads(ran.stdout)["solutions"]
    assert solution["max_abs_z"] <= 8
    assert "bAP:dend1.AP_amplitude_from_voltagebase" in solution["z"]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*(f"{name}.json" for name in FILES), "morphology"])


BAD: dict[str, tuple[Callable[[dict[str, Any]], Any], list[str]]] = {
    "no mechanisms": (lambda f: f.pop("mechanisms"), ["no mechanisms.json"]),
    "no JSON": (lambda f: f.update(parameters="[,"), ["parameters.json: not valid JSON"]),
    "parameters as an object": (lambda f: f.update(parameters={}), ["parameters.json: expected a list"]),
    "mechanisms as a list": (lambda f: f.update(mechanisms=[]), ["mechanisms.json: expected an object"]),
    "a parameter without a name": (lambda f: f["parameters"][7].pop("param_name"), ["parameter 8: no 'param_name'"]),
    "neither value nor bounds": (
        lambda f: f["parameters"][7].pop("bounds"),
        ["parameter 8 (gnabar_hh): expected either a value or bounds"],
    ),
    "value and bounds": (lambda f: f["parameters"][7].update(value=1), ["expected either a value or bounds"]),
    "an unknown type": (lambda f: f["parameters"][7].update(type="rang"), ["type 'rang'", "'range'"]),
    "a free v_init": (
        lambda f: (f["parameters"][4].pop("value"), f["parameters"][4].update(bounds=[-80, -60])),
        ["v_init", "cannot be free"],
    ),
    "no celsius": (lambda f: f["parameters"].pop(5), ["no global parameter 'celsius'"]),
    "no section list": (lambda f: f["parameters"][7].pop("sectionlist"), ["no 'sectionlist'"]),
    "bounds the wrong way round": (lambda f: f["parameters"][7].update(bounds=[2, 1]), ["the wrong way round"]),
    "a distribution without a rule": (lambda f: f["parameters"][10].pop("dist"), ["(gkbar_hh): no 'dist'"]),
    "a rule that is code": (lambda f: f["parameters"][10].update(dist="open('x')"), ["no function 'open'"]),
    "no free parameter": (
        lambda f: f.update(parameters=[p for p in f["parameters"] if "bounds" not in p]),
        ["parameter"],
    ),
    "two steps": (
        lambda f: f["protocols"]["Step1"]["stimuli"].append({**f["protocols"]["Step1"]["stimuli"][0], "delay": 10}),
        ["protocols.json, Step1: 2 steps: expected one"],
    ),
    "no amplitude": (
        lambda f: f["protocols"]["bAP"]["stimuli"][0].update(amp=None),
        ["bAP, stimulus 1: 'amp' is null: expected a number"],
    ),
    "an unknown recording": (
        lambda f: f["protocols"]["bAP"]["extra_recordings"][0].update(type="somadist"),
        ["bAP, recording 1: type 'somadist'"],
    ),
    "a feature of no recording": (
        lambda f: f["features"]["bAP"].update(dend7={"maximum_voltage": [1, 1]}),
        ["no recording 'dend7'", "'dend1'"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_folder_is_refused(case: str, tmp_path: Path) -> None:
    spoil, wanted = BAD[case]
    files = copy.deepcopy(FILES)
    spoil(files)
    message = refusal(lambda: load_problem(put(tmp_path / "pyramid", files)))
    for word in wanted:
        assert word in message


@pytest.mark.parametrize("count", [0, 2])
def test_which_morphology_is_not_guessed(count: int, tmp_path: Path) -> None:
    folder = put(tmp_path / "pyramid", FILES)
    (folder / "morphology" / "cell.swc").unlink()
    for number in range(count):
        (folder / "morphology" / f"{number}.asc").write_text("")
    message = refusal(lambda: load_problem(folder))
    assert (
        f"expected one morphology (.swc or .asc) here or in morphology/, found {'0.asc, 1.asc' if count else 'none'}"
        in message
    )
