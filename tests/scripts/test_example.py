"""gbar example: bundled problems, copied and never overwritten."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gbar.scripts.main import app
from gbar.sim import load_problem
from tests.problems import ROOT

BUNDLED = sorted(folder.parent.name for folder in (ROOT / "models").glob("*/problem.toml"))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(*words: str, code: int = 0) -> str:
    ran = CliRunner().invoke(app, ["example", *words])
    assert ran.exit_code == code, ran.output
    return ran.stderr if code else ran.stdout


def test_without_a_name_it_lists_what_there_is() -> None:
    assert [line.split()[0] for line in typed().splitlines()] == BUNDLED
    assert list(json.loads(typed("--json"))) == BUNDLED
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize("name", BUNDLED)
def test_a_copy_is_a_problem_of_its_own(name: str) -> None:
    assert f"gbar tune {name}" in typed(name)
    assert [path.name for path in Path.cwd().iterdir()] == [name]
    copied, bundled = load_problem(name), load_problem(ROOT / "models" / name)
    assert (copied.parameter, copied.measurements) == (bundled.parameter, bundled.measurements)
    for mod in (ROOT / "models" / name).glob("mod/*.mod"):
        assert Path(name, "mod", mod.name).read_bytes() == mod.read_bytes()
    assert not [path for path in Path(name).rglob("*") if path.name in ("runs", "__init__.py", "x86_64")]
    Path(name, "problem.toml").write_text("mine")  # what is copied can be changed


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_nothing_is_overwritten(kind: str) -> None:
    there = Path("hh")
    if kind == "folder":
        there.mkdir()
        (there / "problem.toml").write_text("mine")
    elif kind == "file":
        there.write_text("mine")
    else:
        there.symlink_to("nowhere")
    assert "nothing is overwritten" in typed("hh", code=2)
    assert [path.name for path in Path.cwd().iterdir()] == ["hh"]
    assert kind == "link" or (there / "problem.toml" if kind == "folder" else there).read_text() == "mine"


@pytest.mark.parametrize("name", ["motoneron", "../hh", "/etc", "hh/measurements", ".", ""])
def test_only_what_is_bundled(name: str) -> None:
    said = typed(name, code=2)
    assert "no bundled problem" in said
    assert name != "motoneron" or "nearest: 'motoneuron'" in said
    assert not list(Path.cwd().iterdir())
