"""What decides a simulation: every file in the model's folder but what is known not to, and what it opens elsewhere."""

import os
import shutil
import socket
import sqlite3
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gbar.sim import Archive, Evaluation, GbarError, Problem, load_problem
from gbar.sim.pool import Workers, modelfolder
from gbar.sim.problem.modelfiles import find_model_files
from tests.problems import PASSIVE_HOC, free, model_of, step_of, toml_of

TOML = toml_of(model_of(), free("g_pas", "soma.g_pas", 1e-4, 1e-3), step_of())
X = np.array([3e-4])

DECIDES = {  # by its name in the folder; its content before and after
    "params.txt": ("0.1", "0.2"),
    "CHANNELS.HOC": ("// a", "// b"),
    "mod/NAF.MOD": ("a", "b"),
    "TABLE.TXT": ("a", "b"),
    "weights.csv": ("w,cell\n1,2\n", "w,cell\n1,3\n"),
    "table.npy": ("a", "b"),
    "deep/er/config.toml": ("a = 1", "a = 2"),
    "settings.yaml": ("a: 1", "a: 2"),
    "noext": ("a", "b"),
    "shape.h5": ("a", "b"),
    "Readme.hoc": ("// a", "// b"),
    "rates.xlsx": ("no sheet", "none"),
}
DECIDES_NOTHING = {
    "README": "a",
    "readme_first.txt": "a",
    "LICENSE.txt": "a",
    "notes.md": "a",
    "figure.PNG": "a",
    "cell.hoc~": "a",
    "#cell.hoc#": "a",
    ".cell.hoc.swp": "a",
    "cell.hoc.bak": "a",
    "~$cells.xlsx": "a",
    "neuron.log": "a",
    "other.csv": "protocol,feature,mean,sd,unit\nstep,voltage_base,-65,1,mV\n",
    "german.csv": "# Zelle 3\nProtocol;Feature;Mean;SD;Unit\nstep;voltage_base;-65,1;1;mV\n",
    "measurements_2.csv": "Protokoll;Merkmal\n",
    "cells.csv": "cell,step.voltage_base\na,-65\n",
    "current.csv": "t_ms,i_nA\n0,0\n",
    "hard.toml": TOML,
    "run1/result.json": "{}",
    "run1/traces.npz": "a",
    "old/archive.sqlite": "a",
    "measurements/any.txt": "a",
    "runs/any.txt": "a",
    "x86_64/any.c": "a",
    "__pycache__/cell.pyc": "a",
    ".git/config": "a",
    "many/cells.csv": "cell,status\n",
    "many/cells.json": "{}",
    "rig.toml": "# as recorded\n[protocol.step]\nkind = 'step'\n",
    "env/pyvenv.cfg": "a",
    "env/lib/thing.py": "a",
    "trace.abf": "a",
    "archive.sqlite.0a1b2c3d.mind.npz": "a",
}


@pytest.fixture
def folder(write: Callable[..., Path]) -> Path:
    return write("cell", **{"problem.toml": TOML, "cell.hoc": PASSIVE_HOC})


def identity(folder: Path) -> str:
    return load_problem(folder, measured=False).identity()


def put(folder: Path, name: str, content: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(GbarError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", DECIDES)
def test_a_file_of_any_name_decides(folder: Path, name: str) -> None:
    seen = [identity(folder)]
    for content in DECIDES[name]:
        put(folder, name, content)
        seen.append(identity(folder))
    assert len(set(seen)) == 3, "its being there counts, and what is in it"
    watch = modelfolder.Watch(load_problem(folder, measured=False))
    put(folder, name, DECIDES[name][0])
    assert f"{name}: has changed" in refusal(watch.check), "in mid-run too"
    (folder / name).unlink()
    assert identity(folder) == seen[0]


def test_what_is_known_to_decide_nothing(folder: Path) -> None:
    before = identity(folder)
    for name, content in DECIDES_NOTHING.items():
        put(folder, name, content)
        assert identity(folder) == before, name
    with zipfile.ZipFile(folder / "table.xlsx", "w") as sheet:
        sheet.writestr("xl/sharedStrings.xml", "<sst><t>Protocol</t><t>Feature</t></sst>")
    with Archive(folder / "kept.db", load_problem(folder, measured=False)):
        assert (folder / "kept.db-wal").exists()
        assert identity(folder) == before


def test_where_the_folder_lies_is_of_no_consequence(folder: Path, tmp_path: Path) -> None:
    put(folder, "parts/a.txt", "a")
    assert identity(Path(shutil.copytree(folder, tmp_path / "elsewhere"))) == identity(folder)
    os.rename(folder / "parts", folder / "part")
    assert identity(Path(tmp_path / "elsewhere")) != identity(folder)


def test_stray_files_neither_hang_nor_crash_it(folder: Path, write: Callable[..., Path]) -> None:
    """A link to nowhere, a pipe, a socket, what nobody may read, links in circles, and more than fits into memory."""
    before = identity(folder)
    (folder / ".#cell.hoc").symlink_to("user@host.1234:5678")
    (folder / "gone.hoc").symlink_to("nowhere.hoc")
    os.mkfifo(folder / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.open(folder, os.O_RDONLY)  # the name of a socket is short
        listening.bind(f"/proc/self/fd/{here}/a.hoc")
        os.close(here)
        (folder / "again").symlink_to(folder)
        (folder / "up").symlink_to("..")
        assert identity(folder) == before
        put(folder, "secret.txt", "a")
        (folder / "secret.txt").chmod(0)
        with (folder / "huge.bin").open("wb") as huge:
            huge.truncate(50_000_000_000)
        problem, start = load_problem(folder, measured=False), time.perf_counter()
        modelfolder.Watch(problem).check()
        assert problem.identity() != before
        assert time.perf_counter() - start < 2
        (folder / "huge.bin").unlink()
        assert "cell/cell.hoc" in modelfolder.pack(problem)["files"] or "cell.hoc" in modelfolder.pack(problem)["files"]
        with Workers(problem) as pool:
            assert [done.status for _, done in pool.run([X])] == ["ok"]


def test_a_linked_folder_is_part_of_the_model(folder: Path, tmp_path: Path) -> None:
    put(tmp_path, "shared/params.txt", "1")
    (folder / "parts").symlink_to(tmp_path / "shared")
    before = identity(folder)
    put(tmp_path, "shared/params.txt", "2")
    assert identity(folder) != before
    assert any(
        name.endswith("parts/params.txt") for name in modelfolder.pack(load_problem(folder, measured=False))["files"]
    )


def test_a_folder_of_everything_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gbar.sim.problem.modelfiles.MOST_FILES", 2)
    put(folder, "more.txt", "")
    assert "keep the model in a folder of its own" in refusal(lambda: identity(folder))


def test_what_hoc_opens_elsewhere_by_its_name(folder: Path, tmp_path: Path) -> None:
    put(tmp_path, "common/more.hoc", '{xopen("../common/most.hoc")}\n')
    put(tmp_path, "common/most.hoc", "// a\n")
    put(folder, "cell.hoc", PASSIVE_HOC + '{load_file(1, "../common/more.hoc")}\n// xopen("../common/never.hoc")\n')
    put(tmp_path, "common/never.hoc", "")
    found = find_model_files(folder)
    assert found.outside == ["../common/more.hoc", "../common/most.hoc"]
    before = identity(folder)
    put(tmp_path, "common/most.hoc", "// b\n")
    assert identity(folder) != before
    assert found.unseen == []
    put(folder, "cell.hoc", PASSIVE_HOC + 'strdef s\ns = "more.hoc"\nif (0) {xopen(s)}\n')
    assert find_model_files(folder).unseen == ["cell.hoc"]


def test_what_the_model_writes_decides_nothing(folder: Path) -> None:
    put(folder, "cell.hoc", PASSIVE_HOC + 'objref f\nf = new File()\nf.wopen("seen.txt")\nf.close()\n')
    put(folder, "late.py", 'open("late.txt", "w")\nnumpy.savetxt("more.txt", x)\n')
    put(folder, "problem.toml", TOML.replace("celsius", 'outputs = ["out/*.txt"]\ncelsius'))
    before = identity(folder)
    for name in ("seen.txt", "late.txt", "more.txt", "out/1.txt"):
        put(folder, name, "a")
        assert identity(folder) == before, name
    put(folder, "outer.txt", "a")
    assert identity(folder) != before


# ---- in an archive


def begun(file: Path, problem: Problem) -> None:
    with Archive(file, problem) as archive:
        archive.add("r", 0, 0, "design", "cvode atol 0.0001", X, Evaluation({"step.voltage_base": -65.0}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: put(folder, "params.txt", "2"), "params.txt has changed: put it back as it was"),
        (lambda folder: (folder / "params.txt").unlink(), "params.txt is gone"),
        (lambda folder: put(folder, "new.txt", ""), "new.txt is new: move it out of the model's folder"),
        (
            lambda folder: put(folder, "problem.toml", TOML.replace("-0.01", "-0.02")),
            "a place, a protocol or a setting has changed",
        ),
    ],
    ids=["changed", "gone", "new", "protocol"],
)
def test_an_archive_says_what_is_not_as_it_was(
    folder: Path, tmp_path: Path, change: Callable[[Path], None], said: str
) -> None:
    put(folder, "params.txt", "1")
    begun(tmp_path / "a.sqlite", load_problem(folder, measured=False))
    change(folder)
    message = refusal(lambda: Archive(tmp_path / "a.sqlite", load_problem(folder, measured=False)))
    assert "another model or protocol set" in message and said in message and "--archive" in message


def test_an_archive_of_an_earlier_gbar_is_refused_and_kept(folder: Path, tmp_path: Path) -> None:
    file, problem = tmp_path / "a.sqlite", load_problem(folder, measured=False)
    begun(file, problem)
    with sqlite3.connect(file) as opened:
        opened.execute("DELETE FROM meta WHERE key = 'files'")
        opened.execute("UPDATE meta SET value = 'ff00' WHERE key = 'identity'")
        before = opened.execute("SELECT * FROM evaluations").fetchall()
    assert "made by an earlier gbar" in refusal(lambda: Archive(file, problem))
    with sqlite3.connect(file) as opened:
        assert opened.execute("SELECT * FROM evaluations").fetchall() == before


# ---- while a model is loaded


@pytest.mark.neuron
def test_what_python_opens_elsewhere_is_watched_and_kept(write: Callable[..., Path], tmp_path: Path) -> None:
    model = (
        "import json, sys\nfrom neuron import h\nsys.path.append('../library')\nimport parts_of_it\n"
        "def build():\n    soma = h.Section(name='soma')\n    soma.insert('pas')\n"
        "    soma.L = json.load(open('../size.json'))\n    open('inside.txt').close()\n"
        "    open('../made.txt', 'w').close()\n    open('../made.txt').close()\n    return soma\n"
    )
    folder = write("cell", **{"cell.py": model, "inside.txt": "", "problem.toml": TOML.replace(".hoc", ".py:build")})
    put(tmp_path, "size.json", "20")
    put(tmp_path, "library/parts_of_it.py", "")
    problem = load_problem(folder, measured=False)
    with Archive(tmp_path / "a.sqlite", problem) as archive, Workers(problem) as pool:
        assert pool.found.reads_outside == [str(tmp_path / "library/parts_of_it.py"), str(tmp_path / "size.json")]
        archive.hold_to(pool.found.reads_outside)
        assert [done.status for _, done in pool.run([X])] == ["ok"]
        put(tmp_path, "size.json", "30")
        assert "size.json: has changed since this run" in refusal(lambda: list(pool.run([X])))
    with Archive(tmp_path / "a.sqlite", problem) as archive:
        assert "size.json: has changed since" in refusal(lambda: archive.hold_to([str(tmp_path / "size.json")]))
        archive.hold_to([str(tmp_path / "library/parts_of_it.py")])
