"""The page about a run: one self-contained HTML file made from the run folder alone. Never imports JAX or NEURON."""

from gbar.agent.report import words
from gbar.agent.report.axis import Axis, around
from gbar.agent.report.limits import UNMEASURED, compromises, findings, warnings_of
from gbar.agent.report.page import HERE as TEMPLATES
from gbar.agent.report.page import write_report
from gbar.agent.report.unfinished import state_of
from gbar.agent.report.voltages import decimate

__all__ = [
    "Axis", "TEMPLATES", "UNMEASURED", "around", "compromises", "decimate", "findings", "state_of", "warnings_of",
    "words", "write_report",
]  # fmt: skip
