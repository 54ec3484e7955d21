"""Test cases of Neuroptimus (Mohacsi et al. 2024, PLoS Comput Biol 20:e1012039) that run in NEURON."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from gbar.scripts.bench.problems.published import Row, Sweeps, Translated, needed, steps

SOURCE = "github.com/KaliLab/neuroptimus, commit a0d7c9dfbf5646d9d1c39228fb9518bd3ab79e06"
CASES = "neuroptimus/new_test_files"
SIMPLIFIED = "testcase_4_ca1_pc_simplification"
DETAILED = "testcase_6_Detailed_CA1_pyramidal_cell_model"
FIRING = (  # what is measured of a trace that is too coarse for widths: case 4 scores latency, count, height, AHP
    *("voltage_base", "Spikecount", "mean_frequency", "time_to_first_spike", "time_to_last_spike", "inv_first_ISI"),
    *("inv_last_ISI", "adaptation_index2", "AP1_peak", "AP_height", "AHP_depth_abs", "AHP_time_from_peak"),
)


def simplified(source: Path) -> Translated:
    """Case 4: a CA1 pyramidal cell of six sections that is to fire as a detailed one does."""
    folder = source / CASES / SIMPLIFIED
    model, settings_file, trace = needed(folder, "ca1pc_model.hoc", f"{SIMPLIFIED}_settings.json", "Vinj48_2c_1.dat")
    settings = _settings(settings_file)
    interval_ms = 1000.0 / settings["input_freq"]
    voltage = 1000.0 * np.loadtxt(trace)[None]  # V to mV
    time = interval_ms * np.arange(voltage.shape[1])
    delay, duration = settings["stim_del"], settings["stim_dur"]
    flows = (time >= delay) & (time < delay + duration)
    times = {"delay": delay, "duration": duration, "total": settings["run_controll_tstop"]}
    content = {
        "model": {
            "load": model.name,
            "mechanisms": ["mod_files"],
            "celsius": 6.3,
            "v_init": settings["run_controll_vrest"],
        },
        "parameter": [
            {"name": name.split()[-1], "set": [f"soma.{name.split()[-1]}"], "bounds": [low, high], "scale": "log"}
            for name, low, high in zip(settings["adjusted_params"], *settings["boundaries"], strict=True)
        ],
        "protocol": steps(settings["stim_amp"], **times),
        "efel": {"Threshold": settings["spike_thres"]},
    }
    files = {model.name: model, **_mods(folder)}
    return Translated(
        content, Sweeps(time, voltage, np.where(flows, settings["stim_amp"][0], 0.0)[None], FIRING), files
    )


def _settings(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["attributes"]
    return found


def _mods(folder: Path) -> dict[str, Path]:
    return {f"mod_files/{mod.name}": mod for mod in sorted((folder / "mod_files").glob("*.mod"))}


def detailed(source: Path) -> Translated:
    """Case 6: a detailed CA1 pyramidal cell, to features of recorded cells (mean and SD).

    What user_fun.txt does with each number is said by places, formulas and ties. It measures distances from the end of
    the soma, gbar from its middle. The loader's hoc is left out: it loads a library by a path of its own. Features that
    the authors give as 0 ± 0.001 because no cell fires are left out: the count of 0 spikes says so. In one MOD three
    functions bear the names of variables, which NEURON 9 refuses: the variables, which nothing sets or reads, are left
    out.
    """
    folder = source / CASES / DETAILED
    targets, settings_file = needed(
        folder, "opt_data_JMakara_OUR_features_selected_stim.json", f"{DETAILED}_settings.json"
    )
    model, morphology = needed(folder, "biophys_na_inhomo_minimal_model+KM+KA+KD.hoc", "morphology2.hoc")
    settings, measured = _settings(settings_file), json.loads(targets.read_text(encoding="utf-8"))
    delay, duration = float(measured["stimuli"]["delay"]), float(measured["stimuli"]["duration"])
    amplitudes = [float(nA) for nA in measured["stimuli"]["amplitudes"]]
    protocols = steps(amplitudes, delay=delay, duration=duration, total=settings["run_controll_tstop"])
    of_amplitude = dict(zip(amplitudes, protocols, strict=True))
    rows = [
        Row(of_amplitude[float(key.removeprefix("stimAmp_"))], feature, target["Mean"], target["Std"])
        for feature, entries in measured["features"].items()
        for key, target in entries.items()
        if key != "weight" and (feature == "Spikecount" or target["Std"] > UNDEFINED_SD)
    ]
    ranges = zip(settings["adjusted_params"], *settings["boundaries"], strict=True)
    content = {
        "model": {
            "load": model.name,
            "requires": [morphology.name],
            "mechanisms": ["mod_files"],
            "celsius": 33.0,
            "v_init": settings["run_controll_vrest"],
            "values": {"all_dendrites[100:].gmax_H_CA1pyr_prox": 0.0, "all_dendrites[100:].gmax_K_A_prox": 0.0},
        },
        "parameter": [_free(name.split()[0], low, high) for name, low, high in ranges],
        "protocol": protocols,
        "efel": {"Threshold": settings["spike_thres"]},
        "simulation": {"time_limit": 300.0},
    }
    files: dict[str, Path | str] = {model.name: model, morphology.name: morphology, **_mods(folder)}
    refused = f"mod_files/{REFUSED}.mod"
    (mod,) = needed(folder, refused)
    files[refused] = mod.read_text(encoding="utf-8").replace("ainfi, binfi, ", "").replace("tau_b, ", "")
    return Translated(content, rows, files)


UNDEFINED_SD = 0.001
REFUSED = "kd_params3"
NEAR, FAR, END = "all_dendrites[:100]", "all_dendrites[100:400]", "all_dendrites[400:]"
H, KA, KM = "gmax_H_CA1pyr", "gmax_K_A", "gbar_km_q10_2"
DELAYED = "gmax_K_DRS4_params_voltage_dep"
RULES: dict[str, dict[str, str]] = {  # user_fun.txt: where each number goes, and how
    "Na_BG_act_inact_shift": {
        "all_dendrites.Y_v0_Na_BG_dend": "-30 - {}",
        "soma.Y_v0_Na_BG_soma": "-30 - {}",
        "all_axon.Y_v0_Na_BG_axon": "-33 - {}",
    },
    f"{DELAYED}_dend": {f"all_dendrites.{DELAYED}": "{}"},
    "gmax_Na_BG_soma": {
        "soma.gmax_Na_BG_soma": "{}",
        "all_dendrites.gmax_Na_BG_dend": "{} * (1 - 0.00125 * distance)",
        "all_axon.gmax_Na_BG_axon": "40 * {}",
    },
    f"{DELAYED}_soma": {f"soma.{DELAYED}": "{}"},
    f"{DELAYED}_axon": {f"all_axon.{DELAYED}": "{}"},
    "gmax_Leak_pyr": {"all.gmax_Leak_pyr": "{}"},
    "H_ratio": {
        f"soma.{H}_prox": "2e-5 * {}",
        f"all_axon.{H}_prox": "2e-5 * {}",
        f"{NEAR}.{H}_prox": "{} * (2e-5 + 4e-7 * distance)",
        f"{FAR}.{H}_dist": "{} * (2e-5 + 4e-7 * distance)",
        f"{END}.{H}_dist": "1.8e-4 * {}",
    },
    "e_Leak_pyr": {"all.e_Leak_pyr": "{}"},
    "gbar_km_soma_dend": {f"soma.{KM}": "{}", f"all_dendrites.{KM}": "{}"},
    "gbar_km_axon": {f"all_axon.{KM}": "{}"},
    "KA_ratio": {
        f"soma.{KA}_prox": "0.0035 * {}",
        f"all_axon.{KA}_prox": "0.0035 * {}",
        f"{NEAR}.{KA}_prox": "{} * (0.0035 + 5.5e-5 * distance)",
        f"{FAR}.{KA}_dist": "{} * (0.0035 + 5.5e-5 * distance)",
        f"{END}.{KA}_dist": "0.0255 * {}",
    },
    "gbar_kd": {"soma.gkd_kd_params3": "{}"},
}


def _free(name: str, low: float, high: float) -> dict[str, Any]:
    """A number of user_fun.txt: the first place takes it by a formula, the others are tied to it."""
    (first, rule), *others = RULES[name].items()
    free: dict[str, Any] = {"name": name, "set": [first], "bounds": [low, high]}
    free |= {"scale": "log"} if 0 < 10 * low <= high else {}
    free |= {} if rule == "{}" else {"formula": rule.format("value")}
    return free | ({"tied": {place: each.format(name) for place, each in others}} if others else {})
