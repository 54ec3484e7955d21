"""The screens, in the order of the navigation: one module each."""

from gbar.agent.ui.pages import Screen
from gbar.agent.ui.screens.cells import CELLS
from gbar.agent.ui.screens.change import CHANGE
from gbar.agent.ui.screens.measurements import MEASUREMENTS
from gbar.agent.ui.screens.model import MODEL
from gbar.agent.ui.screens.protocols import PROTOCOLS
from gbar.agent.ui.screens.running import RUNNING

SCREENS: list[Screen] = [MODEL, MEASUREMENTS, PROTOCOLS, CHANGE, RUNNING, CELLS]

__all__ = ["SCREENS"]
