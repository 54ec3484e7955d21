"""Remake the target cells of models/motoneuron, ten with a hidden answer for each of its problems."""

from pathlib import Path
from typing import Annotated

import typer

from gbar.scripts.interrupts import as_process

MODEL = Path(__file__).resolve().parents[2] / "models" / "motoneuron"
PROBLEMS = {"problem.toml": ("cells", 2026), "kinetics.toml": ("kinetics", 2525)}  # folder of the tables, seed
MEASURED = [
    "hyperpolarise.voltage_base",
    "hyperpolarise.ohmic_input_resistance_vb_ssse",
    "hyperpolarise.time_constant",
    "hyperpolarise.sag_ratio1",
    "brief.AP_amplitude_from_voltagebase",
    "brief.spike_half_width",
    "brief.AP_rise_rate",
    "brief.AHP_depth",
    "brief.AHP_time_from_peak",
    "brief.AHP_half_decay_time",
    "brief.AHP_duration",
    "threshold.rheobase",
    "threshold.AP_begin_voltage",
    "fire_low.mean_frequency",
    "fire_mid.mean_frequency",
    "fire_high.mean_frequency",
    "fire_mid.inv_first_ISI",
    "fire_low.AHP_depth_abs",
    "fire_high.AHP_depth_abs",
    "fire_low.AP_amplitude",
    "fire_high.AP_amplitude",
    "fi.f_I_gain",
]


def make_cells(
    name: Annotated[str, typer.Argument(metavar="TOML", help=" or ".join(PROBLEMS))] = "problem.toml",
    count: int = 10,
    seed: Annotated[int | None, typer.Option(help="Default: the one the bundled tables were made with.")] = None,
    workers: int = 2,
    out: Annotated[Path | None, typer.Option(help="Folder for the tables. Default: the bundled ones.")] = None,
) -> None:
    """Draw hidden parameter vectors of the bundled motoneuron and write each one's measurements."""
    from gbar.scripts.bench.synthetic import make_cells as make
    from gbar.sim import load_problem

    folder, own_seed = PROBLEMS[name]
    out, seed = out or MODEL / "measurements" / folder, own_seed if seed is None else seed
    make(load_problem(MODEL / name, measured=False), MEASURED, count, seed, workers, out)
    print(f"{count} cells in {out}")


if __name__ == "__main__":
    as_process(lambda: typer.run(make_cells))
