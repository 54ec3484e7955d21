"""problem.toml edited by the window: what is not touched stays to the byte."""

import tomllib
from pathlib import Path

import pytest

from gbar.agent.ui.editing import aside, keep_if_it_loads, put_aside, take_up
from gbar.sim import GbarError
from tests.problems import HH, MOTONEURON


@pytest.mark.parametrize("folder", [HH, MOTONEURON], ids=lambda folder: folder.name)
def test_a_parameter_is_put_aside_and_taken_up_again(folder: Path) -> None:
    text = (folder / "problem.toml").read_text()
    for parameter in tomllib.loads(text)["parameter"]:
        without = put_aside(text, parameter["name"])
        names = [p["name"] for p in tomllib.loads(without)["parameter"]]
        assert names == [p["name"] for p in tomllib.loads(text)["parameter"] if p["name"] != parameter["name"]]
        assert aside(without) == [parameter]
        assert tomllib.loads(take_up(without, parameter["name"])) == tomllib.loads(text)
        assert take_up(without, parameter["name"]) == text


def test_one_that_is_not_there_is_named() -> None:
    with pytest.raises(GbarError, match="no parameter 'nap'"):
        put_aside((HH / "problem.toml").read_text(), "nap")


def test_what_is_no_problem_is_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "problem.toml"
    text = (HH / "problem.toml").read_text()
    (tmp_path / "hh.hoc").write_bytes((HH / "hh.hoc").read_bytes())
    file.write_text(text)
    with pytest.raises(GbarError) as refused:
        keep_if_it_loads(file, text.replace("bounds = [0.06", "bounds = [6"))
    assert str(refused.value).startswith(("problem.toml", str(file)))
    assert "wrong way round" in str(refused.value)
    assert file.read_text() == text
    assert sorted(f.name for f in tmp_path.iterdir()) == ["hh.hoc", "problem.toml"]
