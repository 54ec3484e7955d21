"""The page about a run: one self-contained HTML file made from the run folder alone. Never imports JAX or NEURON.

The window shows the same parts: contents of a run, and what is drawn of them.
"""

from gbar.agent.report import words
from gbar.agent.report.axis import Axis, Tick, around
from gbar.agent.report.contents import Contents, by_protocol, in_order, read_contents
from gbar.agent.report.families import Family, families
from gbar.agent.report.lead import commands
from gbar.agent.report.limits import UNMEASURED, Finding, compromises, findings, warnings_of
from gbar.agent.report.page import FILTERS, write_report
from gbar.agent.report.page import HERE as TEMPLATES
from gbar.agent.report.pairs import pairs
from gbar.agent.report.space import Strip, strips
from gbar.agent.report.unfinished import state_of
from gbar.agent.report.voltages import HEIGHT, WIDTH, decimate, plots

FRAME = WIDTH, HEIGHT  # of a plot of voltages, in path units

__all__ = [
    "Axis", "Contents", "FILTERS", "FRAME", "Family", "Finding", "Strip", "TEMPLATES", "Tick", "UNMEASURED", "around",
    "by_protocol", "commands", "compromises", "decimate", "families", "findings", "in_order", "pairs", "plots",
    "read_contents", "state_of", "strips", "warnings_of", "words", "write_report",
]  # fmt: skip
