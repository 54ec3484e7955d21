"""What stands in recording files: series by their own samples and times, and one bad sweep among good ones."""

import datetime
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gbar.sim import GbarError
from gbar.sim.recordings.files import read_files
from gbar.sim.recordings.intake import Intake, take_in
from gbar.sim.recordings.reading import Reading
from gbar.sim.recordings.sweep import Raw, Unusable
from tests.recorded import WRITERS, ibw, passive, step_current, write_abf, write_abf2, write_npz, write_nwb

Pair = tuple[np.ndarray, np.ndarray]


def read(path: Path, **reading: Any) -> Intake:
    return take_in([path], Reading(**reading), -20.0)


def steps(intake: Intake) -> list[float]:
    """Amplitudes, pA."""
    return [round(1e3 * one.step.amplitude, 1) for one in intake.good]


def resistances(intake: Intake) -> list[float]:
    """MOhm."""
    found = []
    for sweep, step, *_ in intake.good:
        change = np.median(sweep.v[(step.first + step.last) // 2 : step.last]) - np.median(sweep.v[: step.first])
        found.append(round(float(change) / step.amplitude))
    return found


SWEEPS = [passive(amplitude, resistance=100) for amplitude in (-0.05, -0.1, -0.15)]


def nwb(file: Path, fill: Callable[[Any, Any, Any], None]) -> Path:
    """An NWB file; `fill` gets pynwb, the content and an electrode."""
    import pynwb

    content = pynwb.NWBFile("a session", file.stem, datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    electrode = content.create_icephys_electrode(name="e0", description="x", device=content.create_device(name="rig"))
    fill(pynwb, content, electrode)
    with pynwb.NWBHDF5IO(str(file), "w") as stream:
        stream.write(content)
    return file


def response(pynwb: Any, electrode: Any, name: str, v: np.ndarray, **more: Any) -> Any:
    timed = more if "timestamps" in more else {"rate": 1e4, "starting_time": 0.0, **more}
    return pynwb.icephys.CurrentClampSeries(name=name, data=v / 1e3, electrode=electrode, gain=1.0, **timed)


def stimulus(pynwb: Any, electrode: Any, name: str, i: np.ndarray, **more: Any) -> Any:
    timed = more if "timestamps" in more else {"rate": 1e4, "starting_time": 0.0, **more}
    return pynwb.icephys.CurrentClampStimulusSeries(name=name, data=i / 1e9, electrode=electrode, gain=1.0, **timed)


# --- each series by its own indices


@pytest.mark.parametrize("long", ["response", "stimulus", "both"])
def test_a_table_cuts_each_series_by_its_own_samples(long: str, tmp_path: Path) -> None:
    samples = len(SWEEPS[0][0])

    def fill(pynwb: Any, content: Any, electrode: Any) -> None:
        whole = [np.concatenate([sweep[k] for sweep in SWEEPS]) for k in (0, 1)]
        one_v = response(pynwb, electrode, "v", whole[0])
        one_i = stimulus(pynwb, electrode, "i", whole[1])
        for number, (v, i) in enumerate(SWEEPS):
            at = number * samples
            there = one_v if long != "stimulus" else response(pynwb, electrode, f"v{number}", v)
            given = one_i if long != "response" else stimulus(pynwb, electrode, f"i{number}", i)
            for series, add in ((there, content.add_acquisition), (given, content.add_stimulus)):
                if series.parent is None:
                    add(series)
            content.add_intracellular_recording(
                electrode=electrode,
                response=there,
                stimulus=given,
                response_start_index=at if there is one_v else 0,
                response_index_count=samples,
                stimulus_start_index=at if given is one_i else 0,
                stimulus_index_count=samples,
            )

    intake = read(nwb(tmp_path / "a.nwb", fill))
    assert (steps(intake), resistances(intake)) == ([-50, -100, -150], [100, 100, 100])
    assert len({one.sweep.name for one in intake.good}) == 3


def test_what_begins_at_another_time_is_no_pair(tmp_path: Path) -> None:
    v, i = SWEEPS[0]

    def fill(pynwb: Any, content: Any, electrode: Any) -> None:
        for number, late in enumerate((0.0, 0.05)):
            content.add_acquisition(
                response(pynwb, electrode, f"v{number}", v, starting_time=5.0 * number, sweep_number=number)
            )
            began = 5.0 * number + late
            content.add_stimulus(stimulus(pynwb, electrode, f"i{number}", i, starting_time=began, sweep_number=number))

    intake = read(nwb(tmp_path / "a.nwb", fill))
    assert len(intake.good) == 1
    assert "v1: the current begins +50 ms from the voltage" in intake.refused[0]


def test_igor_waves_that_begin_at_another_time_are_no_pair(tmp_path: Path) -> None:
    for number, start in enumerate((0.0, 0.05)):
        wave = bytearray(ibw(SWEEPS[0][1] / 1e9, 0.1, "A"))
        struct.pack_into("<d", wave, 64 + 116, start)  # s, of the first sample
        struct.pack_into("<H", wave, 2, 0)
        struct.pack_into("<H", wave, 2, -int(np.frombuffer(bytes(wave[:384]), "<i2").astype(int).sum()) & 0xFFFF)
        (tmp_path / f"a_Ch0_{number}.ibw").write_bytes(wave)
        (tmp_path / f"a_Ch3_{number}.ibw").write_bytes(ibw(SWEEPS[0][0] / 1e3, 0.1, "V"))
    intake = read(tmp_path)
    assert len(intake.good) == 1
    assert "the current begins +50 ms from the voltage" in intake.refused[0]


COLUMNS = {
    "by name, in another order": (["a_mV", "b_mV", "c_mV", "c_pA", "a_pA", "b_pA"], [0, 1, 2, 2, 0, 1]),
    "by number": (["Vm1_mV", "Vm2_mV", "Vm3_mV", "Icmd3_pA", "Icmd2_pA", "Icmd1_pA"], [0, 1, 2, 2, 1, 0]),
    "by the word for it": (
        ["current 2 (pA)", "current 1 (pA)", "current 0 (pA)", "voltage 0 (mV)", "voltage 1 (mV)", "voltage 2 (mV)"],
        [2, 1, 0, 0, 1, 2],
    ),
    "of one name, in their order": (["mV", "pA", "mV", "pA", "mV", "pA"], [0, 0, 1, 1, 2, 2]),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_columns_are_paired_by_name(case: str, tmp_path: Path) -> None:
    names, which = COLUMNS[case]
    table(tmp_path / "a.csv", names, which)
    intake = read(tmp_path / "a.csv")
    assert (steps(intake), resistances(intake)) == ([-50, -100, -150], [100, 100, 100])


def table(file: Path, names: list[str], which: list[int]) -> None:
    columns = [SWEEPS[k][0] if "mV" in name else 1e3 * SWEEPS[k][1] for name, k in zip(names, which, strict=True)]
    rows = np.column_stack([0.1 * np.arange(len(columns[0])), *columns])
    lines = [",".join(["time_ms", *names]), *(",".join(f"{value:.6g}" for value in row) for row in rows)]
    file.write_text("\n".join(lines) + "\n")


def test_columns_whose_names_say_nothing_are_refused(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", ["left_mV", "right_mV", "up_pA", "down_pA"], [0, 1, 1, 0])
    with pytest.raises(GbarError, match="the names do not say which of the currents"):
        read(tmp_path / "a.csv")


def test_a_current_belongs_to_the_voltage_of_its_name(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", ["dend_mV", "soma_mV", "soma_pA"], [1, 0, 0])
    intake = read(tmp_path / "a.csv")
    assert steps(intake) == [-50] and resistances(intake) == [100]
    assert "sweep 0: no current beside the voltage" in intake.refused[0]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8-sig", "utf-16"])
def test_a_text_file_of_any_encoding(encoding: str, tmp_path: Path) -> None:
    table(tmp_path / "a.csv", ["v_mV", "i_pA"], [0, 0])
    text = "# at 22 °C\n" + (tmp_path / "a.csv").read_text()
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    intake = read(tmp_path / "a.csv")
    assert steps(intake) == [-50] and resistances(intake) == [100]


def test_each_sweep_has_its_own_times(tmp_path: Path) -> None:
    arrays: dict[str, np.ndarray] = {}
    for number, interval in enumerate((0.1, 0.05)):
        v, i = passive(-0.1, interval=interval)
        arrays |= {f"time_{number}_ms": np.arange(len(v)) * interval, f"v_{number}_mV": v, f"i_{number}_nA": i}
    np.savez(tmp_path / "a.npz", **arrays)
    assert [one.step.duration for one in read(tmp_path / "a.npz").good] == pytest.approx([300, 300])


# --- uneven times


def hole(values: np.ndarray) -> np.ndarray:
    """Without 100 ms of the step."""
    return np.delete(values, slice(3000, 4000))


def uneven(file: Path) -> None:
    v, i = map(hole, SWEEPS[0])
    t = hole(np.arange(len(SWEEPS[0][0])) * 0.1)
    if file.suffix == ".nwb":

        def fill(pynwb: Any, content: Any, electrode: Any) -> None:
            content.add_acquisition(response(pynwb, electrode, "v", v, timestamps=t / 1e3))
            content.add_stimulus(stimulus(pynwb, electrode, "i", i, timestamps=t / 1e3))

        nwb(file, fill)
    elif file.suffix == ".npz":
        np.savez(file, time_ms=t, voltage_mV=v, current_nA=i)
    elif file.suffix == ".npy":
        held = np.zeros(len(t), [("time_ms", "f4"), ("voltage_mV", "f8"), ("current_nA", "f8")])
        held["time_ms"], held["voltage_mV"], held["current_nA"] = t, v, i
        np.save(file, held)
    elif file.suffix == ".ibw":
        for name, values, unit in (("a_Ch0_0", i / 1e9, "A"), ("a_Ch3_0", v / 1e3, "V"), ("a_t_0", t / 1e3, "s")):
            file.with_name(f"{name}.ibw").write_bytes(ibw(values, 0.1, unit))
    elif file.suffix == ".abf":
        write_abf(file, [SWEEPS[0]], 0.1)
        content = bytearray(file.read_bytes())
        struct.pack_into("<f", content, 126, 1000.0)  # µs, in the second half
        file.write_bytes(content)
    else:
        rows = "\n".join(f"{a:.6g},{b:.6g},{c:.6g}" for a, b, c in zip(t, v, i, strict=True))
        file.write_text(f"time_ms,voltage_mV,current_nA\n{rows}\n")


@pytest.mark.parametrize("suffix", WRITERS)
def test_uneven_times_are_refused_in_every_format(suffix: str, tmp_path: Path) -> None:
    uneven(tmp_path / f"a{suffix}")
    with pytest.raises(GbarError, match="the samples are not evenly spaced"):
        read(tmp_path)


def test_times_as_single_numbers_are_even(tmp_path: Path) -> None:
    v, i = passive(-0.1, interval=0.025)
    np.savez(tmp_path / "a.npz", time_ms=(np.arange(len(v)) * 0.025).astype("f4"), voltage_mV=v, current_nA=i)
    assert len(read(tmp_path).good) == 1


# --- one sweep that cannot be used


def nan_tail(pair: Pair) -> Pair:
    return np.where(np.arange(len(pair[0])) < 4000, pair[0], np.nan), pair[1]


def residue(pair: Pair) -> Pair:
    return passive(0.0)[0], pair[1] * 3e-7


BAD = {"samples that are no number": (nan_tail, "no number, from 400 ms on"), "residue": (residue, "no step in the")}


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".nwb", ".ibw"])
@pytest.mark.parametrize("case", BAD)
def test_one_bad_sweep_does_not_refuse_the_others(case: str, suffix: str, tmp_path: Path) -> None:
    spoil, reason = BAD[case]
    WRITERS[suffix](tmp_path / f"a{suffix}", [SWEEPS[0], spoil(SWEEPS[1]), SWEEPS[2]], 0.1)
    intake = read(tmp_path)
    assert steps(intake) == [-50, -150]
    assert len(intake.refused) == 1 and reason in intake.refused[0]


def test_a_column_that_ends_early_is_left_out(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", ["a_mV", "a_pA", "b_mV", "b_pA"], [0, 0, 1, 1])
    lines = (tmp_path / "a.csv").read_text().splitlines()
    cut = [",".join([*line.split(",")[:3], "", ""]) for line in lines[5001:]]
    (tmp_path / "a.csv").write_text("\n".join([*lines[:5001], *cut]) + "\n")
    intake = read(tmp_path)
    assert steps(intake) == [-50]
    assert "sweep 1: the voltage has samples that are no number, from 500 ms on" in intake.refused[0]


def test_a_word_in_a_column_leaves_its_sweep_out(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", ["a_mV", "a_pA", "b_mV", "b_pA"], [0, 0, 1, 1])
    text = (tmp_path / "a.csv").read_text().splitlines()
    text[4000] = ",".join([*text[4000].split(",")[:3], "#N/A", "0"])
    (tmp_path / "a.csv").write_text("\n".join(text) + "\n")
    intake = read(tmp_path)
    assert steps(intake) == [-50]
    assert "a sample is no number" in intake.refused[0] and "#N/A" in intake.refused[0]


NO_TRACE: dict[str, Any] = {
    "empty": (np.empty(0), "samples are not evenly spaced"),
    "two samples": (np.array([0.0, 1.0]), "2 samples: expected a trace"),
    "words": (np.array(["a", "b"]), "is no array of numbers"),
    "of three dimensions": (np.zeros((2, 2, 2)), "is no array of numbers"),
}


@pytest.mark.parametrize("case", NO_TRACE)
def test_what_is_no_trace_is_refused(case: str, tmp_path: Path) -> None:
    values, why = NO_TRACE[case]
    times = np.arange(len(values)) * 0.1
    np.savez(tmp_path / "a.npz", time_ms=times, voltage_mV=values, current_nA=values)
    with pytest.raises(GbarError, match=why):
        read(tmp_path)


def test_sweeps_of_other_lengths_and_without_current_are_left_out(tmp_path: Path) -> None:
    v, i = SWEEPS[0]

    def fill(pynwb: Any, content: Any, electrode: Any) -> None:
        for number, (there, given) in enumerate(((v, i), (v[:-50], i), (v, None))):
            when = {"starting_time": 5.0 * number, "sweep_number": number}
            content.add_acquisition(response(pynwb, electrode, f"v{number}", there, **when))
            if given is not None:
                content.add_stimulus(stimulus(pynwb, electrode, f"i{number}", given, **when))
        idle = {"name": "rest", "data": v / 1e3, "electrode": electrode, "gain": 1.0, "rate": 1e4}
        content.add_acquisition(pynwb.icephys.IZeroClampSeries(**idle, starting_time=20.0))

    intake = read(nwb(tmp_path / "a.nwb", fill))
    assert steps(intake) == [-50]
    for reason in ("7950 samples", "recorded with no current (I = 0)", "no current beside the voltage"):
        assert sum(reason in refused for refused in intake.refused) == 1


def test_a_file_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    write_npz(tmp_path / "good.npz", [SWEEPS[0]], 0.1)
    (tmp_path / "a.abf").write_bytes(b"hello" * 3000)
    (tmp_path / "a_Ch0_1.ibw").write_bytes(ibw(SWEEPS[0][1], 0.1, "A"))
    (tmp_path / "notes.txt").write_text("the cell was fine\n")
    intake = read(tmp_path)
    assert steps(intake) == [-50]
    assert len(intake.refused) == 3


def test_a_test_pulse_is_no_drift(tmp_path: Path) -> None:
    v, i = passive(0.1, times=(200.0, 500.0, 800.0))
    pulse = step_current(len(i), 0.1, 10, 100, -0.1)
    t = np.arange(len(i)) * 0.1
    charged = np.where(t < 100, 1 - np.exp(-np.maximum(t - 10, 0) / 5), np.exp(-np.maximum(t - 100, 0) / 5))
    np.savez(tmp_path / "a.npz", time_ms=t, voltage_mV=v - 10 * charged, current_nA=i + pulse)
    intake = read(tmp_path)
    assert (steps(intake), intake.refused) == ([100], [])


# --- what flows under the step


@pytest.mark.parametrize("already", [False, True])
def test_a_bias_current_is_part_of_the_protocol(already: bool, tmp_path: Path) -> None:
    v, i = passive(-0.05, rest=-80)

    def fill(pynwb: Any, content: Any, electrode: Any) -> None:
        content.add_acquisition(response(pynwb, electrode, "v", v, bias_current=-1e-10))
        content.add_stimulus(stimulus(pynwb, electrode, "i", i - 0.1 * already))

    intake = read(nwb(tmp_path / "a.nwb", fill))
    assert intake.good[0].step.holding == pytest.approx(-0.1)
    assert any("-100 pA of bias current" in said for said in intake.said)
    assert read(tmp_path / "a.nwb", no_holding=True).good[0].step.holding == 0


def test_the_holding_current_of_an_abf_protocol(tmp_path: Path) -> None:
    sweeps = [passive(amplitude, holding=0.0) for amplitude in (-0.1, 0.05)]
    write_abf(tmp_path / "a.abf", sweeps, 0.1, units=["mV"], epochs=(200.0, 500.0), holding=-20.0)
    good = read(tmp_path).good
    assert [one.step.holding for one in good] == pytest.approx([-0.02, -0.02])


@pytest.mark.parametrize(("numbers", "levels"), [("-100, 50,25", [-100, 50, 25]), ("-100,50", [-100, 50, 50])])
def test_a_users_list_of_levels_is_what_was_commanded(numbers: str, levels: list[float], tmp_path: Path) -> None:
    sweeps = [passive(level / 1e3, resistance=100) for level in levels]
    epoch_b = 11 + 10 + 1
    write_abf(tmp_path / "a.abf", sweeps, 0.1, units=["mV"], epochs=(200.0, 500.0), user_list=(epoch_b, numbers))
    intake = read(tmp_path)
    assert (steps(intake), resistances(intake)) == (levels, [100] * 3)


@pytest.mark.parametrize(("parameter", "numbers"), [(31, "100,200"), (22, "a,b"), (7, "1,2")])
def test_another_list_refuses_the_sweeps(parameter: int, numbers: str, tmp_path: Path) -> None:
    write_abf(tmp_path / "a.abf", SWEEPS, 0.1, ["mV"], epochs=(200.0, 500.0), user_list=(parameter, numbers))
    with pytest.raises(GbarError, match="its user list"):
        read(tmp_path)
    write_abf(tmp_path / "a.abf", SWEEPS, 0.1, ["mV", "pA"], epochs=(200.0, 500.0), user_list=(parameter, numbers))
    assert steps(read(tmp_path)) == [-50, -100, -150]  # recorded, so that nobody asks what was commanded


VERSION_2: dict[str, tuple[dict[str, Any], list[float]]] = {
    "epochs": ({}, [-100, -50, 0]),
    "on a holding current": ({"holding": -20.0}, [-100, -50, 0]),
    "on another output": ({"output": 1}, [-100, -50, 0]),
    "a list": ({"user_list": (22, "-100,50,25", True)}, [-100, 50, 25]),
    "a list of 50 epochs": ({"user_list": (62, "-100,50,25", True)}, [-100, 50, 25]),
    "a list of an epoch before": ({"user_list": (21, "-10,-10,-10", True), "holding": -10.0}, [-100, -50, 0]),
}


@pytest.mark.parametrize("case", VERSION_2)
def test_what_an_abf_of_version_2_commands(case: str, tmp_path: Path) -> None:
    more, levels = VERSION_2[case]
    sweeps = [passive(level / 1e3, resistance=100) for level in levels]
    write_abf2(tmp_path / "a.abf", sweeps, 0.03, (200.0 * 0.3, 500.0 * 0.3), **more)
    intake = read(tmp_path)
    commanded = [level for level in levels if level]
    assert (steps(intake), len(intake.refused)) == (commanded, 3 - len(commanded))
    assert {round(1e3 * one.step.holding, 3) for one in intake.good} == {more.get("holding", 0.0)}


@pytest.mark.parametrize("given", [(22, "-100,50,25", False), (32, "100,200", True)])
def test_a_list_of_version_2_that_is_not_known_refuses(given: tuple[int, str, bool], tmp_path: Path) -> None:
    write_abf2(tmp_path / "a.abf", SWEEPS, 0.1, (200.0, 500.0), user_list=given)
    with pytest.raises(GbarError, match="user list"):
        read(tmp_path)


# --- which channel, in which unit


def test_a_channel_is_chosen_among_several(tmp_path: Path) -> None:
    write_abf(tmp_path / "a.abf", SWEEPS, 0.1, units=["mV", "mV", "pA"])
    with pytest.raises(GbarError, match=r"2 channels are a voltage .* --channel"):
        read(tmp_path)
    assert steps(read(tmp_path, channels=("IN 1",))) == [-50, -100, -150]
    table(tmp_path / "b.csv", ["dend_mV", "soma_mV", "stim_pA"], [1, 0, 0])
    intake = read(tmp_path / "b.csv", channels=("soma",))
    assert (steps(intake), resistances(intake), intake.refused) == ([-50], [100], [])


def test_a_channel_that_is_nowhere_is_an_error(tmp_path: Path) -> None:
    write_abf(tmp_path / "a.abf", SWEEPS, 0.1)
    with pytest.raises(GbarError, match="--channel IN 7: no channel of that name"):
        read(tmp_path, channels=("IN 7",))


def test_an_electrode_is_chosen_among_several(tmp_path: Path) -> None:
    write_nwb(tmp_path / "a.nwb", [*SWEEPS, SWEEPS[0]], 0.1, electrodes=2)
    assert steps(read(tmp_path)) == [-50, -150, -100, -50]
    assert steps(read(tmp_path, channels=("e1",))) == [-100, -50]


UNITS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "none": ({"voltage": "voltage", "current": "current_nA"}, {"voltage_unit": "mV"}),
    "none of the current": ({"voltage": "v_mV", "current": "command"}, {"current_unit": "nA"}),
    "misspelt": ({"voltage": "Vm_mv", "current": "I_na"}, {"voltage_unit": "mV", "current_unit": "nA"}),
    "of something else": ({"voltage": "Vm_pA", "current": "stim_nA"}, {"voltage_unit": "mV"}),
    "wrong": ({"voltage": "voltage_V", "current": "current_A"}, {"voltage_unit": "mV", "current_unit": "nA"}),
}


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
@pytest.mark.parametrize("case", UNITS)
def test_a_unit_that_is_given_overrules_the_file(case: str, suffix: str, tmp_path: Path) -> None:
    names, given = UNITS[case]
    v, i = SWEEPS[1]
    if suffix == ".npz":
        np.savez(tmp_path / "a.npz", time_ms=np.arange(len(v)) * 0.1, **{names["voltage"]: v, names["current"]: i})
    else:
        rows = "\n".join(f"{0.1 * k:.6g},{a:.6g},{b:.6g}" for k, (a, b) in enumerate(zip(v, i, strict=True)))
        (tmp_path / "a.csv").write_text(f"time_ms,{names['voltage']},{names['current']}\n{rows}\n")
    intake = read(tmp_path, **given)
    assert (steps(intake), resistances(intake)) == ([-100], [100])


def test_a_library_that_is_missing_is_no_fault_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    write_npz(tmp_path / "good.npz", [SWEEPS[0]], 0.1)
    (tmp_path / "a.nwb").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "pynwb", None)
    with pytest.raises(GbarError, match="pip install"):
        read(tmp_path)


def test_every_sweep_is_a_sweep_or_a_reason(tmp_path: Path) -> None:
    WRITERS[".npz"](tmp_path / "a.npz", SWEEPS, 0.1)
    (tmp_path / "b.npz").write_bytes(b"x")
    kinds = [type(one) for one in read_files([tmp_path], Reading())]
    assert kinds == [Raw, Raw, Raw, Unusable]
