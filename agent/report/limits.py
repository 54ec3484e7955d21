"""What limits the answer, in sentences: for the page and for the terminal."""

from dataclasses import dataclass, field

from gbar.agent.report import words
from gbar.agent.result import (
    Achieved,
    Conflict,
    FarFromPrior,
    Measured,
    Misbehaviour,
    Overturned,
    Pressing,
    Range,
    Result,
)
from gbar.sim.problem import doubtful_sign

MORE = (
    "Every single measurement and every pair was met, or the surrogate sees where. A larger --budget may do; "
    "or three or more measurements stand in each other's way."
)
UNMEASURED = (
    "Nothing in the table asks for what happens there: add what the cell does, such as its mean_frequency under that "
    "protocol, and tune again."
)
RESUME = "The run ended before anybody looked further: the same command, or a larger --budget, goes on with it."
SOME = 6  # measurements that are named
REASONS = {
    "constant": "the same value whatever the parameters",
    "always met": "met almost anywhere within the bounds: its SD is wide",
}


SAYS = {
    "depolarisation block": "in depolarisation block: the voltage stays high and no spike follows",
    "no repetitive firing": "no repetitive firing: no spike in the last part of a current that should give some",
    "fires before the stimulus": "fires before the stimulus",
    "fires after the stimulus": "goes on firing after the stimulus",
    "does not return to rest": "does not return to rest after the stimulus",
}


@dataclass(frozen=True)
class TradeOff:
    """Two measurements against each other; a row is one evaluation in NEURON."""

    first: str
    second: str
    rows: list[tuple[str, str, str, str]]  # value and z of the first, of the second


@dataclass(frozen=True)
class Finding:
    """One kind of reason."""

    title: str
    advice: str
    sentences: list[str]
    trade_offs: list[TradeOff] = field(default_factory=list)
    is_in_the_way: bool = False  # of a solution, or says that nothing is


def findings(result: Result) -> list[Finding]:
    """Every reason that was found, those that stand in the way of a solution first."""
    diagnosis = result.diagnosis
    measured = {m.key: m for m in result.measurements}
    ranges = {r.name: r for r in result.parameters}
    found = [
        _unmet(result, measured),
        _unmet_together(result, measured),
        Finding(
            "Met after all",
            "",
            [_overturned(each, measured) for each in diagnosis.overturned],
        ),
        Finding(
            "At a bound",
            "The best values may lie beyond: widen the bound where physiology allows.",
            [_at_bound(pressing, ranges, result) for pressing in diagnosis.pressing],
        ),
        Finding(
            "Not where it was expected",
            "A prior only says where to look: either it is wrong for this cell, or a measurement is.",
            [_surprise(far, result) for far in diagnosis.far_from_prior],
        ),
        Finding(
            "No information",
            "These measurements tell no parameter set from another; they neither help nor harm.",
            [f"{u.feature}: {REASONS[u.reason]}" for u in diagnosis.uninformative],
        ),
        Finding(
            "Not constrained",
            "No measurement says much about these parameters: do not read anything into their values.",
            [words.listed(diagnosis.unconstrained)] if diagnosis.unconstrained else [],
        ),
    ]
    odd = warnings_of(result.warnings, "solution" if result.solutions else "compromise")
    found.append(Finding("Not measured, and not as a cell should", UNMEASURED, odd))
    if diagnosis.probed is not None and not found[0].sentences and not found[1].sentences:
        found.insert(0, Finding("Nothing in the way", "", [MORE], is_in_the_way=True))
    return [finding for finding in found if finding.sentences]


def _unmet(result: Result, measured: dict[str, Measured]) -> Finding:
    said = [_out_of_reach(found.nearest, measured) for found in result.diagnosis.unreachable]
    if result.diagnosis.probed is None:
        return Finding("Not met so far", RESUME, said, is_in_the_way=True)
    advice = (
        f"Not found in {_made(result)}, and the surrogate sees no place where it is: widen the bounds, free another "
        "parameter, or ask whether the measurement belongs to this model."
    )
    return Finding("Not found", advice, said, is_in_the_way=True)


def _unmet_together(result: Result, measured: dict[str, Measured]) -> Finding:
    diagnosis = result.diagnosis
    said = [_one_at_a_time(*group, measured) for group in _by_measurement(diagnosis.conflicts)]
    trade_offs = [_trade_off(conflict, measured) for conflict in diagnosis.conflicts]
    if diagnosis.probed is None:
        return Finding("Not met together so far", RESUME, said, trade_offs, is_in_the_way=True)
    advice = (
        f"Each was met, both together never in {_made(result)}, and the surrogate sees no place for them: "
        "trust one less (a larger SD), or free a parameter that parts them."
    )
    return Finding("Not found together", advice, said, trade_offs, is_in_the_way=True)


def _made(result: Result) -> str:
    return words.count(result.evaluations + (result.diagnosis.probed or 0), "evaluation")


def _overturned(found: Overturned, measured: dict[str, Measured]) -> str:
    keys = words.listed([each.feature for each in found.before])
    before, since = (words.listed([_value(each, measured) for each in part]) for part in (found.before, found.since))
    together = "together " if len(found.before) > 1 else ""
    said = f"an earlier session said that {keys} cannot be met {together}(nearest {before})"
    return f"{said}; since then NEURON gave {since}"


def compromises(result: Result) -> list[str]:
    """What each compromise gives up; nothing where there are solutions."""
    if result.solutions:
        return []
    of = len(result.measurements)
    return [
        f"{number} misses {len(one.gives_up)} of {of}: {words.listed(_some(one.gives_up, result))}"
        for number, one in enumerate(result.shown, start=1)
    ]


def _some(keys: list[str], result: Result) -> list[str]:
    """The first few of some measurements, with what they demand."""
    demand = {m.key: m.demand for m in result.measurements}
    told = [f"{key} ({demand[key]})" if demand.get(key) else key for key in keys]
    return told[:SOME] + [f"{len(told) - SOME} more"] * (len(told) > SOME) or [
        "nothing, as the searching engine saw it"
    ]


def _by_measurement(conflicts: list[Conflict]) -> list[tuple[str, list[Achieved], list[Achieved]]]:
    """The measurement that stands against most others, what it and each of them come to together; then the next."""
    groups, left = [], list(conflicts)
    while left:
        keys = [found.feature for conflict in left for found in conflict.together]
        key = max(dict.fromkeys(keys), key=keys.count)
        own = [conflict for conflict in left if key in [found.feature for found in conflict.together]]
        left = [conflict for conflict in left if conflict not in own]
        pairs = [sorted(conflict.together, key=lambda found: found.feature != key) for conflict in own]
        groups.append((key, [pair[0] for pair in pairs], [pair[1] for pair in pairs]))
    return groups


def warnings_of(found: list[Misbehaviour], noun: str) -> list[str]:
    """A sentence for each kind and protocol, as the page and the terminal say it."""
    sentences = []
    for one in found:
        numbers = ", ".join(map(str, one.sets))
        who = f"the {noun}" if one.of == 1 else f"{len(one.sets)} of {one.of} {noun}s ({numbers})"
        sentences.append(f"{one.protocol} ({one.stimulus}), {who}: {SAYS[one.kind]}")
    return sentences


def _value(achieved: Achieved, measured: dict[str, Measured]) -> str:
    if achieved.value is None:
        return words.UNDEFINED
    return f"{words.with_unit(achieved.value, measured[achieved.feature].unit)} (z {words.z_score(achieved.z)})"


def _wanted(key: str, measured: dict[str, Measured]) -> str:
    m = measured[key]
    return f"{words.mean_sd(m.mean, m.sd)} {words.unit_of(m.unit)}".strip()


def _out_of_reach(nearest: Achieved, measured: dict[str, Measured]) -> str:
    key = nearest.feature
    if nearest.value is None:
        return f"{key}: measured {_wanted(key, measured)}; not defined in any simulation"
    m = measured[key]
    doubt = doubtful_sign(m.feature, m.mean, m.sd, nearest.value)
    said = f"{key}: measured {_wanted(key, measured)}; the nearest in NEURON is {_value(nearest, measured)}"
    return f"{said}. {words.signed(doubt)}" if doubt else said


def _one_at_a_time(key: str, own: list[Achieved], others: list[Achieved], measured: dict[str, Measured]) -> str:
    nearest = [
        f"{other.feature} {_wanted(other.feature, measured)}: the nearest together is {_value(value, measured)} and "
        f"{_value(other, measured)}"
        for value, other in zip(own, others, strict=True)
    ]
    return f"{key} {_wanted(key, measured)} and {'; and '.join(nearest)}"


def _trade_off(conflict: Conflict, measured: dict[str, Measured]) -> TradeOff:
    first, second = (found.feature for found in conflict.together)
    rows = [
        (
            words.with_unit(a.value, measured[first].unit),
            words.z_score(a.z),
            words.with_unit(b.value, measured[second].unit),
            words.z_score(b.z),
        )
        for a, b in conflict.trade_off
    ]
    return TradeOff(first, second, rows)


def _at_bound(pressing: Pressing, ranges: dict[str, Range], result: Result) -> str:
    noun = "solution" if result.solutions else "compromise"
    bound = words.with_unit(pressing.bound, ranges[pressing.parameter].unit)
    who = f"the {noun}" if pressing.of == 1 else f"{pressing.sets} of {words.count(pressing.of, noun)}"
    return f"{pressing.parameter}: {who} at the {pressing.side} bound, {bound}"


def _surprise(far: FarFromPrior, result: Result) -> str:
    noun = "solution" if result.solutions else "compromise"
    who = f"the {noun}" if far.of == 1 else f"{far.sets} of {words.count(far.of, noun)}"
    nearest = f"; the nearest of all {words.number(far.sds, 2)}" if far.of > 1 else ""
    least = words.number(far.sds, 2) if far.of == 1 else "2 or more"
    return f"{far.parameter}: {who} {least} SD from its prior{nearest}"
