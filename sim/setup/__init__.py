"""Questions about a model: a problem to start from, what `gbar check` says, which engine, one evaluation, its hoc."""

from gbar.sim.setup.advice import notes, remarks
from gbar.sim.setup.candidates import ModelCandidate, find_candidates, find_celsius, find_mechanisms
from gbar.sim.setup.choice import Choice, choose_engine, with_engine
from gbar.sim.setup.effects import Effects, tried
from gbar.sim.setup.examples import bundled, copy_bundled
from gbar.sim.setup.fidelity import DEAR_S
from gbar.sim.setup.hoc_places import ADDED, SITE, Place, find_places, is_explicit
from gbar.sim.setup.hoc_sections import write_out
from gbar.sim.setup.initial import begin
from gbar.sim.setup.measuring import FeatureRow, Once, assigned, measure, measure_once, seconds_each, simulate_once
from gbar.sim.setup.outline import Branch, Outline, outline
from gbar.sim.setup.reuse import with_process

__all__ = [
    "ADDED",
    "Branch",
    "Choice",
    "Effects",
    "FeatureRow",
    "ModelCandidate",
    "Once",
    "Outline",
    "Place",
    "SITE",
    "assigned",
    "begin",
    "bundled",
    "choose_engine",
    "copy_bundled",
    "find_candidates",
    "find_celsius",
    "find_mechanisms",
    "find_places",
    "is_explicit",
    "measure",
    "measure_once",
    "notes",
    "outline",
    "remarks",
    "seconds_each",
    "simulate_once",
    "tried",
    "DEAR_S",
    "with_engine",
    "with_process",
    "write_out",
]
