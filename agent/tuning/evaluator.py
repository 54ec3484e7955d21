"""Where a session's parameter vectors are simulated, kept and judged."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from gbar.agent.learning import Forecast, is_distinct, z_scores
from gbar.agent.learning import worst as goals_worst
from gbar.agent.result import FirstBatch, Progress
from gbar.agent.tuning.batch_size import Took
from gbar.agent.tuning.compromises import choose_compromises, order
from gbar.agent.tuning.definition import Definition
from gbar.agent.tuning.fidelity import PROBES, worth_asking
from gbar.agent.tuning.findings import Confirmed, Findings, Predicted
from gbar.agent.tuning.ledger import Kept, Ledger
from gbar.agent.tuning.schedule import Schedule, hopeless
from gbar.sim import Archive, Evaluation, Integrator, Pool, Workers
from gbar.sim.engine import UNKNOWN

NEAR_MISS = 1.25  # tolerances up to which the best evaluation is confirmed although it misses
PROBE_EVERY = 3  # batches
PROBE_FORM_EVERY = 12  # batches, once a cheaper form of the model is known well enough
CONFIRM_AT_ONCE = 2  # whatever the number of workers, so that it does not change the result


@dataclass
class Evaluator:
    """Simulates what a run asks for, keeps it, and says what is known then."""

    definition: Definition
    ledger: Ledger
    archive: Archive
    pool: Pool
    schedule: Schedule | None = None  # of a dear model, whose protocols are simulated in turn
    took: list[Took] = field(default_factory=list)  # by the searching engine
    next_probe: int = 0  # batch before which no near miss is confirmed again

    def simulate(
        self, findings: Findings, u: np.ndarray, proposers: list[str], forecast: Forecast | None = None
    ) -> Findings:
        """Evaluate a batch [B, D] and keep it, in batch order.

        Returns:
            What is known with it.
        """
        if len(u) == 0:
            return findings
        definition, ledger = self.definition, self.ledger
        proposers = proposers * len(u) if len(proposers) == 1 else proposers
        before = ledger.evaluations
        x = definition.problem.physical(u)
        if self.schedule is None:
            done = self._run(findings, x, proposers, Integrator.of(definition.problem))
        else:
            done = self._in_turn(findings, x, proposers, forecast)
        features = np.array([done[i].row(definition.keys) for i in range(len(u))])
        predictions, corrected = list(findings.predictions), findings.bias.corrected(u, features)
        for i in range(len(u) if forecast is not None else 0):
            expected = Forecast(*(part[i] for part in forecast or ()))
            predictions.append(Predicted(before + i + 1, len(findings.history), proposers[i], expected, corrected[i]))
        known = findings.observations.added(x, u, features, proposers, range(before + 1, before + 1 + len(u)))
        findings = replace(findings, observations=known, predictions=tuple(predictions))
        self.took += [Took(float(findings.distance[i - len(u)]), done[i].seconds) for i in range(len(u))]
        record = Progress(
            evaluations=ledger.evaluations,
            best_max_abs_z=findings.best if np.isfinite(findings.best) else None,
            solutions=len(findings.solutions),
            proposers=dict(Counter(proposers)),
        )
        findings = findings.noted(record)
        ledger.tell(findings)
        return findings

    def with_first_batch(self, findings: Findings, features: np.ndarray) -> Findings:
        """How far the first batch [B, F] came: what pretraining was worth before this cell taught anything."""
        if self.ledger.batch(findings) != 1:
            return findings
        worst = goals_worst(z_scores(features, self.definition.target))
        best = float(worst.min())
        first = FirstBatch(
            evaluations=len(worst),
            best_max_abs_z=best if np.isfinite(best) else None,
            within_3=int((worst <= 3).sum()),
            within_tolerance=int((worst <= self.definition.config.tolerance).sum()),
        )
        return replace(findings, first_batch=first)

    def confirm(self, findings: Findings) -> Iterator[Findings]:
        """Simulate at the confirming accuracy whatever meets the tolerance; what holds there is a solution.

        Yields:
            What is known after every few.
        """
        while batch := self._worth_confirming(findings) or self._near_miss(findings):
            x = findings.observations.x[batch]
            if self._parts(x, confirming=True):
                findings = self.take_up(findings)
            else:
                before = self.ledger.evaluations
                names, slot = ["confirm"] * len(batch), self.ledger.confirmations
                done = self._run(findings, x, names, self.definition.tight, slot)
                self.ledger.confirmations += len(batch)
                findings = self._judged(findings, batch, done, [before + i + 1 for i in range(len(batch))])
            yield findings
        yield findings.amended(self.ledger.evaluations)

    def parts_from_before(self, u: np.ndarray) -> bool:
        """Whether a batch [B, D] leads away from what earlier sessions made. The one they broke off in does not."""
        return self._parts(self.definition.problem.physical(u), confirming=False)

    def _parts(self, x: np.ndarray, confirming: bool) -> bool:
        kept = self.ledger.kept
        met = sum((each.tobytes(), confirming) in kept for each in x)
        return met < len(x) and met < len(kept)

    def take_up(self, findings: Findings) -> Findings:
        """Learn all that earlier sessions have made and the loop has not come to; what they confirmed, for its traces
        again: outside the budget, which has paid."""
        ledger = self.ledger
        searched = [kept for (_, confirming), kept in ledger.kept.items() if not confirming]
        confirmed = [kept for (_, confirming), kept in ledger.kept.items() if confirming]
        ledger.kept = {}
        if searched:
            x = np.array([kept.x for kept in searched])
            ok = np.array([kept.done.status == "ok" for kept in searched])
            features = np.where(ok[:, None], [kept.done.row(self.definition.keys) for kept in searched], np.nan)
            u, proposers = self.definition.problem.unit(x), [kept.proposer for kept in searched]
            numbers = [kept.number for kept in searched]
            findings = replace(findings, observations=findings.observations.added(x, u, features, proposers, numbers))
        for kept in searched + confirmed:
            ledger.count(kept.done, findings)
            ledger.batches = max(ledger.batches, kept.batch + 1 - len(findings.history))
        ledger.confirmations += len(confirmed)
        ledger.confirmed_before |= {kept.x.tobytes() for kept in confirmed}
        return self._confirmed_again(findings, confirmed)

    def _confirmed_again(self, findings: Findings, confirmed: list[Kept]) -> Findings:
        where = {x.tobytes(): index for index, x in enumerate(findings.observations.x)}
        inside = findings.observations.inside
        known = [(where[kept.x.tobytes()], kept.number) for kept in confirmed if kept.x.tobytes() in where]
        known = [(index, number) for index, number in known if inside[index]]
        indices = [index for index, _ in known]
        x = findings.observations.x[indices]
        done = self._run(findings, x, ["confirm"] * len(known), self.definition.tight)
        return self._judged(findings, indices, done, [number for _, number in known])

    def _worth_confirming(self, findings: Findings) -> list[int]:
        """The next few evaluations that meet the tolerance, distinct from every solution and from one another."""
        config, known = self.definition.config, findings.observations
        size = min(CONFIRM_AT_ONCE, config.solutions - len(findings.solutions))
        found, left = findings.worst, self.ledger.left
        batch: list[int] = []
        for i in np.argsort(found, kind="stable"):
            if len(batch) >= size or found[i] > config.tolerance:
                break
            u, costs = known.u[i], known.x[i].tobytes() not in self.ledger.confirmed_before
            if is_distinct(u[None], known.u[batch])[0] and _is_new(findings, u) and (left > 0 or not costs):
                batch.append(int(i))
                left -= costs
        return batch

    def _near_miss(self, findings: Findings) -> list[int]:
        """The best evaluation where it misses the tolerance by little: the searching engine may be what is wrong."""
        known, batch, tolerance = findings.observations, self.ledger.batch(findings), self.definition.config.tolerance
        if findings.solutions or self.ledger.left <= 0 or not len(known) or batch < self.next_probe:
            return []
        best = int(np.argmin(findings.worst))
        near = tolerance < findings.worst[best] <= NEAR_MISS * tolerance
        if self.definition.cheaper and not near and findings.distance.min() <= worth_asking(findings):
            best, near = int(np.argmin(findings.distance)), True  # what the form is worth, the model has to say
        if not near or not _is_new(findings, known.u[best]):
            return []
        if known.x[best].tobytes() in self.ledger.confirmed_before:
            return []
        judged = self.definition.cheaper and len(findings.bias.searched) >= PROBES
        self.next_probe = batch + (PROBE_FORM_EVERY if judged else PROBE_EVERY)
        return [best]

    def conclude(self, findings: Findings) -> tuple[Findings, tuple[Confirmed, ...]]:
        """With nothing found, confirm a few that give up different measurements, outside the budget.

        Returns:
            What is known now: one that gives up nothing is a solution, which the budget had left no evaluation to
            confirm. Without any, the compromises, nearest first as they are when confirmed.
        """
        if findings.solutions:
            return findings, ()
        chosen, config = _compromises(findings), self.definition.config
        x = list(findings.observations.x[chosen])
        done = dict(self.pool.run(x, traces=True, integrator=self.definition.tight))
        confirmed = [_confirmed(findings, index, done[i]) for i, index in enumerate(chosen)]
        z = np.reshape([found.z for found in confirmed], (len(confirmed), len(self.definition.keys)))
        ordered = [confirmed[i] for i in order(z, self.definition.target, config.tolerance)]
        for found in ordered:
            holds = goals_worst(found.z) <= config.tolerance and _is_new(findings, found.u)
            if holds and len(findings.solutions) < config.solutions:
                solutions, at = (*findings.solutions, found), self.ledger.evaluations
                findings = replace(findings, solutions=solutions, first_solution_at=findings.first_solution_at or at)
        return findings.amended(self.ledger.evaluations), () if findings.solutions else tuple(ordered)

    def _judged(
        self, findings: Findings, batch: list[int], done: dict[int, Evaluation], numbers: list[int]
    ) -> Findings:
        """What is known once some observations are confirmed, each the run's evaluation of that number."""
        searched = findings
        for i, (index, number) in enumerate(zip(batch, numbers, strict=True)):
            found = _confirmed(searched, index, done[i])
            holds = goals_worst(found.z) <= self.definition.config.tolerance
            if holds and _is_new(findings, found.u):
                first = findings.first_solution_at or number
                findings = replace(findings, solutions=(*findings.solutions, found), first_solution_at=first)
            else:
                findings = replace(findings, rejected=findings.rejected | {found.u.tobytes()})
            self.ledger.tell(findings)
        if str(self.definition.tight) == self.definition.engine:
            return findings
        ok = [i for i in range(len(batch)) if done[i].status == "ok"]
        tight = np.reshape([done[i].row(self.definition.keys) for i in ok], (len(ok), len(self.definition.keys)))
        u, fast = (part[[batch[i] for i in ok]] for part in (findings.observations.u, findings.observations.features))
        return replace(findings, bias=findings.bias.compared(u, fast, tight))

    def _made(self, findings: Findings, x: np.ndarray, accuracy: Integrator) -> Iterator[tuple[int, Evaluation]]:
        if self.schedule is not None and accuracy == self.definition.tight and not self.definition.cheaper:
            return self._confirmed_in_turn(findings, x)
        return self.pool.run(list(x), traces=self._drawn(accuracy), integrator=accuracy)

    def _drawn(self, accuracy: Integrator) -> bool:
        """Whether voltages are kept, for solutions and for who watches: where that costs next to nothing."""
        cheap = isinstance(self.pool, Workers) and not accuracy.batched and self.ledger.is_watched
        return cheap or accuracy == self.definition.tight

    def _in_turn(
        self, findings: Findings, x: np.ndarray, proposers: list[str], forecast: Forecast | None
    ) -> dict[int, Evaluation]:
        """Simulate x [B, D] by the searching engine, a group of protocols after the other; see `Schedule`."""
        schedule, ledger, keys, target = self.schedule, self.ledger, self.definition.keys, self.definition.target
        assert schedule is not None
        cutoff, engine = schedule.cutoff(findings), Integrator.of(self.definition.problem)
        u = self.definition.problem.unit(x)
        kept = {i: ledger.kept.pop((one.tobytes(), False), None) for i, one in enumerate(x)}
        done: dict[int, Evaluation] = {}
        asked = list(range(len(x)))
        for g in schedule.order(findings, cutoff):
            known = {i: part for i in asked if (part := _part(kept[i], keys, schedule.keys[g])) is not None}
            new = [i for i in asked if i not in known]
            with ledger.timed("simulate"):
                for k, part in self.pool.run(list(x[new]), self._drawn(engine), engine, protocols=schedule.groups[g]):
                    known[new[k]] = part
                    self._keep(findings, new[k], proposers[new[k]], engine, x[new[k]], part)
                    ledger.charge(part.spent)
            for i, part in sorted(known.items()):
                if i not in done:
                    ledger.count(part, findings)
                done[i] = done[i].joined(part) if i in done else part
            ok = [i for i in asked if done[i].status == "ok"]
            values = np.array([done[i].row(keys) for i in ok]).reshape(-1, len(keys))
            rows = dict(zip(ok, findings.bias.corrected(u[ok], values), strict=True))
            asked = [i for i, row in rows.items() if not hopeless(row, target, forecast, i, cutoff)]
            if not asked:
                break
        return {i: self._seen(x[i], whole, proposers[i]) for i, whole in done.items()}

    def _seen(self, x: np.ndarray, done: Evaluation, proposer: str) -> Evaluation:
        """An evaluation x [D] by the searching engine, which whoever watches has seen, without its voltages."""
        self.ledger.saw(x, done, proposer)
        return replace(done, traces={})

    def _confirmed_in_turn(self, findings: Findings, x: np.ndarray) -> Iterator[tuple[int, Evaluation]]:
        """Simulate x [B, D] at the confirming accuracy, and no more of what has a measurement out of tolerance."""
        schedule, engine, limit = self.schedule, self.definition.tight, self.definition.config.tolerance
        target = self.definition.target
        assert schedule is not None
        done: dict[int, Evaluation] = {}
        asked = list(range(len(x)))
        for g in schedule.order(findings, np.arcsinh(limit), with_unmeasured=True):
            for k, part in self.pool.run(list(x[asked]), True, engine, protocols=schedule.groups[g]):
                done[asked[k]] = done[asked[k]].joined(part) if asked[k] in done else part
            rows = {i: done[i].row(self.definition.keys) for i in asked if done[i].status == "ok"}
            z = {i: np.where(row == UNKNOWN, 0.0, z_scores(row, target)) for i, row in rows.items()}
            asked = [i for i in z if goals_worst(z[i]) <= limit]
            if not asked:
                break
        yield from sorted(done.items())

    def _keep(
        self, findings: Findings, slot: int, proposer: str, engine: Integrator, x: np.ndarray, done: Evaluation
    ) -> None:
        batch = self.ledger.batch(findings)
        self.archive.add(self.definition.name, batch, slot, proposer, str(engine), x, done)

    def _run(
        self, findings: Findings, x: np.ndarray, proposers: list[str], accuracy: Integrator, slot: int = 0
    ) -> dict[int, Evaluation]:
        """Simulate x [B, D] and keep every result as it arrives, in the archive at `slot` and on."""
        ledger = self.ledger
        done: dict[int, Evaluation] = {}
        confirming = accuracy == self.definition.tight
        kept = {i: ledger.kept.pop((x[i].tobytes(), proposers[i] == "confirm"), None) for i in range(len(x))}
        for i, found in kept.items():
            if found is not None and found.proposer != "confirm":
                done[i] = found.done
                ledger.count(found.done, findings)
        missing = [i for i in range(len(x)) if i not in done]
        with ledger.timed("simulate"):
            for k, evaluation in self._made(findings, x[missing], accuracy):
                i = missing[k]
                evaluation = evaluation if confirming else self._seen(x[i], evaluation, proposers[i])
                done[i] = evaluation
                if confirming and x[i].tobytes() in ledger.confirmed_before:
                    continue  # simulated again for its traces alone
                if kept[i] is None:
                    self._keep(findings, slot + i, proposers[i], accuracy, x[i], evaluation)
                ledger.count(evaluation, findings)
                ledger.charge({} if confirming else evaluation.spent)
        return done


def _part(kept: Kept | None, keys: list[str], own: np.ndarray) -> Evaluation | None:
    """What an earlier session of the run has of the measurements `own` [F]; None where it has not simulated them."""
    if kept is None:
        return None
    if kept.done.status != "ok":
        return kept.done
    features = {key: kept.done.features[key] for key, mine in zip(keys, own, strict=True) if mine}
    return None if np.isinf(list(features.values())).any() else Evaluation(features)


def compromises_so_far(findings: Findings) -> tuple[Confirmed, ...]:
    """What a run that was stopped can say of compromises: as the searching engine gave them, without voltages."""
    if findings.solutions:
        return ()
    keys, known = findings.definition.keys, findings.observations
    rows = {i: dict(zip(keys, map(float, known.features[i]), strict=True)) for i in _compromises(findings)}
    return tuple(_confirmed(findings, i, Evaluation(features)) for i, features in rows.items())


def _compromises(findings: Findings) -> list[int]:
    """Which observations inside the bounds are compromises, nearest first."""
    definition, inside = findings.definition, np.flatnonzero(findings.observations.inside)
    z = z_scores(findings.features[inside], definition.target)
    protocols = [measurement.protocol for measurement in definition.problem.measurements]
    chosen = choose_compromises(z, definition.target, definition.config.tolerance, protocols)
    return [int(inside[k]) for k in chosen]


def _is_new(findings: Findings, u: np.ndarray) -> bool:
    return u.tobytes() not in findings.rejected and bool(is_distinct(u[None], findings.taken)[0])


def _confirmed(findings: Findings, index: int, done: Evaluation) -> Confirmed:
    known, definition = findings.observations, findings.definition
    z = z_scores(done.row(definition.keys), definition.target)
    return Confirmed(known.u[index], known.x[index], done, z, known.proposers[index], int(known.numbers[index]))
