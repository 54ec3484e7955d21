"""What reaches a terminal: letters that it has, nothing that steers it, and one line for what cannot be done."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gbar.agent.result import Wall
from gbar.agent.tuning.verify import FeatureTrust, Verification
from gbar.scripts.main import app
from gbar.scripts.terminal import print_accuracy, print_summary, print_table, say, shared
from gbar.sim import GbarError
from gbar.sim.recordings import Findings
from tests.agent.report.test_report import a_result
from tests.problems import GBAR, HH, ROOT


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [GBAR, *map(str, arguments)], env={**os.environ, **environment}, capture_output=True, timeout=120
    )


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=["ascii", "C"],
)
def test_an_output_without_our_letters(environment: dict[str, str]) -> None:
    done = run("check", HH, "--quick", **environment)
    assert done.returncode == 0 and done.stderr == b""
    assert b"0.06 ... 0.24" in done.stdout  # for …


@pytest.mark.parametrize("budget", ["1e9", "1000000000", "nan", "-1", ""])
def test_a_budget_that_is_none(budget: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["tune", str(HH), "--budget", budget, "--out", str(tmp_path / "run")])
    assert done.exit_code == 2 and isinstance(done.exception, SystemExit) and not (tmp_path / "run").exists()


@pytest.mark.parametrize("engine", ["", " ", "\t", "cvode", "cvode atol", "cvode atol nan", "é"])
def test_an_engine_that_is_none(engine: str) -> None:
    from gbar.sim.problem import Integrator

    with pytest.raises(GbarError, match="is no engine: expected one such as"):
        Integrator.parse(engine)


def test_a_device_that_is_not_there_is_said_before_anything_is_simulated(tmp_path: Path) -> None:
    done = run("tune", HH, "--out", tmp_path / "run", JAX_PLATFORMS="tpu", GBAR_CACHE=str(tmp_path / "cache"))
    said = done.stderr.decode().splitlines()
    assert (
        done.returncode == 2 and len(said) == 1 and said[0].startswith("gbar: JAX cannot start on JAX_PLATFORMS='tpu'")
    )
    assert not (tmp_path / "run").exists() and not (tmp_path / "cache" / "gbar" / "engines").exists()


@pytest.mark.parametrize("limit_mb", [60, 250])
@pytest.mark.parametrize("command", ["check", "measure", "sample", "tune", "verify"])
def test_too_little_memory_is_said_before_a_library_waits_for_it(command: str, limit_mb: int, tmp_path: Path) -> None:
    """OpenBLAS would ask for memory again and again."""
    said = under_limit(limit_mb, command, HH, tmp_path)
    assert f"the limit is {limit_mb} MB (ulimit -v), expected 450 MB or more" in said


@pytest.mark.parametrize("command", ["check", "sample"])
def test_too_little_memory_for_data(command: str, tmp_path: Path) -> None:
    said = under_limit(100, command, HH, tmp_path, kind="DATA")
    assert "the limit is 100 MB (ulimit -d), expected 200 MB or more" in said


@pytest.mark.parametrize("command", ["tune", "verify"])
def test_too_little_memory_to_learn(command: str, tmp_path: Path) -> None:
    """LLVM would end the process."""
    assert "the limit is 1,000 MB (ulimit -v), expected 2,400 MB or more" in under_limit(1000, command, HH, tmp_path)


def test_little_memory_is_enough_to_simulate(tmp_path: Path) -> None:
    """Once the engine is known: trying it takes more."""
    subprocess.run([GBAR, "check", str(HH)], check=True, capture_output=True, timeout=120)
    limit = LIMITED.format(460 * 10**6, "AS")
    command = [sys.executable, "-c", limit, GBAR, "check", str(HH), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_{1}, ({0}, {0}))
os.execv(sys.argv[1], sys.argv[1:])
"""


def under_limit(limit_mb: int, *arguments: object, kind: str = "AS") -> str:
    """The one line that a command under a limit of memory ends with. The last argument is a folder."""
    *given, folder = map(str, arguments)
    command = [sys.executable, "-c", LIMITED.format(limit_mb * 10**6, kind), GBAR, *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert list(Path(folder).iterdir()) == []
    return done.stderr


def test_a_command_to_paste_has_its_paths_quoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each as one word for a shell, whatever is in it."""
    folder = shutil.copytree(HH, tmp_path / "a cell's é; $(x)")
    done = CliRunner().invoke(app, ["check", str(folder), "--quick"])
    assert shlex.split(done.stdout.rpartition("Next: ")[2]) == ["gbar", "measure", str(folder)]
    print_summary(a_result(), folder)
    begun = Findings([], [], [], [], [], {}, 0, []).next_steps(str(folder), folder / "t.csv")
    for said in (capsys.readouterr().out, *begun):
        words = shlex.split(said.rpartition("Next:")[2].replace("; gbar", " ; gbar"))
        assert words[0] == "gbar" and any(word.startswith(str(folder)) for word in words)


def test_control_characters_never_reach_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "a\x1b[31mred\x07\x9b2J\u202e"
    say(evil)
    print_table(evil, ["name"], [[evil]])
    print(GbarError(evil))
    shown = capsys.readouterr().out
    assert "a\\x1b[31mred\\x07\\x9b2J\\u202e" in shown
    assert all(letter.isprintable() or letter == "\n" for letter in shown)


def test_a_message_is_short_enough_to_be_read() -> None:
    said = str(GbarError(f"'{'x' * 10_000}' is no place: expected soma.g_pas"))
    assert len(said) < 2000 and said.endswith("expected soma.g_pas")


def test_every_letter_we_write_has_a_plainer_one() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "scripts").rglob("*.py"))
    ours = {letter for letter in text if not letter.isascii()}
    assert ours <= set(shared.PLAIN), ours - set(shared.PLAIN)


def test_the_time_adds_up(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    result = a_result()
    spent = {"choose": 15.0, "start": 21.0, "simulate": 5.0, "fit": 40.0, "plan": 1.0, "write": 30.0}
    result.wall_s = Wall(**spent, compile=33.0, total=142.0)
    print_summary(result, tmp_path)
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("142 s: "))
    assert "choosing an engine 15, starting NEURON 21, simulating 5, learning (33 s of it compiling) 40" in line
    assert sum(seconds for _, seconds in result.wall_s.parts()) == 142
    assert line.endswith("the rest 30.")


def test_verify_says_what_a_person_needs(capsys: pytest.CaptureFixture[str]) -> None:
    known = {"validity_auroc": None, "n": 9, "verdict": "good", "why": "", "coverage_90": 0.9}
    far = FeatureTrust(
        held_out_rmse_over_sd=272412.0, prequential_rmse_over_sd=300.0, recent_rmse_over_sd=0.21, **known
    )
    print_accuracy(Verification(confirmed_by="x", evaluations=9, solutions=[], surrogate={"a.b": far}))
    shown = capsys.readouterr().out
    assert "272412" not in shown and "> 10" in shown and "0.21" in shown
    assert "kept from it" in shown


def test_the_space_between_a_number_and_its_unit(capsys: pytest.CaptureFixture[str]) -> None:
    say("71.2\N{NO-BREAK SPACE}Hz")
    assert capsys.readouterr().out == "71.2 Hz\n"


def test_check_shows_starts_and_priors_and_asks_about_one_far_from_the_other(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(HH, tmp_path / "hh"))
    text = (folder / "problem.toml").read_text()
    guess = 'start = 0.2\nprior = {mean = 0.1, sd = 0.01}\nscale = "log"'
    (folder / "problem.toml").write_text(text.replace('scale = "log"', guess, 1))
    done = CliRunner().invoke(app, ["check", str(folder), "--quick"])
    assert done.exit_code == 0 and "0.1 ± 0.01" in done.stdout and "start = 0.2 is 7 SD" in done.stdout
    read = json.loads(CliRunner().invoke(app, ["check", str(folder), "--quick", "--json"]).stdout)
    assert read["starts"] == {"gnabar": 0.2} and read["priors"] == {"gnabar": {"mean": 0.1, "sd": 0.01}}
