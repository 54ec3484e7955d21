"""MOD files: built once, found by content, and what a broken one says."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from gbar.sim import GbarError
from gbar.sim.mechanisms import library as mechanisms
from tests.problems import LEAK_MOD, ROOT

NEURON = int(metadata.version("neuron").partition(".")[0])

pytestmark = pytest.mark.neuron

Write = Callable[..., Path]


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GBAR_CACHE", str(tmp_path / "own"))
    return tmp_path / "own"


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(GbarError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_built_once_found_by_content_and_rebuilt_when_changed(own_cache: Path, write: Write) -> None:
    folder = write("mod", **{"leaky.mod": LEAK_MOD})
    before = content(folder)
    library = mechanisms.build([folder])
    assert library is not None and own_cache in library.parents
    assert content(folder) == before, "the user's folder was written to"
    built = library.stat().st_mtime_ns
    elsewhere = write("copy", **{"leaky.mod": LEAK_MOD})
    assert mechanisms.build([folder]) == library
    assert mechanisms.build([elsewhere]) == library, "the same content in another folder is the same build"
    assert library.stat().st_mtime_ns == built
    changed = mechanisms.build([write("mod", **{"leaky.mod": LEAK_MOD.replace("70", "71")})])
    assert changed is not None and changed != library
    assert library.stat().st_mtime_ns == built
    left = [path.name for path in (own_cache / "gbar" / "mechanisms").iterdir() if path.suffix != ".lock"]
    assert sorted(left) == sorted([library.parent.parent.name, changed.parent.parent.name]), "half-built folders remain"


def test_two_processes_build_once(own_cache: Path, write: Write, tmp_path: Path) -> None:
    """Both start on an empty cache; a wrapper around nrnivmodl's make counts how often it is called."""
    folder = write("mod", **{"leaky.mod": LEAK_MOD})
    counted = tmp_path / "calls"
    wrapper = write("bin", make=f'#!/bin/sh\necho x >> "{counted}"\nexec {shutil.which("make")} "$@"\n') / "make"
    wrapper.chmod(0o755)
    script = (
        "import sys; from pathlib import Path; from gbar.sim import mechanisms; "
        "print(mechanisms.build([Path(sys.argv[1])]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-c", script, str(folder)]
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ended = [(process, *process.communicate(timeout=60)) for process in started]
    assert [process.returncode for process, _, _ in ended] == [0, 0], ended
    assert ended[0][1] == ended[1][1] and Path(ended[0][1].strip()).is_file()
    assert counted.read_text().count("x") == 1


def test_an_included_file_is_part_of_the_mechanism(own_cache: Path, write: Write) -> None:
    """It is found while building, and a change in it rebuilds."""
    mod = LEAK_MOD.replace("PARAMETER { g", 'INCLUDE "rest.inc"\nPARAMETER { g').replace("70", "erest")
    first = mechanisms.build([write("mod", **{"leaky.mod": mod, "rest.inc": "PARAMETER { erest = -70 }\n"})])
    second = mechanisms.build([write("mod", **{"leaky.mod": mod, "rest.inc": "PARAMETER { erest = -71 }\n"})])
    assert first is not None and second is not None and first != second


BROKEN = {  # what replaces what in LEAK_MOD; the line named; what the message must hold
    "syntax": ("g * (v + 70)", "g * * (v + 70)", 9, ["Illegal expression", "i = g * * (v + 70)"]),
    "brace": ("(v + 70)\n}", "(v + 70)\n", 10, ["Illegal"]),
    "undeclared variable": ("v + 70", "v - erest", 9, ["erest", "declared"]),
    "undeclared function": ("v + 70", "v - rest(v)", 9, ["rest", "declared"]),
    "C in a VERBATIM block": (
        "BREAKPOINT {",
        "BREAKPOINT {\nVERBATIM\n    int q = unheard_of;\nENDVERBATIM",
        10,
        ["unheard_of", "declared"],
    ),
    "unknown block": ("BREAKPOINT {", "BREAKPOINT {\n    SOLVE states METHOD cnexp", None, ["states"]),
    "a function called as a variable": (
        "BREAKPOINT {",
        "FUNCTION g(x) {\n    g = x\n}\n\nBREAKPOINT {",
        None,
        ["g used as both variable and function"],
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_mod_that_does_not_compile(own_cache: Path, write: Write, case: str) -> None:
    old, new, line, wanted = BROKEN[case]
    assert old in LEAK_MOD
    folder = write("mod", **{"fine.mod": LEAK_MOD.replace("leaky", "fine"), "leaky.mod": LEAK_MOD.replace(old, new)})
    before = content(folder)
    message = refusal(lambda: mechanisms.build([folder]))
    place = f"{folder / 'leaky.mod'}, line {line}: does not compile: " if line else f"{folder / 'leaky.mod'}"
    assert message.startswith(place), message
    for part in wanted:
        assert part in message, message
    assert "\x1b" not in message and "Traceback" not in message
    assert content(folder) == before
    assert not [path for path in (own_cache / "gbar" / "mechanisms").iterdir() if path.is_dir()]
    mended = mechanisms.build([write("mod", **{"leaky.mod": LEAK_MOD})])
    assert mended is not None, "a failed build leaves nothing in the way of the next"


def test_included_file_that_is_not_there(own_cache: Path, write: Write) -> None:
    folder = write("mod", **{"leaky.mod": LEAK_MOD.replace("PARAMETER {", 'INCLUDE "rest.inc"\nPARAMETER {')})
    message = refusal(lambda: mechanisms.build([folder]))
    assert message.startswith(f"{folder / 'leaky.mod'}: does not compile: ") and "rest.inc" in message


def test_two_different_files_of_one_name(own_cache: Path, write: Write) -> None:
    folders = [write("a", **{"leaky.mod": LEAK_MOD}), write("b", **{"leaky.mod": LEAK_MOD + "\n"})]
    message = refusal(lambda: mechanisms.build(folders))
    assert all(str(folder / "leaky.mod") in message for folder in folders)


def test_one_file_in_two_folders(own_cache: Path, write: Write) -> None:
    folders = [write("a", **{"leaky.mod": LEAK_MOD}), write("b", **{"leaky.mod": LEAK_MOD})]
    assert mechanisms.build(folders) == mechanisms.build(folders[:1])


def test_no_mod_file(own_cache: Path, write: Write) -> None:
    assert mechanisms.build([]) is None
    assert mechanisms.build([write("mod", **{"readme.txt": "none", "more.inc": "none"})]) is None


@pytest.mark.parametrize(
    ("present", "missing"),
    [([], ["C++ compiler", "make", "perl"]), (["make", "perl"], ["C++ compiler"]), (["g++", "make"], ["perl"])],
)
def test_no_compiler(
    own_cache: Path,
    write: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    present: list[str],
    missing: list[str],
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in present:
        (tools / name).symlink_to(shutil.which(name) or "")
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.delenv("CXX", raising=False)
    message = refusal(lambda: mechanisms.build([write("mod", **{"leaky.mod": LEAK_MOD})]))
    assert message.startswith(f"no {' and no '.join(missing)} found") and "install" in message


def test_a_damaged_library(own_cache: Path, write: Write, fresh: Callable[..., str]) -> None:
    library = write("x86_64", **{"libnrnmech.so": b"\x7fELF nonsense"}) / "libnrnmech.so"
    script = """
import json, sys
from pathlib import Path
from gbar.sim import GbarError
from gbar.sim import mechanisms
try:
    mechanisms.load(Path(sys.argv[1]))
except GbarError as error:
    print(json.dumps(str(error)))
"""
    assert str(library) in fresh(script, library)


def test_what_coreneuron_alone_refuses_is_named(own_cache: Path, write: Write) -> None:
    """NEURON takes a GLOBAL that the equations write; CoreNEURON's translator says where, make says in which file."""
    warm = "tadj = 3^((celsius - 23) / 10)"
    mod = LEAK_MOD.replace("RANGE g", "RANGE g\n    GLOBAL tadj").replace("g * (v", "tadj * g * (v")
    mod = mod.replace("ASSIGNED { ", "ASSIGNED { tadj celsius (degC) ")
    mod = mod.replace("BREAKPOINT {\n", f"BREAKPOINT {{\n    {warm}\n")
    folder = write("mod", **{"fine.mod": LEAK_MOD.replace("leaky", "fine"), "leaky.mod": mod})
    assert mechanisms.build([folder]) is not None
    message = refusal(lambda: mechanisms.build_core([folder]))
    if NEURON < 9:
        assert message.startswith(f"{folder / 'leaky.mod'}: does not compile: ") and "thread safe" in message
        return
    assert re.match(rf'{folder / "leaky.mod"}, line \d+: CoreNEURON does not take it: "tadj" variable', message), (
        message
    )


C_ALONE = "PROCEDURE allocate() {\nVERBATIM\n    double* x = malloc(8);\n    free(x);\nENDVERBATIM\n}\n"
UNDECLARED = "PROCEDURE call() {\nVERBATIM\n    nowhere_to_be_found(1);\nENDVERBATIM\n}\n"


def test_what_was_written_for_neuron_8_is_named_with_the_fix(own_cache: Path, write: Write) -> None:
    """C that is no C++: NEURON 8 takes it, 9 does not."""
    folder = write("old", **{"leaky.mod": LEAK_MOD + C_ALONE})
    if NEURON < 9:
        assert mechanisms.build([folder]) is not None
        return
    said = refusal(lambda: mechanisms.build([folder]))
    assert "leaky.mod" in said and "invalid conversion" in said and said.endswith("pip install 'neuron<9'")
    own = refusal(
        lambda: mechanisms.build([write("own", **{"leaky.mod": LEAK_MOD.replace("i = g", "i = nowhere(v) * g")})])
    )
    assert "nowhere" in own and "neuron<9" not in own  # no VERBATIM in it


def test_a_function_that_nothing_defines_is_named(own_cache: Path, write: Write) -> None:
    """By C++'s compiler, or where NEURON 8 translates to C by the linker."""
    folder = write("undeclared", **{"leaky.mod": LEAK_MOD + UNDECLARED})
    said = refusal(lambda: mechanisms.build([folder]))
    assert "leaky.mod" in said and "nowhere_to_be_found" in said
