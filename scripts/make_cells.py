"""Remake models/motoneuron/measurements/cells: ten cells with a hidden answer, from a written seed."""

from pathlib import Path
from typing import Annotated

import typer

MODEL = Path(__file__).parent.parent / "models" / "motoneuron"
SEED = 2026
MEASURED = [
    "hyperpolarise.voltage_base",
    "hyperpolarise.ohmic_input_resistance",
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
    count: int = 10,
    seed: int = SEED,
    workers: int = 2,
    out: Annotated[Path, typer.Option(help="Folder for the tables.")] = MODEL / "measurements" / "cells",
) -> None:
    """Draw hidden parameter vectors of the bundled motoneuron and write each one's measurements."""
    from sim import load_problem
    from sim.synthetic import make_cells as make

    make(load_problem(MODEL, measured=False), MEASURED, count, seed, workers, out)
    typer.echo(f"{count} cells in {out}")


if __name__ == "__main__":
    typer.run(make_cells)
