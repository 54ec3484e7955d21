"""What a loader makes of public files, and how that becomes a problem's folder."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gbar.scripts.bench.progress import Fit, fit_of
from gbar.scripts.bench.synthetic import hide_near
from gbar.sim import GbarError, load_problem, measure
from gbar.sim.features import unit_of
from gbar.sim.files import as_csv, folder_in_place, resolved
from gbar.sim.problem import COLUMNS, written
from gbar.sim.recordings import Reading, measure_recordings, write

SEED, WORKERS = 2026, 2  # of the hidden cells: the tables are the same everywhere
TABLE, RECORDINGS, VALUES = "measurements.csv", "recordings.npz", "published.json"


class Row(NamedTuple):
    """A measurement."""

    protocol: str
    feature: str
    mean: float
    sd: float


class Sweeps(NamedTuple):
    """Recorded current steps, and which features are measured on them: none for the usual ones."""

    time_ms: np.ndarray  # [T]
    voltage_mV: np.ndarray  # [sweeps, T]
    current_nA: np.ndarray  # [sweeps, T]
    features: tuple[str, ...] = ()


class Translated(NamedTuple):
    """A problem as a loader puts it; the model's files are copied as they are."""

    content: Mapping[str, Any]  # as problem.toml holds it, without `measurements`
    measured: Sequence[Row] | Sweeps
    files: Mapping[str, Path | str]  # what is copied, or the text of it, by its place in the problem's folder
    values: Mapping[str, float] = {}  # that the authors published; the model's own for those that are not named


class Published(NamedTuple):
    """A problem with real or published targets."""

    source: str  # which public repository, and its commit
    said: str  # what it is
    translate: Callable[[Path], Translated]


def needed(source: Path, *names: str) -> list[Path]:
    """Files of a source.

    Raises:
        GbarError: one is not there.
    """
    for name in names:
        if not (source / name).is_file():
            raise GbarError(
                f"{source}: no file '{name}': expected a copy of what gbar bench problems names as its source"
            )
    return [source / name for name in names]


def bounds_around(low: float, high: float, value: float) -> list[float]:
    """A published range, made wide enough for a published value, and a fifth of that to either side; where all of
    it is above 0, it stays there."""
    low, high = min(low, value), max(high, value)
    fifth = 0.2 * (high - low)
    return [float(f"{end:.4g}") for end in (max(low - fifth, low / 2) if low > 0 else low - fifth, high + fifth)]


def write_problem(name: str, published: Published, source: Path, out: Path) -> None:
    """Write a problem's folder from public files.

    Args:
        name: of the problem.
        published: how they are read.
        source: where they are.
        out: a folder that is not there yet.

    Raises:
        GbarError: the folder exists, a file is missing or is another than expected; nothing is left then.
    """
    out = resolved(out, "OUT")
    if out.exists():
        raise GbarError(f"{out}: exists: name a new folder")
    try:
        found = published.translate(source)
    except (LookupError, TypeError, ValueError) as error:
        raise GbarError(f"{source}: cannot be read ({error!r}): expected {published.source}") from None
    head, content = f"# {published.said}\n# From {published.source}\n", {"name": name, **found.content}
    with folder_in_place(out) as work:
        shutil.copymode(source, work)  # as readable for others as what it is made of
        for place, file in found.files.items():
            (work / place).parent.mkdir(parents=True, exist_ok=True)
            if isinstance(file, str):
                (work / place).write_text(file, encoding="utf-8")
            else:
                shutil.copyfile(file, work / place)
        (work / "problem.toml").write_text(head + written(content), encoding="utf-8")
        if found.values:
            (work / VALUES).write_text(json.dumps(dict(found.values), indent=1) + "\n", encoding="utf-8")
        if isinstance(found.measured, Sweeps):
            _measure(work, found.measured)
        else:
            rows = [[*row, unit_of(row.feature)] for row in found.measured]
            (work / TABLE).write_text(as_csv([COLUMNS, *rows]), encoding="utf-8")
        with_table = written({"measurements": TABLE, **content})
        (work / "problem.toml").write_text(head + with_table, encoding="utf-8")
        load_problem(work)


def _measure(out: Path, sweeps: Sweeps) -> None:
    """The table of a problem's recordings, by the code that measures the model."""
    recordings = out / RECORDINGS
    np.savez_compressed(recordings, time_ms=sweeps.time_ms, voltage_mV=sweeps.voltage_mV, current_nA=sweeps.current_nA)
    problem = load_problem(out, measured=False)
    write(measure_recordings(problem, [recordings], Reading(cells="file"), sweeps.features), problem, out / TABLE)


def steps(amplitudes: Sequence[float], at: str = "soma(0.5)", **times: float) -> dict[str, dict[str, Any]]:
    """Protocols of current steps, by their amplitude in nA, called step_150pA and minus_150pA."""
    named = {
        f"{'minus' if nA < 0 else 'step'}_{abs(1000 * nA):.0f}pA": nA
        for nA in (round(float(one), 6) for one in amplitudes)
    }
    place = {} if at == "soma(0.5)" else {"at": at, "record": f"{at}.v"}
    return {name: {"kind": "step", "amplitude": nA, **place, **times} for name, nA in named.items()}


def hide(folder: Path, count: int) -> None:
    """Write tables of cells near the published one to FOLDER/hidden: what is measured on each is in reach.

    Raises:
        GbarError: nothing was published, or cells that have all measurements are rare there.
    """
    if not (folder / VALUES).exists():
        raise GbarError(f"{folder}: no parameters were published for it: expected a problem with some for --hidden")
    hide_near(load_problem(folder), _values(folder), count, SEED, WORKERS, folder / "hidden")


def _values(folder: Path) -> dict[str, float]:
    file = folder / VALUES
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def published_fit(folder: Path) -> Fit:
    """What the parameters that the authors published make of it, simulated once at the confirming accuracy.

    Raises:
        GbarError: the simulation failed.
    """
    return fit_of(np.array([np.nan if row.z is None else row.z for row in measure(folder, _values(folder))]))
