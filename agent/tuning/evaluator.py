"""Where a session's parameter vectors are simulated, kept and judged."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from gbar.agent.learning import DISTINCT, Forecast, z_scores
from gbar.agent.learning import worst as goals_worst
from gbar.agent.result import FirstBatch, Progress
from gbar.agent.tuning.session import Confirmed, Kept, Observer, Predicted, Session, run_name
from gbar.sim import Archive, Evaluation, Integrator, Pool

NEAR_MISS = 1.25  # tolerances up to which the best evaluation is confirmed although it misses
PROBE_EVERY = 3  # batches
CONFIRM_AT_ONCE = 2  # whatever the number of workers, so that it does not change the result


@dataclass
class Evaluator:
    """Where a session's parameter vectors are simulated, kept and judged."""

    session: Session
    archive: Archive
    pool: Pool
    observe: Observer
    next_probe: int = 0  # batch before which no near miss is confirmed again

    @property
    def tight(self) -> Integrator:
        """What every solution is confirmed at."""
        return Integrator.of(self.session.problem).tight()

    def simulate(self, u: np.ndarray, proposers: list[str], forecast: Forecast | None = None) -> np.ndarray:
        """Evaluate a batch [B, D] and keep it, in batch order.

        Returns:
            Its features [B, F] less the engine's bias as known, NaN where not defined.
        """
        session = self.session
        if len(u) == 0:
            return np.empty((0, len(session.keys)))
        proposers = proposers * len(u) if len(proposers) == 1 else proposers
        before = session.evaluations
        x = session.problem.physical(u)
        done = self._run(x, proposers, Integrator.of(session.problem))
        features = np.array([done[i].row(session.keys) for i in range(len(u))])
        session.x, session.u = np.concatenate([session.x, x]), np.concatenate([session.u, u])
        session.features = np.concatenate([session.features, features])
        session.proposers += proposers
        corrected: np.ndarray = features + session.bias
        if forecast is not None:
            for i in range(len(u)):
                expected = Forecast(*(part[i] for part in forecast))
                made = Predicted(before + i + 1, len(session.history), proposers[i], expected, corrected[i])
                session.predictions.append(made)
        best = session.best
        kinds = dict(Counter(proposers))
        record = Progress(
            evaluations=session.evaluations,
            best_max_abs_z=float(best) if np.isfinite(best) else None,
            solutions=len(session.solutions),
            proposers=kinds,
        )
        session.history.append(record)
        self.observe(session)
        return corrected

    def progress(self, made: int) -> tuple[float, float]:
        """The smallest distance from the measurements of the last `made` evaluations, and of all before."""
        far = self.session.distance
        return float(far[-made:].min()), float(far[:-made].min())

    def note_first_batch(self, features: np.ndarray) -> None:
        """How far the first batch [B, F] came: what pretraining was worth before this cell taught anything."""
        session = self.session
        if session.pretrained and len(session.history) + session.batches == 1:
            worst = goals_worst(z_scores(features, session.target))
            best = float(worst.min())
            session.first = FirstBatch(
                evaluations=len(worst),
                best_max_abs_z=best if np.isfinite(best) else None,
                within_3=int((worst <= 3).sum()),
                within_tolerance=int((worst <= session.config.tolerance).sum()),
            )

    def confirm(self) -> None:
        """Simulate at the confirming accuracy whatever meets the tolerance; what holds there is a solution."""
        session = self.session
        while batch := self._worth_confirming() or self._near_miss():
            if self._parts(session.x[batch], confirming=True):
                self.take_up()
                continue
            before = session.evaluations
            done = self._run(session.x[batch], ["confirm"] * len(batch), self.tight, session.confirmations)
            session.confirmations += len(batch)
            for i, index in enumerate(batch):
                self._judge(index, done[i], before + i + 1)
            self._compare(batch, done)
        if session.history:
            session.history[-1].solutions = len(session.solutions)
            session.history[-1].evaluations = session.evaluations

    def known(self, u: np.ndarray) -> int:
        """How many of the points [B, D] earlier sessions of this run have simulated."""
        return sum((x.tobytes(), False) in self.session.kept for x in self.session.problem.physical(u))

    def parts_from_before(self, u: np.ndarray) -> bool:
        """Whether a batch [B, D] leads away from what earlier sessions made. The one they broke off in does not."""
        return self._parts(self.session.problem.physical(u), confirming=False)

    def _parts(self, x: np.ndarray, confirming: bool) -> bool:
        kept = self.session.kept
        met = sum((each.tobytes(), confirming) in kept for each in x)
        return met < len(x) and met < len(kept)

    def take_up(self) -> None:
        """Learn all that earlier sessions have made and the loop has not come to; what they confirmed, for its traces
        again: outside the budget, which has paid."""
        session = self.session
        searched = [kept for (_, confirming), kept in session.kept.items() if not confirming]
        confirmed = [kept for (_, confirming), kept in session.kept.items() if confirming]
        session.kept = {}
        if searched:
            x = np.array([kept.x for kept in searched])
            features = [kept.done.row(session.keys) for kept in searched]
            ok = np.array([kept.done.status == "ok" for kept in searched])
            session.x = np.concatenate([session.x, x])
            session.u = np.concatenate([session.u, session.problem.unit(x)])
            session.features = np.concatenate([session.features, np.where(ok[:, None], features, np.nan)])
            session.proposers += [kept.proposer for kept in searched]
        for kept in searched + confirmed:
            self._count(kept.done)
            session.batches = max(session.batches, kept.batch + 1 - len(session.history))
        session.confirmations += len(confirmed)
        session.confirmed_before |= {kept.x.tobytes() for kept in confirmed}
        self._confirm_again(confirmed)

    def _confirm_again(self, confirmed: list[Kept]) -> None:
        session = self.session
        where = {x.tobytes(): index for index, x in enumerate(session.x)}
        inside = session.inside
        known = [(where[kept.x.tobytes()], kept.number) for kept in confirmed if kept.x.tobytes() in where]
        known = [(index, number) for index, number in known if inside[index]]
        indices = [index for index, _ in known]
        done = self._run(session.x[indices], ["confirm"] * len(known), self.tight)
        for i, (index, evaluation) in enumerate(known):
            self._judge(index, done[i], evaluation)
        self._compare(indices, done)

    def _worth_confirming(self) -> list[int]:
        """The next few evaluations that meet the tolerance, distinct from every solution and from one another."""
        session = self.session
        size = min(CONFIRM_AT_ONCE, session.config.solutions - len(session.solutions))
        found, left = session.worst, session.left
        batch: list[int] = []
        for i in np.argsort(found, kind="stable"):
            if len(batch) >= size or found[i] > session.config.tolerance:
                break
            u, costs = session.u[i], session.x[i].tobytes() not in session.confirmed_before
            apart = all(np.max(np.abs(u - session.u[other])) >= DISTINCT for other in batch)
            if apart and self._is_new(u) and (left > 0 or not costs):
                batch.append(int(i))
                left -= costs
        return batch

    def _near_miss(self) -> list[int]:
        """The best evaluation where it misses the tolerance by little: the searching engine may be what is wrong."""
        session = self.session
        batch = session.batches + len(session.history)
        if session.solutions or session.left <= 0 or not len(session.u) or batch < self.next_probe:
            return []
        found = session.worst
        best = int(np.argmin(found))
        near = session.config.tolerance < found[best] <= NEAR_MISS * session.config.tolerance
        if not near or not self._is_new(session.u[best]) or session.x[best].tobytes() in session.confirmed_before:
            return []
        self.next_probe = batch + PROBE_EVERY
        return [best]

    def _compare(self, batch: list[int], done: dict[int, Evaluation]) -> None:
        """Learn what the searching engine gets wrong from a batch that was confirmed."""
        session = self.session
        if str(self.tight) != session.engine:
            known = [i for i in range(len(batch)) if done[i].status == "ok"]
            tight = [done[i].row(session.keys) for i in known]
            indices = [batch[i] for i in known]
            session.compare(session.features[indices], np.array(tight).reshape(-1, len(session.keys)))

    def confirm_nearest(self, count: int = 3) -> None:
        """With nothing found, simulate the nearest at the confirming accuracy too, outside the budget."""
        session = self.session
        if session.solutions:
            return
        order = np.lexsort((session.distance, session.worst))[: min(count, int(session.inside.sum()))]
        done = dict(self.pool.run(list(session.x[order]), traces=True, integrator=self.tight))
        session.nearest = [self._confirmed(int(index), done[i]) for i, index in enumerate(order)]

    def _is_new(self, u: np.ndarray) -> bool:
        if u.tobytes() in self.session.rejected:
            return False
        return all(np.max(np.abs(u - solution.u)) >= DISTINCT for solution in self.session.solutions)

    def _judge(self, index: int, done: Evaluation, evaluation: int) -> None:
        session = self.session
        confirmed = self._confirmed(index, done)
        if goals_worst(confirmed.z) > session.config.tolerance:
            session.rejected.add(session.u[index].tobytes())
        elif self._is_new(confirmed.u):
            session.solutions.append(confirmed)
            session.first_solution_at = session.first_solution_at or evaluation
        else:
            session.rejected.add(session.u[index].tobytes())
        self.observe(session)

    def _confirmed(self, index: int, done: Evaluation) -> Confirmed:
        session = self.session
        z = z_scores(done.row(session.keys), session.target)
        return Confirmed(session.u[index], session.x[index], done, z, session.proposers[index], index + 1)

    def _run(self, x: np.ndarray, proposers: list[str], accuracy: Integrator, slot: int = 0) -> dict[int, Evaluation]:
        """Simulate x [B, D] and keep every result as it arrives, in the archive at `slot` and on."""
        session, done = self.session, {}
        run, batch = run_name(session.problem, session.config), session.batches + len(session.history)
        confirming = accuracy == self.tight
        kept = {i: session.kept.pop((x[i].tobytes(), proposers[i] == "confirm"), None) for i in range(len(x))}
        for i, found in kept.items():
            if found is not None and found.proposer != "confirm":
                done[i] = found.done
                self._count(found.done)
        missing = [i for i in range(len(x)) if i not in done]
        with session.timed("simulate"):
            for k, evaluation in self.pool.run(list(x[missing]), traces=confirming, integrator=accuracy):
                i = missing[k]
                done[i] = evaluation
                if confirming and x[i].tobytes() in session.confirmed_before:
                    continue  # simulated again for its traces alone
                if kept[i] is None:
                    self.archive.add(run, batch, slot + i, proposers[i], str(accuracy), x[i], evaluation)
                self._count(evaluation)
        return done

    def _count(self, done: Evaluation) -> None:
        """One more of the run's evaluations, made now or by an earlier session."""
        session = self.session
        session.evaluations += 1
        if done.status == "failed":
            session.failures[done.reason] += 1
        self.observe(session)
