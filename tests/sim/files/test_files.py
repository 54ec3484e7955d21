"""Files are written whole and follow no link, damaged ones are refused in one line, and the cache is the user's own."""

import os
from pathlib import Path

import numpy as np
import pytest

from gbar.sim.errors import GbarError
from gbar.sim.files import (
    cache_folder,
    check_own,
    folder_in_place,
    packed_arrays,
    read_arrays,
    read_json,
    read_toml,
    write_whole,
)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    write_whole(file, "µ\n")
    assert file.read_text(encoding="utf-8") == "µ\n"
    assert file.stat().st_mode & 0o777 == 0o666 & ~_umask()
    with pytest.raises(UnicodeEncodeError):
        write_whole(file, "\ud800")
    assert file.read_text(encoding="utf-8") == "µ\n"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_no_link_is_followed(tmp_path: Path) -> None:
    other = tmp_path / "precious"
    other.write_text("precious")
    for name in ("result.json", "result.json.part", "result.part"):
        (tmp_path / name).symlink_to(other)
    write_whole(tmp_path / "result.json", "{}")
    assert other.read_text() == "precious"
    assert not (tmp_path / "result.json").is_symlink() and (tmp_path / "result.json").read_text() == "{}"


def test_a_folder_appears_whole_and_the_faster_process_wins(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b"
    with pytest.raises(ZeroDivisionError), folder_in_place(target) as work:
        (work / "half").write_text("")
        raise ZeroDivisionError
    assert not target.exists() and not list(target.parent.iterdir())
    for content in ("first", "second"):
        with folder_in_place(target) as work:
            (work / "file").write_text(content)
    assert (target / "file").read_text() == "first" and os.listdir(target.parent) == ["b"]


def test_damaged_arrays_are_refused_in_one_line(tmp_path: Path) -> None:
    """Any byte anywhere: numpy, zipfile, zlib, struct and Python's parser each raise their own."""
    file = tmp_path / "traces.npz"
    whole = packed_arrays({"01/step/t": np.arange(50.0), "01/step/v": np.arange(50.0)})
    draw = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for place in draw.integers(len(whole), size=3):
            damaged[place] = draw.integers(256)
        file.write_bytes(damaged[: draw.integers(1, len(whole))] if draw.random() < 0.2 else damaged)
        try:
            read_arrays(file)
        except GbarError as error:
            refused += 1
            assert str(error).startswith(f"{file}: is damaged: ") and "\n" not in str(error)
    assert refused > 200
    np.save(tmp_path / "one.npy", np.arange(3))
    for name, content in {
        "one.npz": (tmp_path / "one.npy").read_bytes(),
        "empty.npz": b"",
        "text.npz": b"hello",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(GbarError, match="is damaged"):
            read_arrays(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5000,
        "a = " + "[" * 5000 + "]" * 5000,
        "a = " + "9" * 5000,
        "a = {" + "b.c={" * 4000,
        "\0",
        "é".encode("latin-1"),
    ],
    ids=range(6),
)
def test_nested_and_huge_content_is_refused_in_one_line(tmp_path: Path, text: str | bytes) -> None:
    file = tmp_path / "problem.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    for read in (read_toml, read_json):
        with pytest.raises(GbarError) as refused:
            read(file)
        assert len(str(refused.value)) < 500


def test_a_file_too_large_to_be_text_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "problem.toml"
    with file.open("wb") as stream:
        stream.truncate(10**12)
    with pytest.raises(GbarError, match="at most 20 MB"):
        read_toml(file)


def test_the_cache_is_absolute_and_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GBAR_CACHE", "rélative cache")
    folder = cache_folder()
    assert folder == tmp_path / "rélative cache" / "gbar"
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757, 0o1777])
def test_a_cache_that_others_can_write_is_not_loaded_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    monkeypatch.setenv("GBAR_CACHE", str(tmp_path))
    library = cache_folder() / "mechanisms" / "abc" / "x86_64" / "libnrnmech.so"
    library.parent.mkdir(parents=True)
    library.write_text("")
    check_own(library)
    for open_one in (library.parent, library.parents[1], library.parents[2], library):
        before = open_one.stat().st_mode
        open_one.chmod(mode)
        with pytest.raises(GbarError, match="others can write there"):
            check_own(library)
        open_one.chmod(before)
    cache_folder().chmod(mode)
    with pytest.raises(GbarError, match="chmod -R go-w"):
        cache_folder()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_cache_of_somebody_else_is_not_loaded_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GBAR_CACHE", str(tmp_path))
    os.chown(cache_folder(), 65534, 65534)
    with pytest.raises(GbarError, match="another user"):
        cache_folder()
    (tmp_path / "gbar").rename(tmp_path / "theirs")
    (tmp_path / "gbar").symlink_to(tmp_path / "theirs")
    with pytest.raises(GbarError, match="another user"):
        cache_folder()


def test_a_home_that_cannot_be_written_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GBAR_CACHE", str(tmp_path / "file"))
    with pytest.raises(GbarError, match="set GBAR_CACHE"):
        cache_folder()


def _umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now
