"""progress.json, live.npz and steer.json: how a run stands while it runs, and what whoever watches asks of it."""

from pathlib import Path

import psutil
from pydantic import Field

from gbar.agent.result.parts import Candidate, Evaluations, Measured, Plain, SDs, Seconds, Share
from gbar.agent.result.traces import Traces, read_traces
from gbar.sim import GbarError
from gbar.sim.files import write_whole

PROGRESS, STEER, LIVE = "progress.json", "steer.json", "live.npz"


class LiveFeature(Plain):
    """One measurement of a run that is going on."""

    key: str = Field(description="`protocol.feature`")
    best: SDs | None = Field(description="the smallest |z| of any evaluation")
    coverage_90: Share | None = Field(default=None, description="as in Accuracy")
    verdict: str = Field(default="not tested", description="as in Accuracy")


class Live(Plain):
    """How a run stands. Times are seconds since 1970."""

    # Keys without a description are those of Result.
    problem: str
    problem_folder: str
    measurements_file: str
    pid: int = Field(description="its process")
    process_started: Seconds = Field(description="when that began")
    started: Seconds = Field(description="when the run began")
    updated: Seconds = Field(description="when this was written")
    phase: str = Field(description="`simulating`, `learning`, `planning`, `paused`, …")
    ended: str | None = Field(default=None, description="`null` while it runs, then the status, or what failed")
    evaluations: Evaluations
    budget: Evaluations
    wanted: int
    tolerance: SDs
    seed: int
    workers: int
    engine: str
    measurements: list[Measured]
    features: list[LiveFeature] = Field(description="one a measurement")
    solutions: list[Candidate] = Field(default_factory=list)
    nearest: Candidate | None = Field(
        default=None, description="the best solution, or else the nearest set, by the searching engine"
    )
    failures: dict[str, int] = Field(default_factory=dict)
    history: list[tuple[Evaluations, SDs | None, int]] = Field(
        default_factory=list, description="a batch each: evaluations, smallest largest |z|, solutions"
    )

    @property
    def alive(self) -> bool:
        """Whether the process that wrote it still runs."""
        return self.ended is None and is_running(self.pid, self.process_started)


class Steer(Plain):
    """What is asked of a run; looked at after every evaluation. A file older than the run's process is not read."""

    pause: bool = Field(default=False, description="wait when the batch that is simulated is done")
    stop: bool = Field(default=False, description="end as Ctrl-C ends it, with everything kept")


def is_running(pid: int, since: float) -> bool:
    """Whether the process of a number that began at a time (s since 1970) is there and does something."""
    try:
        process = psutil.Process(pid)
        return bool(abs(process.create_time() - since) < 2.0 and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def read_live(run: Path) -> Live | None:
    """How a run stands; None where the folder holds no such file, or another version's."""
    return Live.read(run / PROGRESS)


def write_live(run: Path, live: Live) -> None:
    """Write RUN/progress.json whole."""
    write_whole(run / PROGRESS, live.model_dump_json() + "\n")


def read_live_traces(run: Path) -> Traces:
    """protocol -> "01" for a solution, "00" for the nearest without one -> (t [T] ms, v [T]); or nothing.

    A finished run has them in traces.npz.
    """
    for name in (LIVE, "traces.npz"):
        if (run / name).is_file():
            try:
                return read_traces(run, name)
            except GbarError:  # taken away, or replaced, meanwhile
                continue
    return {}


def read_steer(run: Path, since: float = 0.0) -> Steer:
    """What is asked of a run whose process began at `since`; nothing where no file says it."""
    file = run / STEER
    try:
        if file.stat().st_mtime < since:
            return Steer()
    except OSError:
        return Steer()
    return Steer.read(file) or Steer()


def steer(run: Path, wish: Steer) -> None:
    """Ask something of a run, whoever started it."""
    write_whole(run / STEER, wish.model_dump_json() + "\n")
