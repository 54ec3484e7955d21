"""From files to the sweeps that can be measured, and the reasons why others cannot."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from gbar.sim.errors import GbarError, nearest
from gbar.sim.recordings.files import read_files
from gbar.sim.recordings.quality import FEWEST, check_cell, check_seal, check_sweep
from gbar.sim.recordings.stimulus import Square, squares
from gbar.sim.recordings.sweep import Raw, Sweep, converted, count

LARGEST_JUNCTION_MV = 30.0


@dataclass(frozen=True)
class Reading:
    """How recordings are read. What a file says itself needs none of this."""

    junction_mv: float = 0.0  # liquid junction potential, subtracted
    voltage_unit: str | None = None
    current_unit: str | None = None
    cells: str = "folder"  # whose files are one cell: "folder" or "file"
    no_holding: bool = False  # the current channel's level between steps is an offset of the rig


class Good(NamedTuple):
    """A sweep that passed every check, its step, and the test pulse before it where there is one."""

    sweep: Sweep
    step: Square
    test: Square | None


@dataclass
class Intake:
    """What came in."""

    good: list[Good] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # one reason a sweep, a cell
    said: list[str] = field(default_factory=list)  # conversions made


def take_in(paths: Iterable[Path], reading: Reading, threshold: float) -> Intake:
    """Read every sweep, convert it, find its step and check it, then each cell as a whole.

    Args:
        paths: files and folders.
        reading: how.
        threshold: mV that a spike crosses.

    Raises:
        GbarError: a file cannot be read, a unit cannot be believed, or not one sweep is left.
    """
    if abs(reading.junction_mv) > LARGEST_JUNCTION_MV:
        raise GbarError(
            f"a junction potential of {reading.junction_mv:g} mV: expected at most {LARGEST_JUNCTION_MV:g} mV, in mV"
        )
    if reading.cells not in {"folder", "file"}:
        raise GbarError(f"--cells {reading.cells}: expected folder or file{nearest(reading.cells, ['folder', 'file'])}")
    intake = Intake()
    bad_seal: dict[str, str] = {}
    taken: dict[str, list[Good]] = {}
    failed: dict[str, int] = {}
    conversions: dict[str, int] = {}
    for raw in read_files(paths, reading.cells):
        if raw.clamped == "voltage":
            _seal(raw, intake, bad_seal)
            continue
        sweep, said = converted(raw, reading.junction_mv, reading.voltage_unit, reading.current_unit)
        conversions[said] = conversions.get(said, 0) + 1
        try:
            step, test = squares(sweep)
        except GbarError as error:  # another stimulus: no fault of the cell
            intake.refused.append(str(error))
            continue
        try:
            check_sweep(sweep, step, threshold, reading.current_unit is not None)
        except GbarError as error:
            intake.refused.append(str(error))
            failed[sweep.cell] = failed.get(sweep.cell, 0) + 1
            continue
        step = step._replace(holding=0.0) if reading.no_holding else step
        taken.setdefault(sweep.cell, []).append(Good(sweep, step, test))
    intake.said = [f"{said} in {count(number, 'sweep')}" for said, number in conversions.items() if said]
    if reading.junction_mv:
        intake.said.append(f"{reading.junction_mv:g} mV of junction potential subtracted")
    for cell in {**taken, **failed}:
        _whole_cell(cell, taken.get(cell, []), failed.get(cell, 0), bad_seal.get(cell, ""), intake)
    if not intake.good:
        more = f" (and {len(intake.refused) - 1} more)" if len(intake.refused) > 1 else ""
        raise GbarError(f"no sweep is left to measure: {[*intake.refused, 'only voltage clamp'][0]}{more}")
    return intake


def _seal(raw: Raw, intake: Intake, bad: dict[str, str]) -> None:
    """A voltage-clamp sweep is not measured, but one that is a seal test can refuse its cell."""
    try:
        check_seal(raw)
        intake.said.append(f"{raw.name}: voltage clamp, not measured")
    except GbarError as error:
        bad[raw.cell] = str(error)


def _whole_cell(cell: str, good: list[Good], failed: int, bad_seal: str, intake: Intake) -> None:
    """Keep a cell's sweeps, without those that do not fit the others, or none of them."""
    drifted = check_cell(good)
    names = {sweep.name for sweep, _ in drifted}
    intake.refused += [reason for _, reason in drifted]
    kept = [one for one in good if one.sweep.name not in names]
    if bad_seal:
        intake.refused.append(f"cell {Path(cell).name}: {bad_seal}")
    elif len(kept) < FEWEST * (len(good) + failed):
        total = len(good) + failed
        intake.refused.append(f"cell {Path(cell).name}: {total - len(kept)} of its {total} sweeps failed: not measured")
    else:
        intake.good += kept
