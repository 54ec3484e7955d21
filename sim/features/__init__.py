"""Traces to feature values: eFEL's, our own where eFEL has none, and formulas equal to eFEL's but faster."""

from gbar.sim.features.decay import AFTER_MS
from gbar.sim.features.definitions import f_I_gain
from gbar.sim.features.traces import (
    BEFORE_DECAY_ENDS,
    OWN,
    OWN_OF_SIGNAL,
    SETTINGS,
    TAU_STEP_MS,
    Trace,
    catalogue,
    known_features,
    known_settings,
    measure,
    plain_unit,
    unit_of,
)

__all__ = [
    "AFTER_MS",
    "BEFORE_DECAY_ENDS",
    "OWN",
    "OWN_OF_SIGNAL",
    "SETTINGS",
    "TAU_STEP_MS",
    "Trace",
    "catalogue",
    "f_I_gain",
    "known_features",
    "known_settings",
    "measure",
    "plain_unit",
    "unit_of",
]
