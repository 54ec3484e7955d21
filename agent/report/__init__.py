"""The page about a run: one self-contained HTML file made from the run folder alone. Never imports JAX or NEURON."""

from agent.report.page import write_report

__all__ = ["write_report"]
