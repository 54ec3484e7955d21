"""The page about a run: one self-contained HTML file made from the run folder alone. Never imports JAX or NEURON."""

from gbar.agent.report.limits import findings
from gbar.agent.report.page import write_report

__all__ = ["findings", "write_report"]
