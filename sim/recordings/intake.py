"""From files to the sweeps that can be measured, and the reasons why others cannot."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from gbar.sim.errors import GbarError, nearest
from gbar.sim.recordings.files import read_files
from gbar.sim.recordings.quality import FEWEST, check_cell, check_seal, check_sweep
from gbar.sim.recordings.reading import Reading
from gbar.sim.recordings.stimulus import Square, squares, within
from gbar.sim.recordings.sweep import Raw, Sweep, Unusable, converted, count

LARGEST_JUNCTION_MV = 30.0


class Good(NamedTuple):
    """A sweep that passed every check, its step, and the test pulse before it where there is one."""

    sweep: Sweep
    step: Square
    test: Square | None
    percent: float = float("nan")  # of the cell's rheobase, where the protocol counts in it


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
        GbarError: no such file, a setting that cannot be, or not one sweep is left.
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
    conversions: Counter[str] = Counter()
    clamped = 0
    raws = read_files(paths, reading)
    _check_channels(raws, reading)
    for raw in raws:
        if isinstance(raw, Unusable):
            intake.refused.append(raw.reason)
            continue
        if raw.clamped == "voltage":
            clamped += 1
            _seal(raw, bad_seal)
            continue
        if is_left_out(raw.name, reading):
            intake.refused.append(f"{raw.name}: left out")
            continue
        try:  # another stimulus, or a fault of the file: none of the cell
            sweep, said, step, test = understood(raw, reading)
        except GbarError as error:
            intake.refused.append(str(error))
            continue
        conversions.update(said)
        try:
            check_sweep(sweep, step, test, threshold, reading.current_unit is not None)
        except GbarError as error:
            intake.refused.append(str(error))
            failed[sweep.cell] = failed.get(sweep.cell, 0) + 1
            continue
        step = step._replace(holding=0.0) if reading.no_holding else step
        taken.setdefault(sweep.cell, []).append(Good(sweep, step, test))
    intake.said += [f"{said} in {count(number, 'sweep')}" for said, number in conversions.items()]
    if reading.junction_mv:
        intake.said.append(f"{reading.junction_mv:g} mV of junction potential subtracted")
    for cell in {**taken, **failed}:
        _whole_cell(cell, taken.get(cell, []), failed.get(cell, 0), bad_seal.get(cell, ""), intake)
    if clamped:
        intake.refused.append(f"{count(clamped, 'sweep')} in voltage clamp: not measured")
    intake.refused = [*dict.fromkeys(intake.refused)]
    if not intake.good:
        more = f" (and {len(intake.refused) - 1} more)" if len(intake.refused) > 1 else ""
        raise GbarError(f"no sweep is left to measure: {intake.refused[0]}{more}")
    return intake


def understood(raw: Raw, reading: Reading) -> tuple[Sweep, list[str], Square, Square | None]:
    """A sweep in mV and nA, what was converted, its step and the test pulse before it. Raises GbarError."""
    raw = replace(raw, bias=0.0) if reading.no_holding else raw
    sweep, said = converted(raw, reading.junction_mv, reading.voltage_unit, reading.current_unit)
    window = next((ends for name, *ends in reading.windows if same_sweep(name, sweep.name)), None)
    return sweep, said, *((within(sweep, *window), None) if window else squares(sweep))


def is_left_out(name: str, reading: Reading) -> bool:
    """Whether the user does not want a sweep."""
    return any(same_sweep(other, name) for other in reading.left_out)


def same_sweep(one: str, other: str) -> bool:
    """Whether two names, which begin with a file's path, are of one sweep: the path may be written in other ways."""
    return Path(one).name == Path(other).name


def _check_channels(raws: Sequence[Raw | Unusable], reading: Reading) -> None:
    """Whether what the user chose is anywhere; where nothing can be read at all, the reasons for that say more."""
    read = [raw for raw in raws if isinstance(raw, Raw)]
    channels = [channel.name for raw in read for channel in (raw.response, raw.stimulus) if channel is not None]
    for word in reading.channels:
        one = replace(reading, channels=(word,))
        if read and not any(map(one.chose, [*channels, *(raw.cell for raw in read), *(raw.name for raw in read)])):
            there = ", ".join(dict.fromkeys(channels))
            raise GbarError(
                f"--channel {word}: no channel of that name{nearest(word, channels)}: there are {there[:200]}"
            )


def _seal(raw: Raw, bad: dict[str, str]) -> None:
    """A voltage-clamp sweep is not measured, but one that is a seal test can refuse its cell."""
    try:
        check_seal(raw)
    except GbarError as error:
        bad[raw.cell] = str(error)


def _whole_cell(cell: str, good: list[Good], failed: int, bad_seal: str, intake: Intake) -> None:
    """Keep a cell's sweeps, without those that do not fit the others, or none of them."""
    drifted = check_cell([(one.sweep, one.step, one.test) for one in good])
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
