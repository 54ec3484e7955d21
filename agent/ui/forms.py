"""What is typed into forms: numbers of any country, one of some that are numbered, the name of a file."""

from gbar.sim import GbarError
from gbar.sim.files import check_name


def number(given: object, what: str) -> float | None:
    """A number, with a decimal point or comma; None where nothing was typed. Raises GbarError."""
    text = str(given or "").strip()
    try:
        return float(text.replace(",", ".").replace("−", "-")) if text else None
    except ValueError:
        raise GbarError(f"{what}: expected a number, got '{text}'") from None


def needed(given: object, what: str) -> float:
    """The same where a number has to be."""
    found = number(given, what)
    if found is None:
        raise GbarError(f"{what}: expected a number, got ''")
    return found


def chosen(given: object, count: int, otherwise: int) -> int:
    """Which of `count`, from 1; the nearest that there is, and `otherwise` where nothing was chosen."""
    text = str(given or "")
    return min(max(1, int(text) if text.isdigit() else otherwise), max(1, count))


def checked_name(given: object) -> str:
    """What a file or a run's folder is to be called. Raises GbarError."""
    try:
        return check_name(str(given or "").strip())
    except ValueError as error:
        raise GbarError(f"name: {error}") from None
