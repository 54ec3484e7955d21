"""Numbers as people and spreadsheets write them, in any country. What could mean two numbers is asked about."""

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

from gbar.sim.errors import GbarError
from gbar.sim.problem.sheet import Cell

MINUS = str.maketrans(dict.fromkeys("−‐‑‒–—﹣－", "-") | {"＋": "+"})
LONGEST = 60  # characters of a number, or of a mean and its spread
SPACES = " \u00a0\u2007\u2009\u202f"
EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
# what a decimal mark is in one country groups thousands in another; a space or an apostrophe only ever groups
WRITTEN = {
    decimal: re.compile(
        rf"[+-]?(?:[1-9][0-9]{{0,2}}(?:[{grouping}{SPACES}'’][0-9]{{3}})+(?:{mark}[0-9]+)?"
        rf"|[0-9]+(?:{mark}[0-9]*)?{EXPONENT}|{mark}[0-9]+{EXPONENT})"
    )
    for decimal, mark, grouping in ((".", r"\.", ","), (",", ",", "."))
}
RANGE = re.compile(r"([0-9][0-9.,]*) *(?:-|to|…|\.\.\.?) *([+-]?[0-9.,]+)")
SPREAD = re.compile(
    r"(?P<mean>[^±]+)±(?P<spread>[^±]+?)\s*(?P<kind>\bs\.?d\.?|\bs\.?e\.?m?\.?)?(?:\s*[(,;]?\s*n\s*=\s*(?P<n>[0-9]+)\s*\)?)?",
    re.I,
)


class TwoNumbers(GbarError):
    """A text that is one number here and another there."""


class Quantity(NamedTuple):
    """A number, and whether a % stood behind it (it is not divided by 100)."""

    value: float
    percent: bool = False


class Spread(NamedTuple):
    """`1.4 ± 0.3` in one cell: texts."""

    mean: str
    spread: str
    kind: str  # "sd", "sem" or nothing
    n: str


class Numerals(NamedTuple):
    """Which decimal marks a table certainly uses."""

    comma: bool = False
    point: bool = True

    def number(self, cell: Cell) -> Quantity:
        """The number in a cell.

        Raises:
            GbarError: it is none, is not finite, or could be two; the message begins with what was expected.
        """
        if isinstance(cell, bool):
            raise GbarError(f"expected a number, got '{str(cell).upper()}'")
        if isinstance(cell, float | int):
            return Quantity(_finite(float(cell), str(cell)))
        text = cell.strip().translate(MINUS)
        if len(text) > LONGEST:
            raise GbarError(f"expected a number, got {len(text)} characters: '{text[:20]}…'")
        percent = text.endswith("%")
        plain = text.removesuffix("%").strip()
        if plain.lower().lstrip("+-") in {"nan", "inf", "infinity"}:
            raise GbarError(f"expected a finite number, got '{cell}'")
        readings = {mark: value for mark in WRITTEN if (value := _reading(plain, mark)) is not None}
        if not readings:
            raise GbarError(f"expected a number, got '{cell}'{_why(plain)}")
        if len(set(readings.values())) > 1:
            readings = {mark: value for mark, value in readings.items() if mark in plain and self._certain(mark)}
            if not readings:
                raise TwoNumbers(_two(cell, plain))
        return Quantity(_finite(next(iter(readings.values())), cell), percent)

    def _certain(self, mark: str) -> bool:
        return self.comma and not self.point if mark == "," else self.point and not self.comma

    @classmethod
    def of(cls, texts: Iterable[str], presumed_point: bool) -> "Numerals":
        """What the numbers of a table prove.

        Args:
            texts: as they stand there; what is no number proves nothing.
            presumed_point: whether nothing but a point is expected unless a comma is proven, as in a CSV with commas.
        """
        comma = point = False
        for text in texts:
            plain = text.strip().translate(MINUS).removesuffix("%").strip()
            possible = [mark for mark in WRITTEN if _reading(plain, mark) is not None]
            if len(possible) == 1:
                comma, point = comma or possible == [","], point or possible == ["."]
        return cls(comma, point or (presumed_point and not comma))


def spread_in(cell: Cell) -> Spread | None:
    """The parts of `1.4 ± 0.3` or `1.4 +/- 0.3 SEM (n = 12)`; None where a cell has no ±.

    Raises:
        GbarError: more than one ±, or nothing on one of its sides.
    """
    text = re.sub(r"\+/[-−–]|\+[-−–](?=[ 0-9])", "±", str(cell))
    if "±" not in text or len(text) > LONGEST:
        return None
    found = SPREAD.fullmatch(text.strip())
    if not found:
        raise GbarError(f"expected a number, or MEAN ± SD, got '{cell}'")
    kind = {"": "", "sd": "sd"}.get((found["kind"] or "").lower().replace(".", ""), "sem")
    return Spread(found["mean"].strip(), found["spread"].strip(), kind, found["n"] or "")


def _reading(plain: str, mark: str) -> float | None:
    """The value of a text where `mark` is the decimal mark; None where nobody would write it so."""
    if not WRITTEN[mark].fullmatch(plain):
        return None
    other = "," if mark == "." else "."
    return float(re.sub(rf"[{SPACES}'’{other}]", "", plain).replace(mark, "."))


def _finite(value: float, shown: object) -> float:
    if not math.isfinite(value):
        raise GbarError(f"expected a finite number, got '{shown}'")
    return value


def _why(plain: str) -> str:
    """What somebody meant who wrote this, where that can be told."""
    if RANGE.fullmatch(plain):
        return ", a range: give the mean, and the SD in its own column"
    if plain.lower() in {"", "true", "false"}:
        return ""
    if re.match(r"[<>~≈≤≥]", plain):
        return ", a limit: give the mean of what was measured"
    if re.match(r"[+-]?[0-9.,]+ *[a-zµμΩω]", plain, re.I):
        return ": without a unit, which has a column of its own"
    return ", such as 12.5"


def _two(cell: str, plain: str) -> str:
    mark = "," if "," in plain else "."
    one, other = (f"{value:.15g}" for value in (_reading(plain, mark), _reading(plain, "." if mark == "," else ",")))
    return f"expected a number that can be read in one way, got '{cell}': write {one} or {other}, whichever it is"
