"""traces.npz: the voltages of a run's solutions."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gbar.sim import GbarError
from gbar.sim.files import packed_arrays, read_arrays, write_whole

Recorded = dict[str, tuple[np.ndarray, np.ndarray]]  # protocol -> (t [T] ms, v [T] mV)
Traces = dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]  # protocol -> "01" -> (t [T] ms, v [T] mV)


def write_traces(run: Path, traces: list[Recorded]) -> None:
    """Keep the voltages of the solutions, as 32-bit floats: protocol -> (t [T] ms, v [T] mV) for each."""
    write_numbered(run / "traces.npz", dict(enumerate(traces, start=1)))


def write_numbered(file: Path, traces: Mapping[int, Recorded]) -> None:
    """The same for some numbers only."""
    arrays = {
        f"{number:02d}/{protocol}/{axis}": values.astype(np.float32)
        for number, solution in traces.items()
        for protocol, (t, v) in solution.items()
        for axis, values in (("t", t), ("v", v))
    }
    write_whole(file, packed_arrays(arrays))


def read_traces(run: Path, name: str = "traces.npz") -> Traces:
    """What `write_traces` kept. Raises GbarError where it is damaged or something else."""
    file, traces = run / name, Traces()
    arrays = read_arrays(file)
    for name in arrays:
        if name.endswith("/t"):
            number, _, protocol = name.removesuffix("/t").partition("/")
            t, v = arrays[name], arrays.get(f"{number}/{protocol}/v", np.array(None))
            if not number.isdigit() or t.ndim != 1 or t.shape != v.shape or t.dtype.kind + v.dtype.kind != "ff":
                raise GbarError(f"{file}: not the traces that gbar writes: {name} and v are no times and voltages")
            traces.setdefault(protocol, {})[number] = t.astype(float), v.astype(float)
    return traces
