"""Recording files to sweeps as they stand there: a reader for each format, and which file belongs to which cell.

Whatever reads a foreign format is imported when such a file is met: gbar runs without these libraries.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from gbar.sim.errors import GbarError
from gbar.sim.recordings.abf import read_abf
from gbar.sim.recordings.columns import read_csv, read_numpy
from gbar.sim.recordings.library import MissingLibrary, library
from gbar.sim.recordings.nwb import read_nwb
from gbar.sim.recordings.reading import Reading, pair, roles
from gbar.sim.recordings.sweep import TIME, Channel, Raw, Unusable, even_interval, unit_name

T = TypeVar("T")

LONGEST = 300  # of what a library says of a damaged file, which can be the file itself

CHANNEL_WORD = re.compile(
    r"(?i)(?<![a-z0-9])(ch_?\d+|ad_?\d+|adc_?\d+|v|vm|voltage|i|im|current|stim|t|time)(?![a-z0-9])"
)


def read_files(paths: Iterable[Path], reading: Reading) -> list[Raw | Unusable]:
    """Every sweep in files and folders, in the order of their names; of what cannot be read, the reason.

    Args:
        paths: files, folders of files, and folders of such folders.
        reading: units and channels; its `cells` says what a cell is. "folder": the files of one folder; "file": each
            file. An NWB file always is one.

    Raises:
        GbarError: a file that is missing, given twice, or of no known kind.
    """
    files = [file for path in paths for file in _files(Path(path))]
    for file in files:
        if files.count(file) > 1:
            raise GbarError(f"{file}: is given twice")
    waves = [file for file in files if file.suffix.lower() == ".ibw"]
    found = list(_read_igor(waves, reading)) if waves else []
    for file in files:
        if file not in waves:
            cell = str(file.resolve() if reading.cells == "file" else file.resolve().parent)
            found += _sweeps(file, cell, reading)
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


def _sweeps(file: Path, cell: str, reading: Reading) -> Sequence[Raw | Unusable]:
    try:
        found = _readable(file, partial(READERS[file.suffix.lower()], file, cell, reading))
    except MissingLibrary:
        raise
    except GbarError as error:
        return [Unusable(cell, str(error))]
    return found or [Unusable(cell, f"{file}: no sweeps with a voltage in it")]


def _readable(file: Path, read: Callable[[], T]) -> T:
    """What a reader returns. A library that fails on a damaged file does so in its own many ways: one line of ours."""
    try:
        return read()
    except GbarError:
        raise
    except Exception as error:
        text = "".join(letter for letter in " ".join(str(error).split())[:LONGEST] if letter.isprintable())
        said = f"{type(error).__name__}: {text}" if text else type(error).__name__
        raise GbarError(f"{file}: damaged, or not what its name says: {said}") from None


# --- Igor: one wave a file


def _read_igor(files: Sequence[Path], reading: Reading) -> Iterator[Raw | Unusable]:
    """Waves that differ only in the name of their channel are one sweep."""
    sweeps: dict[tuple[Path, str], list[tuple[Path, Channel]]] = {}
    for file in files:
        try:
            waves = _readable(file, partial(_waves, file))
        except MissingLibrary:
            raise
        except GbarError as error:
            yield Unusable(str(file.resolve() if reading.cells == "file" else file.resolve().parent), str(error))
            continue
        for column, channel in enumerate(waves):
            key = CHANNEL_WORD.sub("", file.stem).replace("__", "_") + (f", sweep {column}" if column else "")
            sweeps.setdefault((file.parent, key), []).append((file, channel))
    for (folder, key), of_sweep in sweeps.items():
        cell = str(folder.resolve() / key.strip("_") if reading.cells == "file" else folder.resolve())
        try:
            yield _wave_pair(of_sweep, cell, f"{folder / key.strip('_')}", reading)
        except GbarError as error:
            yield Unusable(cell, str(error))


def _wave_pair(waves: Sequence[tuple[Path, Channel]], cell: str, name: str, reading: Reading) -> Raw:
    channels = [channel for _, channel in waves]
    voltage, current = pair(channels, name, reading)
    if voltage is None:
        raise GbarError(
            f"{waves[0][0]}: no voltage beside this wave: expected two files whose names differ in the channel, "
            "such as cell_Ch0_1.ibw and cell_Ch3_1.ibw"
        )
    for time in roles(channels, reading)["time"]:  # a wave of sample times, beside those of values
        even_interval(time.values * TIME[unit_name(time.unit)], f"{name}, {time.name}")
    return Raw(cell, name, voltage, current)


def _waves(file: Path) -> list[Channel]:
    library("igor2")  # which neo asks for only when it reads
    logging.getLogger("igor2").setLevel(logging.CRITICAL)  # it prints what it cannot read
    signal = library("neo.io").IgorIO(filename=str(file)).read_analogsignal()
    interval = 1e3 / float(signal.sampling_rate.rescale("Hz"))
    start = float(signal.t_start.rescale("ms"))
    values = np.asarray(signal.magnitude)
    unit = signal.units.dimensionality.string
    return [Channel(file.name, values[:, k], unit, interval, start) for k in range(values.shape[1])]


READERS: dict[str, Callable[[Path, str, Reading], Sequence[Raw | Unusable]]] = {
    ".abf": read_abf,
    ".nwb": read_nwb,
    ".ibw": lambda file, cell, reading: list(_read_igor([file], reading)),
    ".csv": read_csv,
    ".txt": read_csv,
    ".npz": read_numpy,
    ".npy": read_numpy,
}
