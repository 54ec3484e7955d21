"""The main job: sample, learn, plan, verify, refit, until enough solutions are confirmed."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import jax
import numpy as np

from agent import goal as goals
from agent.diagnose import Reach, explore
from agent.mind import Forecast, Mind, MindConfig
from agent.propose import DISTINCT, PROPOSERS, choose
from agent.result import Progress
from sim import Accuracy, Archive, Evaluation, Pool, Problem, Rows, design, open_pool

CONFIRM_AT_ONCE = 2  # whatever the number of workers, so that it does not change the result


class TuneConfig(NamedTuple):
    """What a user may choose about a run."""

    budget: int = 2000  # evaluations, confirmations included
    solutions: int = 10  # to stop at
    tolerance: float = 2.0
    seed: int = 0
    workers: int = 2
    batch: int = 16
    mind: MindConfig = MindConfig()
    dask: str | None = None  # a scheduler's address, instead of processes on this machine

    def design(self, dimension: int) -> int:
        """Evaluations before the first fit: 4 per parameter in whole batches."""
        return -(-4 * dimension // self.batch) * self.batch


@dataclass
class Confirmed:
    """A parameter set simulated at the confirming accuracy."""

    u: np.ndarray  # [D] unit cube
    x: np.ndarray  # [D] NEURON's units
    done: Evaluation
    z: np.ndarray  # [F]
    proposer: str
    evaluation: int


@dataclass(frozen=True)
class Predicted:
    """What was expected of one evaluation, and what came out."""

    evaluation: int
    batch: int
    proposer: str
    forecast: Forecast  # of this evaluation alone: [F] each
    features: np.ndarray  # [F] simulated


@dataclass
class Session:
    """Everything a run has gathered; `tune` fills it and a result is made from it."""

    problem: Problem
    config: TuneConfig
    keys: list[str]  # "protocol.feature" of every measurement
    goal: goals.Goal
    engine: str
    x: np.ndarray  # [N, D] NEURON's units, as simulated
    u: np.ndarray  # [N, D] unit cube
    features: np.ndarray  # [N, F] NaN where not defined
    proposers: list[str]
    evaluations: int = 0  # made for this run, earlier sessions of it included
    failures: Counter[str] = field(default_factory=Counter)
    solutions: list[Confirmed] = field(default_factory=list)
    first_solution_at: int | None = None
    batches: int = 0  # made by earlier sessions of this run
    confirmations: int = 0  # made for this run, earlier sessions of it included
    confirmed_before: set[bytes] = field(default_factory=set)  # x that an earlier session paid for
    reconfirm: list[tuple[bytes, int]] = field(default_factory=list)  # this run's own: x, and which evaluation it was
    rejected: set[bytes] = field(default_factory=set)  # looked like solutions until confirmed
    predictions: list[Predicted] = field(default_factory=list)
    history: list[Progress] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: {"simulate": 0.0, "fit": 0.0, "plan": 0.0, "total": 0.0})
    nearest: list[Confirmed] = field(default_factory=list)  # where nothing was found
    reach: Reach | None = None  # where nothing was found: what the model can do
    mind: Mind | None = None
    units: dict[str, str] = field(default_factory=dict)  # of the parameters, as NEURON has them
    status: Literal["solved", "out of budget", "interrupted"] = "out of budget"

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Add the time spent inside to a part of the wall clock."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[what] += time.perf_counter() - start

    @property
    def left(self) -> int:
        """Evaluations still in the budget."""
        return self.config.budget - self.evaluations

    @property
    def best(self) -> float:
        """The smallest largest |z| of any evaluation; infinite while every one has an undefined feature."""
        return float(goals.worst(self.z).min()) if len(self.features) else float("inf")

    @property
    def z(self) -> np.ndarray:  # [N, F]
        return goals.z_scores(self.features, self.goal)


Observer = Callable[[Session], None]


def run_name(problem: Problem, config: TuneConfig) -> str:
    """What this run's rows are called in an archive: a resumed run finds its own, another run's are its own too."""
    table = problem.measurements_file.name if problem.measurements_file else "none"
    content = json.dumps([m.model_dump() for m in problem.measurements])  # two cells' tables may have the same name
    mark = hashlib.sha256(content.encode()).hexdigest()[:8]
    return f"tune {table} {mark} seed {config.seed} tolerance {config.tolerance:g}"


def search(
    problem: Problem, config: TuneConfig, archive: Archive, log: Path, observe: Observer = lambda session: None
) -> Session:
    """Find parameter sets that reproduce the measurements, each confirmed by NEURON.

    Args:
        problem: with measurements.
        config: what the user chose.
        archive: every evaluation goes in; what it holds already is learned from.
        log: where NEURON's own output goes.
        observe: called after every evaluation.

    Returns:
        The session; `status` says how it ended. Ctrl-C ends it early with what it has.

    Raises:
        GbarError: the model cannot be built or simulated at all.
    """
    start = time.perf_counter()
    session = _open(problem, config, archive)
    with open_pool(problem, config.workers, log=log, dask=config.dask) as pool:
        session.units = {name: found["unit"] for name, found in pool.found["parameters"].items()}
        lab = Lab(session, archive, pool, observe)
        try:
            lab.confirm_again()
            # 1. sample the parameter space with NEURON
            lab.simulate(_design(session), ["design"])
            lab.confirm()
            while len(session.solutions) < config.solutions and session.left > 0:
                # 2. learn the response
                with session.timed("fit"):
                    mind = _learned(session)
                # 3. let the agent plan on it
                with session.timed("plan"):
                    batch, proposers, forecast = _planned(session, mind)
                # 4. verify with NEURON; 5. what came out is learned at the next turn
                done = lab.simulate(batch, proposers, forecast)
                mind.learn_from(forecast, done)
                lab.confirm()
            session.status = "solved" if len(session.solutions) >= config.solutions else session.status
            lab.confirm_nearest()
            lab.explain()
        except KeyboardInterrupt:
            session.status = "interrupted"
    session.seconds["total"] = time.perf_counter() - start
    return session


def _open(problem: Problem, config: TuneConfig, archive: Archive) -> Session:
    """A session that knows everything the archive holds."""
    keys = [m.key for m in problem.measurements]
    engine = str(Accuracy.of(problem))
    rows = archive.rows(keys, engine)
    features = np.where(rows.ok[:, None], rows.features, np.nan)
    goal = goals.goal_of(problem.measurements, config.tolerance)
    session = Session(problem, config, keys, goal, engine, rows.x, problem.unit(rows.x), features, list(rows.proposer))
    session.evaluations = archive.count(run_name(problem, config))
    _resume(session, rows, archive.rows([], str(Accuracy.of(problem).tight())))
    return session


def _resume(session: Session, searched: Rows, confirmed: Rows) -> None:
    """Take up what earlier sessions of this run have done, and what any run has confirmed."""
    run = run_name(session.problem, session.config)
    own = [np.array([name == run for name in rows.run], bool) for rows in (searched, confirmed)]
    for rows, ours in zip((searched, confirmed), own, strict=True):
        session.failures.update(rows.reason[i] for i in np.flatnonzero(ours & ~rows.ok))
        session.batches = max([session.batches, *(int(batch) + 1 for batch in rows.batch[ours])])
    session.confirmed_before = {x.tobytes() for x in confirmed.x}
    session.confirmations = int(own[1].sum())
    searched_before = [int((searched.batch[own[0]] < batch).sum()) for batch in confirmed.batch[own[1]]]
    session.reconfirm = [
        (x.tobytes(), before + number)
        for number, (x, before) in enumerate(zip(confirmed.x[own[1]], searched_before, strict=True), start=1)
    ]


def _design(session: Session) -> np.ndarray:
    """The space-filling points still missing before the first fit, [n, D] in the unit cube."""
    dimension = len(session.problem.names)
    wanted = session.config.design(dimension)
    known = {x.tobytes() for x in session.x}
    points = design(dimension, wanted, session.config.seed)
    new = [u for u, x in zip(points, session.problem.physical(points), strict=True) if x.tobytes() not in known]
    missing = max(0, min(wanted - len(session.u), session.left))
    return np.array(new[:missing]).reshape(-1, dimension)


def _learned(session: Session) -> Mind:
    """The session's mind, refitted to all evaluations."""
    config = session.config
    if session.mind is None:
        rows = len(session.u) + session.left + config.batch
        rows = 1 << (rows - 1).bit_length()
        key = jax.random.key(config.seed)
        session.mind = Mind(key, session.u.shape[1], session.goal, rows, config.mind)
    session.mind.refit(session.u, session.features)
    session.mind.practise(session.u, session.features)
    return session.mind


def _planned(session: Session, mind: Mind) -> tuple[np.ndarray, list[str], Forecast]:
    """The next batch [B, D], who proposed each, and what is expected of it."""
    config = session.config
    pool = mind.plan(session.u, session.features)
    draw = np.random.default_rng([config.seed, len(session.u)])
    taken = np.array([solution.u for solution in session.solutions]).reshape(-1, session.u.shape[1])
    size = min(config.batch, session.left)
    chosen = choose(draw, pool, size, config.tolerance, mind.noise(), taken, session.u, config.mind.plan.apart)
    forecast = mind.forecast(pool.r[:, chosen], pool.p[:, chosen])
    return pool.u[chosen], [PROPOSERS[i] for i in pool.proposer[chosen]], forecast


@dataclass
class Lab:
    """Where a session's parameter vectors are simulated, kept and judged."""

    session: Session
    archive: Archive
    pool: Pool
    observe: Observer

    @property
    def tight(self) -> Accuracy:
        """What every solution is confirmed at."""
        return Accuracy.of(self.session.problem).tight()

    def simulate(self, u: np.ndarray, proposers: list[str], forecast: Forecast | None = None) -> np.ndarray:
        """Evaluate a batch [B, D]; returns its features [B, F], NaN where not defined. Keeps them, in batch order."""
        session = self.session
        if len(u) == 0:
            return np.empty((0, len(session.keys)))
        proposers = proposers * len(u) if len(proposers) == 1 else proposers
        before = session.evaluations
        x = session.problem.physical(u)
        done = self._run(x, proposers, Accuracy.of(session.problem))
        features = np.array([[done[i].features.get(key, np.nan) for key in session.keys] for i in range(len(u))])
        session.x, session.u = np.concatenate([session.x, x]), np.concatenate([session.u, u])
        session.features = np.concatenate([session.features, features])
        session.proposers += proposers
        if forecast is not None:
            for i in range(len(u)):
                expected = Forecast(*(part[i] for part in forecast))
                made = Predicted(before + i + 1, len(session.history), proposers[i], expected, features[i])
                session.predictions.append(made)
        best = goals.worst(session.z).min()
        kinds = dict(Counter(proposers))
        record = Progress(
            evaluations=session.evaluations,
            best_max_abs_z=float(best) if np.isfinite(best) else None,
            solutions=len(session.solutions),
            proposers=kinds,
        )
        session.history.append(record)
        self.observe(session)
        return features

    def confirm(self) -> None:
        """Simulate at the confirming accuracy whatever meets the tolerance; what holds there is a solution."""
        session = self.session
        while batch := self._worth_confirming():
            before = session.evaluations
            done = self._run(session.x[batch], ["confirm"] * len(batch), self.tight, session.confirmations)
            session.confirmations += len(batch)
            for i, index in enumerate(batch):
                self._judge(index, done[i], before + i + 1)
        if session.history:
            session.history[-1].solutions = len(session.solutions)
            session.history[-1].evaluations = session.evaluations

    def confirm_again(self) -> None:
        """Simulate what earlier sessions of this run confirmed, for its traces: outside the budget, which has paid."""
        session = self.session
        where = {x.tobytes(): index for index, x in enumerate(session.x)}
        known = [(where[x], evaluation) for x, evaluation in session.reconfirm if x in where]
        indices = [index for index, _ in known]
        done = self._run(session.x[indices], ["confirm"] * len(known), self.tight)
        for i, (index, evaluation) in enumerate(known):
            self._judge(index, done[i], evaluation)

    def _worth_confirming(self) -> list[int]:
        """The next few evaluations that meet the tolerance, distinct from every solution and from one another."""
        session = self.session
        size = min(CONFIRM_AT_ONCE, session.config.solutions - len(session.solutions))
        found, left = goals.worst(session.z), session.left
        batch: list[int] = []
        for i in np.argsort(found, kind="stable"):
            if len(batch) >= size or found[i] > session.goal.tolerance:
                break
            u, costs = session.u[i], session.x[i].tobytes() not in session.confirmed_before
            apart = all(np.max(np.abs(u - session.u[other])) >= DISTINCT for other in batch)
            if apart and self._is_new(u) and (left > 0 or not costs):
                batch.append(int(i))
                left -= costs
        return batch

    def confirm_nearest(self, count: int = 3) -> None:
        """With nothing found, simulate the nearest at the confirming accuracy too, outside the budget."""
        session = self.session
        if session.solutions:
            return
        order = np.lexsort((goals.distance(session.z), goals.worst(session.z)))[:count]
        done = dict(self.pool.run(list(session.x[order]), traces=True, accuracy=self.tight))
        session.nearest = [self._confirmed(int(index), done[i]) for i, index in enumerate(order)]

    def explain(self) -> None:
        """With nothing found, ask NEURON which measurements can be met at all, outside the budget."""
        session = self.session
        if not session.solutions and session.mind is not None:
            session.reach = explore(session, session.mind, self._probe)

    def _probe(self, u: np.ndarray) -> np.ndarray:  # [B, D] -> [B, F]
        """Simulate what nobody counts; kept under a run of its own."""
        session, x, engine = self.session, self.session.problem.physical(u), Accuracy.of(self.session.problem)
        run, done = f"{run_name(session.problem, session.config)} diagnosis", {}
        first = self.archive.count(run)
        for i, evaluation in self.pool.run(list(x), accuracy=engine):
            self.archive.add(run, 0, first + i, "diagnosis", str(engine), x[i], evaluation)
            done[i] = evaluation
        return np.array([[done[i].features.get(key, np.nan) for key in session.keys] for i in range(len(u))])

    def _is_new(self, u: np.ndarray) -> bool:
        if u.tobytes() in self.session.rejected:
            return False
        return all(np.max(np.abs(u - solution.u)) >= DISTINCT for solution in self.session.solutions)

    def _judge(self, index: int, done: Evaluation, evaluation: int) -> None:
        session = self.session
        confirmed = self._confirmed(index, done)
        if goals.worst(confirmed.z) > session.goal.tolerance:
            session.rejected.add(session.u[index].tobytes())
        elif self._is_new(confirmed.u):
            session.solutions.append(confirmed)
            session.first_solution_at = session.first_solution_at or evaluation
        else:
            session.rejected.add(session.u[index].tobytes())
        self.observe(session)

    def _confirmed(self, index: int, done: Evaluation) -> Confirmed:
        session = self.session
        features = np.array([done.features.get(key, np.nan) for key in session.keys])
        z = goals.z_scores(features, session.goal)
        return Confirmed(session.u[index], session.x[index], done, z, session.proposers[index], index + 1)

    def _run(self, x: np.ndarray, proposers: list[str], accuracy: Accuracy, slot: int = 0) -> dict[int, Evaluation]:
        """Simulate x [B, D] and keep every result as it arrives, in the archive at `slot` and on."""
        session, done = self.session, {}
        run, batch = run_name(session.problem, session.config), session.batches + len(session.history)
        confirming = accuracy == self.tight
        with session.timed("simulate"):
            for i, evaluation in self.pool.run(list(x), traces=confirming, accuracy=accuracy):
                done[i] = evaluation
                if confirming and x[i].tobytes() in session.confirmed_before:
                    continue  # simulated again for its traces alone
                self.archive.add(run, batch, slot + i, proposers[i], str(accuracy), x[i], evaluation)
                session.evaluations += 1
                if evaluation.status == "failed":
                    session.failures[evaluation.reason] += 1
                self.observe(session)
        return done
