"""Loaders of public problems, each on a source that is made up in the format of the real one."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from gbar.scripts.bench import bench
from gbar.scripts.bench.problems import PROBLEMS, hide, write_problem
from gbar.scripts.bench.problems.allen import CELL, LARGEST, MODEL, MORPHOLOGY, SWEEPS
from gbar.scripts.bench.problems.corticospinal import AMPLITUDES, MECHANISMS, PLACES, VOLTAGES
from gbar.scripts.bench.problems.neuroptimus import CASES, DETAILED, RULES, SIMPLIFIED
from gbar.scripts.bench.problems.published import VALUES
from gbar.sim import GbarError, Problem, load_problem, measure
from tests.problems import HH

MOD = "NEURON {\n    SUFFIX x\n}\n"
SWC = "1 1 0 0 0 10 -1\n2 1 10 0 0 10 1\n3 3 20 0 0 1 2\n4 3 90 0 0 1 3\n5 2 0 20 0 1 1\n6 2 0 90 0 1 5\n"
REST_MV = -80.0


def put(folder: Path, files: dict[str, Any]) -> Path:
    """Write files: text as it is, anything else as JSON."""
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def charged(nA: float, time: np.ndarray, delay: float, duration: float) -> np.ndarray:
    """The voltage of a passive cell of 70 MOhm and 12 ms under a step, mV."""
    since, after = np.maximum(time - delay, 0.0), np.maximum(time - delay - duration, 0.0)
    return np.asarray(REST_MV + 70.0 * nA * (np.exp(-after / 12.0) - np.exp(-since / 12.0)))


def corticospinal(folder: Path) -> Path:
    """Six sections, fourteen sweeps; one published value lies outside of its range."""
    numbers = "".join(f"{name} = 0.5\n" for name in PLACES)
    model = f"from neuron import h\nh.v_init = -75.0\nh.celsius = 34.0\n{numbers}class SPI6:\n    pass\n"
    ranges = "".join(f"SPI6.{name} = {0.6 if name == 'kap_tq' else 0.4} 1.0 0.5 False\n" for name in PLACES)
    put(folder, {"SPI6.py": model, "SPI6.cfg": f"[fixed]\n[params]\n# words\n{ranges}[run]\ntstop = 3000.0\n"})
    put(folder, {f"{name}.mod": MOD for name in MECHANISMS} | {"vecst.mod": "does not compile"})
    amplitudes, time = np.round(np.linspace(-0.15, 0.11, 14), 3), 0.1 * np.arange(20000)
    (folder / "data").mkdir()
    np.save(folder / AMPLITUDES, amplitudes)
    np.save(folder / VOLTAGES, np.array([charged(nA, time, 500.0, 1000.0) for nA in amplitudes]).T)
    return folder


def check_corticospinal(problem: Problem) -> None:
    assert list(problem.names) == list(PLACES)
    sodium, shift, tq = (problem.parameter[list(PLACES).index(n)] for n in ("gbar_nax", "kBK_caVhminShift", "kap_tq"))
    assert (sodium.bounds, sodium.scale, sodium.tied) == ((0.28, 1.12), "log", {"axon.gbar_nax": "5 * gbar_nax"})
    assert shift.formula == "-46.08 + value"
    assert tq.bounds == (0.4, 1.1)  # from the published 0.5 to 1.0, and a fifth more
    resistance = next(m for m in problem.measurements if m.feature == "ohmic_input_resistance")
    assert (resistance.protocol, resistance.mean) == ("minus_150pA", pytest.approx(70.0, rel=1e-3))
    assert not (problem.folder / "mechanisms" / "vecst.mod").exists()


def simplified(folder: Path) -> Path:
    """One step, in V at 5 kHz."""
    settings = {
        "adjusted_params": ["soma 0 CaN gmax_CaN", "soma 0 K_DR gmax_K_DR"],
        "boundaries": [[1e-4, 1e-3], [1e-2, 1.0]],
        "input_freq": 5000.0,
        "run_controll_tstop": 1000.0,
        "run_controll_vrest": -65.0,
        "spike_thres": -10.0,
        "stim_amp": [0.2],
        "stim_del": 200.0,
        "stim_dur": 600.0,
    }
    trace = charged(0.2, 0.2 * np.arange(5000), 200.0, 600.0)
    files: dict[str, Any] = {"ca1pc_model.hoc": "create soma\n", "mod_files/CaN.mod": MOD}
    files[f"{SIMPLIFIED}_settings.json"] = {"attributes": settings}
    put(folder / CASES / SIMPLIFIED, files | {"Vinj48_2c_1.dat": "\n".join(map(str, trace / 1000.0))})
    return folder


def check_simplified(problem: Problem) -> None:
    assert problem.parameter[1].set == ("soma.gmax_K_DR",) and problem.parameter[1].bounds == (1e-3, 1.0)
    assert [m.mean for m in problem.measurements[:2]] == [pytest.approx(REST_MV), 0.0]
    assert problem.efel["Threshold"] == -10.0


def detailed(folder: Path) -> Path:
    """Two steps, of which one is silent, so that its first interval is a 0 ± 0.001 that no cell has."""
    target = {"Std": 1.5, "Mean": 9.0}
    features = {
        "Spikecount": {"weight": "1", "stimAmp_0.2": target, "stimAmp_0.05": {"Std": 0.001, "Mean": 0.0}},
        "inv_first_ISI": {"weight": "1", "stimAmp_0.2": target, "stimAmp_0.05": {"Std": 0.001, "Mean": 0.0}},
        "voltage_deflection": {"weight": "1", "stimAmp_-0.25": {"Std": 2.0, "Mean": -13.0}},
    }
    settings = {
        "adjusted_params": [f"{name} {number}" for number, name in enumerate(RULES)],
        "boundaries": [[1.0] * len(RULES), [20.0] * len(RULES)],
        "run_controll_tstop": 600.0,
        "run_controll_vrest": -65.0,
        "spike_thres": 0.0,
    }
    stimuli = {"delay": 200, "duration": 300, "amplitudes": [-0.25, 0.05, 0.2]}
    put(
        folder / CASES / DETAILED,
        {
            "opt_data_JMakara_OUR_features_selected_stim.json": {"stimuli": stimuli, "features": features},
            f"{DETAILED}_settings.json": {"attributes": settings},
            "biophys_na_inhomo_minimal_model+KM+KA+KD.hoc": "soma insert pas\n",
            "morphology2.hoc": "create soma\n",
            "mod_files/kd_params3.mod": "RANGE gkd, g, ainfi, binfi, theta_a, tau_a, tau_b, ik\nFUNCTION ainfi(v) {}\n",
        },
    )
    return folder


def check_detailed(problem: Problem) -> None:
    rows = {(m.protocol, m.feature): m.mean for m in problem.measurements}
    assert rows == {
        ("step_200pA", "Spikecount"): 9.0,
        ("step_50pA", "Spikecount"): 0.0,
        ("step_200pA", "inv_first_ISI"): 9.0,
        ("minus_250pA", "voltage_deflection"): -13.0,
    }
    shift = problem.parameter[0]
    assert (shift.set, shift.formula) == (("all_dendrites.Y_v0_Na_BG_dend",), "-30 - value")
    assert shift.tied["all_axon.Y_v0_Na_BG_axon"] == "-33 - Na_BG_act_inact_shift"
    mod = (problem.folder / "mod_files" / "kd_params3.mod").read_text()
    assert mod == "RANGE gkd, g, theta_a, tau_a, ik\nFUNCTION ainfi(v) {}\n"


def thalamocortical(folder: Path) -> Path:
    """Its own format of parameters; the fit that the example shows is line 63."""
    definition = {
        "mechanisms": {"all": {"mech": ["pas"]}, "somadend": {"mech": ["hh"]}, "alldend": {"mech": ["h"]}},
        "distributions": {},
        "parameters": {
            "__comment": "words",
            "global": [{"name": "v_init", "val": -79}, {"name": "celsius", "val": 34}],
            "all": [{"name": "cm", "val": 1}, {"name": "g_pas", "val": [1e-6, 1e-4]}],
            "somadend": [{"name": "gnabar_hh", "val": [0, 0.2]}],
        },
    }
    step = {"delay": 800.0, "amp": 0.09, "thresh_perc": 150.0, "duration": 1350.0, "totduration": 2400.0}
    held = {"delay": 0.0, "amp": 0.13, "duration": 2400.0, "totduration": 2400.0}
    protocols = {
        "IV_-140": {"type": "StepProtocol", "stimuli": {"step": {**step, "amp": -0.08}, "holding": held}},
        "RMP": {"type": "StepProtocol", "stimuli": {"step": {**step, "amp": 0}}},
    }
    features = {
        "IV_-140": {"soma.v": [{"feature": "sag_amplitude", "val": [3.2, 2.5], "strict_stim": True}]},
        "RMP": {"soma.v": [{"feature": "Spikecount", "val": [0.0, 0.001], "strict_stim": True}]},
    }
    paths = {"params": "config/params/TC.json", "protocol": "config/p.json", "features": "config/f.json"}
    recipe = {"morph_path": "morphologies/", "morphology": "cell.asc", **paths}
    put(
        folder / "examples" / "thalamocortical-cell",
        {
            "config/recipes.json": {"cAD_ltb": recipe},
            "config/params/TC.json": definition,
            "config/p.json": protocols,
            "config/f.json": features,
            "morphologies/cell.asc": "; a cell\n",
            "mechanisms/h.mod": MOD.replace("SUFFIX x", "SUFFIX h"),
            "results/cAD_ltb_params.csv": "".join(f"{line}e-6,0.1\n" for line in range(70)),
        },
    )
    return folder


def check_thalamocortical(problem: Problem) -> None:
    assert problem.names == ("g_pas.all", "gnabar_hh.somadend")
    assert problem.parameter[1].set == ("somatic.gnabar_hh", "basal.gnabar_hh")
    assert problem.model.insert == {"all": ("pas",), "somatic": ("hh",), "basal": ("hh", "h")}
    assert problem.protocol["IV_minus_140"].holding == 0.13 and problem.protocol["RMP"].holding == 0.0  # type: ignore[union-attr]
    assert json.loads((problem.folder / "published.json").read_text()) == {
        "g_pas.all": 62e-6,
        "gnabar_hh.somadend": 0.1,
    }


def pyramidal(folder: Path) -> Path:
    """A BluePyOpt folder, and the released parameters in a script."""
    stimulus = {"delay": 700, "amp": 0.4, "duration": 2000, "totduration": 3000}
    leak = {
        "param_name": "g_pas",
        "type": "range",
        "sectionlist": "all",
        "dist_type": "uniform",
        "bounds": [1e-5, 1e-3],
    }
    warmth = [
        {"param_name": name, "type": "global", "value": value} for name, value in (("celsius", 34), ("v_init", -65))
    ]
    put(
        folder / "examples" / "l5pc",
        {
            "config/parameters.json": [*warmth, leak],
            "config/mechanisms.json": {"all": ["pas"]},
            "config/protocols.json": {"Step1": {"stimuli": [stimulus]}},
            "config/features.json": {"Step1": {"soma": {"AP_height": [25.0, 5.0]}}},
            "morphology/cell.swc": SWC,
            "mechanisms/Ih.mod": MOD,
            "l5pc_analysis.py": "import x\nrelease_params = {\n    'g_pas.all': 3e-5,\n}\n",
        },
    )
    return folder


def check_pyramidal(problem: Problem) -> None:
    assert (problem.names, problem.model.segment_length, problem.simulation.engine) == (("g_pas.all",), 40.0, "auto")
    assert [(m.protocol, m.feature, m.mean, m.sd) for m in problem.measurements] == [("Step1", "AP_height", 25.0, 5.0)]
    assert (problem.folder / "mechanisms" / "Ih.mod").read_text() == MOD
    assert json.loads((problem.folder / "published.json").read_text()) == {"g_pas.all": 3e-5}


def check_cheap(problem: Problem) -> None:
    assert (
        problem.model.segment_length == 1e6 and problem.simulation.atol == 1e-2 and problem.simulation.time_limit == 300
    )


def perisomatic(folder: Path) -> Path:
    """A fit, and the analysis of five sweeps, one of which fires."""
    genes = [("soma", "gbar_Im", 0.007, "Im"), ("soma", "gbar_Ih", 4e-9, "Ih"), ("dend", "g_pas", 1e-4, "")]
    fit = {
        "passive": [{"ra": 294.0, "cm": [{"section": "soma", "cm": 2.2}], "e_pas": -81.0}],
        "fitting": [{"junction_potential": -14.0}],
        "conditions": [{"celsius": 34.0, "erev": [{"ena": 53.0, "section": "soma", "ek": -107.0}], "v_init": -81.0}],
        "genome": [dict(zip(("section", "name", "value", "mechanism"), gene, strict=True)) for gene in genes],
    }
    sweeps = {}
    for number, sweep in enumerate(SWEEPS):
        spikes = 3 if number == 3 else 0
        found = {"average_100_200": -67.0, "average_1000_1200": -75.0, "minimum": -78.0, "max_peak_no": spikes}
        found |= {"first_spike_time": 300.0, "average_maximum": 40.0, "average_minimum": -60.0} if spikes else {}
        sweeps[sweep] = {
            "sweep_metadata": {"aibs_stimulus_amplitude_pa": -110.0 + 40.0 * number},
            "pyelectro_iclamp_analysis": {f"{sweep}:{key}": value for key, value in found.items()},
        }
    models = f"CellTypesDatabase/models/{MODEL}"
    return put(
        folder,
        {
            f"{models}/{CELL}_fit.json": fit,
            f"{models}/{MORPHOLOGY}": SWC,
            **{
                f"{models}/modfiles/{name}.mod": MOD.replace("SUFFIX x", f"SUFFIX {name}")
                for name in ("Im", "Ih", "SK")
            },
            f"CellTypesDatabase/data/{CELL}_analysis.json": {"sweeps": sweeps},
        },
    )


def check_perisomatic(problem: Problem) -> None:
    assert [(one.name, one.bounds) for one in problem.parameter] == [
        ("gbar_Im.soma", (1e-5, LARGEST["gbar_Im"])),
        ("gbar_Ih.soma", (2e-9, LARGEST["gbar_Ih"])),
        ("g_pas.dend", (1e-7, 1e-3)),
    ]
    assert problem.model.values["axonal.diam"] == 1.0 and problem.model.insert["somatic"] == ("Ih", "Im")
    fired = {m.feature: (m.mean, m.sd) for m in problem.measurements if m.protocol == "step_10pA"}
    assert fired["voltage_base"] == (-81.0, 2.0)  # with the junction potential
    assert fired["time_to_first_spike"] == (30.0, 5.0) and fired["AHP_depth_abs"] == (-74.0, 2.0)
    silent = [m.feature for m in problem.measurements if m.protocol == "minus_110pA"]
    assert silent == ["voltage_base", "steady_state_voltage_stimend", "minimum_voltage"]


MADE_UP: dict[str, tuple[Callable[[Path], Path], Callable[[Problem], None]]] = {
    "corticospinal": (corticospinal, check_corticospinal),
    "corticospinal-few": (corticospinal, check_corticospinal),
    "ca1-simplified": (simplified, check_simplified),
    "ca1-detailed": (detailed, check_detailed),
    "l5pc": (pyramidal, check_pyramidal),
    "l5pc-cheap": (pyramidal, check_cheap),
    "thalamocortical": (thalamocortical, check_thalamocortical),
    "thalamocortical-cheap": (thalamocortical, check_cheap),
    "allen-sst": (perisomatic, check_perisomatic),
}


def test_every_loader_has_a_source_here_and_says_which_repository_and_commit_it_reads() -> None:
    assert set(MADE_UP) == set(PROBLEMS)
    for one in PROBLEMS.values():
        assert re.fullmatch(r"github\.com/[\w-]+/[\w-]+, commit [0-9a-f]{40}", one.source)


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_source_becomes_a_problem(name: str, tmp_path: Path) -> None:
    make, check = MADE_UP[name]
    write_problem(name, PROBLEMS[name], make(tmp_path / "source"), tmp_path / "out")
    problem = load_problem(tmp_path / "out")
    assert problem.name == name and PROBLEMS[name].source in (tmp_path / "out" / "problem.toml").read_text()
    check(problem)
    with (tmp_path / "out" / "measurements.csv").open() as lines:
        assert list(csv.DictReader(line for line in lines if not line.startswith("#")))
    with pytest.raises(GbarError, match="exists: name a new folder"):
        write_problem(name, PROBLEMS[name], tmp_path / "source", tmp_path / "out")


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_source_without_a_file_is_refused_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    source = MADE_UP[name][0](tmp_path / "source")
    next(
        file for ending in (".cfg", ".hoc", ".csv", "_analysis.py", ".swc") for file in source.rglob(f"*{ending}")
    ).unlink()
    with pytest.raises(GbarError, match=r"no file '.*': expected a copy"):
        write_problem(name, PROBLEMS[name], source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_source_of_another_version_is_refused_with_the_one_that_is_expected(tmp_path: Path) -> None:
    source = thalamocortical(tmp_path / "source")
    (source / "examples" / "thalamocortical-cell" / "config" / "params" / "TC.json").write_text("{}")
    with pytest.raises(GbarError, match=r"cannot be read \(KeyError\('mechanisms'\)\): expected github\.com/"):
        write_problem("thalamocortical", PROBLEMS["thalamocortical"], source, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_the_command_lists_what_there_is_and_asks_for_what_it_needs(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert all(name in run(bench, ["problems"]).output for name in PROBLEMS)
    assert "expected SOURCE, a copy of github.com/" in run(bench, ["problems", "l5pc"]).output
    assert "nearest: 'l5pc'" in run(bench, ["problems", "l5pcc", "a", "b"]).output
    source, out = pyramidal(tmp_path / "source"), tmp_path / "out"
    done = run(bench, ["problems", "l5pc", str(source), str(out), "--no-simulate"])
    assert done.exit_code == 0 and f"Next: gbar check {out}" in done.output


def test_hidden_cells_lie_near_the_published_one_and_are_in_reach(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(HH, tmp_path / "hh"))
    own = {"gnabar": 0.12, "gkbar": 0.036, "gl": 0.0003}
    (folder / VALUES).write_text(json.dumps(own))
    hide(folder, 2)
    tables = sorted((folder / "hidden").glob("0?.csv"))
    vectors = list(csv.DictReader((folder / "hidden" / "hidden.csv").open()))
    assert [table.stem for table in tables] == [row.pop("cell") for row in vectors] == ["00", "01"]
    for table, row in zip(tables, vectors, strict=True):
        problem, values = load_problem(folder, table), {name: float(number) for name, number in row.items()}
        away = problem.unit(np.array([list(values.values()), list(own.values())]))
        assert 0 < np.abs(away[0] - away[1]).max() < 0.6
        assert [m.sd for m in problem.measurements] == pytest.approx([m.sd for m in load_problem(folder).measurements])
        assert max(abs(row.z) for row in measure(problem, values) if row.z is not None) < 0.1


def test_nothing_is_hidden_near_what_nobody_published(tmp_path: Path) -> None:
    with pytest.raises(GbarError, match="no parameters were published"):
        hide(Path(shutil.copytree(HH, tmp_path / "hh")), 1)
