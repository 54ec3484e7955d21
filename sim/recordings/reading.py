"""How recordings are read: what the user says about the files, and which channel is what."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gbar.sim.errors import GbarError
from gbar.sim.recordings.sweep import Channel

NAMED = {  # words in a channel's name, where its unit says nothing
    "voltage": re.compile(r"(?i)(?<![a-z])(v|vm|volt|voltage|membrane|potential|response)(?![a-z])"),
    "current": re.compile(r"(?i)(?<![a-z])(i|im|curr|current|stim|stimulus|cmd|command|inj|injected)(?![a-z])"),
    "time": re.compile(r"(?i)(?<![a-z])(t|time|times)(?![a-z])"),
}


@dataclass(frozen=True)
class Reading:
    """How recordings are read. What a file says itself needs none of this."""

    junction_mv: float = 0.0  # liquid junction potential, subtracted
    voltage_unit: str | None = None
    current_unit: str | None = None
    cells: str = "folder"  # whose files are one cell: "folder" or "file"
    no_holding: bool = False  # the current channel's level between steps is an offset of the rig
    channels: tuple[str, ...] = ()  # names, or words in them, of channels to use where there are several
    left_out: tuple[str, ...] = ()  # sweeps that the user does not want, by their names
    windows: tuple[tuple[str, float, float], ...] = ()  # sweep, start and end (ms) of its step, where found wrongly

    def unit_of(self, what: str) -> str | None:
        """The unit the user gives for a "voltage" or "current"."""
        return {"voltage": self.voltage_unit, "current": self.current_unit}.get(what)

    def chose(self, name: str) -> bool:
        """Whether the user named a channel: its name, or a word in it."""
        return any(re.search(rf"(?i)(?<![a-z0-9]){re.escape(w)}(?![a-z0-9])", name) for w in self.channels)


def pair(channels: Sequence[Channel], name: str, reading: Reading) -> tuple[Channel | None, Channel | None]:
    """The voltage and the current among the channels of one sweep.

    Raises:
        GbarError: several are one of them and the user chose none.
    """
    sorted_out = roles(channels, reading)
    found: dict[str, Channel | None] = {}
    for what in ("voltage", "current"):
        fitting = sorted_out[what]
        chosen = [channel for channel in fitting if reading.chose(channel.name)]
        if len(fitting) > 1 and len(chosen) != 1:
            names = ", ".join(channel.name for channel in fitting)
            raise GbarError(
                f"{name}: {len(fitting)} channels are a {what} ({names}): expected one cell a file: "
                "choose one with --channel NAME"
            )
        found[what] = next(iter(chosen if len(fitting) > 1 else fitting), None)
    unknown = sorted_out[""]
    for what in ("voltage", "current"):  # a channel without a unit of either may be the missing one
        if found[what] is None and len(unknown) == 1 and len(channels) <= 2:
            found[what] = unknown.pop()
    return found["voltage"], found["current"]


def roles(channels: Sequence[Channel], reading: Reading) -> dict[str, list[Channel]]:
    """Channels by what they are: "voltage", "current", "time", or "" where nothing says it.

    A unit that the user gives overrules the file's: where a unit says nothing, or none is of such a kind, the name says
    which channel it is.
    """
    found: dict[str, list[Channel]] = {"voltage": [], "current": [], "time": [], "": []}
    for channel in channels:
        found[channel.measures()].append(channel)
    for what, other in (("voltage", "current"), ("current", "voltage")):
        if not reading.unit_of(what):
            continue
        open_to_doubt = [*found[""]] if found[what] else channels
        named = [c for c in open_to_doubt if NAMED[what].search(c.name) and not NAMED[other].search(c.name)]
        for role, of_role in found.items():
            found[role] = [c for c in of_role if not any(c is one for one in named)]
        found[what] += named
    return found
