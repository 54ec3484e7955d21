"""A corticospinal cell of six sections with the fourteen sweeps that it was fitted to.

Neymotin et al. 2017 (J Neurophysiol 117:148). The free parameters and their ranges are those of SPI6.cfg, which says
that they are no strict bounds: the values of SPI6.py, the fit that was published, lie outside of six of them. So the
ranges are widened. What the cell's set_props() does with each number is said here by places and ties.
"""

import ast
import configparser
from pathlib import Path

import numpy as np

from gbar.scripts.bench.problems.published import Sweeps, Translated, bounds_around, needed, steps
from gbar.sim import GbarError

SOURCE = "github.com/ModelDBRepository/195615, commit df75765651b1144ec449ab10c36fe7420f64f809"
MODEL, CONFIG = "SPI6.py", "SPI6.cfg"
VOLTAGES, AMPLITUDES = "data/BS0284_tracedata_10KHz.npy", "data/BS0284_lstimamp.npy"
MECHANISMS = ("cadad", "cal2", "can_mig", "h_kole", "kBK", "kap_BS", "kdmc_BS", "kdr_BS", "nax_BS")  # what it inserts
SAMPLE_MS, DELAY_MS, DURATION_MS = 0.1, 500.0, 1000.0
SETTLE_MS = 1000.0  # before the recording begins, as in SPI6.cfg

DENDRITES, CALCIUM = "alldend", ("soma", "alldend")
PLACES = {  # of each number of SPI6.py
    "gbar_kdmc": ("soma.gbar_kdmc",),
    **{
        name: tuple(f"{where}.{variable}" for where in CALCIUM)
        for name, variable in {
            "cal_gcalbar": "gcalbar_cal",
            "can_gcanbar": "gcanbar_can",
            "kBK_gpeak": "gpeak_kBK",
            "kBK_caVhminShift": "caVhmin_kBK",
            "cadad_taur": "taur_cadad",
            "cadad_depth": "depth_cadad",
        }.items()
    },
    **{name: tuple(f"{where}.{name}" for where in CALCIUM) for name in ("gbar_kap", "gbar_kdr", "gbar_nax")},
    "kdr_vhalfn": ("all.vhalfn_kdr",),
    "kap_vhalfn": ("all.vhalfn_kap",),
    "kap_vhalfl": ("all.vhalfl_kap",),
    "kap_tq": ("all.tq_kap",),
}
AXONAL = {"gbar_kdmc": 20, "gbar_kap": 5, "gbar_kdr": 5, "gbar_nax": 5}  # times what the soma has
FORMULAS = {"kBK_caVhminShift": "-46.08 + value"}
LOGARITHMIC = ("gbar", "cal_", "can_", "kBK_gpeak")


def whole(source: Path) -> Translated:
    """All sweeps, with the second before each that the authors simulate."""
    return _translated(source, slice(None), SETTLE_MS + DELAY_MS, 3000.0)


def few(source: Path) -> Translated:
    """Four of the sweeps, and a fifth of the settling: a tenth of the cost."""
    return _translated(source, [0, 6, 7, 10], 300.0, 1400.0)


def _translated(source: Path, chosen: slice | list[int], delay_ms: float, total_ms: float) -> Translated:
    model, config, volts, amps = needed(source, MODEL, CONFIG, VOLTAGES, AMPLITUDES)
    mods = needed(source, *(f"{name}.mod" for name in MECHANISMS))
    voltage, amplitudes = np.load(volts).T[chosen], np.load(amps)[chosen]
    time = SAMPLE_MS * np.arange(voltage.shape[1])
    flows = (time >= DELAY_MS) & (time < DELAY_MS + DURATION_MS)
    own = _numbers(model)
    content = {
        "model": {
            "load": f"{MODEL}:SPI6",
            "mechanisms": ["mechanisms"],
            "celsius": own["celsius"],
            "v_init": own["v_init"],
        },
        "parameter": [_parameter(name, ends, own[name]) for name, ends in _ranges(config).items()],
        "protocol": steps(amplitudes, delay=delay_ms, duration=DURATION_MS, total=total_ms),
    }
    files = {MODEL: model, **{f"mechanisms/{mod.name}": mod for mod in mods}}
    return Translated(content, Sweeps(time, voltage, np.where(flows, amplitudes[:, None], 0.0)), files)


def _parameter(name: str, ends: tuple[float, float], own: float) -> dict[str, object]:
    if name not in PLACES:
        raise GbarError(f"{CONFIG}: parameter '{name}': expected {', '.join(PLACES)}")
    free: dict[str, object] = {"name": name, "set": list(PLACES[name]), "bounds": bounds_around(*ends, own)}
    free |= {"scale": "log"} if name.startswith(LOGARITHMIC) else {}
    free |= {"formula": FORMULAS[name]} if name in FORMULAS else {}
    return free | ({"tied": {f"axon.{name}": f"{AXONAL[name]} * {name}"}} if name in AXONAL else {})


def _ranges(config: Path) -> dict[str, tuple[float, float]]:
    """The [params] of SPI6.cfg: "SPI6.NAME = low high first strict"."""
    parser = configparser.ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign] # names keep their case
    parser.read(config)
    found = {}
    for name, text in parser["params"].items():
        low, high, *_ = map(float, text.split()[:2])
        found[name.removeprefix("SPI6.")] = (low, high)
    return found


def _numbers(model: Path) -> dict[str, float]:
    """The numbers at the top of SPI6.py, those of `h` as well."""
    found = {}
    for statement in ast.parse(model.read_text(encoding="utf-8")).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)], value=value):
                try:
                    found[name] = float(ast.literal_eval(value))
                except ValueError:
                    continue
    return found
