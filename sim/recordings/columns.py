"""Text and NumPy files to sweeps: a name and a unit in every heading, and names that say what belongs together."""

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gbar.sim.errors import GbarError, nearest
from gbar.sim.problem import decoded
from gbar.sim.recordings.reading import NAMED, Reading, roles
from gbar.sim.recordings.sweep import CURRENT, TIME, VOLTAGE, Channel, Raw, Unusable, even_interval, unit_name

HEADING = re.compile(r"\s*(?P<name>.*?)[\s_(\[/]*(?P<unit>[^\W_]+)[\])]?\s*")
RATES = {"hz": 1e3, "khz": 1.0}  # to ms between samples


def read_csv(file: Path, cell: str, reading: Reading) -> list[Raw | Unusable]:
    """The sweeps in the columns of a text file."""
    text, _ = decoded(file, file.read_bytes())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    dialect = csv.Sniffer().sniff(lines[0], delimiters=",;\t") if len(lines) > 1 else csv.excel
    rows = list(csv.reader(lines, dialect))
    if len(rows) < 3:
        raise GbarError(f"{file}: no samples in it: expected a heading such as time_ms,voltage_mV,current_nA and rows")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(rows[0]):
            raise GbarError(f"{file}, row {number}: {len(row)} fields: expected {len(rows[0])}, as in the heading")
    columns = [(name, *_numbers(file, [row[k] for row in rows[1:]])) for k, name in enumerate(rows[0])]
    faults = {name: fault for name, _, fault in columns if fault}
    return _columns(file, cell, [(name, values) for name, values, _ in columns], reading, faults)


def _numbers(file: Path, fields: Sequence[str]) -> tuple[np.ndarray, str]:
    """Samples [T], and what is wrong with them. An empty field is a sample that was not taken."""
    try:
        return np.array([field.strip() or "nan" for field in fields], float), ""
    except ValueError as error:
        return np.full(len(fields), np.nan), f"{file}: a sample is no number: {error}"


def read_numpy(file: Path, cell: str, reading: Reading) -> list[Raw | Unusable]:
    """The sweeps in the arrays of a NumPy file, [T] or [S, T]."""
    with file.open("rb") as stream:  # which NumPy leaves open where the file is damaged
        return _arrays(file, cell, np.load(stream, allow_pickle=False), reading)


def _arrays(file: Path, cell: str, held: Any, reading: Reading) -> list[Raw | Unusable]:
    if isinstance(held, np.ndarray):
        if not held.dtype.names:
            raise GbarError(
                f"{file}: an array without names and units: expected fields such as time_ms, voltage_mV, current_nA; "
                "np.savez(FILE, time_ms=t, voltage_mV=v, current_nA=i) makes such a file"
            )
        return _columns(file, cell, [(name, held[name]) for name in held.dtype.names], reading)
    return _columns(file, cell, [(name, held[name]) for name in held.files], reading)


def _columns(
    file: Path,
    cell: str,
    columns: Sequence[tuple[str, np.ndarray]],
    reading: Reading,
    faults: Mapping[str, str] = {},
) -> list[Raw | Unusable]:
    """Sweeps from named columns: the unit in a name says what the column is, the rest of it what belongs together.

    A voltage or current of two dimensions [S, T] is S sweeps. One current, or time, serves all voltages. `faults` say
    which columns are no numbers.
    """
    for name, values in columns:
        if np.ndim(values) > 2 or np.asarray(values).dtype.kind not in "fiu":
            raise GbarError(f"{file}: '{name}' is no array of numbers over time: expected [T] or [sweeps, T]")
    rates = [(name, values) for name, values in columns if _unit(name).lower() in RATES and np.ndim(values) == 0]
    channels = [Channel(name, np.asarray(values), _unit(name), 0.0) for name, values in columns if not _is(name, rates)]
    found = roles(channels, reading)
    for channel in found[""]:
        unit, known = channel.unit, [*VOLTAGE, *CURRENT, *TIME]
        raise GbarError(
            f"{file}: '{channel.name}' has no unit in its name{nearest(unit, known) if unit else ''}: "
            "expected names such as time_ms, voltage_mV, current_pA"
        )
    for what in ("voltage", "current"):
        chosen = [channel for channel in found[what] if reading.chose(channel.name)]
        found[what] = chosen or found[what]
    by_role = {what: _rows(found[what]) for what in ("voltage", "current", "time")}
    voltages = by_role["voltage"]
    currents = _partners(file, voltages, by_role["current"], "currents")
    times = _partners(file, voltages, by_role["time"], "times")
    rate = RATES[_unit(rates[0][0]).lower()] / float(rates[0][1]) if rates else float("nan")
    if not any(times) and not rate > 0:
        raise GbarError(f"{file}: no time in it: expected a column such as time_ms (in .npz files also rate_Hz)")
    sweeps: list[Raw | Unusable] = []
    for number, (voltage, current, time) in enumerate(zip(voltages, currents, times, strict=True)):
        name = f"{file}, sweep {number}" if len(voltages) > 1 else str(file)
        try:
            for part in (voltage, current, time):
                if part and part.name in faults:
                    raise GbarError(faults[part.name])
            interval = _interval(file, time) if time else rate
            if not interval > 0:
                raise GbarError(f"{name}: no time for {voltage.name}: expected a column called like it")
            if time and len(time.values) != len(voltage.values):
                raise GbarError(f"{name}: {len(voltage.values)} voltages at {len(time.values)} times")
            timed = [Channel(c.name, c.values, c.unit, interval) if c else None for c in (voltage, current)]
            assert timed[0] is not None
            sweeps.append(Raw(cell, name, timed[0], timed[1]))
        except GbarError as error:
            sweeps.append(Unusable(cell, str(error)))
    return sweeps


def _unit(heading: str) -> str:
    named = HEADING.fullmatch(heading)
    return unit_name(named["unit"]) if named else ""


def _is(name: str, rates: Sequence[tuple[str, np.ndarray]]) -> bool:
    return any(name == rate for rate, _ in rates)


def _rows(channels: Sequence[Channel]) -> list[Channel]:
    """One channel a sweep."""
    return [Channel(c.name, np.asarray(row), c.unit, 0.0) for c in channels for row in np.atleast_2d(c.values)]


def _partners(
    file: Path, voltages: Sequence[Channel], others: Sequence[Channel], noun: str
) -> Sequence[Channel | None]:
    """What belongs to each voltage: what is called like it, the word for the quantity and the unit left out.

    Raises:
        GbarError: the names do not say it.
    """
    if not others:
        return [None] * len(voltages)
    keys, theirs = [_key(c) for c in voltages], [_key(c) for c in others]
    if not set(keys) & set(theirs):  # "trace 1" and "current 1"
        keys, theirs = ([re.sub(r"\D+", " ", key).strip() or key for key in names] for names in (keys, theirs))
    if len(others) == 1 and (theirs[0] == "" or theirs[0] not in keys):
        return [others[0]] * len(voltages)
    if Counter(keys) == Counter(theirs):  # rows of one array, or columns of one name, in their order
        waiting: dict[str, list[Channel]] = {}
        for key, other in zip(theirs, others, strict=True):
            waiting.setdefault(key, []).append(other)
        return [waiting[key].pop(0) for key in keys]
    counts = Counter(theirs)
    if max(counts.values()) == 1 and set(theirs) <= set(keys):  # the others were recorded without one
        return [others[theirs.index(key)] if key in counts else None for key in keys]
    if len(others) != len(voltages):
        raise GbarError(f"{file}: {len(voltages)} voltages and {len(others)} {noun}: expected as many or one")
    names = [", ".join(channel.name for channel in channels[:3]) for channels in (voltages, others)]
    raise GbarError(
        f"{file}: the names do not say which of the {noun} ({names[1]}) belongs to which voltage ({names[0]}): "
        "expected the same names but for the quantity and the unit, such as v_1_mV and i_1_pA"
    )


def _key(channel: Channel) -> str:
    """What is left of a name without the unit and the word for what it is: "1" of Vm1_mV."""
    named = HEADING.fullmatch(channel.name)
    words = named["name"] if named and channel.measures() else channel.name
    for pattern in NAMED.values():
        words = pattern.sub(" ", words)
    return " ".join(re.sub(r"[\W_]+", " ", words).lower().split())


def _interval(file: Path, time: Channel) -> float:
    interval = even_interval(np.asarray(time.values) * TIME[time.unit], f"{file}, {time.name}")
    return float(f"{interval:.9g}")  # the column's own rounding
