"""The page about a run: one self-contained HTML file made from the run folder alone. Never imports JAX or NEURON."""

from gbar.agent.report.limits import UNMEASURED, compromises, findings, warnings_of
from gbar.agent.report.page import write_report

__all__ = ["UNMEASURED", "compromises", "findings", "warnings_of", "write_report"]
