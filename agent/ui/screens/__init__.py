"""The screens, in the order of the navigation: one module each."""

from gbar.agent.ui.pages import Screen
from gbar.agent.ui.screens.cannot import CANNOT
from gbar.agent.ui.screens.cells import CELLS
from gbar.agent.ui.screens.change import CHANGE
from gbar.agent.ui.screens.hold import HOLD
from gbar.agent.ui.screens.measurements import MEASUREMENTS
from gbar.agent.ui.screens.model import MODEL
from gbar.agent.ui.screens.protocols import PROTOCOLS
from gbar.agent.ui.screens.running import RUNNING
from gbar.agent.ui.screens.solutions import SOLUTIONS
from gbar.agent.ui.screens.take import TAKE

SCREENS: list[Screen] = [MODEL, MEASUREMENTS, PROTOCOLS, CHANGE, RUNNING, CELLS, SOLUTIONS, HOLD, CANNOT, TAKE]

__all__ = ["SCREENS"]
