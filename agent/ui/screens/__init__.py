"""The screens, in the order of the navigation: one module each."""

from gbar.agent.ui.pages import Screen
from gbar.agent.ui.screens.running import RUNNING

SCREENS: list[Screen] = [RUNNING]

__all__ = ["SCREENS"]
