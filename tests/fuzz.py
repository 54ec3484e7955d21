"""Spoilt problems, tables, recordings and run folders: `python -m tests.fuzz --runs 2000`.

Each case takes something whole, spoils it, and calls a command on it as a user would, in this process. The oracle: one
line and exit code 2, or success that can be believed. A traceback, more than 10 s, a control character on the terminal
and a number that nobody wrote are findings; the case's number makes it again (`--only NUMBER`).
"""

import argparse
import contextlib
import copy
import csv
import faulthandler
import io
import json
import math
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gbar.sim.files import packed_arrays
from gbar.sim.problem import written
from tests import recorded
from tests.agent.report.test_report import a_result
from tests.problems import ROOT

LIMIT_S = 10.0
LONGEST_LINE = 2000  # characters of a message
EVIL_NUMBERS = [0, -1, 1e-300, 1e300, -1e300, float("nan"), float("inf"), -0.0, 2**63, 10**400, 3, 1e9, 5e-324]
MILD = [0.5, 2, -1, 1000, 1e-3, 1.0000001]  # slips of a unit or a sign, which may be right
EVIL_TEXTS = [
    "",
    " ",
    "\0",
    "\x1b[31mred\x1b[0m",
    "\r\n",
    "a\nb",
    "é漢\U0001f9e0",
    "\u202eevil",
    "../../etc/passwd",
    "/",
    "x" * 5000,
    "~" * 490,
    "(" * 400,
    "1" * 400,
    "1e400",
    "nan",
    "-inf",
    "true",
    "soma(0.5).v",
    "soma.g_pas",
    "'; quit() //",
    '"""',
    "{{ x }}",
    "value**value**value",
    "9**9**9**9",
    "step",
    "=1+1",
]
EVIL: list[Any] = [
    *EVIL_NUMBERS,
    *EVIL_TEXTS,
    True,
    False,
    [],
    {},
    [[[[]]]],
    [1, "a"],
    {"a": {"b": 1}},
    ["soma.g_pas"] * 50,
]
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Finding(NamedTuple):
    case: int
    kind: str
    what: str


class Outcome(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Nonsense(AssertionError):
    """The oracle does not believe an outcome."""


class TooLong(BaseException):
    """Beyond what anybody waits; no Exception, so that nothing on the way takes it for one of its own."""


# --- calling


def called(*arguments: object) -> Outcome:
    """`gbar ARGUMENTS` in this process. Raises whatever is not a proper end."""
    from gbar.scripts.main import app

    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            app(list(map(str, arguments)), standalone_mode=True)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    for stream in (out, err):
        stream.flush()
    outcome = Outcome(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))  # type: ignore[attr-defined]
    proper(outcome)
    return outcome


def proper(outcome: Outcome) -> None:
    """Success, or one line on stderr. Raises Nonsense."""
    if found := CONTROL.search(outcome.out + outcome.err):
        raise Nonsense(f"a control character {found[0]!r} reaches the terminal")
    if outcome.code not in {0, 2}:
        raise Nonsense(f"exit code {outcome.code}: {outcome.err[:200]}")
    if outcome.code == 2:
        lines = outcome.err.strip().splitlines()
        if len(lines) != 1 or not lines[0].startswith("gbar: ") or len(lines[0]) > LONGEST_LINE:
            raise Nonsense(f"{len(lines)} lines of {len(outcome.err)} characters: {outcome.err[:200]!r}")


# --- spoiling


def spoilt_text(draw: random.Random, text: str) -> str:
    """A text with a few lines, words or letters gone, doubled, swapped or made evil."""
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        words = list(re.finditer(r"[^\s,=\[\]\"]+", text))
        lines = text.split("\n")
        match draw.randrange(8):
            case 0 if words:
                word = draw.choice(words)
                text = text[: word.start()] + str(draw.choice(EVIL)) + text[word.end() :]
            case 1 if words:
                word = draw.choice(words)
                text = text[: word.start()] + text[word.end() :]
            case 2:
                lines.insert(draw.randrange(len(lines) + 1), draw.choice(lines))
                text = "\n".join(lines)
            case 3:
                del lines[draw.randrange(len(lines))]
                text = "\n".join(lines)
            case 4:
                at = draw.randrange(len(text) + 1)
                text = text[:at] + draw.choice([*EVIL_TEXTS, ",", ";", '"', "[", "\t", "#", "=", "."]) + text[at:]
            case 5:
                text = text[: draw.randrange(len(text) + 1)]
            case 6:
                draw.shuffle(lines)
                text = "\n".join(lines)
            case _:
                text = text.replace(
                    *draw.choice([(",", ";"), (".", ","), ("\n", "\r\n"), ("\n", "\r"), ("=", "=="), ("e", "é")])
                )
    return text


def spoilt_bytes(draw: random.Random, content: bytes) -> bytes:
    """Bytes changed, cut off, inserted."""
    held = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 8, 64])):
        if not held:
            break
        at = draw.randrange(min(len(held), draw.choice([64, 4096, len(held)])))
        match draw.randrange(5):
            case 0:
                del held[at:]
            case 1:
                held[at:at] = draw.randbytes(draw.choice([1, 8, 100]))
            case 2:
                del held[at : at + draw.choice([1, 8, 100])]
            case _:
                held[at] = draw.choice([0, 255, held[at] ^ (1 << draw.randrange(8))])
    return bytes(held)


def spoilt_values(draw: random.Random, content: Any) -> Any:
    """Plain values with a few of them replaced, removed or doubled, anywhere."""
    content = json.loads(json.dumps(content))
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        places = list(_places(content))
        if not places:
            break
        owner, key = draw.choice(places)
        match draw.randrange(8):
            case 0:
                del owner[key]
            case 1 if isinstance(owner, list):
                owner.append(copy.deepcopy(owner[key]))
            case 2 if isinstance(owner, dict):
                owner[draw.choice(EVIL_TEXTS)] = copy.deepcopy(owner[key])
            case 3:
                owner[key] = json.loads(json.dumps(draw.choice(places)[0]))
            case 4 | 5 if isinstance(owner[key], int | float) and abs(owner[key]) < 1e15:
                owner[key] *= draw.choice(MILD)
            case _:
                owner[key] = copy.deepcopy(draw.choice(EVIL))
    return content


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in inner:
        yield content, key
        yield from _places(value)


# --- what is spoilt


class Stock(NamedTuple):
    """Whole things to spoil, made once."""

    folder: Path
    problem: Path  # a folder with a problem, its table and waveform
    run: Path
    recordings: dict[str, Path]
    bluepyopt: Path


PROBLEM = """
measurements = "table.csv"

[model]
load = "cell.hoc"
celsius = 34.0
v_init = -70.0

[[parameter]]
name = "g_pas"
set = ["all.g_pas"]
bounds = [1e-5, 1e-3]
scale = "log"

[[parameter]]
name = "slope"
set = ["soma.gnabar_hh"]
bounds = [0.01, 0.5]
formula = "value * exp(-distance / 100)"

[protocol.down]
kind = "step"
amplitude = -0.1
delay = 200.0
duration = 300.0
total = 800.0
recordings = { dend = "soma(0.2).v" }

[protocol.up]
kind = "step"
amplitude = 0.3
delay = 200.0
duration = 300.0
total = 800.0

[protocol.threshold]
kind = "rheobase"
bounds = [0.0, 2.0]
delay = 200.0
duration = 100.0
total = 400.0

[protocol.gain]
kind = "fi"
steps = ["down2", "up"]

[protocol.down2]
kind = "step"
relative_to = "threshold"
percent = 150.0
delay = 200.0
duration = 300.0
total = 800.0

[protocol.noise]
kind = "noise"
amplitude = 0.1
sd = 0.05
delay = 100.0
duration = 300.0
total = 500.0

[protocol.played]
kind = "waveform"
file = "wave.csv"
delay = 10.0
duration = 20.0
total = 50.0

[protocol.clamped]
kind = "clamp"
voltage = 0.0
holding = -70.0
delay = 10.0
duration = 20.0
total = 50.0

[protocol.opened]
kind = "synapse"
weight = 0.001
tau1 = 0.5
tau2 = 5.0
onsets = [0.0, 10.0]
delay = 10.0
duration = 100.0
total = 200.0

[efel]
Threshold = -20.0

[simulation]
engine = "cvode"
time_limit = 30.0
"""
TABLE = """protocol,feature,mean,sd,unit,note
down,ohmic_input_resistance,100.0,10.0,MOhm,from Fig. 1
down,voltage_base,-70.0,1.0,mV,
up,mean_frequency,20.0,2.0,Hz,
up,AP_amplitude,80.0,4.0,mV,
threshold,rheobase,0.2,0.02,nA,
"""
WAVE = "t_ms,i_nA\n0,0\n10,0\n20,0.1\n50,0\n"
BLUEPYOPT = {
    "parameters": [
        {"param_name": "celsius", "type": "global", "value": 34},
        {"param_name": "v_init", "type": "global", "value": -80},
        {"param_name": "g_pas", "type": "section", "sectionlist": "all", "bounds": [1e-5, 1e-3]},
        {
            "param_name": "gIhbar_Ih",
            "mech": "Ih",
            "mech_param": "gIhbar",
            "type": "range",
            "sectionlist": "apical",
            "dist": "(-0.8696 + 2.087*math.exp(({distance})*0.0031))*{value}",
            "dist_type": "exp",
            "value": 8e-5,
        },
    ],
    "mechanisms": {"all": ["pas"], "apical": ["Ih"]},
    "protocols": {
        "Step1": {"stimuli": [{"delay": 700, "amp": 0.458, "duration": 2000, "totduration": 3000}]},
        "bAP": {
            "stimuli": {"a": {"delay": 295, "amp": 1.9, "duration": 5, "totduration": 600}},
            "extra_recordings": [
                {"var": "v", "somadistance": 660, "type": "somadistance", "name": "dend1", "seclist_name": "apical"}
            ],
        },
    },
    "features": {"Step1": {"soma.v": {"AP_height": [25.0, 5.0], "mean_frequency": [6.0, 1.0]}}},
}


def stock(folder: Path) -> Stock:
    """Everything whole, in a folder."""
    made = Stock(folder, folder / "problem", folder / "run", {}, folder / "bluepyopt")
    made.problem.mkdir()
    for name, text in {
        "problem.toml": PROBLEM,
        "table.csv": TABLE,
        "wave.csv": WAVE,
        "cell.hoc": "create soma\n",
    }.items():
        (made.problem / name).write_text(text)
    made.run.mkdir()
    _write_run(made)
    sweeps = [recorded.passive(a, spikes=n, interval=0.25) for a, n in ((-0.1, 0), (-0.1, 0), (0.3, 6))]
    for suffix, write in recorded.WRITERS.items():
        if suffix != ".ibw":
            file = folder / f"recorded{suffix}"
            write(file, sweeps, 0.25)  # type: ignore[operator]
            made.recordings[suffix] = file
    made.bluepyopt.mkdir()
    for name, content in BLUEPYOPT.items():
        (made.bluepyopt / f"{name}.json").write_text(json.dumps(content))
    (made.bluepyopt / "cell.swc").write_text("1 1 0 0 0 10 -1\n2 3 20 0 0 1 1\n")
    return made


def _write_run(made: Stock) -> None:
    from gbar.agent.report import write_report
    from gbar.agent.result import Measured, Range, write_result, write_traces
    from gbar.sim import Archive, load_problem

    problem = load_problem(made.problem)
    result = a_result(solutions=2, features=len(problem.measurements), parameters=2)
    keys = [m.key for m in problem.measurements]
    with Archive(made.run / "archive.sqlite", problem):
        pass
    for found in [*result.solutions, *filter(None, [result.nearest]), *result.next_nearest]:
        found.parameters = dict(zip(problem.names, (1e-4, 0.1), strict=True))
        found.z = dict(zip(keys, found.z.values(), strict=True))
        found.features = {m.key: m.mean + (found.z[m.key] or 0) * m.sd for m in problem.measurements}
    result.measurements = [Measured.of(m) for m in problem.measurements]
    result.parameters = [
        Range(name=p.name, low=p.bounds[0], high=p.bounds[1], scale=p.scale, unit="S/cm2") for p in problem.parameter
    ]
    accuracy = next(iter(result.surrogate.values()))
    result.surrogate = dict.fromkeys(keys, accuracy)
    result.problem_folder, result.measurements_file = str(made.problem), str(made.problem / "table.csv")
    result.archive, result.diagnosis = "archive.sqlite", type(result.diagnosis)()
    write_result(made.run, result)
    t = np.arange(0.0, 800.0, 2.0)
    write_traces(made.run, [{"down": (t, -70 + np.sin(t)), "up": (t, -70 + np.cos(t))} for _ in result.solutions])
    rows = ["evaluation,batch,proposer,protocol,feature,predicted,sd,simulated,measured_sd"]
    rows += [
        f"{n},0,design,{m.protocol},{m.feature},1,0.1,1.1,{m.sd}" for n in range(1, 4) for m in problem.measurements
    ]
    (made.run / "predictions.csv").write_text("\n".join(rows) + "\n")
    write_report(made.run)


# --- cases: each spoils one thing, calls a command, and asks the oracle


def a_problem(draw: random.Random, whole: Stock, here: Path) -> None:
    shutil.copytree(whole.problem, here / "p")
    file = here / "p" / "problem.toml"
    if draw.random() < 0.6:
        text = written(_plain(spoilt_values(draw, tomllib.loads(PROBLEM))))
    else:
        text = spoilt_text(draw, PROBLEM)
    file.write_bytes(
        text.encode(errors="surrogateescape") if draw.random() < 0.9 else spoilt_bytes(draw, text.encode())
    )
    if called("check", here / "p", "--quick").code == 0:
        believe_problem(tomllib.loads(file.read_text(encoding="utf-8-sig")))


def _plain(content: Any) -> Any:
    """What TOML can say: no None, and tables and lists of one kind as they come."""
    if isinstance(content, dict):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list):
        tables = [isinstance(value, dict) for value in content]
        return [_plain(value) for value in content] if all(tables) or not any(tables) else [str(content)[:50]]
    return content


def believe_problem(content: dict[str, Any]) -> None:
    """What was accepted, in its author's own words, is what a cell can be."""
    model = content["model"]
    limits = {"celsius": (-20, 80, model), "v_init": (-1000, 1000, model)}
    for name, protocol in content["protocol"].items():
        limits |= {f"{name} {key}": (low, high, protocol) for key, (low, high) in PHYSICAL.items() if key in protocol}
    for key, (low, high, owner) in limits.items():
        value = owner[key.rpartition(" ")[2]]
        if isinstance(value, bool | str) or not low <= value <= high:
            raise Nonsense(f"{key} = {value!r} is accepted")
    for entry in content["parameter"]:
        low, high = entry["bounds"]
        if isinstance(low, bool) or isinstance(high, bool) or not low < high or not math.isfinite(high - low):
            raise Nonsense(f"bounds {entry['bounds']} are accepted")
    for name in [*content["protocol"], *(entry["name"] for entry in content["parameter"])]:
        if not name.isprintable() or not name.strip() or len(name) > 200:
            raise Nonsense(f"{name!r} is accepted as a name")


PHYSICAL = {
    "amplitude": (-1e6, 1e6),
    "delay": (0, 1e7),
    "duration": (0, 1e7),
    "total": (0, 1e7),
    "sd": (0, 1e6),
    "weight": (0, 1e9),
}


def a_table(draw: random.Random, whole: Stock, here: Path) -> None:
    file = here / "table.csv"
    text = spoilt_text(draw, TABLE)
    file.write_bytes(text.encode() if draw.random() < 0.9 else spoilt_bytes(draw, text.encode()))
    if called("check", whole.problem, "--quick", "--measurements", file).code:
        return
    from gbar.sim import load_problem

    for m in load_problem(whole.problem, file).measurements:
        if not (math.isfinite(m.mean) and 0 < m.sd < math.inf) or abs(m.mean) > 1e15:
            raise Nonsense(f"{m.key} = {m.mean} ± {m.sd} is accepted")
        said = _folded(file.read_bytes().decode(errors="replace"))
        if not (_folded(m.protocol) in said and _folded(m.feature) in said):
            raise Nonsense(f"{m.key} is nowhere in the table")


def _folded(text: str) -> str:
    """As headings and names are compared: letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def a_waveform(draw: random.Random, whole: Stock, here: Path) -> None:
    shutil.copytree(whole.problem, here / "p")
    text = spoilt_text(draw, WAVE)
    (here / "p" / "wave.csv").write_bytes(spoilt_bytes(draw, text.encode()) if draw.random() < 0.3 else text.encode())
    if called("check", here / "p", "--quick").code == 0:
        from gbar.sim import load_problem

        played = load_problem(here / "p").protocol["played"]
        if not np.isfinite([*played.times, *played.currents]).all():  # type: ignore[union-attr]
            raise Nonsense("a waveform that is not finite is accepted")


def a_recording(draw: random.Random, whole: Stock, here: Path) -> None:
    suffix = draw.choice([*whole.recordings, ".csv", ".npz"])
    file, out = here / f"cell{suffix}", here / "out.csv"
    content = whole.recordings[suffix].read_bytes()
    if suffix == ".csv" and draw.random() < 0.7:
        head, _, rest = content.decode().partition("\n")
        content = (
            f"{spoilt_text(draw, head)}\n{rest}" if draw.random() < 0.6 else f"{head}\n{spoilt_text(draw, rest[:3000])}"
        ).encode()
    elif suffix == ".npz" and draw.random() < 0.7:
        content = _spoilt_arrays(draw, whole.recordings[suffix])
    else:
        content = spoilt_bytes(draw, content)
    file.write_bytes(content)
    if called("recordings", whole.problem, file, "--out", out).code:
        if out.exists():
            raise Nonsense("refused, and a table is written")
        return
    with out.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(line for line in stream if not line.startswith("#")))
    for row in rows:
        mean, sd = float(row["mean"]), float(row["sd"])
        believable = math.isfinite(mean) and 0 < sd < math.inf and (row["unit"] != "mV" or abs(mean) < 2000)
        if not believable:
            raise Nonsense(f"{row['protocol']}.{row['feature']} = {mean} ± {sd} {row['unit']} is measured")


def _spoilt_arrays(draw: random.Random, file: Path) -> bytes:
    with np.load(file) as kept:
        arrays = {name: kept[name] for name in kept.files}
    name = draw.choice(list(arrays))
    value = arrays[name]
    if not value.ndim:
        arrays[name] = draw.choice(EVIL_NUMBERS[:9])
        return packed_arrays(arrays)
    evil: list[Any] = [
        value.T,
        value[..., :3],
        value * 1e300,
        value.astype(bool),
        value.astype("U8"),
        value + 1j,
        value[None],
    ]
    evil += [
        np.full_like(value, np.nan),
        np.zeros(0),
        np.array(None, "f8"),
        -value,
        value.astype("i2"),
        value[..., ::-1],
    ]
    arrays[draw.choice([name, name, name, "x", "voltage_V", "\x1b[1m"])] = draw.choice(evil)
    return packed_arrays(arrays)


def a_run(draw: random.Random, whole: Stock, here: Path) -> None:
    run = here / "run"
    shutil.copytree(whole.run, run)
    name = draw.choice(["result.json", "result.json", "result.json", "traces.npz", "predictions.csv", "archive.sqlite"])
    file = run / name
    if name == "result.json" and draw.random() < 0.7:
        text = json.dumps(spoilt_values(draw, json.loads(file.read_text())))
        file.write_text(text)
    elif name == "predictions.csv" and draw.random() < 0.7:
        file.write_text(spoilt_text(draw, file.read_text()), encoding="utf-8", errors="replace")
    else:
        file.write_bytes(spoilt_bytes(draw, file.read_bytes()))
    form = draw.choice(["json", "csv", "bluepyopt", "report", "report", "report"])
    if form == "report":
        if called("report", run).code == 0:
            believe_page((run / "report.html").read_text(encoding="utf-8"))
        return
    command = ["export", run, "--to", form, "--out", here / "out"]
    if called(*command).code == 0:
        for made in (here / "out").iterdir():
            text = made.read_text(encoding="utf-8")
            if made.suffix == ".csv":  # who proposed a set is any word
                rows = csv.DictReader(text.splitlines())
                text = " ".join(value for row in rows for key, value in row.items() if key != "proposer")
            if re.search(r"\b(NaN|Infinity|nan|inf)\b", text):
                raise Nonsense(f"{made.name} holds a number that is none")


def believe_page(text: str) -> None:
    """A page says no number that is none. Raises Nonsense."""
    shown = re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", text, flags=re.S)
    if found := re.search(r".{30}(?<![\w.])(nan|inf|-inf|None)(?![\w.]).{10}", shown, re.S):
        raise Nonsense(f"the page says {' '.join(found[0].split())!r}")


def a_bluepyopt_folder(draw: random.Random, whole: Stock, here: Path) -> None:
    shutil.copytree(whole.bluepyopt, here / "b")
    name = draw.choice([*BLUEPYOPT])
    file = here / "b" / f"{name}.json"
    if draw.random() < 0.7:
        file.write_text(json.dumps(spoilt_values(draw, BLUEPYOPT[name])))
    else:
        file.write_text(spoilt_text(draw, json.dumps(BLUEPYOPT[name], indent=1)), encoding="utf-8", errors="replace")
    called("check", here / "b", "--quick")


def an_option(draw: random.Random, whole: Stock, here: Path) -> None:
    """What is typed after a command."""
    evil = str(draw.choice(EVIL)).replace("\0", "?") or " "
    command = draw.choice(
        [
            ["tune", whole.problem, "--budget", evil, "--out", here / "o", "--engine", "nothing"],
            ["tune", whole.problem, "--engine", evil, "--measurements", here / "none.csv", "--out", here / "o"],
            ["tune", whole.problem, "--engine", f"cvode atol {evil}", "--measurements", here, "--out", here / "o"],
            ["check", whole.problem, "--quick", "--measurements", evil[:200]],
            ["check", evil[:200], "--quick"],
            ["report", evil[:200]],
            ["export", whole.run, "--solution", evil, "--to", "json", "--out", here / "o"],
            ["recordings", whole.problem, whole.recordings[".csv"], "--sd-floor", evil, "--out", here / "o.csv"],
            ["recordings", whole.problem, whole.recordings[".csv"], "--junction", evil, "--out", here / "o.csv"],
            ["recordings", whole.problem, whole.recordings[".csv"], "--feature", evil, "--out", here / "o.csv"],
            ["recordings", whole.problem, whole.recordings[".csv"], "--voltage-unit", evil, "--out", here / "o.csv"],
        ]
    )
    try:
        called(*command)
    except Nonsense as doubt:
        if "Usage:" not in str(doubt) and "lines of" not in str(doubt):  # typer's own refusal has a box
            raise


def a_memory(draw: random.Random, whole: Stock, here: Path) -> None:
    """What is kept beside an archive, damaged: learned anew, with a reason."""
    from gbar.agent.learning.pretrained import PretrainConfig, load

    header: Any = {"problem": "x", "parameters": [["a", 0, 1, "linear"]], "features": ["b"], "rows": 10, "solved": 0.5}
    stamp = {key: header[key] for key in ("problem", "parameters", "features")}
    spoilt = spoilt_values(draw, header) if draw.random() < 0.5 else header
    arrays = {"header": np.frombuffer(json.dumps(spoilt).encode(), np.uint8), "['error']": np.zeros(1)}
    file = here / "a.mind.npz"
    content = packed_arrays(arrays)
    file.write_bytes(spoilt_bytes(draw, content) if draw.random() < 0.7 else content)
    found, why = load(file, stamp, 10, PretrainConfig())
    if found is not None or not why:
        raise Nonsense("a damaged memory is used")


CASES: dict[str, tuple[Callable[[random.Random, Stock, Path], None], int]] = {
    "problem": (a_problem, 6),
    "table": (a_table, 4),
    "waveform": (a_waveform, 1),
    "recording": (a_recording, 3),
    "run": (a_run, 5),
    "bluepyopt": (a_bluepyopt_folder, 3),
    "option": (an_option, 2),
    "memory": (a_memory, 1),
}


# --- running


def one(case: int, whole: Stock, only: str | None = None) -> Finding | None:
    """Make one case and say what is wrong with how it ended."""
    draw = random.Random(case)
    kind = only or draw.choices([*CASES], [weight for _, weight in CASES.values()])[0]
    start = time.monotonic()
    before = os.getcwd()
    with tempfile.TemporaryDirectory(dir=whole.folder) as here, _limited():
        os.chdir(here)
        try:
            CASES[kind][0](draw, whole, Path(here))
        except Nonsense as doubt:
            return Finding(case, kind, f"nonsense: {doubt}")
        except TooLong:
            return Finding(case, kind, f"more than {LIMIT_S:g} s: {_where()}")
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return Finding(case, kind, f"{type(error).__name__}: {' '.join(str(error).split())[:150]} {_where()}")
        finally:
            os.chdir(before)
    return Finding(case, kind, "slow") if time.monotonic() - start > LIMIT_S else None


def _where() -> str:
    frames = [
        f for f in traceback.extract_tb(sys.exc_info()[2]) if str(ROOT) in f.filename and ".venv" not in f.filename
    ]
    return " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames[-4:]))


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """End what takes too long: in Python by an exception, in a library's own code with the process."""

    def ring(*_: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    faulthandler.dump_traceback_later(6 * LIMIT_S, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()


def fuzz(runs: int, first: int = 0, only: str | None = None) -> list[Finding]:
    """Make `runs` cases and return what was found."""
    with tempfile.TemporaryDirectory(prefix="gbar-fuzz-") as folder:
        whole = stock(Path(folder))
        findings = []
        for case in range(first, first + runs):
            if found := one(case, whole, only):
                findings.append(found)
                print(f"{found.case}: {found.kind}: {found.what}", flush=True)
        return findings


def main() -> None:
    """Command line: exit code 1 where anything was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--only", type=int, help="one case alone")
    parser.add_argument("--kind", choices=[*CASES], help="one kind of case")
    asked = parser.parse_args()
    start = time.monotonic()
    found = fuzz(asked.runs, asked.first, asked.kind) if asked.only is None else fuzz(1, asked.only, asked.kind)
    kinds = Counter(finding.kind for finding in found)
    print(f"{asked.runs} cases in {time.monotonic() - start:.0f} s: {len(found)} findings {dict(kinds)}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
