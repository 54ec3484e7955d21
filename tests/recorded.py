"""Recording files made by hand, a writer for each format gbar reads, from the published layouts."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Sweeps = Sequence[tuple[np.ndarray, np.ndarray]]  # voltage [T] mV, current [T] nA
ABF_BLOCK, ABF_HEADER = 512, 12 * 512
MV_A_BIT, PA_A_BIT = 0.005, 1.0


def step_current(samples: int, interval: float, start: float, end: float, amplitude: float, holding: float = 0.0):
    """A square current [T] nA on a holding current."""
    t = np.arange(samples) * interval
    return holding + np.where((t >= start - 1e-9) & (t < end - 1e-9), amplitude, 0.0)


def passive(
    amplitude: float = -0.1,
    rest: float = -70.0,
    resistance: float = 100.0,
    interval: float = 0.1,
    spikes: int = 0,
    noise: float = 0.02,
    holding: float = 0.0,
    times: tuple[float, float, float] = (200.0, 500.0, 800.0),
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """A cell that is a resistor and a capacitor (20 ms), with triangular spikes during the step where asked for.

    Returns:
        Voltage [T] mV and current [T] nA.
    """
    start, end, total = times
    i = step_current(round(total / interval), interval, start, end, amplitude, holding)
    t = np.arange(len(i)) * interval
    charged = 1 - np.exp(-np.maximum(np.minimum(t, end) - start, 0) / 20)
    v = rest + resistance * amplitude * charged * np.exp(-np.maximum(t - end, 0) / 20)
    for k in range(spikes):
        at = start + (k + 0.5) * (end - start) / spikes
        v += np.interp(t, [at - 0.6, at, at + 1.0, at + 2.0, at + 12.0], [0, 90, -8, -8, 0])
    return v + np.random.default_rng(seed).normal(0, noise, len(v)), i


def write_csv(file: Path, sweeps: Sweeps, interval: float) -> None:
    columns = [np.arange(len(sweeps[0][0])) * interval, *(column for sweep in sweeps for column in sweep)]
    names = ["time (ms)", *(name for k in range(len(sweeps)) for name in (f"sweep {k} (mV)", f"sweep {k} (nA)"))]
    rows = [",".join(repr(float(value)) for value in row) for row in zip(*columns, strict=True)]
    file.write_text("\n".join([",".join(names), *rows]) + "\n", encoding="utf-8")


def write_npz(file: Path, sweeps: Sweeps, interval: float) -> None:
    v, i = (np.array([sweep[k] for sweep in sweeps]) for k in (0, 1))
    np.savez(file, rate_Hz=np.array(1e3 / interval), voltage_mV=v, current_nA=i)


def write_npy(file: Path, sweeps: Sweeps, interval: float) -> None:
    (v, i), t = sweeps[0], np.arange(len(sweeps[0][0])) * interval
    table = np.zeros(len(v), [("time_ms", "f8"), ("voltage_mV", "f8"), ("current_nA", "f8")])
    table["time_ms"], table["voltage_mV"], table["current_nA"] = t, v, i
    np.save(file, table)


def write_nwb(
    file: Path,
    sweeps: Sweeps,
    interval: float,
    seal_mohm: float | None = None,
    tabled: bool = True,
    electrodes: int = 1,
) -> None:
    """Volts and amperes, as NWB has them.

    Args:
        seal_mohm: what a seal test in voltage clamp before the sweeps sees; None for no test.
        tabled: whether the file's table says which stimulus belongs to which response.
        electrodes: which take turns.
    """
    import datetime

    import pynwb

    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    content = pynwb.NWBFile("a session", file.stem, start)
    rig = content.create_device(name="rig")
    made = [content.create_icephys_electrode(name=f"e{k}", description="glass", device=rig) for k in range(electrodes)]
    if seal_mohm is not None:
        command = np.where(np.arange(2000) // 500 == 1, 5e-3, 0.0)  # V
        response = command / (1e6 * seal_mohm)  # A
        common = {"electrode": made[0], "gain": 1.0, "rate": 2e4, "starting_time": 5.0}
        there = pynwb.icephys.VoltageClampSeries(name="seal", data=response, stimulus_description="seal test", **common)
        content.add_acquisition(there)
        content.add_stimulus(pynwb.icephys.VoltageClampStimulusSeries(name="seal_command", data=command, **common))
    for number, (v, i) in enumerate(sweeps):
        # the factor takes what is kept (mV, nA) to volts and amperes
        electrode = made[number % electrodes]
        common = {"electrode": electrode, "gain": 1.0, "rate": 1e3 / interval, "starting_time": 10.0 * number}
        there = pynwb.icephys.CurrentClampSeries(name=f"response_{number}", data=v, conversion=1e-3, **common)
        given = pynwb.icephys.CurrentClampStimulusSeries(name=f"stimulus_{number}", data=i, conversion=1e-9, **common)
        content.add_acquisition(there)
        content.add_stimulus(given)
        if tabled:
            content.add_intracellular_recording(electrode=electrode, stimulus=given, response=there)
    with pynwb.NWBHDF5IO(str(file), "w") as stream:
        stream.write(content)


def write_ibw(file: Path, sweeps: Sweeps, interval: float) -> None:
    """Two waves a sweep: FILE_Ch0_N.ibw the current in A, FILE_Ch3_N.ibw the voltage in V."""
    for number, (v, i) in enumerate(sweeps):
        for channel, values, unit in ((0, i / 1e9, "A"), (3, v / 1e3, "V")):
            wave = file.with_name(f"{file.stem}_Ch{channel}_{number}.ibw")
            wave.write_bytes(ibw(values, interval, unit))


def ibw(values: np.ndarray, interval: float, unit: str) -> bytes:
    """An Igor binary wave, version 5, of doubles."""
    header = bytearray(384)
    struct.pack_into("<hhi", header, 0, 5, 0, 320 + values.nbytes)
    struct.pack_into("<ih", header, 64 + 12, len(values), 4)  # number of points, type: double
    struct.pack_into("<h32s", header, 64 + 26, 1, b"wave")
    struct.pack_into("<4i", header, 64 + 68, len(values), 0, 0, 0)
    struct.pack_into("<4d", header, 64 + 84, interval / 1e3, 1, 1, 1)  # s
    struct.pack_into("<4s", header, 64 + 148, unit.encode())
    checksum = -int(np.frombuffer(bytes(header), "<i2").astype(int).sum()) & 0xFFFF
    struct.pack_into("<H", header, 2, checksum)
    return bytes(header) + np.asarray(values, "<f8").tobytes()


def write_abf(
    file: Path,
    sweeps: Sweeps,
    interval: float,
    units: Sequence[str] = ("mV", "pA"),
    epochs: tuple[float, float] | None = None,
    holding: float = 0.0,
    user_list: tuple[int, str] | None = None,
) -> None:
    """Axon binary, version 1, of 16-bit numbers: steps of 0.005 mV and 1 pA.

    Args:
        units: of the channels: "mV" and "pA", or one of them.
        epochs: start and end (ms) of a commanded step, kept in the protocol instead of in a channel.
        holding: pA, commanded between the sweeps and before the first epoch.
        user_list: number of what a list varies in the protocol, and the list.
    """
    channels = len(units)
    chosen = [(0, 1 / MV_A_BIT) if unit == "mV" else (1, 1e3 / PA_A_BIT) for unit in units]
    data = np.array([[np.round(sweep[which] * factor) for which, factor in chosen] for sweep in sweeps])  # [S, C, T]
    count = data.shape[2] * channels
    header = bytearray(ABF_HEADER)

    def put(offset: int, form: str, *values: object) -> None:
        struct.pack_into("<" + form, header, offset, *values)

    put(0, "4sf", b"ABF ", 1.83)
    put(8, "h", 5)  # episodic
    put(10, "i", count * len(sweeps))
    put(16, "i", len(sweeps))
    put(20, "i", 20260101)
    put(40, "i", ABF_HEADER // ABF_BLOCK)
    blocks = -(-count * len(sweeps) * 2 // ABF_BLOCK)
    put(92, "ii", ABF_HEADER // ABF_BLOCK + blocks, len(sweeps))
    put(100, "h", 0)  # whole numbers
    put(120, "hf", channels, 1e3 * interval / channels)
    put(138, "i", count)
    put(244, "ffii", 10.0, 10.0, 32768, 32768)
    put(378, "16h", *range(16))
    put(410, "16h", *(k if k < channels else -1 for k in range(16)))
    for k in range(16):
        unit = units[k] if k < channels else ""
        put(442 + 10 * k, "10s", f"IN {k}".ljust(10).encode())
        put(602 + 8 * k, "8s", unit.ljust(8).encode())
        put(730 + 4 * k, "f", 1.0)
        put(922 + 4 * k, "f", 10.0 / 32768 / (PA_A_BIT if unit == "pA" else MV_A_BIT))
        put(1050 + 4 * k, "f", 1.0)
    for k in range(4):
        put(1306 + 10 * k, "10s", f"Cmd {k}".ljust(10).encode())
        put(1346 + 8 * k, "8s", b"pA      ")
    if epochs is not None:
        put(2296, "2h", 1, 0)
        put(2300, "2h", 1, 0)  # the command comes from the epochs
        samples = [round(time / interval) for time in epochs]
        lead = count // 64  # Clampex holds for a 64th of a sweep before the first epoch
        levels = [1e3 * float(sweep[1][samples[0]]) for sweep in sweeps]
        put(2308, "2h", 1, 1)
        put(2348, "2f", 0.0, levels[0])
        put(2428, "2f", 0.0, levels[1] - levels[0] if len(levels) > 1 else 0.0)
        put(2508, "2i", samples[0] - lead, samples[1] - samples[0])
        put(2348, "f", holding)
        put(1394, "f", holding)
    if user_list is not None:
        put(3360, "h", 1)
        put(3368, "h", user_list[0])
        put(3376, "256s", user_list[1].encode())
    body = bytearray(blocks * ABF_BLOCK)
    body[: data.size * 2] = np.ascontiguousarray(data.transpose(0, 2, 1), "<i2").tobytes()
    synchronised = np.array([[k * count, count] for k in range(len(sweeps))], "<i4").tobytes()
    file.write_bytes(bytes(header + body) + synchronised.ljust(ABF_BLOCK, b"\0"))


def write_abf2(
    file: Path,
    sweeps: Sweeps,
    interval: float,
    epochs: tuple[float, float],
    holding: float = 0.0,
    user_list: tuple[int, str, bool] | None = None,
    output: int = 0,
) -> None:
    """Axon binary, version 2: the voltage, and a commanded step that is kept in the protocol.

    Args:
        epochs: its start and end, ms.
        holding: pA, commanded before it, after it and between the sweeps.
        user_list: number of what a list varies in the protocol, the list, and whether it is switched on.
        output: which of two commands it is; the other is off.
    """
    names = ["program", "protocol", "IN 0", "mV", "Cmd 0", "Cmd 1", "pA", user_list[1] if user_list else "end"]
    text = b"SSCH" + bytes(40) + b"\0".join(name.encode() for name in names) + b"\0"
    samples = len(sweeps[0][0])
    first, last = (round(time / interval) for time in epochs)
    levels = [1e3 * float(sweep[1][first] - sweep[1][0]) + holding for sweep in sweeps]
    change = levels[1] - levels[0] if len(levels) > 1 else 0.0
    protocol = _packed(256, (0, "h", 5), (2, "f", 1e3 * interval), (22, "i", samples), (110, "2f", 10.0, 10.0))
    protocol = protocol[:118] + struct.pack("<2i", 32768, 32768) + protocol[126:]
    gains = ((28, "f", 1.0), (40, "f", 10.0 / 32768 / MV_A_BIT), (48, "f", 1.0))
    outputs = [
        _packed(
            *(256, (0, "h", k), (12, "f", holding), (24, "2i", 5 + k, 7), (40, "2h", k == output, k == output)),
        )
        for k in (0, 1)
    ]
    steps = ((0, holding, 0.0, first - samples // 64), (1, levels[0], change, last - first))
    table = [_packed(48, (0, "3h", k, output, 1), (6, "2f", level, by), (14, "i", n)) for k, level, by, n in steps]
    data = np.array([np.round(v / MV_A_BIT) for v, _ in sweeps]).astype("<i2")
    sections: dict[int, list[bytes]] = {
        76: [protocol],
        92: [_packed(128, (26, "h", 0), *gains, (74, "2i", 3, 4))],
        108: outputs,
        124: [_packed(32, (0, "h", k)) for k in (0, 1)],
        156: table,
        220: [text],
        236: [data.tobytes()],
        316: [struct.pack("<2i", k * samples, samples) for k in range(len(sweeps))],
    }
    if user_list:
        sections[172] = [_packed(64, (0, "4hi", output, user_list[2], user_list[0], 0, len(names)))]
    header = bytearray(_packed(512, (0, "4s", b"ABF2"), (4, "4b", 0, 0, 0, 2), (12, "I", len(sweeps))))
    struct.pack_into("<2I", header, 16, 20260101, 0)
    struct.pack_into("<I", header, 60, 1)
    struct.pack_into("<I", header, 72, 2)
    body, block = bytearray(), 1
    for at, entries in sections.items():
        size, number = (2, data.size) if at == 236 else (len(entries[0]), len(entries))
        struct.pack_into("<2Iq", header, at, block, size, number)
        content = b"".join(entries)
        body += content.ljust(-(-len(content) // ABF_BLOCK) * ABF_BLOCK, b"\0")
        block = 1 + len(body) // ABF_BLOCK
    file.write_bytes(bytes(header + body))


def _packed(size: int, *fields: tuple[Any, ...]) -> bytes:
    """Fields of offset, format and values in so many bytes."""
    entry = bytearray(size)
    for at, form, *values in fields:
        struct.pack_into("<" + form, entry, at, *values)
    return bytes(entry)


WRITERS = {
    ".csv": write_csv,
    ".npz": write_npz,
    ".npy": write_npy,
    ".nwb": write_nwb,
    ".ibw": write_ibw,
    ".abf": write_abf,
}
