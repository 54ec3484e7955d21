"""What this process has made is taken back, and nothing else."""

import os
from pathlib import Path

import pytest

from gbar.sim import GbarError
from gbar.sim.files import LONGEST, Made, as_name, check_name, resolved


def content(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_everything_goes_that_was_made(tmp_path: Path) -> None:
    made = Made()
    made.folder(tmp_path / "a" / "b")
    assert made.file(tmp_path / "a" / "b" / "log")
    (tmp_path / "a" / "b" / "log").write_text("said")
    made.take_back()
    assert content(tmp_path) == []


def test_what_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "log").write_text("before")
    made = Made()
    made.folder(tmp_path / "a" / "b")
    assert not made.file(tmp_path / "a" / "b" / "log")
    made.take_back()
    assert (tmp_path / "a" / "b" / "log").read_text() == "before"


def test_a_folder_that_somebody_has_used_stays(tmp_path: Path) -> None:
    made = Made()
    made.folder(tmp_path / "a" / "b")
    made.file(tmp_path / "a" / "b" / "log")
    (tmp_path / "a" / "note").write_text("mine")
    made.take_back()
    assert content(tmp_path) == ["a", "a/note"]


def test_what_took_the_place_of_what_was_made_stays(tmp_path: Path) -> None:
    made = Made()
    made.file(tmp_path / "log")
    (tmp_path / "other").write_text("mine")
    os.replace(tmp_path / "other", tmp_path / "log")
    made.take_back()
    assert (tmp_path / "log").read_text() == "mine"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(tmp_path / "elsewhere")
    made = Made()
    assert not made.file(tmp_path / "log")
    made.take_back()
    assert content(tmp_path) == ["log"]


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "loop"])
def test_a_path_that_leads_nowhere(tmp_path: Path, path: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    try:
        Made().folder(resolved(tmp_path / path, "--out"))
    except (GbarError, OSError) as error:
        assert "--out" in str(error) or isinstance(error, OSError)
    else:
        raise AssertionError("nothing was refused")
    assert content(tmp_path) == ["loop"]


def test_no_folder_is_made_on_the_way(tmp_path: Path) -> None:
    Made().folder(resolved(tmp_path / "missing" / ".." / "out", "--out"))
    assert content(tmp_path) == ["out"]


NO_NAMES = [
    "",
    " ",
    ".",
    "..",
    "a/b",
    "/etc",
    "../x",
    "a\\b",
    "a\0b",
    "a\nb",
    "\x1b[2J",
    "\u202ea",
    "x" * (LONGEST + 1),
]


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="expected a name"):
        check_name(name)
    check_name(as_name(name))


@pytest.mark.parametrize("name", ["hh", "L5PC ttx", "Zelle 3 (größer)", "漢字", ".hidden", "a..b"])
def test_what_is_a_name(name: str) -> None:
    assert check_name(name) == name


def test_an_odd_folder_gives_a_name() -> None:
    assert as_name("a\nb") == "a_b"
    assert as_name("") == as_name("..") == "model"
    assert len(as_name("漢" * 80).encode()) <= LONGEST
