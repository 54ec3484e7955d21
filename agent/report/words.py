"""Numbers, units and counts as the page prints them."""

import math
import re

from markupsafe import Markup, escape

UNITS = {"MOhm": "MΩ", "Mohm": "MΩ", "megaohm": "MΩ", "S/cm2": "S/cm²", "uF/cm2": "µF/cm²", "um": "µm"}
NO_UNIT = {"", "1", "-", "constant", "dimensionless"}
UNDEFINED = "not defined"


def number(value: float | None, digits: int = 3) -> str:
    """A number to some significant digits with a true minus sign; "not defined" for null and NaN."""
    if value is None or math.isnan(value):
        return UNDEFINED
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size and not 1e-3 <= size < 1e5:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return signed(f"{mantissa}e{int(exponent)}")
    places = max(0, digits - 1 - math.floor(math.log10(size))) if size else 0
    return signed(f"{value:.{places}f}")


def short(value: float) -> str:
    """A round number a person chose, such as a bound, without trailing zeros."""
    if value and not 1e-3 <= abs(value) < 1e5:
        mantissa, exponent = f"{value:.5e}".split("e")
        return signed(f"{float(mantissa):g}e{int(exponent)}")
    return signed(f"{value:.6g}")


def z_score(value: float | None) -> str:
    """A z with its sign, to two decimals, or fewer where it is large."""
    if value is None or math.isnan(value):
        return UNDEFINED
    places = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return signed(f"{value:+.{places}f}")


def signed(text: str) -> str:
    """The same number with a typographic minus."""
    return text.replace("-", "−")


def unit_of(unit: str) -> str:
    """A unit as it is printed after a number; empty for a dimensionless quantity."""
    return "" if unit.strip() in NO_UNIT else UNITS.get(unit.strip(), unit.strip())


def with_unit(value: float | None, unit: str, digits: int = 3) -> str:
    """Value, no-break space, unit."""
    text = number(value, digits)
    return text if text == UNDEFINED or not unit_of(unit) else f"{text}\u00a0{unit_of(unit)}"


def spread(values: list[float], unit: str) -> str:
    """From the lowest to the highest of some values, with their unit."""
    if not values:
        return UNDEFINED
    low, high = number(min(values)), number(max(values))
    return with_unit(max(values), unit) if low == high else f"{low} … {with_unit(max(values), unit)}"


def mean_sd(mean: float, sd: float) -> str:
    """Mean ± SD, both to the decimals that show the SD to two digits."""
    if not 1e-4 <= sd < 1e5 or abs(mean) >= 1e5:
        return f"{number(mean)} ± {number(sd, 2)}"
    places = max(0, 1 - math.floor(math.log10(sd)))
    return signed(f"{mean:.{places}f} ± {sd:.{places}f}")


def minutes(seconds: float) -> str:
    """Wall clock in the unit a reader would use."""
    if seconds < 90:
        return f"{seconds:.0f}\u00a0s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.1f}\u00a0min"
    return f"{seconds / 3600:.1f}\u00a0h"


def seconds(whole: int) -> str:
    """Wall clock to the second: parts printed so add up to the digit."""
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}\u00a0min {rest:02d}\u00a0s" if minutes else f"{rest}\u00a0s"
    return f"{minutes // 60}\u00a0h {minutes % 60:02d}\u00a0min {rest:02d}\u00a0s"


def count(n: int, noun: str) -> str:
    """1 solution, 2 solutions."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def breakable(name: str) -> Markup:
    """A name that may wrap after its underscores and dots, as HTML."""
    return Markup(re.sub(r"([_.])", r"\1<wbr>", str(escape(name))))


def listed(names: list[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
