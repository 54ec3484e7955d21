"""Which of a problem's protocols are simulated, which are searched for a rheobase, and what a recording is called."""

from collections.abc import Iterator

from gbar.sim.problem.kinds import MAIN, FiCurve, Rheobase, Stimulus
from gbar.sim.problem.problem import Problem


def named(protocol: str, recording: str) -> str:
    """What a recording is called outside its protocol."""
    return protocol if recording == MAIN else f"{protocol}:{recording}"


def stimulated(problem: Problem) -> Iterator[tuple[str, Stimulus]]:
    """The protocols that are simulated, in the problem's order."""
    for name, protocol in problem.protocol.items():
        if not isinstance(protocol, FiCurve):
            yield name, protocol


def searched(problem: Problem) -> Iterator[tuple[str, Rheobase]]:
    """The protocols whose current is searched for each candidate, before all others, as these may depend on it."""
    for name, protocol in problem.protocol.items():
        if isinstance(protocol, Rheobase):
            yield name, protocol
