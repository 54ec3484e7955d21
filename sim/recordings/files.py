"""Recording files to sweeps as they stand there: a reader for each format, and which file belongs to which cell.

Whatever reads a foreign format is imported when such a file is met: gbar runs without these libraries.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from gbar.sim.errors import GbarError, nearest
from gbar.sim.recordings.library import library
from gbar.sim.recordings.nwb import read_nwb
from gbar.sim.recordings.sweep import CURRENT, TIME, VOLTAGE, Channel, Raw, unit_name

T = TypeVar("T")

EVEN = 0.01  # what the intervals of a time column may differ by, as a share
HEADING = re.compile(r"\s*(?P<name>.*?)[\s_(\[/]*(?P<unit>[^\W_]+)[\])]?\s*")
CHANNEL_WORD = re.compile(r"(?i)(?<![a-z0-9])(ch_?\d+|ad_?\d+|adc_?\d+|v|vm|voltage|i|im|current|stim)(?![a-z0-9])")


def read_files(paths: Iterable[Path], cells: str = "folder") -> list[Raw]:
    """Every sweep in files and folders, in the order of their names.

    Args:
        paths: files, folders of files, and folders of such folders.
        cells: "folder": the files of one folder are one cell; "file": each file is one. An NWB file always is.

    Raises:
        GbarError: a file that is missing, of no known kind, or not readable.
    """
    files = [file for path in paths for file in _files(Path(path))]
    for file in files:
        if files.count(file) > 1:
            raise GbarError(f"{file}: is given twice")
    waves = [file for file in files if file.suffix.lower() == ".ibw"]
    found = list(_read_igor(waves, cells)) if waves else []
    for file in files:
        if file not in waves:
            cell = file.resolve() if cells == "file" else file.resolve().parent
            found += _readable(file, partial(READERS[file.suffix.lower()], file, str(cell)))
    return found


def _files(path: Path) -> list[Path]:
    if path.is_file():
        if path.suffix.lower() not in READERS:
            raise GbarError(f"{path}: no recording gbar can read: expected one of {', '.join(READERS)}")
        return [path]
    if not path.is_dir():
        raise GbarError(f"no recording at {path}: expected a file ({', '.join(READERS)}) or a folder of them")
    found = [file for file in sorted(path.rglob("*")) if file.is_file() and file.suffix.lower() in READERS]
    if not found:
        raise GbarError(f"{path}: no recordings in it: expected files {', '.join(READERS)}")
    return found


def _readable(file: Path, read: Callable[[], Sequence[T]]) -> list[T]:
    """What a reader returns. A library that fails on a damaged file does so in its own many ways: one line of ours."""
    try:
        sweeps = list(read())
    except GbarError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise GbarError(f"{file}: damaged, or not what its name says: {said}") from None
    if not sweeps:
        raise GbarError(f"{file}: no sweeps with a voltage in it")
    return sweeps


# --- Axon


def _read_abf(file: Path, cell: str) -> list[Raw]:
    block = library("neo.io").AxonIO(filename=str(file)).read_block(signal_group_mode="split-all")
    several, found = len(block.segments) > 1, []
    commands = None
    for number, segment in enumerate(block.segments):
        name = f"{file}, sweep {number}" if several else str(file)
        voltage, current = _pair([_neo_channel(signal) for signal in segment.analogsignals], name)
        if voltage is not None and current is None:
            commands = _abf_commands(file) if commands is None else commands
            current = commands[number] if number < len(commands) else None
        if voltage is not None:
            found.append(Raw(cell, name, voltage, current))
        elif current is not None:  # the rig clamped the voltage
            found.append(Raw(cell, name, current, None, "voltage"))
    return found


def _abf_commands(file: Path) -> list[Channel]:
    """The commanded current of every sweep, from the file's table of epochs, where no channel recorded it."""
    abf = library("pyabf").ABF(str(file), loadData=False)
    amplifier = [k for k, unit in enumerate(abf.dacUnits) if unit_name(unit) in CURRENT]
    if not amplifier:
        return []
    found = []
    for number in abf.sweepList:
        command = library("pyabf.stimulus").Stimulus(abf, amplifier[0]).stimulusWaveform(number)
        found.append(Channel("command", np.asarray(command, float), abf.dacUnits[amplifier[0]], 1e3 / abf.sampleRate))
    return found if any(np.ptp(channel.values) > 0 for channel in found) else []


def _neo_channel(signal: Any) -> Channel:
    interval = 1e3 / float(signal.sampling_rate.rescale("Hz"))
    return Channel(str(signal.name), np.asarray(signal.magnitude)[:, 0], signal.units.dimensionality.string, interval)


def _pair(channels: Sequence[Channel], name: str) -> tuple[Channel | None, Channel | None]:
    """The voltage and the current among the channels of one sweep."""
    found = {}
    for what in ("voltage", "current"):
        fitting = [channel for channel in channels if channel.measures() == what]
        if len(fitting) > 1:
            names = ", ".join(channel.name for channel in fitting)
            raise GbarError(f"{name}: {len(fitting)} channels are a {what} ({names}): expected one cell a file")
        found[what] = fitting[0] if fitting else None
    unknown = [channel for channel in channels if not channel.measures()]
    for what in ("voltage", "current"):  # a channel without a unit of either may be the missing one
        if found[what] is None and len(unknown) == 1 and len(channels) <= 2:
            found[what] = unknown.pop()
    return found["voltage"], found["current"]


# --- Igor: one wave a file


def _read_igor(files: Sequence[Path], cells: str) -> Iterator[Raw]:
    """Waves that differ only in the name of their channel are one sweep."""
    sweeps: dict[tuple[Path, str], list[tuple[Path, Channel]]] = {}
    for file in files:
        for column, channel in enumerate(_waves(file)):
            key = CHANNEL_WORD.sub("", file.stem).replace("__", "_") + (f", sweep {column}" if column else "")
            sweeps.setdefault((file.parent, key), []).append((file, channel))
    for (folder, key), waves in sweeps.items():
        name = f"{folder / key.strip('_')}"
        voltage, current = _pair([channel for _, channel in waves], name)
        if voltage is None:
            raise GbarError(
                f"{waves[0][0]}: no voltage beside this wave: expected two files whose names differ in the channel, "
                "such as cell_Ch0_1.ibw and cell_Ch3_1.ibw"
            )
        cell = folder.resolve() / key.strip("_") if cells == "file" else folder.resolve()
        yield Raw(str(cell), name, voltage, current)


def _waves(file: Path) -> list[Channel]:
    def read() -> list[Channel]:
        signal = library("neo.io").IgorIO(filename=str(file)).read_analogsignal()
        interval = 1e3 / float(signal.sampling_rate.rescale("Hz"))
        values = np.asarray(signal.magnitude)
        unit = signal.units.dimensionality.string
        return [Channel(file.name, values[:, k], unit, interval) for k in range(values.shape[1])]

    library("igor2")  # which neo asks for only when it reads
    return _readable(file, read)


# --- text and NumPy: a name and a unit in every heading


def _read_csv(file: Path, cell: str) -> list[Raw]:
    text = file.read_text(encoding="utf-8-sig")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    dialect = csv.Sniffer().sniff(lines[0], delimiters=",;\t") if len(lines) > 1 else csv.excel
    rows = list(csv.reader(lines, dialect))
    if len(rows) < 3:
        raise GbarError(f"{file}: no samples in it: expected a heading such as time_ms,voltage_mV,current_nA and rows")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(rows[0]):
            raise GbarError(f"{file}, row {number}: {len(row)} fields: expected {len(rows[0])}, as in the heading")
    try:
        table = np.array(rows[1:], float)
    except ValueError as error:
        raise GbarError(f"{file}: a sample is no number: {error}") from None
    return _columns(file, cell, {name: table[:, k] for k, name in enumerate(rows[0])})


def _read_numpy(file: Path, cell: str) -> list[Raw]:
    held = np.load(file, allow_pickle=False)
    if isinstance(held, np.ndarray):
        if not held.dtype.names:
            raise GbarError(
                f"{file}: an array without names and units: expected fields such as time_ms, voltage_mV, current_nA; "
                "np.savez(FILE, time_ms=t, voltage_mV=v, current_nA=i) makes such a file"
            )
        return _columns(file, cell, {name: held[name] for name in held.dtype.names})
    with held:
        return _columns(file, cell, {name: held[name] for name in held.files})


def _columns(file: Path, cell: str, columns: dict[str, np.ndarray]) -> list[Raw]:
    """Sweeps from named columns: the unit in a name says what the column is, voltages and currents go in pairs.

    A voltage or current of two dimensions [S, T] is S sweeps. One current serves all voltages.
    """
    found: dict[str, list[Channel]] = {"voltage": [], "current": [], "time": []}
    interval = float("nan")
    for heading, values in columns.items():
        named = HEADING.fullmatch(heading)
        unit = unit_name(named["unit"]) if named else ""
        if unit.lower() in {"hz", "khz"} and np.ndim(values) == 0:
            interval = {"hz": 1e3, "khz": 1.0}[unit.lower()] / float(values)
            continue
        what = Channel(heading, values, unit, 0.0).measures()
        if not what:
            known = [*VOLTAGE, *CURRENT, *TIME]
            raise GbarError(
                f"{file}: '{heading}' has no unit in its name{nearest(unit, known) if unit else ''}: "
                "expected names such as time_ms, voltage_mV, current_pA"
            )
        found[what] += [Channel(heading, np.asarray(row), unit, 0.0) for row in np.atleast_2d(values)]
    if found["time"]:
        interval = _interval(file, found["time"][0])
    if not np.isfinite(interval) or interval <= 0:
        raise GbarError(f"{file}: no time in it: expected a column such as time_ms (in .npz files also rate_Hz)")
    voltages, currents = found["voltage"], found["current"]
    if currents and len(currents) not in {1, len(voltages)}:
        raise GbarError(f"{file}: {len(voltages)} voltages and {len(currents)} currents: expected as many or one")
    sweeps = []
    for k, voltage in enumerate(voltages):
        name = f"{file}, sweep {k}" if len(voltages) > 1 else str(file)
        current = currents[k if len(currents) > 1 else 0] if currents else None
        timed = [Channel(c.name, c.values, c.unit, interval) if c else None for c in (voltage, current)]
        assert timed[0] is not None
        sweeps.append(Raw(cell, name, timed[0], timed[1]))
    return sweeps


def _interval(file: Path, time: Channel) -> float:
    t = np.asarray(time.values, float) * TIME[time.unit]
    step = np.diff(t)
    if len(step) == 0 or not (step > 0).all() or np.ptp(step) > EVEN * step.mean():
        raise GbarError(f"{file}: the samples of '{time.name}' are not evenly spaced: resample the trace first")
    interval = float((t[-1] - t[0]) / (len(t) - 1))
    return float(f"{interval:.9g}")  # the column's own rounding


READERS: dict[str, Callable[[Path, str], list[Raw]]] = {
    ".abf": _read_abf,
    ".nwb": read_nwb,
    ".ibw": lambda file, cell: list(_read_igor([file], cell)),
    ".csv": _read_csv,
    ".txt": _read_csv,
    ".npz": _read_numpy,
    ".npy": _read_numpy,
}
