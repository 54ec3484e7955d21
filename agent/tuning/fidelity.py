"""Searching on a cheaper form of a dear model: what the model itself has said decides whether that goes on."""

from dataclasses import replace

import numpy as np

from gbar.agent.learning import distance, z_scores
from gbar.agent.tuning.findings import Findings
from gbar.sim import Integrator, Problem, with_engine

PROBES = 3  # parameter sets simulated by both, before a cheaper form of the model is judged
FARTHER, LEAST_FARTHER = 2.0, 0.5  # times, and in RMS asinh(z): that they are farther off in the model
PROMISING = 1.5  # RMS asinh(z), some 2 SD: of what is farther in the form, neither says anything of a solution
NEARER = 0.8  # of what the form had last when the model was asked: an answer takes as long as many of the form's
WORSE = 1.1  # times: that the later ones, better in the form, are farther than an earlier one in the model


class Misled(Exception):
    """What a cheaper form of the model promises does not hold in the model.

    Args:
        form: the engine's name.
        why: what was compared.
    """

    def __init__(self, form: str, why: str):
        super().__init__(f"{form} misled: {why}: the search went on on the model itself")
        self.form = form


def model_itself(problem: Problem) -> Problem:
    """A problem that is searched on the model as it is, at the usual accuracy."""
    usual = Integrator()
    full = replace(Integrator.of(problem), atol=usual.atol, dt=usual.dt, segments=None)
    return with_engine(problem, str(full), full.confirm)


def worth_asking(findings: Findings) -> float:
    """How near a set must be in a cheaper form for the model to be asked what it is worth: RMS asinh(z)."""
    promised = _promised(findings)
    return PROMISING if len(promised) < PROBES else min(PROMISING, NEARER * float(promised[-1]))


def _promised(findings: Findings) -> np.ndarray:  # [n]
    """How near the form has the sets that the model was asked about, in the order of asking."""
    bias = findings.bias
    promised: np.ndarray = distance(z_scores(bias.searched + bias.shift, findings.definition.target))
    return promised


def check_form(findings: Findings) -> None:
    """Hold a cheaper form of the model to what the model said of the same parameter sets, each the form's best by then.

    Raises:
        Misled: the last few are much farther from the measurements in the model, or the form leads away from them.
    """
    definition, bias = findings.definition, findings.bias
    if not definition.cheaper or len(bias.searched) < PROBES:
        return
    promised, found = _promised(findings), distance(z_scores(bias.confirmed, definition.target))
    here, there = float(np.median(promised[-PROBES:])), float(np.median(found[-PROBES:]))
    if here > PROMISING:
        return
    first = 1 - PROBES  # of the later ones
    away = found[first:].min() > WORSE * found[:first].min() and promised[first:].max() < promised[:first].min()
    if away or (there > FARTHER * here and there > here + LEAST_FARTHER):
        nearer = ", where an earlier one was nearer" if away else ""
        raise Misled(
            definition.engine,
            f"{PROBES} sets that it has at {here:.2g} from the measurements are at {there:.2g} in the model "
            f"(RMS of asinh z){nearer}",
        )
