"""A soma that fires at the end of a long dendrite of many segments: what coarser copies are tried on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from gbar.sim import Integrator, Problem, load_problem, simulate
from tests.problems import free, model_of, protocol_of, step_of, toml_of

HOC = """
begintemplate Cable
public soma, dend
create soma, dend
proc init() {
    connect dend(0), soma(1)
    soma { L = 20  diam = 20  insert hh }
    dend { L = 1200  diam = 1.5  nseg = 101  insert pas  e_pas = -65  g_pas = 1e-4 }
}
endtemplate Cable
"""
HIDDEN = {"gna": 0.14, "gleak": 1.4e-4}
SOMATIC = ("fire.AP_height", "fire.AP_duration_half_width", "wait.voltage_deflection_vb_ssse", "wait.voltage_base")
DISTAL = "wait:far.minimum_voltage"


def cable(write: Callable[..., Path], *keys: str, simulation: str = "") -> Problem:
    """The problem, measured at HIDDEN in the model itself: features `keys`, each with an SD of 2 %."""
    stimulus = {"at": "soma(0.5)", "record": "soma(0.5).v"}
    text = toml_of(
        model_of("cable.hoc", template="Cable"),
        free("gna", "soma.gnabar_hh", 0.08, 0.25),
        free("gleak", "dend.g_pas", 5e-5, 3e-4, scale="log"),
        step_of("wait", **stimulus, amplitude=-0.1, delay=20, duration=60, total=90)
        + '[protocol.wait.recordings]\nfar = "dend(0.97).v"\n',
        protocol_of("fire", "pulse", **stimulus, amplitude=3.0, delay=5, duration=1, total=20),
        simulation,
    )
    folder = write("cable", **{"cable.hoc": HOC, "problem.toml": text})
    problem = load_problem(folder, measured=False)
    (done,) = simulate(problem, [np.array(list(HIDDEN.values()))], integrator=Integrator("cvode", 1e-7))
    rows = [
        f"{key.replace('.', ',')},{done.features[key]},{0.02 * abs(done.features[key])},{problem.unit_of(key)}"
        for key in keys
    ]
    table = write("cable", **{"table.csv": "\n".join(["protocol,feature,mean,sd,unit", *rows, ""])}) / "table.csv"
    return load_problem(folder, table)
