"""A table of measurements asked for row by row, for someone who has the numbers on paper."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from gbar.sim.errors import GbarError, nearest
from gbar.sim.features import catalogue, known_features
from gbar.sim.problem import plausible, synonyms
from gbar.sim.problem.loading import measurement_of
from gbar.sim.problem.problem import Measurement, Problem
from gbar.sim.problem.quantity import Numerals, TwoNumbers
from gbar.sim.problem.responsekey import ResponseKey

Ask = Callable[[str], str]  # shows a prompt and returns the answer; EOFError at the end of the input
Say = Callable[[str], None]
T = TypeVar("T")


def interview(problem: Problem, ask: Ask, say: Say, given: Sequence[Measurement] = ()) -> list[Measurement]:
    """Ask for measurements until an empty protocol or the end of the input. A bad answer is refused and asked again.

    Args:
        problem: its protocols are offered, and the features known under each.
        ask, say: how questions and answers travel.
        given: rows that the table has already; none is asked twice.

    Returns:
        The new rows.
    """
    say(f"Measurements of {problem.name}: one row a feature. ? lists what is known, an empty answer goes back.")
    responses = problem.responses
    for response in responses:
        say(f"  {response}: {_kind(problem, response)}")

    def known(text: str) -> str:
        return _one_of(text, responses, "protocol")

    rows: list[Measurement] = []
    try:
        while True:
            name = _answer(ask, say, "protocol (empty ends)", known)
            if name is None:
                break
            row = _row(problem, name, [*given, *rows], ask, say)
            if row is not None:
                rows.append(row)
                say(f"  {len(rows)}. {row.key} = {row.mean:g} ± {row.sd:g} {row.unit}")
    except EOFError:
        say("")
    return rows


def _row(problem: Problem, name: str, taken: Sequence[Measurement], ask: Ask, say: Say) -> Measurement | None:
    """Feature, mean and SD under one protocol; None where the user went back."""
    kind, variable = _kind(problem, name), problem.variable(name)
    stimulus = problem.stimuli.get(ResponseKey.parse(name).protocol)
    known = known_features(kind, variable)
    usual = [f for f in catalogue(kind, stimulus.sign if stimulus else 0.0, variable) if f in known]
    say(f"  often measured here: {', '.join(usual)}")

    def new(text: str) -> str:
        spelled = synonyms.feature_of(text, known)
        if spelled is None and text != "?" and (hint := synonyms.meant(text)):
            raise GbarError(f"no feature '{text}' under a {kind} protocol{hint}")
        feature = _one_of(spelled or text, known, "feature", f" under a {kind} protocol")
        if any(other.key == f"{name}.{feature}" for other in taken):
            raise GbarError(f"{name}.{feature} is in the table already")
        # what only the whole row shows: a step too short for a time constant, say
        measurement_of(_content(problem, name, feature, 1.0, 1.0), problem, "this row")
        return feature

    feature = _answer(ask, say, "feature", new)
    if feature is None:
        return None
    unit = problem.unit_of(f"{name}.{feature}")
    shown = "no unit" if unit == "constant" else unit or "NEURON's unit"
    mean = _answer(ask, say, f"mean ({shown})", _number)
    sd = None if mean is None else _answer(ask, say, f"SD ({shown})", _positive)
    if mean is None or sd is None:
        return None
    try:
        row = measurement_of(_content(problem, name, feature, mean, sd), problem, "this row")
    except GbarError as error:  # a value that no cell can have
        say(f"  {error}")
        return None
    doubt = plausible.doubts(row)
    if doubt and ask(f"  {doubt}. Keep it as it is? (y, or empty goes back): ").strip().lower() not in {"y", "yes"}:
        return None
    return row


def _kind(problem: Problem, response: str) -> str:
    return problem.protocol[ResponseKey.parse(response).protocol].kind


def _content(problem: Problem, response: str, feature: str, mean: float, sd: float) -> dict[str, object]:
    unit = problem.unit_of(f"{response}.{feature}") or ""
    return {"protocol": response, "feature": feature, "mean": mean, "sd": sd, "unit": unit}


def _answer(ask: Ask, say: Say, prompt: str, understand: Callable[[str], T]) -> T | None:
    """Ask until the answer is understood; None for an empty one."""
    while True:
        text = ask(f"{prompt}: ").strip()
        if not text:
            return None
        try:
            return understand(text)
        except GbarError as error:
            say(f"  {error}")


def _one_of(text: str, known: Iterable[str], what: str, under: str = "") -> str:
    if text == "?":
        raise GbarError(f"known: {', '.join(known)}")
    if text not in known:
        raise GbarError(f"no {what} '{text}'{under}{nearest(text, known)}")
    return text


def _number(text: str) -> float:
    try:
        value, percent = Numerals(point=True).number(text)
    except TwoNumbers:
        raise
    except GbarError:
        raise GbarError(f"'{text}' is no number: expected one such as 12.5, without a unit") from None
    if percent:
        raise GbarError(f"'{text}': expected a share such as 0.12, without %")
    return value


def _positive(text: str) -> float:
    value = _number(text)
    if value <= 0:
        raise GbarError(f"SD {value:g}: expected more than 0; for one cell measured once, what repeats vary by")
    return value
