"""The commands as a user types them: what each prints where, how it ends, and what it leaves behind."""

import functools
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from gbar.scripts.main import app
from gbar.sim import Archive, Integrator, load_problem, simulate
from tests.problems import GBAR, HH, MOTONEURON, ROOT

# times a stated time, on a machine that does other work as well: other tests too, where several processes run them
BUSY = 2.0 * int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
CHATTER = ("NEURON", "DISPLAY", "Changed dt", "nrnivmodl", "jax", "XLA", "Warning", "Traceback")
COMMANDS = {  # what DESIGN lists, and --json wherever something is printed
    "init": ["FOLDER", "--load", "--template", "--json"],
    "check": ["PROBLEM", "--json"],
    "measure": ["PROBLEM", "--set", "--json"],
    "measurements": ["PROBLEM", "--out"],
    "recordings": ["PROBLEM", "--out", "--create", "--junction", "--current-unit", "--json"],
    "sample": ["PROBLEM", "-n", "--json"],
    "tune": [
        *["PROBLEM", "--measurements", "--budget", "--solutions", "--tolerance", "--seed", "--workers", "--out"],
        *["--archive", "--json"],
    ],
    "cells": [
        *["PROBLEM", "--cells", "--archive", "--out", "--budget", "--solutions", "--tolerance", "--seed", "--workers"],
        *["--json"],
    ],
    "verify": ["RUN", "--json"],
    "report": ["RUN", "--json"],
    "export": ["RUN", "--solution", "--to", "--json"],
}

Ran = subprocess.CompletedProcess[str]


def gbar(*arguments: object, folder: Path, script: bool = False, timeout: float = 300.0) -> Ran:
    """Run a command in a folder, output piped."""
    start = [sys.executable, str(ROOT / "scripts" / f"{arguments[0]}.py")] if script else [str(GBAR), str(arguments[0])]
    environment = {**os.environ, "COLUMNS": "80", "TERM": "dumb"}
    command = [*start, *map(str, arguments[1:])]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout)


def document(ran: Ran) -> object:
    """The one JSON document on stdout, with nothing on stderr."""
    assert ran.stderr == ""
    found, end = json.JSONDecoder().raw_decode(ran.stdout)
    assert ran.stdout[end:] == "\n"
    return found


def quiet(ran: Ran) -> Ran:
    """No word of NEURON's or JAX' own (our sentences name them, but never at the start of a line)."""
    for line in (ran.stdout + ran.stderr).splitlines():
        assert not line.startswith(CHATTER), line
    return ran


# --- help


def test_help_answers_at_once(tmp_path: Path) -> None:
    """0.5 s, median of 5."""
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        assert gbar("--help", folder=tmp_path).returncode == 0
        seconds.append(time.perf_counter() - start)
    assert statistics.median(seconds) <= 0.5 * BUSY, seconds


@functools.cache
def help_of(command: str, script: bool = False) -> str:
    ran = gbar(command, "--help", folder=ROOT, script=script) if command else gbar("--help", folder=ROOT)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_every_option_and_the_exit_codes(command: str) -> None:
    text = help_of(command)
    for option in COMMANDS[command]:
        assert option in text
    assert "Exit codes: 0 " in text
    assert "2 bad input" in text
    assert max(map(len, text.splitlines())) <= 80
    assert f" {command} " in help_of("")


def test_bench_is_listed() -> None:
    assert " bench " in help_of("")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_script_is_the_command(command: str) -> None:
    texts = [re.sub(r"Usage:.*?\[OPTIONS\]", "Usage: [OPTIONS]", help_of(command, script)) for script in (False, True)]
    command_help, script_help = ([line.rstrip() for line in text.splitlines()] for text in texts)
    assert command_help == script_help


# --- what the commands say


@pytest.mark.neuron
def test_check_is_quick_once_built(tmp_path: Path) -> None:
    """2 s, median of 3."""
    assert gbar("check", MOTONEURON, folder=tmp_path).returncode == 0
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        quiet(gbar("check", MOTONEURON, folder=tmp_path))
        seconds.append(time.perf_counter() - start)
    assert statistics.median(seconds) <= 2.0 * BUSY, seconds


@pytest.mark.neuron
def test_check_says_what_it_found(tmp_path: Path) -> None:
    ran = quiet(gbar("check", HH, folder=tmp_path))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "5 compartments" in ran.stdout
    assert re.search(r"gnabar +all\.gnabar_hh +0\.12 +0\.06 … 0\.24 log +S/cm2 +5", ran.stdout)
    assert re.search(r"fire +step +2 nA, 200 ms at axon\(0\.5\) +5", ran.stdout)
    found = document(gbar("check", HH, "--json", folder=tmp_path))
    assert isinstance(found, dict)
    assert found["parameters"]["gl"] == {"value": 3e-4, "known": True, "varies": False, "unit": "S/cm2", "places": 5}
    assert found["inert"] == [] and found["notes"] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.neuron
def test_a_sign_that_is_not_the_models_is_asked_about(tmp_path: Path) -> None:
    """By check and by measure."""
    rows = "hyperpolarise,voltage_deflection_vb_ssse,1.2,0.2,mV\nhyperpolarise,voltage_base,-63,3,mV\n"
    (tmp_path / "cell.csv").write_text(f"protocol,feature,mean,sd,unit\n{rows}")
    found = document(gbar("check", HH, "--measurements", "cell.csv", "--json", folder=tmp_path))
    assert isinstance(found, dict)
    (note,) = found["notes"]
    assert "voltage_deflection_vb_ssse: measured 1.2, the model gives -" in note and note.endswith("write -1.2")
    said = gbar("measure", HH, "--measurements", "cell.csv", folder=tmp_path).stderr.splitlines()
    assert len(said) == 1 and "voltage_deflection_vb_ssse: measured 1.2, the model gives -" in said[0]


def test_check_quick_starts_nothing(tmp_path: Path) -> None:
    ran = gbar("check", HH, "--quick", folder=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Nothing wrong found in the files" in ran.stdout
    assert "nan" not in ran.stdout


@pytest.mark.neuron
def test_measure_prints_what_simulate_computes(tmp_path: Path) -> None:
    problem = load_problem(HH)
    x = np.array([0.15, 0.036, 3e-4])
    (done,) = simulate(problem, [x], integrator=Integrator.of(problem).tight())
    rows = document(gbar("measure", HH, "--set", "gnabar=0.15", "--json", folder=tmp_path))
    assert isinstance(rows, list)
    assert [f"{row['protocol']}.{row['feature']}" for row in rows] == [m.key for m in problem.measurements]
    for row, m in zip(rows, problem.measurements, strict=True):
        assert row["value"] == pytest.approx(done.features[m.key], rel=1e-9)
        assert row["z"] == pytest.approx((done.features[m.key] - m.mean) / m.sd, rel=1e-9)
    table = quiet(gbar("measure", HH, "--set", "gnabar=0.15", folder=tmp_path)).stdout
    assert "gnabar=0.15" in table.splitlines()[0]
    for row in rows:
        line = next(line for line in table.splitlines() if row["feature"] in line.split())
        assert f" {row['value']:.4g} " in line and f" {row['z']:+.2f} " in line


@pytest.mark.neuron
def test_sample_twice_makes_nothing_new(tmp_path: Path) -> None:
    made = [document(gbar("sample", HH, "-n", 4, "--json", folder=tmp_path)) for _ in range(2)]
    file = str(Path("runs") / "hh" / "archive.sqlite")
    assert made[0] == {"archive": file, "made": 4, "failed": 0, "evaluations": 4}
    assert made[1] == {"archive": file, "made": 0, "failed": 0, "evaluations": 4}


# --- a run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Ran]]:
    """One small run without a fit: a tolerance that the design alone meets, called from another folder than used."""
    folder = tmp_path_factory.mktemp("run")
    shutil.copy(HH / "measurements" / "squid.csv", folder / "cell.csv")
    small = ["--tolerance", 8, "--budget", 24, "--batch", 1, "--solutions", 1]
    files = ["--measurements", "cell.csv", "--archive", "a.sqlite"]
    yield folder, quiet(gbar("tune", HH, *small, *files, folder=folder))


@pytest.mark.neuron
def test_tune_ends_with_a_table(run: tuple[Path, Ran]) -> None:
    folder, ran = run
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("1 solution in ")
    assert "every |z| <= 8 in NEURON at cvode atol 1e-07" in ran.stdout
    result = json.loads((folder / "runs" / "hh-cell" / "result.json").read_text())
    assert f"{result['solutions'][0]['max_abs_z']:.2f}" in ran.stdout
    for shown in ("page", "solutions"):
        path = re.search(rf"^{shown}: +(\S+)$", ran.stdout, re.M | re.I)
        assert path and (folder / path[1]).is_file()


@pytest.mark.neuron
def test_verify_finds_the_run_from_anywhere(run: tuple[Path, Ran], tmp_path: Path) -> None:
    folder, _ = run
    ran = gbar("verify", folder / "runs" / "hh-cell", "--json", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    found = document(ran)
    assert isinstance(found, dict)
    assert [s["verdict"] for s in found["solutions"]] == ["confirmed"]
    made = json.loads((folder / "runs" / "hh-cell" / "result.json").read_text())["evaluations"]
    assert (
        found["evaluations"] == made - 1 > 0
    )  # without the one that confirms: the archive that --archive named, not an empty one beside the result
    assert not (folder / "runs" / "hh-cell" / "a.sqlite").exists()


@pytest.mark.neuron
def test_report_and_export_say_what_they_wrote(run: tuple[Path, Ran], tmp_path: Path) -> None:
    made = run[0] / "runs" / "hh-cell"
    ran = quiet(gbar("report", made, folder=tmp_path))
    assert ran.stdout == f"Page: {made / 'report.html'}\n"
    written = document(gbar("export", made, "--to", "json", "--out", "files", "--json", folder=tmp_path))
    assert isinstance(written, list) and written
    assert all((tmp_path / file).exists() for file in written)
    ran = quiet(gbar("export", made, "--to", "python", "--out", "script", folder=tmp_path))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert all((tmp_path / line).exists() for line in ran.stdout.splitlines())


@pytest.mark.neuron
def test_out_of_budget_names_the_nearest_and_their_misses(tmp_path: Path) -> None:
    ran = quiet(gbar("tune", HH, "--tolerance", 0.01, "--budget", 6, "--out", "r", folder=tmp_path))
    assert (ran.returncode, ran.stderr) == (3, "")
    assert ran.stdout.startswith("No solutions in 6 evaluations (0 failed): out of budget")
    result = json.loads((tmp_path / "r" / "result.json").read_text())
    nearest = [result["nearest"], *result["next_nearest"]]
    assert nearest[0]["shortfall"] == min(compromise["shortfall"] for compromise in nearest)
    for key in nearest[0]["z"]:
        row = next(
            (line.split()[1:] for line in ran.stdout.splitlines() if line.startswith(f"{key} ")), ["–"] * len(nearest)
        )
        z = [near["z"][key] for near in nearest]
        assert row == ["–" if abs(value) <= 0.01 else f"{value:+.2f}" for value in z]


@pytest.mark.neuron
def test_ctrl_c_keeps_what_was_simulated(tmp_path: Path) -> None:
    command = [str(GBAR), "sample", str(HH), "-n", "100000", "--archive", "a.sqlite"]
    sampling = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        problem, count, limit = load_problem(HH), 0, time.monotonic() + 120
        while count == 0 and time.monotonic() < limit:
            time.sleep(0.3)
            if (tmp_path / "a.sqlite").exists():
                with Archive(tmp_path / "a.sqlite", problem) as archive:
                    count = archive.count()
        sampling.send_signal(signal.SIGINT)
        said = sampling.communicate(timeout=60)
    finally:
        sampling.kill()
    assert said == ("", "gbar: stopped; everything simulated so far is kept\n")
    assert sampling.returncode == 130
    with Archive(tmp_path / "a.sqlite", problem) as archive:
        assert archive.count() >= count > 0


# --- bad input

TOML = (HH / "problem.toml").read_text()
CSV = (HH / "measurements" / "squid.csv").read_text()
MOD = "NEURON { SUFFIX bad }\nPARAMETER { g = }\n"

Case = tuple[list[str], dict[str, tuple[str, str]], str]
BAD: dict[str, Case] = {  # what is typed; what is replaced in the problem's files; what the line must hold
    "missing problem": (["check", "nowhere"], {}, "no problem at nowhere"),
    "missing problem, tune": (["tune", "nowhere", "--out", "r"], {}, "no problem at nowhere"),
    "misspelt key": (["tune", "p", "--out", "r"], {"problem.toml": ("scale =", "scal =")}, "'scale'"),
    "broken TOML": (["check", "p"], {"problem.toml": ("[model]", "[model")}, "not valid TOML"),
    "wrong unit": (["tune", "p", "--out", "r"], {"cell.csv": (",ms\n", ",mV\n")}, "expected 'ms'"),
    "milliohm": (["check", "p"], {"cell.csv": ("MOhm", "mOhm")}, "expected 'MΩ'"),
    "NaN mean": (["tune", "p", "--out", "r"], {"cell.csv": ("-63.6295", "nan")}, "finite number"),
    "sd 0": (["tune", "p", "--out", "r"], {"cell.csv": (",3.181,", ",0,")}, "more than 0"),
    "unknown feature": (["check", "p"], {"cell.csv": ("AP_height", "AP_hieght")}, "'AP_height'"),
    "unknown protocol": (["check", "p"], {"cell.csv": ("fire,AP", "fir,AP")}, "'fire'"),
    "no such table": (["tune", "p", "--measurements", "no.csv", "--out", "r"], {}, "no measurements at"),
    "no such column": (["check", "p"], {"cell.csv": ("mean,sd", "mean,width")}, "'width'"),
    "no such parameter": (
        ["tune", "p", "--out", "r"],
        {"problem.toml": ("all.gl_hh", "all.glu_hh")},
        "no section of 'all' has 'glu_hh' (nearest: 'gl_hh')",
    ),
    "no such section": (["check", "p"], {"problem.toml": ("all.gl_hh", "soma.gl_hh")}, "'soma'"),
    "no such template": (["measure", "p"], {"problem.toml": ("SquidAxon", "SquidAxn")}, "'SquidAxon'"),
    "wrong unit of bounds": (["check", "p"], {"problem.toml": ('"S/cm2"', '"mS/cm2"')}, "convert the bounds"),
    "broken hoc": (["tune", "p", "--out", "r"], {"hh.hoc": ("create axon", "create axon(")}, "hh.hoc"),
    "broken MOD": (
        ["tune", "p", "--out", "r"],
        {"problem.toml": ("celsius", 'mechanisms = ["mod"]\ncelsius')},
        "bad.mod, line 2: does not compile",
    ),
    "broken MOD, sample": (
        ["sample", "p", "-n", "2", "--archive", "r/a.sqlite"],
        {"problem.toml": ("celsius", 'mechanisms = ["mod"]\ncelsius')},
        "does not compile",
    ),
    "misspelt --set": (["measure", "p", "--set", "gkbr=1"], {}, "nearest: 'gkbar'"),
    "--set without a value": (["measure", "p", "--set", "gkbar"], {}, "expected NAME=VALUE"),
    "--set to a word": (["measure", "p", "--set", "gkbar=much"], {}, "'much' is no number"),
    "--set to NaN": (["measure", "p", "--set", "gkbar=nan"], {}, "finite number"),
    "name that is a path": (["tune", "p"], {"problem.toml": ("[model]", 'name="../p"\n[model]')}, "name: '../p'"),
    "name from the root": (["sample", "p"], {"problem.toml": ("[model]", 'name = "/p"\n[model]')}, "name: '/p'"),
    "name with a NUL": (["tune", "p"], {"problem.toml": ("[model]", 'name = "a\\u0000b"\n[model]')}, "name: 'a"),
    "broken hoc, over a folder": (["tune", "p", "--out", "no/../other"], {"hh.hoc": ("create axon", "{")}, "hh.hoc"),
    "broken hoc, sample": (["sample", "p", "--archive", "r/../a.sqlite"], {"hh.hoc": ("create axon", "{")}, "hh.hoc"),
    "--out is a file": (["tune", "p", "--out", "file"], {}, "is a file"),
    "--out in a file": (["tune", "p", "--out", "file/r"], {}, "cannot be made"),
    "archive of another model": (["tune", "p", "--archive", "other.sqlite", "--out", "r"], {}, "another model"),
    "archive of another model, sample": (["sample", "p", "--archive", "other.sqlite"], {}, "another model"),
    "archive that is none": (["tune", "p", "--archive", "file", "--out", "r"], {}, "cannot be used as an archive"),
    "archive in a file": (["sample", "p", "--archive", "file/a.sqlite"], {}, "file"),
    "verify no run": (["verify", "p"], {}, "no result.json in p"),
    "held out of nothing": (["verify", "p", "--held-out", "t.csv"], {}, "say which, with --hold N"),
    "report no run": (["report", "nowhere"], {}, "no result.json in nowhere"),
    "export no run": (["export", "p"], {}, "no result.json in p"),
    "table of no run": (["export", "p", "--to", "csv"], {}, "no result.json in p"),
    "table of one solution": (["export", "p", "--to", "csv", "--solution", "1"], {}, "leave --solution out"),
    "broken result": (["verify", "broken"], {}, "not a result of this version"),
    "result that is no text": (["report", "binary"], {}, "expected UTF-8"),
}


def typed_here(typed: list[str]) -> Result:
    """A command run in this process, which is much quicker than one of its own."""
    return CliRunner().invoke(app, typed, prog_name="gbar")


@pytest.fixture
def bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[..., Path]) -> Path:
    """A folder with a valid problem in p, and everything else that the cases name."""
    toml = TOML.replace("measurements/squid.csv", "cell.csv")
    hoc = (HH / "hh.hoc").read_text()
    write("p", **{"problem.toml": toml, "cell.csv": CSV, "hh.hoc": hoc, "mod/bad.mod": MOD})
    write("other", **{"problem.toml": toml.replace("6.3 ", "16.3"), "cell.csv": CSV, "hh.hoc": hoc})
    write("broken", **{"result.json": '{"problem": "hh"}'})
    write("binary", **{"result.json": b"\xff\xfe\x00"})
    write("", file="not a folder, not an archive\n")
    Archive(tmp_path / "other.sqlite", load_problem(tmp_path / "other")).close()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.neuron
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(bad: Path, case: str) -> None:
    typed, replaced, wanted = BAD[case]
    for name, (old, new) in replaced.items():
        text = (bad / "p" / name).read_text()
        assert old in text
        (bad / "p" / name).write_text(text.replace(old, new, 1))
    before = sorted(bad.rglob("*"))
    ran = typed_here(typed)
    assert ran.stdout == ""
    assert ran.stderr.startswith("gbar: ") and ran.stderr.count("\n") == 1, ran.stderr
    assert wanted in ran.stderr
    assert ran.exit_code == 2
    assert sorted(bad.rglob("*")) == before, "a run folder is left half made"


def test_bad_input_in_a_process_of_its_own(tmp_path: Path) -> None:
    ran = gbar("tune", "nowhere", "--json", folder=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("gbar: no problem at nowhere") and ran.stderr.count("\n") == 1


@pytest.mark.neuron
@pytest.mark.parametrize("number", [7, 99])
def test_a_solution_that_there_is_not(run: tuple[Path, Ran], tmp_path: Path, number: int) -> None:
    made = run[0] / "runs" / "hh-cell"
    ran = typed_here(["export", str(made), "--solution", str(number), "--out", str(tmp_path / "files")])
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.startswith("gbar: ") and f"no solution {number}" in ran.stderr
    assert not (tmp_path / "files").exists()


USAGE = [  # typer's own form
    ["tune", "p", "--tolerance", "0", "--out", "r"],
    ["tune", "p", "--tolerance", "-1", "--out", "r"],
    ["tune", "p", "--budget", "0", "--out", "r"],
    ["tune", "p", "--budget", "many", "--out", "r"],
    ["tune", "p", "--planner", "genetic", "--out", "r"],
    ["tune", "p", "--bugdet", "10", "--out", "r"],
    ["sample", "p", "-n", "0"],
    ["sample", "p", "--seed", "-1"],
    ["measure"],
    ["export", "p", "--solution", "-1"],
    ["export", "p", "--to", "matlab"],
    ["tnue", "p"],
]


@pytest.mark.parametrize("typed", USAGE, ids=" ".join)
def test_wrong_usage(bad: Path, typed: list[str]) -> None:
    before = sorted(bad.rglob("*"))
    ran = typed_here(typed)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "Usage: gbar" in ran.stderr and "Traceback" not in ran.stderr
    assert sorted(bad.rglob("*")) == before
