"""What a run tells while it goes on, through files of its folder, and how one of them steers it: agent.result.live."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import psutil

from gbar.agent.learning import distance, worst, z_scores
from gbar.agent.result import (
    LIVE,
    PROGRESS,
    Candidate,
    Live,
    LiveFeature,
    Measured,
    Recorded,
    read_steer,
    write_live,
    write_numbered,
)
from gbar.agent.tuning.definition import Definition
from gbar.agent.tuning.findings import Confirmed, Findings
from gbar.agent.tuning.said import accuracies, candidate
from gbar.sim import Evaluation
from gbar.sim.problem import within

if TYPE_CHECKING:
    from gbar.agent.tuning.ledger import Ledger

EVERY_S = 0.4  # between two writings, unless something else is being done
TRACES_EVERY_S = 1.0
LOOK_S = 0.2  # between two looks at steer.json
TRACED = 5  # solutions whose voltages are kept while the run goes on: the best, and the last ones


class _Near(NamedTuple):
    """The nearest evaluation so far."""

    rank: tuple[float, float]  # largest |z|, distance
    found: Confirmed


class LiveFiles:
    """Writes RUN/progress.json and RUN/live.npz, and does what RUN/steer.json says. Nothing of it changes the search.

    A context manager: at its end progress.json says how the run ended.
    """

    def __init__(self, run: Path, definition: Definition):
        self._run, self._definition = run, definition
        self._is_new = not (run / PROGRESS).exists()
        process = psutil.Process()
        now = time.time()
        problem, config = definition.problem, definition.config
        measured = [Measured.of(m) for m in problem.measurements]
        self.live = Live(
            problem=problem.name,
            problem_folder=str(problem.path),
            measurements_file=str(problem.measurements_file),
            pid=os.getpid(),
            process_started=process.create_time(),
            started=now,
            updated=now,
            phase="starting",
            evaluations=0,
            budget=config.budget,
            wanted=config.solutions,
            tolerance=config.tolerance,
            seed=config.seed,
            workers=config.workers,
            engine=definition.engine,
            measurements=measured,
            features=[LiveFeature(key=key, best=None) for key in definition.keys],
        )
        self.paused_s = 0.0
        self._best = np.full(len(definition.keys), np.inf)  # [F] smallest |z|
        self._near: _Near | None = None
        self._findings: Findings | None = None  # as they were when they were last looked through
        self._solutions: list[Candidate] = []
        self._drawn: tuple[int, int] = (0, -1)  # solutions, evaluation of the nearest, in live.npz
        self._written = self._looked = self._traced = 0.0

    def __enter__(self) -> Self:
        self._write()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Say that the search is over; where it could not even begin, nothing stays."""
        with suppress(OSError):  # a full disk, say: what ends the run is said elsewhere
            if error is not None and self._is_new and not self.live.evaluations:
                for name in (PROGRESS, LIVE):
                    (self._run / name).unlink(missing_ok=True)
            elif error is not None:
                self.end("interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__)
            else:
                self.live.phase = "summing up and writing"
                self._write()

    def saw(self, x: np.ndarray, done: Evaluation, number: int, proposer: str) -> None:
        """One evaluation by the searching engine, x [D]; its voltages are kept where it is the nearest so far."""
        findings, definition = self._findings, self._definition
        if done.status != "ok" or findings is None:
            return
        u = definition.problem.unit(x)
        if not within(u):
            return
        z = z_scores(findings.bias.corrected(u[None], done.row(definition.keys)[None])[0], definition.target)
        self._improve(z[None])
        self._nearer(Confirmed(u, x, done, z, proposer, number))

    def show(self, ledger: "Ledger", findings: Findings) -> None:
        """Tell how the run stands, a few times a second at most. KeyboardInterrupt where a stop was asked for."""
        if findings is not self._findings:
            self._look_through(findings)
        self.live.evaluations, self.live.failures = ledger.evaluations, dict(ledger.failures)
        self._stop_if_asked()
        now = time.monotonic()
        if now - self._written < EVERY_S and ledger.doing == self.live.phase:
            return
        if len(findings.history) != len(self.live.history):
            made = accuracies(findings)
            self.live.features = [
                LiveFeature(key=key, best=None, coverage_90=made[key].coverage_90, verdict=made[key].verdict)
                for key in self._definition.keys
            ]
        for feature, best in zip(self.live.features, self._best, strict=True):
            feature.best = float(best) if np.isfinite(best) else None
        self.live.phase = ledger.doing
        self.live.history = [(h.evaluations, h.best_max_abs_z, h.solutions) for h in findings.history]
        self.live.solutions = self._solutions
        best = min(self._solutions, key=lambda s: s.max_abs_z or 0.0, default=None)
        self.live.nearest = best or (candidate(self._definition, self._near.found) if self._near else None)
        self._draw(findings)
        self._write()

    def between(self, ledger: "Ledger") -> None:
        """While nothing is simulated: wait as long as a pause is asked for."""
        since, doing = time.monotonic(), ledger.doing
        while read_steer(self._run, self.live.process_started).pause:
            if self.live.phase != "paused":
                self.live.phase = "paused"
                self._write()
            time.sleep(LOOK_S)
            self._stop_if_asked()
        if self.live.phase == "paused":
            self.live.phase = doing
            self.paused_s += time.monotonic() - since
            self._write()

    def end(self, status: str, evaluations: int | None = None) -> None:
        """The run is over, and what it leaves is written, voltages included."""
        self.live.ended, self.live.phase = status, "done"
        self.live.evaluations = self.live.evaluations if evaluations is None else evaluations
        if (self._run / "traces.npz").is_file():
            (self._run / LIVE).unlink(missing_ok=True)
        self._write()

    def _stop_if_asked(self) -> None:
        if time.monotonic() - self._looked >= LOOK_S:
            self._looked = time.monotonic()
            if read_steer(self._run, self.live.process_started).stop:
                self.live.phase = "stopping"
                raise KeyboardInterrupt

    def _look_through(self, findings: Findings) -> None:
        self._findings = findings
        definition, known = self._definition, findings.observations
        if len(known):
            z = z_scores(findings.features, definition.target)
            self._improve(z[known.inside])
            first = int(np.lexsort((findings.distance, findings.worst))[0])
            done = Evaluation(dict(zip(definition.keys, map(float, known.features[first]), strict=True)))
            if known.inside[first]:
                who, number = known.proposers[first], int(known.numbers[first])
                self._nearer(Confirmed(known.u[first], known.x[first], done, z[first], who, number))
        self._solutions += [candidate(definition, found) for found in findings.solutions[len(self._solutions) :]]

    def _improve(self, z: np.ndarray) -> None:  # [N, F]
        self._best = np.fmin(self._best, np.abs(z).min(axis=0, initial=np.inf, where=np.isfinite(z)))

    def _nearer(self, found: Confirmed) -> None:
        rank = float(worst(found.z)), float(distance(found.z))
        if self._near is None or rank < self._near.rank:
            self._near = _Near(rank, found)

    def _draw(self, findings: Findings) -> None:
        """Keep the voltages of the best and of the last solutions; without any, of the nearest."""
        found = {number: one.done.traces for number, one in enumerate(findings.solutions, start=1)}
        near = self._near.found if self._near else None
        drawn = len(found), near.evaluation if near and not found else -1
        if drawn == self._drawn or time.monotonic() - self._traced < TRACES_EVERY_S:
            return
        kept: dict[int, Recorded] = {}
        if found:
            best = min(found, key=lambda number: worst(findings.solutions[number - 1].z))
            kept = {number: found[number] for number in sorted({best, *list(found)[-TRACED:]})}
        elif near:
            kept = {0: near.done.traces}
        if any(kept.values()):
            write_numbered(self._run / LIVE, kept)
            self._drawn, self._traced = drawn, time.monotonic()

    def _write(self) -> None:
        self.live.updated, self._written = time.time(), time.monotonic()
        write_live(self._run, self.live)
