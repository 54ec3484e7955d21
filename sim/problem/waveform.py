"""A current from a file. Plain functions, because an exported script carries their source."""

import csv
import re
from pathlib import Path

import numpy as np

from gbar.sim.errors import GbarError

HEADER = re.compile(r"\s*(t|time|i|current)\s*[ _(\[]\s*(\w+?)\s*[)\]]?\s*")
UNITS = {"t": "ms", "time": "ms", "i": "nA", "current": "nA"}
LARGEST_NA = 1000.0  # beyond it a table is in pA


def read_waveform(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a current: t [N] ms from 0 on, i [N] nA.

    A CSV has a header with units (`t_ms,i_nA`); an .npy holds an [N, 2] array of ms and nA.

    Raises:
        GbarError: other units, or numbers that are no current over time.
    """
    try:
        rows = None if file.suffix == ".npy" else [[float(word) for word in row] for row in _rows(file)]
        table = np.load(file, allow_pickle=False) if rows is None else np.array(rows)
    except (ValueError, OSError, csv.Error) as error:
        raise GbarError(
            f"{file}: not a current over time: expected two columns of numbers, t_ms,i_nA ({error})"
        ) from None
    if table.ndim != 2 or table.shape[1] != 2 or len(table) < 2 or table.dtype.kind not in "fiu":
        raise GbarError(f"{file}: not a current over time: expected two rows or more of two numbers, ms and nA")
    t, i = table.astype(float).T
    if not np.isfinite(table).all():
        raise GbarError(f"{file}: row {int(np.flatnonzero(~np.isfinite(table).all(1))[0]) + 1} is not finite")
    if t[0] != 0 or (np.diff(t) < 0).any():
        raise GbarError(f"{file}: times begin at {t[0]:g} ms or go back: expected 0 and then never earlier than before")
    if np.abs(i).max() > LARGEST_NA:
        raise GbarError(f"{file}: a current of {np.abs(i).max():g} nA: expected nA, not pA: divide by 1000")
    return t, i


def _rows(file: Path) -> list[list[str]]:
    with file.open(newline="", encoding="utf-8-sig") as stream:
        header, *rows = list(csv.reader(line for line in stream if line.strip() and not line.startswith("#"))) or [[]]
    found = [match.groups() for match in map(HEADER.fullmatch, header) if match]
    if not len(found) == len(header) == 2:
        raise GbarError(f"{file}: columns '{','.join(header)}': expected a header with units: t_ms,i_nA")
    for (name, unit), wanted in zip(found, ("ms", "nA"), strict=True):
        if UNITS[name] != wanted or unit != wanted:
            raise GbarError(f"{file}: column '{name}' in '{unit}': expected t_ms,i_nA, convert the other units")
    return rows
