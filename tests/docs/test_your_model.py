"""docs/your-model.md, typed again: the commands in it say what it says they say."""

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gbar.scripts.main import app
from tests.problems import MOTONEURON, ROOT

PAGE = (ROOT / "docs" / "your-model.md").read_text()

pytestmark = pytest.mark.neuron


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)


def typed(command: str) -> str:
    """What a command prints."""
    ran = CliRunner().invoke(app, command.split()[1:], prog_name="gbar")
    assert (ran.exit_code, ran.stderr) == (0, ""), ran.stderr
    return ran.stdout


def shown(command: str) -> list[str]:
    """What the page says that a command prints, line by line; … stands for what is left out."""
    (block,) = (text for text in blocks("console") if text.startswith(f"$ {command}\n"))
    return [line for line in block.splitlines()[1:] if line and line != "…"]


def edited(text: str, diff: str) -> str:
    """A file with a diff's lines taken out and put in; a line that stays places the next change after it."""
    at, old = 0, ""
    for line in diff.splitlines():
        if line.startswith("-"):
            old = line[1:]
            assert old in text[at:], old
        elif line.startswith("+"):
            text = text[:at] + text[at:].replace(old, line[1:], 1)
        else:
            at = text.index(line[1:], at)
    return text


def test_the_transcript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(MOTONEURON / "mod", "cell/mod")
    shutil.copy(MOTONEURON / "motoneuron.hoc", "cell")
    (table,) = blocks("csv")
    Path("cell/rig.csv").write_text(table)
    assert shown("ls cell") == sorted(p.name for p in Path("cell").iterdir())
    assert typed("gbar init cell").splitlines() == shown("gbar init cell")
    (diff,) = blocks("diff")
    toml = Path("cell/problem.toml")
    toml.write_text(edited(toml.read_text(), diff))
    for command in ("gbar check cell", "gbar measure cell"):
        said = typed(command).splitlines()
        assert [line for line in shown(command) if line not in said] == []
    assert PAGE.index("$ gbar check") < PAGE.index("$ gbar measure") < PAGE.index("$ gbar tune")
