"""hold/NN.json: what becomes of a solution where something is a little different."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from gbar.agent.result.parts import Achieved, Measured, Misbehaviour, Plain, SDs
from gbar.sim.files import write_whole

Group = Literal["as it is", "time step", "parameter", "temperature"]


class Condition(Plain):
    """The solution under one condition."""

    group: Group = Field(description="`as it is`, `time step`, `parameter` or `temperature`")
    what: str = Field(description="which parameter, which step")
    change: str = Field(description="such as `+10 %`; empty where `what` says it all")
    max_abs_z: SDs | None = Field(description="the largest |z|; `null` when a measured feature is not defined")
    furthest: str = Field(description="`protocol.feature` of the largest |z|, or of one that is not defined")
    failed: str = Field(default="", description="why it could not be simulated")


class Rate(Plain):
    """One point of the firing curve."""

    current: float = Field(description="nA")
    rate: float = Field(description="Hz: spikes over the whole step")


class HeldOut(Plain):
    """A measurement that the run did not know, and what the solution makes of it."""

    measured: Measured = Field(description="the row of the table")
    found: Achieved = Field(description="what NEURON gave")


class Hold(Plain):
    """What `gbar verify --hold` found for one solution."""

    solution: int = Field(description="its number")
    tolerance: SDs = Field(description="the largest |z| of a solution")
    accuracy: str = Field(description="integrator and accuracy, but where the time step says another")
    conditions: list[Condition] = Field(description="each simulated in NEURON")
    curve: list[Rate] = Field(default_factory=list, description="firing rate against current, of a long step")
    curve_of: str = Field(default="", description="the protocol whose step it is")
    warnings: list[Misbehaviour] = Field(default_factory=list, description="what a cell should not do on that curve")
    held_out_file: str = Field(default="", description="the table of measurements that the run did not know")
    held_out: list[HeldOut] = Field(default_factory=list, description="a row of it each")

    def holds(self, condition: Condition) -> bool:
        """Whether the solution still is one under a condition."""
        return condition.max_abs_z is not None and condition.max_abs_z <= self.tolerance


def hold_file(run: Path, number: int) -> Path:
    """Where what was found of a solution is kept."""
    return run / "hold" / f"{number:02d}.json"


def write_hold(run: Path, found: Hold) -> Path:
    """Keep what was found."""
    file = hold_file(run, found.solution)
    file.parent.mkdir(exist_ok=True)
    write_whole(file, found.model_dump_json(indent=1) + "\n")
    return file


def read_hold(run: Path, number: int) -> Hold | None:
    """What was found last; nothing where nobody has asked, or an older version was."""
    return Hold.read(hold_file(run, number))
