"""NWB files to sweeps: current-clamp responses with their stimuli, and seal tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gbar.sim.errors import GbarError
from gbar.sim.recordings.library import library
from gbar.sim.recordings.sweep import Channel, Raw


def read_nwb(file: Path, cell: str) -> list[Raw]:
    """The patch-clamp sweeps of a file. A file is one cell unless several electrodes made it.

    A response and its stimulus are what the file's table of intracellular recordings says, else what has the same
    sweep number, else what began at the same time.
    """
    pynwb = library("pynwb")
    with pynwb.NWBHDF5IO(str(file), "r") as stream:
        content = stream.read()
        responses = [s for s in content.acquisition.values() if isinstance(s, pynwb.icephys.PatchClampSeries)]
        clamped = {pynwb.icephys.CurrentClampSeries: "current", pynwb.icephys.VoltageClampSeries: "voltage"}
        electrodes = {response.electrode.name for response in responses}
        pairs = list(_tabled(content))
        tabled = {id(response) for response, _, _, _ in pairs}
        stimuli = list(content.stimulus.values())
        pairs += [(one, _stimulus(one, stimuli), 0, -1) for one in responses if id(one) not in tabled]
        found = []
        for response, stimulus, first, count in pairs:
            kind = next((word for series, word in clamped.items() if isinstance(response, series)), "")
            if not kind:
                continue
            owner = f"{file.resolve()}, {response.electrode.name}" if len(electrodes) > 1 else str(file.resolve())
            described = f"{response.name} {response.stimulus_description} {response.description}"
            there = _channel(response, first, count)
            given = _channel(stimulus, first, count) if stimulus is not None else None
            found.append(Raw(owner, f"{file}, {response.name}", there, given, kind, described))
    return found


def _tabled(content: Any) -> Iterator[tuple[Any, Any, int, int]]:
    """Response, stimulus, first sample and number of samples, as the table of intracellular recordings has them."""
    table = content.intracellular_recordings
    if table is None:
        return
    for row in range(len(table)):
        response = table["responses"]["response"][row]
        stimulus = table["stimuli"]["stimulus"][row]
        if response.timeseries is not None:
            given = stimulus.timeseries if stimulus.timeseries is not None and stimulus.count != 0 else None
            first, count = max(0, int(response.idx_start)), int(response.count)
            yield response.timeseries, given, first, count


def _stimulus(response: Any, stimuli: Any) -> Any:
    fitting = [s for s in stimuli if getattr(s, "electrode", None) is response.electrode]
    numbered = [s for s in fitting if response.sweep_number is not None and s.sweep_number == response.sweep_number]
    if not numbered:
        numbered = [s for s in fitting if s.starting_time is not None and s.starting_time == response.starting_time]
    if len(numbered) > 1:
        raise GbarError(f"{response.name}: {len(numbered)} stimuli belong to it in the file: expected one")
    return numbered[0] if numbered else None


def _channel(series: Any, first: int, count: int) -> Channel:
    data = np.asarray(series.data[first : first + count if count >= 0 else None], float)
    # NWB keeps what the amplifier gave and the factor that makes it volts or amperes
    values = data * float(series.conversion) + float(series.offset)
    if series.rate is not None:
        return Channel(series.name, values, str(series.unit), 1e3 / float(series.rate))
    stamps = np.asarray(series.timestamps[:], float)
    return Channel(series.name, values, str(series.unit), 1e3 * float(np.median(np.diff(stamps))))
