"""NWB files to sweeps: current-clamp responses with their stimuli, and seal tests."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gbar.sim.errors import GbarError
from gbar.sim.recordings.library import library
from gbar.sim.recordings.reading import Reading
from gbar.sim.recordings.sweep import Channel, Raw, Unusable, even_interval

NA = 1e9  # of an ampere


class Part(NamedTuple):
    """A stretch of a series: all of it unless the file's table names samples."""

    series: Any
    first: int = 0
    samples: int = -1
    tabled: bool = False  # the table says what belongs together, whatever the clocks say


def read_nwb(file: Path, cell: str, reading: Reading) -> list[Raw | Unusable]:
    """The patch-clamp sweeps of a file. A file is one cell unless several electrodes made it.

    A response and its stimulus are what the file's table of intracellular recordings says, each with samples of its
    own, else what has the same sweep number, else what began at the same time.
    """
    pynwb = library("pynwb")
    with pynwb.NWBHDF5IO(str(file), "r") as stream:
        content = stream.read()
        icephys = pynwb.icephys
        responses = [s for s in content.acquisition.values() if isinstance(s, icephys.PatchClampSeries)]
        electrodes = {response.electrode.name for response in responses}
        stimuli = list(content.stimulus.values())
        rows = list(_tabled(content))
        tabled = {id(response.series) for response, _ in rows}
        pairs = rows + [(Part(one), _stimuli(one, stimuli)) for one in responses if id(one) not in tabled]
        times = [there.series.name for there, _ in pairs]
        found: list[Raw | Unusable] = []
        for number, (there, given) in enumerate(pairs):
            series = there.series
            kinds = {"current": icephys.CurrentClampSeries, "voltage": icephys.VoltageClampSeries}
            kind = next((word for word, one in kinds.items() if isinstance(series, one)), "")
            electrode = series.electrode.name
            if not kind or (len(electrodes) > 1 and not _wanted(electrode, electrodes, reading)):
                continue
            owner = f"{file.resolve()}, {electrode}" if len(electrodes) > 1 else str(file.resolve())
            several = times.count(series.name) > 1  # one long response, cut by the table
            name = f"{file}, {series.name}" + (f", part {times[: number + 1].count(series.name)}" if several else "")
            try:
                idle = isinstance(series, icephys.IZeroClampSeries)
                found.append(_raw(there, given, owner, name, kind, idle))
            except GbarError as error:
                found.append(Unusable(owner, str(error)))
        return found


def _wanted(electrode: str, electrodes: set[str], reading: Reading) -> bool:
    """Whether an electrode is among those that the user chose; all are where none of the file's was."""
    return reading.chose(electrode) or not any(map(reading.chose, electrodes))


def _raw(there: Part, given: Sequence[Part], owner: str, name: str, kind: str, idle: bool) -> Raw:
    if idle:
        raise GbarError(f"{name}: recorded with no current (I = 0): no step to measure")
    if len(given) > 1:
        raise GbarError(f"{name}: {len(given)} stimuli belong to it in the file: expected one")
    series = there.series
    described = f"{series.name} {series.stimulus_description} {series.description}"
    bias = getattr(series, "bias_current", None)
    return Raw(
        owner,
        name,
        _channel(there, name),
        _channel(given[0], name) if given else None,
        kind,
        described,
        NA * float(bias) if bias is not None and np.isfinite(bias) else 0.0,
    )


def _tabled(content: Any) -> Iterator[tuple[Part, list[Part]]]:
    """Response and stimulus, as the table of intracellular recordings has them: each names samples of its own."""
    table = content.intracellular_recordings
    if table is None:
        return
    for row in range(len(table)):
        response = table["responses"]["response"][row]
        stimulus = table["stimuli"]["stimulus"][row]
        if response.timeseries is not None:
            there = stimulus.timeseries is not None and stimulus.count != 0
            yield _referred(response), [_referred(stimulus)] if there else []


def _referred(reference: Any) -> Part:
    return Part(reference.timeseries, max(0, int(reference.idx_start)), int(reference.count), True)


def _stimuli(response: Any, stimuli: Sequence[Any]) -> list[Part]:
    """The stimulus of a response that no table lists; several where the file does not say which."""
    fitting = [s for s in stimuli if getattr(s, "electrode", None) is response.electrode]
    numbered = [s for s in fitting if response.sweep_number is not None and s.sweep_number == response.sweep_number]
    began = _began(response)
    if len(numbered) != 1:
        numbered = [s for s in numbered or fitting if began is not None and _began(s) == began] or numbered
    return [Part(series) for series in numbered]


def _began(series: Any) -> float | None:
    """When a series began, s."""
    if series.timestamps is not None:
        return float(series.timestamps[0]) if len(series.timestamps) else None
    return None if series.starting_time is None else float(series.starting_time)


def _channel(part: Part, name: str) -> Channel:
    series, stop = part.series, part.first + part.samples if part.samples >= 0 else None
    held = len(series.data)
    if part.first >= held or (stop is not None and stop > held):
        raise GbarError(
            f"{name}: the file's table names samples {part.first} to {stop} of {series.name}, which has {held}"
        )
    data = np.asarray(series.data[part.first : stop], float)
    if data.ndim != 1:
        raise GbarError(f"{name}: {series.name} has {data.ndim} dimensions: expected one, over time")
    # NWB keeps what the amplifier gave and the factor that makes it volts or amperes
    values = data * float(series.conversion) + float(series.offset)
    if series.rate is not None:
        if not float(series.rate) > 0:
            raise GbarError(f"{name}: {series.name} has a sampling rate of {series.rate}: expected one above 0")
        interval, first = 1e3 / float(series.rate), series.starting_time
    else:
        stamps = np.asarray(series.timestamps[part.first : stop], float)
        if len(stamps) != len(data):
            raise GbarError(f"{name}: {series.name} has {len(data)} samples and {len(stamps)} times")
        interval, first = float(f"{1e3 * even_interval(stamps, f'{name}, {series.name}'):.9g}"), stamps[0]
    began = np.nan if part.tabled or first is None else 1e3 * float(first)
    return Channel(series.name, values, str(series.unit), interval, began)
