"""gbar recordings and gbar measurements: what they print and write, and every input they refuse."""

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from gbar.scripts.main import app
from gbar.sim import load_problem
from tests.problems import free, model_of, protocol_of, step_of, toml_of
from tests.recorded import ibw, passive, write_abf, write_csv, write_ibw, write_npz, write_nwb

TOML = toml_of(
    model_of(celsius=36, v_init=-70),
    free("g_pas", "soma.g_pas", 1e-5, 1e-3),
    step_of("down", amplitude=-0.1, delay=200, duration=300, total=800),
    step_of("short", amplitude=-0.1, delay=200, duration=100, total=400),
    protocol_of("recruit", "rheobase", delay=200, duration=50, total=400),
)

Write = Callable[..., Path]


@pytest.fixture
def problem(write: Write) -> Path:
    return write("cell", **{"problem.toml": TOML, "cell.hoc": ""})


def gbar(*arguments: object, typed: str = "") -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=typed)


def refused(ran: Result, *wanted: str) -> None:
    """Exit code 2, one line on stderr that says what, nothing on stdout."""
    assert ran.exit_code == 2, ran.output
    assert ran.stderr.startswith("gbar: ") and ran.stderr.count("\n") == 1, ran.stderr
    assert ran.stdout == ""
    for word in wanted:
        assert word in ran.stderr


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- gbar recordings


def test_recordings_are_measured_and_written(problem: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cell7"
    folder.mkdir()
    write_npz(folder / "a.npz", [passive(seed=1), passive(seed=2), passive(rest=-4.0)], 0.1)
    out = tmp_path / "cell7.csv"
    ran = gbar("recordings", problem, folder, "--out", out)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert "measurements from 2 sweeps of 1 cell" in ran.stdout
    assert "refused: " in ran.stdout and "baseline -4.0 mV" in ran.stdout
    assert f"Next: gbar tune {problem} --measurements {out}" in ran.stdout
    rows = {m.feature: m for m in load_problem(problem, out).measurements}
    assert rows["ohmic_input_resistance"].mean == pytest.approx(100, rel=0.01)
    assert "2 sweeps of 1 cell" in rows["ohmic_input_resistance"].note
    assert "# refused: " in out.read_text()


def test_recordings_as_json(problem: Path, tmp_path: Path) -> None:
    write_npz(tmp_path / "a.npz", [passive(), passive(0.3, spikes=4)], 0.1)
    ran = gbar("recordings", problem, tmp_path / "a.npz", "--create", "--out", tmp_path / "o.csv", "--json")
    found = json.loads(ran.stdout)
    assert set(found["created"]) == {"step_300pA"}
    assert found["sweeps"] == 2
    assert {row["feature"] for row in found["rows"]} >= {"Spikecount", "ohmic_input_resistance"}
    assert load_problem(problem, tmp_path / "o.csv").protocol.keys() >= {"down", "step_300pA"}


def test_two_cells_in_percent_of_their_rheobase(problem: Path, tmp_path: Path) -> None:
    for cell, rheobase in (("a", 0.1), ("b", 0.2)):
        (tmp_path / "rig" / cell).mkdir(parents=True)
        sweeps = [passive(share * rheobase, spikes=n, resistance=50) for share, n in ((0.8, 0), (1.0, 1), (1.5, 6))]
        write_npz(tmp_path / "rig" / cell / "a.npz", sweeps, 0.1)
    ran = gbar("recordings", problem, tmp_path / "rig", "--relative", "--out", tmp_path / "o.csv")
    assert (ran.exit_code, ran.stderr) == (0, "")
    cells = tmp_path / "o_cells"
    assert f"Written: {cells}: a table a cell, for gbar cells {problem} --cells {cells}" in ran.stdout
    assert sorted(os.listdir(cells)) == ["a.csv", "a_sweeps.npz", "b.csv", "b_sweeps.npz"]
    rows = {m.key: m for m in load_problem(problem, tmp_path / "o.csv").measurements}
    assert rows["step_150pct.Spikecount"].mean == 6


def test_a_channel_and_a_unit_are_chosen(problem: Path, tmp_path: Path) -> None:
    v, i = passive()
    rows = "\n".join(
        f"{0.1 * k:.6g},{a:.6g},{b:.6g},{c:.6g}" for k, (a, b, c) in enumerate(zip(v, 2 * v, i, strict=True))
    )
    (tmp_path / "a.csv").write_text(f"time_ms,soma,dend,stim_nA\n{rows}\n")
    options = ["--channel", "soma", "--voltage-unit", "mV", "--out", tmp_path / "o.csv"]
    refused(gbar("recordings", problem, tmp_path / "a.csv", *options), "'soma' has no unit in its name")
    (tmp_path / "a.csv").write_text(f"time_ms,v_soma,v_dend,stim_nA\n{rows}\n")
    assert gbar("recordings", problem, tmp_path / "a.csv", *options).exit_code == 0


# --- gbar measurements

TYPED = """hyper
down
ohmic_input
ohmic_input_resistance
lots
100
0
8
down
ohmic_input_resistance

short
time_constant

recruit
?
rheobase
0.3
0.05

"""


def test_a_table_is_typed(problem: Path, tmp_path: Path) -> None:
    out = tmp_path / "typed" / "cell.csv"
    ran = gbar("measurements", problem, "--out", out, typed=TYPED)
    assert (ran.exit_code, ran.stderr) == (0, "")
    for word in (
        "no protocol 'hyper'",
        "no feature 'ohmic_input' under a step protocol (nearest: 'ohmic_input_resistance')",
        "mean (MΩ)",
        "'lots' is no number",
        "SD 0: expected more than 0",
        "down.ohmic_input_resistance is in the table already",
        "is not defined for a step of 100 ms",
        "known: ",
    ):
        assert word in ran.stdout, word
    with out.open() as stream:
        rows = list(csv.reader(stream))
    assert rows == [
        ["protocol", "feature", "mean", "sd", "unit"],
        ["down", "ohmic_input_resistance", "100", "8", "MOhm"],
        ["recruit", "rheobase", "0.3", "0.05", "nA"],
    ]
    assert len(load_problem(problem, out).measurements) == 2


def test_rows_are_added_to_a_table(problem: Path, tmp_path: Path) -> None:
    out = tmp_path / "cell.csv"
    out.write_text("# a rat\nfeature,protocol,unit,mean,sd\nvoltage_base,down,mV,-70,2\n")
    ran = gbar("measurements", problem, "--out", out, typed="down\nvoltage_base\nsag_ratio1\n0.1\n0.02\n")
    assert ran.exit_code == 0 and "down.voltage_base is in the table already" in ran.stdout
    assert out.read_text() == (
        "# a rat\nfeature,protocol,unit,mean,sd\nvoltage_base,down,mV,-70,2\nsag_ratio1,down,constant,0.1,0.02\n"
    )


@pytest.mark.parametrize("typed", ["", "\n", "down\n", "down\nvoltage_base\n-70\n", "nowhere\n"])
def test_an_unfinished_row_is_not_written(typed: str, problem: Path, tmp_path: Path) -> None:
    ran = gbar("measurements", problem, "--out", tmp_path / "cell.csv", typed=typed)
    assert (ran.exit_code, "nothing written" in ran.stdout) == (0, True)
    assert not (tmp_path / "cell.csv").exists()


@pytest.mark.parametrize("name", ["new.xlsx", "sem.csv", "features.json"])
def test_what_takes_no_rows_is_said_before_they_are_typed(problem: Path, tmp_path: Path, name: str) -> None:
    if name == "sem.csv":
        row = "down,ohmic_input_resistance,100,2,16,MOhm"
        (tmp_path / name).write_text(f"protocol,feature,mean,sem,n,unit\n{row}\n")
    ran = gbar("measurements", problem, "--out", tmp_path / name, typed=TYPED)
    refused(ran, name, "rows are added to")
    assert "protocol (empty ends)" not in ran.stdout


def test_a_broken_table_is_not_added_to(problem: Path, tmp_path: Path) -> None:
    (tmp_path / "cell.csv").write_text("protocol,feature\n")
    refused(gbar("measurements", problem, "--out", tmp_path / "cell.csv"), "no column 'mean'")


# --- what is refused


def npz(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


def text(folder: Path, name: str, content: str | bytes) -> Path:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name


def cut(folder: Path, suffix: str, share: float) -> Path:
    """A file that ends early."""
    file = folder / f"a{suffix}"
    {".abf": write_abf, ".nwb": write_nwb, ".npz": write_npz}[suffix](file, [passive()], 0.1)
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    return file


def lone_wave(folder: Path) -> Path:
    return text(folder, "a_Ch0_1.ibw", ibw(passive()[1] / 1e9, 0.1, "A"))


def no_stimulus(folder: Path) -> Path:
    write_abf(folder / "a.abf", [passive()], 0.1, units=["mV"])
    return folder / "a.abf"


def two_voltages(folder: Path) -> Path:
    write_abf(folder / "a.abf", [passive()], 0.1, units=["mV", "mV", "pA"])
    return folder / "a.abf"


def unequal(folder: Path) -> Path:
    v, i = passive()
    text(folder, "a_Ch0_1.ibw", ibw(i[:-5] / 1e9, 0.1, "A"))
    text(folder, "a_Ch3_1.ibw", ibw(v / 1e3, 0.1, "V"))
    return folder


V, CURRENT = passive()
T = np.arange(len(V)) * 0.1
BAD_RECORDINGS: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "missing file": (lambda f: f / "a.abf", ["no recording at", ".abf"]),
    "unknown kind": (lambda f: text(f, "a.xyz", "x"), ["no recording gbar can read", ".nwb"]),
    "empty folder": (lambda f: f, ["no recordings in it"]),
    "not an ABF": (lambda f: text(f, "a.abf", "hello" * 3000), ["a.abf: damaged, or not what its name says"]),
    "ABF cut off": (lambda f: cut(f, ".abf", 0.5), ["a.abf: damaged"]),
    "ABF without stimulus": (no_stimulus, ["no current beside the voltage"]),
    "ABF of two cells": (two_voltages, ["2 channels are a voltage", "expected one cell a file"]),
    "not an NWB": (lambda f: text(f, "a.nwb", "hello"), ["a.nwb: damaged"]),
    "NWB cut off": (lambda f: cut(f, ".nwb", 0.6), ["a.nwb: damaged"]),
    "not an Igor wave": (lambda f: text(f, "a_Ch0_1.ibw", b"\0" * 400), ["a_Ch0_1.ibw: damaged"]),
    "Igor current alone": (lone_wave, ["a_Ch0_1.ibw: no voltage beside this wave"]),
    "Igor waves of two lengths": (unequal, ["the voltage has 8000 samples", "the current 7995"]),
    "not a NumPy archive": (lambda f: text(f, "a.npz", "hello"), ["a.npz: damaged"]),
    "NumPy archive cut off": (lambda f: cut(f, ".npz", 0.5), ["a.npz: damaged"]),
    "array without names": (lambda f: (np.save(f / "a.npy", V), f / "a.npy")[1], ["array without names and units"]),
    "pickled array": (
        lambda f: (np.save(f / "a.npy", np.array([{}], object), allow_pickle=True), f / "a.npy")[1],
        ["a.npy: damaged"],
    ),
    "no unit in a name": (
        lambda f: npz(f, time_ms=T, voltage=V, current_nA=CURRENT),
        ["'voltage' has no unit in its name"],
    ),
    "a misspelt unit": (lambda f: npz(f, time_ms=T, v_mv=V, current_nA=CURRENT), ["'v_mv'", "nearest: 'mV'"]),
    "no time": (lambda f: npz(f, voltage_mV=V, current_nA=CURRENT), ["no time in it"]),
    "uneven time": (lambda f: npz(f, time_ms=T**1.01, voltage_mV=V, current_nA=CURRENT), ["not evenly spaced"]),
    "no current": (lambda f: npz(f, time_ms=T, voltage_mV=V), ["no current beside the voltage"]),
    "lengths differ": (lambda f: npz(f, time_ms=T, voltage_mV=V, current_nA=CURRENT[:-1]), ["expected the same"]),
    "three voltages, two currents": (
        lambda f: npz(f, time_ms=T, voltage_mV=np.array([V] * 3), current_nA=np.array([CURRENT] * 2)),
        ["3 voltages and 2 currents"],
    ),
    "samples that are no number": (
        lambda f: npz(f, time_ms=T, voltage_mV=V * np.nan, current_nA=CURRENT),
        ["no number"],
    ),
    "CSV without samples": (lambda f: text(f, "a.csv", "time_ms,v_mV,i_nA\n"), ["no samples in it"]),
    "CSV with a word": (
        lambda f: text(f, "a.csv", "time_ms,v_mV,i_nA\n0,-70,0\n1,x,0\n2,-70,0\n"),
        ["a sample is no number", "'x'"],
    ),
    "CSV with a short row": (
        lambda f: text(f, "a.csv", "time_ms,v_mV,i_nA\n0,-70,0\n1,-70\n2,-70,0\n"),
        ["row 3: 2 fields: expected 3"],
    ),
    "CSV that is none": (lambda f: text(f, "a.csv", b"\xff\xfe\x00"), ["a.csv: damaged"]),
    "a cell that is dying": (
        lambda f: npz(f, time_ms=T, voltage_mV=V + 66, current_nA=CURRENT),
        ["no sweep is left to measure", "baseline -4.0 mV"],
    ),
    "volts said to be millivolts": (
        lambda f: npz(f, time_ms=T, voltage_mV=V / 1e3, current_nA=CURRENT),
        ["is no cell's: likely V", "--voltage-unit V"],
    ),
    "no such step": (
        lambda f: npz(f, time_ms=T, voltage_mV=V, current_nA=2 * CURRENT),
        ["recorded: -0.2 nA", "--create"],
    ),
}


@pytest.mark.parametrize("case", BAD_RECORDINGS)
def test_a_bad_recording_is_refused(case: str, problem: Path, tmp_path: Path) -> None:
    made, wanted = BAD_RECORDINGS[case]
    folder = tmp_path / "rig"
    folder.mkdir()
    given = made(folder)
    before = tree(tmp_path)
    refused(gbar("recordings", problem, given, "--out", tmp_path / "new" / "out.csv"), *wanted)
    assert tree(tmp_path) == before
    assert not (tmp_path / "new").exists()


BAD_OPTIONS = {
    "junction in volts": (["--junction", "140"], ["junction potential of 140 mV", "at most 30 mV"]),
    "unknown feature": (["--feature", "AP_hight"], ["no such feature", "'AP_height'"]),
    "floor in per cent": (["--sd-floor", "5"], ["--sd-floor 5", "a share of the mean"]),
    "unit of nothing": (["--current-unit", "mV"], ["is in 'mV'", "pA"]),
    "whose files": (["--cells", "animal"], ["--cells animal", "folder or file"]),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_a_bad_option_is_refused(case: str, problem: Path, tmp_path: Path) -> None:
    options, wanted = BAD_OPTIONS[case]
    write_csv(tmp_path / "a.csv", [passive()], 0.1)
    before = tree(tmp_path)
    refused(gbar("recordings", problem, tmp_path / "a.csv", "--out", tmp_path / "out.csv", *options), *wanted)
    assert tree(tmp_path) == before


def test_a_table_that_exists_is_not_overwritten(problem: Path, tmp_path: Path) -> None:
    write_ibw(tmp_path / "a.ibw", [passive()], 0.1)
    (tmp_path / "out.csv").write_text("mine")
    ran = gbar("recordings", problem, tmp_path / "a_Ch0_0.ibw", tmp_path / "a_Ch3_0.ibw", "--out", tmp_path / "out.csv")
    refused(ran, "out.csv: exists, and may hold your edits")
    assert (tmp_path / "out.csv").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["a_Ch0_0.ibw", "a_Ch3_0.ibw", "cell", "out.csv"]


FEATURES = {"down": {"soma": {"voltage_base": [-70, 2]}}}
BAD_FEATURES: dict[str, tuple[Any, list[str]]] = {
    "no JSON": ("{", ["features.json: not valid JSON"]),
    "a list": ([1], ["expected an object in braces"]),
    "nothing": ({}, ["no features in it"]),
    "a location that is none": ({"down": 3}, ["features.json, down: expected an object"]),
    "no SD": ({"down": {"soma": {"voltage_base": [-70]}}}, ["down.soma.voltage_base: expected [mean, sd], got [-70]"]),
    "an SD of nothing": ({"down": {"soma": {"voltage_base": [-70, 0]}}}, ["sd: expected more than 0"]),
    "a mean in words": ({"down": {"soma": {"voltage_base": ["low", 1]}}}, ['expected [mean, sd], got ["low", 1]']),
    "no such protocol": ({"dawn": {"soma": {"voltage_base": [-70, 1]}}}, ["no protocol 'dawn'", "'down'"]),
    "no such feature": ({"down": {"soma": {"voltage_bass": [-70, 1]}}}, ["no feature 'voltage_bass'"]),
}


@pytest.mark.parametrize("case", BAD_FEATURES)
def test_a_bad_features_json_is_refused(case: str, problem: Path, tmp_path: Path) -> None:
    content, wanted = BAD_FEATURES[case]
    table = text(tmp_path, "features.json", content if isinstance(content, str) else json.dumps(content))
    refused(gbar("check", problem, "--quick", "--measurements", table), *wanted)


def test_features_json_is_a_table(problem: Path, tmp_path: Path) -> None:
    table = text(tmp_path, "features.json", json.dumps(FEATURES))
    (measured,) = load_problem(problem, table).measurements
    assert (measured.key, measured.mean, measured.sd, measured.unit) == ("down.voltage_base", -70, 2, "mV")
    newer = {"down": {"soma.v": [{"feature": "voltage_base", "val": [-70, 2], "strict_stim": True}]}}
    table = text(tmp_path, "features.json", json.dumps(newer))
    assert load_problem(problem, table).measurements == (measured,)
