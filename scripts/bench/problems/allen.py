"""A perisomatic model of the Allen Cell Types Database, with what was measured on the sweeps of its cell.

The model is an SWC, MODs and a fit in JSON: conductances at the soma, leak everywhere, the axon two cylinders of 30 µm.
The repository has an analysis of every long square step. Its voltages are as recorded: the junction potential that the
fit names is added. SDs and the largest conductances are those of the fits' own programs (biophys_optimize: its minimum
SDs, its fit styles); the smallest conductances are 10,000 times less, or half of what was published.
"""

import json
from pathlib import Path
from typing import Any

from gbar.scripts.bench.problems.published import Row, Translated, needed, steps
from gbar.sim import GbarError

SOURCE = "github.com/OpenSourceBrain/AllenInstituteNeuroML, commit 4cf57e7f8f7e61fdaf551ef8f2ec84010a81b3a9"
MODEL, CELL = "472450023", "464198958"
MORPHOLOGY = "Sst-IRES-Cre_Ai14-165865.03.01.01_491119181_m.swc"
SWEEPS = ("20", "24", "28", "29", "31")  # -110, -30, 50, 70, 110 pA; the fit was made to 29
DELAY_MS, DURATION_MS, TOTAL_MS = 270.0, 1000.0, 1500.0
LISTS = {"soma": "somatic", "axon": "axonal", "dend": "basal", "apic": "apical"}
LARGEST = {  # S/cm2, of the fit styles
    "gbar_Im": 0.1, "gbar_Ih": 0.1, "gbar_NaTs": 15.0, "gbar_Nap": 0.1, "gbar_K_P": 1.0, "gbar_K_T": 1.0,
    "gbar_SK": 1.0, "gbar_Kv3_1": 3.0, "gbar_Ca_HVA": 1e-3, "gbar_Ca_LVA": 1e-2, "gamma_CaDynamics": 0.05,
    "decay_CaDynamics": 1000.0, "g_pas": 1e-3,
}  # fmt: skip
SMALLEST = {"decay_CaDynamics": 20.0}  # ms
STUB_UM = 1.0  # diameter of the axon
SD_MV, SD_MS, SD_SPIKES = 2.0, 5.0, 0.5


def perisomatic(source: Path) -> Translated:
    """The cell and five of its sweeps."""
    folder = source / "CellTypesDatabase" / "models" / MODEL
    fit_file, morphology = needed(folder, f"{CELL}_fit.json", MORPHOLOGY)
    (analysis,) = needed(source / "CellTypesDatabase" / "data", f"{CELL}_analysis.json")
    fit = json.loads(fit_file.read_text(encoding="utf-8"))
    sweeps = json.loads(analysis.read_text(encoding="utf-8"))["sweeps"]
    nA = {one: sweeps[one]["sweep_metadata"]["aibs_stimulus_amplitude_pa"] / 1000.0 for one in SWEEPS}
    protocols = steps(list(nA.values()), delay=DELAY_MS, duration=DURATION_MS, total=TOTAL_MS)
    offset = fit["fitting"][0]["junction_potential"]
    rows = [
        row
        for one, protocol in zip(SWEEPS, protocols, strict=True)
        for row in _rows(protocol, one, sweeps[one]["pyelectro_iclamp_analysis"], offset)
    ]
    content = {
        "model": _model(fit, morphology.name),
        "parameter": [_parameter(gene) for gene in fit["genome"]],
        "protocol": protocols,
        "efel": {"strict_stiminterval": True},
    }
    used = {gene["mechanism"] for gene in fit["genome"]} - {""}
    mods = needed(folder, *(f"modfiles/{name}.mod" for name in sorted(used)))
    files = {morphology.name: morphology, **{f"mechanisms/{mod.name}": mod for mod in mods}}
    return Translated(content, rows, files, {_name(gene): float(gene["value"]) for gene in fit["genome"]})


def _model(fit: dict[str, Any], morphology: str) -> dict[str, Any]:
    conditions, passive = fit["conditions"][0], fit["passive"][0]
    values: dict[str, float] = {"all.Ra": passive["ra"], "all.e_pas": passive["e_pas"], "axonal.diam": STUB_UM}
    values |= {f"{LISTS[one['section']]}.cm": one["cm"] for one in passive["cm"]}
    (reversal,) = conditions["erev"]
    values |= {f"somatic.{ion}": reversal[ion] for ion in ("ena", "ek")}
    return {
        "load": morphology,
        "mechanisms": ["mechanisms"],
        "axon": "stub",
        "segment_length": 40.0,
        "celsius": conditions["celsius"],
        "v_init": conditions["v_init"],
        "insert": {"all": ["pas"], "somatic": sorted({gene["mechanism"] for gene in fit["genome"]} - {""})},
        "values": values,
    }


def _name(gene: dict[str, Any]) -> str:
    return f"{gene['name']}.{gene['section']}"


def _parameter(gene: dict[str, Any]) -> dict[str, Any]:
    if gene["name"] not in LARGEST:
        raise GbarError(f"{gene['name']}: expected {', '.join(LARGEST)}")
    largest = LARGEST[gene["name"]]
    smallest = SMALLEST.get(gene["name"], min(largest / 1e4, gene["value"] / 2))
    place = f"{LISTS[gene['section']]}.{gene['name']}"
    return {"name": _name(gene), "set": [place], "bounds": [float(f"{smallest:.4g}"), largest], "scale": "log"}


def _rows(protocol: str, sweep: str, found: dict[str, float], offset: float) -> list[Row]:
    """What the analysis of a sweep says in eFEL's words; times there count from the start of the sweep."""

    def voltage(feature: str, key: str) -> Row:
        return Row(protocol, feature, round(found[f"{sweep}:{key}"] + offset, 4), SD_MV)

    spikes = int(found[f"{sweep}:max_peak_no"])
    rows = [voltage("voltage_base", "average_100_200")]
    if not spikes:
        return [
            *rows,
            voltage("steady_state_voltage_stimend", "average_1000_1200"),
            voltage("minimum_voltage", "minimum"),
        ]
    first = round(found[f"{sweep}:first_spike_time"] - DELAY_MS, 4)
    rows += [Row(protocol, "Spikecount", spikes, SD_SPIKES), Row(protocol, "time_to_first_spike", first, SD_MS)]
    return [*rows, voltage("AP_height", "average_maximum"), voltage("AHP_depth_abs", "average_minimum")]
