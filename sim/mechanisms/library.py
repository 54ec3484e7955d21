"""MOD files: find, build once, cache by content, load.

The user's folders stay as they are: files are copied into a cache folder named by their content and built there.
"""

import contextlib
import fcntl
import functools
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Collection, Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from gbar.sim.errors import GbarError, MachineError
from gbar.sim.files import cache_folder, check_own, folder_in_place
from gbar.sim.mechanisms.globaltorange import GlobalToRange, spread
from gbar.sim.problem import Integrator

SOURCES = {".mod", ".inc", ".h", ".hpp"}  # MOD files and what they include
NEURONS_OWN = {"hh", "pas", "extracellular", "IClamp", "SEClamp", "VClamp", "AlphaSynapse", "ExpSyn", "Exp2Syn"}
NEURONS_OWN |= {"APCount", "NetStim", "IntFire1", "IntFire2", "IntFire4", "PatternStim", "PointProcessMark"}
STOPPED = re.compile(r"(?i)Killed signal|cannot allocate memory|out of memory|memory exhausted|No space left")
BUILD_LIMIT_S = 300.0  # two dozen MOD files take half a minute; what takes this long hangs
VECTORISED = "-O3 -march=native -ffast-math"  # for CoreNEURON's loops over cells


class Setup(NamedTuple):
    """What a worker needs to know to start: plain text, because it may start on another machine."""

    batched: bool  # many copies of the cell, or one
    library: str | None  # the mechanisms in NEURON's own form; None where the model has none
    core: str | None  # the same in CoreNEURON's, where that is to be used
    ranged: tuple[GlobalToRange, ...] = ()  # GLOBALs that are RANGE in these
    segments: int | None = None  # the most that a section of a coarser copy has


def prepare(
    folders: Sequence[Path],
    integrator: Integrator,
    free: Sequence[str] = (),
    used: Collection[str] | None = None,
) -> Setup:
    """Build what an engine needs, or find it built.

    Args:
        folders: of MOD files.
        integrator: whose engine it is.
        free: GLOBALs that are to differ between copies of the cell, as hoc calls them: RANGE in what a batch loads.
        used: the mechanisms that CoreNEURON's library has, of those of the folders; None: all of them.

    Raises:
        GbarError: as `build`, `build_core` and `sim.mechanisms.globaltorange.spread`.
    """
    done: tuple[GlobalToRange, ...] = ()
    if integrator.batched and free:
        folder, done = _spread(_gathered(folders), free)
        folders = [folder] if done else folders
    library = build(folders)
    core = str(build_core(folders, used)) if integrator.engine == "coreneuron" else None
    return Setup(integrator.batched, str(library) if library else None, core, done, integrator.segments)


def unused(folders: Iterable[Path], used: Collection[str]) -> list[Path]:
    """The MOD files whose mechanism a model has none of."""
    return [file for file in _gathered(folders).values() if _unused(file, used)]


def _unused(file: Path, used: Collection[str]) -> bool:
    found = declared(file.read_text(errors="replace")) if file.suffix == ".mod" else None
    return found is not None and found[1] not in used


def _spread(files: dict[str, Path], free: Sequence[str]) -> tuple[Path, tuple[GlobalToRange, ...]]:
    """A folder of the cache with all files, where GLOBALs are RANGE. Nothing is written where none of them is."""
    contents = {name: file.read_bytes() for name, file in files.items()}
    texts, done = spread({name: content.decode("latin-1") for name, content in contents.items()}, free)
    contents |= {name: text.encode("latin-1") for name, text in texts.items()}
    digest = hashlib.sha256()
    for name in sorted(contents):
        digest.update(name.encode() + b"\0" + contents[name] + b"\0")
    target = cache_folder() / "ranged" / digest.hexdigest()[:20]
    if done and not target.exists():
        with folder_in_place(target) as work:
            for name, content in contents.items():
                (work / name).write_bytes(content)
    return target, done


def build(folders: Iterable[Path]) -> Path | None:
    """Build the MOD files in `folders` as one library, or find it built.

    Two processes that start at once build it once: the second waits for the first.

    Returns:
        The library to load, or None where there is no MOD file.

    Raises:
        GbarError: no compiler, two different files of one name, two MODs of one SUFFIX, or a MOD that does not compile
            (file and line).
    """
    files = _gathered(folders)
    if not any(name.endswith(".mod") for name in files):
        return None
    _check_names(files)
    return _built(files, "mechanisms", "libnrnmech", "")


def build_core(folders: Iterable[Path], used: Collection[str] | None = None) -> Path:
    """Build CoreNEURON's library of the same mechanisms (and NEURON's own), with loops over cells vectorised.

    With `used`, of these alone and of what declares no mechanism: what a model has none of may be missing there,
    although NEURON has loaded it.

    `-ffast-math` lets the compiler call vector exponentials. It also means that a NaN may go unnoticed inside; what is
    recorded is checked afterwards.

    Raises:
        GbarError: as `build`; also a MOD that NEURON takes and CoreNEURON does not.
    """
    files = {name: f for name, f in _gathered(folders).items() if used is None or not _unused(f, used)}
    return _built(files, "coreneuron", "libcorenrnmech", VECTORISED)


def _gathered(folders: Iterable[Path]) -> dict[str, Path]:
    """MOD files and what they include, by name."""
    files: dict[str, Path] = {}
    for folder in folders:
        for file in sorted(file for file in folder.iterdir() if file.suffix in SOURCES):
            if file.name in files and files[file.name].read_bytes() != file.read_bytes():
                raise GbarError(f"two different files called {file.name}: {files[file.name]} and {file}: rename one")
            files[file.name] = file
    return files


def declared(text: str) -> tuple[str, str] | None:
    """How the text of a MOD file declares its mechanism: ("SUFFIX", "kdr"). None where it declares none."""
    text = re.sub(r"\b(COMMENT\b.*?\bENDCOMMENT|VERBATIM\b.*?\bENDVERBATIM)\b|[:?][^\n]*", "", text, flags=re.S)
    found = re.search(r"\b(SUFFIX|POINT_PROCESS|ARTIFICIAL_CELL)\s+(\w+)", text)
    return (found[1], found[2]) if found and found[2] != "nothing" else None


def _check_names(files: dict[str, Path]) -> None:
    """NEURON takes a name once. Raises GbarError with both files."""
    known: dict[str, Path] = {}
    for file in files.values():
        found = declared(file.read_text(errors="replace")) if file.suffix == ".mod" else None
        if found is None:
            continue
        kind, name = found
        if name in NEURONS_OWN:
            raise GbarError(f"{file}: {kind} {name} is a mechanism of NEURON's own: give this one another name")
        if name in known:
            raise GbarError(
                f"{known[name]} and {file} both declare {kind} {name}: NEURON takes a name once, so move one "
                "of them out of the folder or give it another name"
            )
        known[name] = file


def _built(files: dict[str, Path], kind: str, name: str, flags: str) -> Path:
    """Find a library in the cache or build it there.

    Args:
        files: by name.
        kind: the folder of the cache.
        name: of the library, without suffix.
        flags: for the compiler; empty for NEURON's own.
    """
    target = cache_folder() / kind / _content_hash(files, flags)
    library = _own_library(target, name)
    if library:
        return library
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{target}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        library = _own_library(target, name)
        if library:
            return library
        _build_into(target, files, name, flags)
    library = _own_library(target, name)
    if not library:
        raise GbarError(f"nrnivmodl made no library from {', '.join(files)}: run it by hand in the folder to see why")
    return library


def _content_hash(files: dict[str, Path], flags: str) -> str:
    digest = hashlib.sha256(f"{metadata.version('neuron')} {sys.version_info[:2]}".encode())
    if flags:
        digest.update(f"{flags} {processor()}".encode())
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + files[name].read_bytes() + b"\0")
    return digest.hexdigest()[:20]


@functools.cache
def processor() -> str:
    """What this processor can do: code built for it runs on no lesser one, and a cache folder may be shared."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    can = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()} {hashlib.sha256(can.encode()).hexdigest()[:12]}"


def _own_library(folder: Path, name: str) -> Path | None:
    """A library in the cache. Raises GbarError where others could have put it there."""
    found = _library(folder, name)
    if found is not None:
        check_own(found)
    return found


def _library(folder: Path, name: str) -> Path | None:
    found = sorted(folder.glob(f"*/{name}.so")) + sorted(folder.glob(f"*/{name}.dylib"))
    return found[0] if found else None


def _build_into(target: Path, files: dict[str, Path], name: str, flags: str) -> None:
    """Build in a temporary folder beside `target` and move it there whole, so that no half-built one is ever found."""
    compiler = os.environ.get("CXX", "").split()[:1] or ["c++"]
    tools = {"C++ compiler": (*compiler, "g++", "clang++"), "make": ("make",), "perl": ("perl",)}
    missing = [tool for tool, names in tools.items() if not any(shutil.which(name) for name in names)]
    if missing:
        raise GbarError(
            f"no {' and no '.join(missing)} found, which MOD files need "
            "(Debian/Ubuntu: apt-get install g++ make perl; macOS: xcode-select --install)"
        )
    program = "nrnivmodl-core" if flags else "nrnivmodl"
    beside = Path(sys.executable).parent / program
    found = str(beside) if beside.exists() else shutil.which(program)
    if not found:
        raise GbarError(f"{program} not found: it comes with NEURON (pip install neuron)")
    command = [found, "-i", flags, "."] if flags else [found]
    for left in target.parent.glob(f"{target.name}.*/"):  # of a build that was killed: whoever builds has the lock
        shutil.rmtree(left, ignore_errors=True)
    with folder_in_place(target) as work:
        scratch = work / "tmp"  # the compiler's own files, which nobody removes where it is killed
        scratch.mkdir()
        for file_name, file in files.items():
            shutil.copy(file, work / file_name)
        environment = {
            **os.environ,
            "TMPDIR": str(scratch),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        }
        code, said = _run(command, work, environment)
        if stopped := STOPPED.search(said):
            raise MachineError(f"{Path(found).name} was stopped: {stopped[0]}: memory or the disk is short")
        # nrnivmodl-core ends by looking for an executable that only nrnivmodl makes: its exit code says nothing
        if (code != 0 and not flags) or not _library(work, name):
            raise GbarError(_compile_error(said, files))
        shutil.rmtree(scratch, ignore_errors=True)


def _run(command: Sequence[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run a build: its exit code and what it said. Raises GbarError when it does not end: nothing is left running."""
    kept: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    kept |= {"encoding": "utf-8", "errors": "replace"}  # a compiler quotes whatever stands in the file
    process = subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True, **kept)
    try:
        out, err = process.communicate(timeout=BUILD_LIMIT_S)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with the compilers that it has started
        process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            raise GbarError(f"{Path(command[0]).name} was not done within {BUILD_LIMIT_S:g} s") from None
        raise
    return process.returncode, err + out


def _compile_error(output: str, files: dict[str, Path]) -> str:
    """The lines of nrnivmodl's output that say what is wrong, as one, with the user's own file and line."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in output.splitlines()]
    for i, line in enumerate(lines):
        found = re.search(r"(.*?)\s*at line (\d+) in file ([\w.-]+\.mod)", line)
        if found:  # NMODL: a few lines of what it did not understand, this one, the line as written
            start = next((k + 1 for k in range(i - 1, -1, -1) if not lines[k].endswith(":")), 0)
            said = " ".join([*lines[start:i], found[1]]).replace("Error: ", "")
            written = lines[i + 1] if i + 1 < len(lines) and lines[i + 1] not in {"", "^"} else ""
            return f"{files.get(found[3], found[3])}, line {found[2]}: does not compile: {said}" + (
                f" in '{written}'" if written else ""
            )
    for line in lines:
        found = re.search(r"([\w.-]+)\.(?:mod|cpp|c):(\d+):.*?error:\s*(.*)", line)
        if found:  # the C++ compiler, on the translation
            file = files.get(f"{found[1]}.mod", Path(f"{found[1]}.mod"))
            number = _first_line_with(re.search(r"[‘'`](\w+)[’']", found[3]), file)
            where = f"{file}, line {number}" if number else f"{file}, line {found[2]} of its translation to C++"
            return f"{where}: does not compile: {found[3]}{_made_for_8(file)}"
    if missing := _declared_nowhere(lines, files):
        return missing
    if refused := _refused_by_nmodl(lines, files):
        return refused
    said = next((line for line in lines if re.search(r"^error|not found|cannot|couldn't", line, re.I)), lines[-1])
    named = re.search(r"([\w.-]+\.mod)\b", said)  # of several translated at once, the one that it is about
    translated = (
        named[1]
        if named
        else next((found[1] for line in lines if (found := re.match(r"Translating (\S+\.mod)", line))), "")
    )
    return f"{files.get(translated, 'the MOD files')}: does not compile: {said.removeprefix('Error: ')}"


def _declared_nowhere(lines: list[str], files: dict[str, Path]) -> str:
    """What only the linker misses: NEURON 8 translates to C, which takes any function for declared elsewhere."""
    for line in lines:
        found = re.search(r"undefined reference to [`'‘](\w+)", line)
        for file in files.values():
            if found and (number := _first_line_with(found, file)):
                return f"{file}, line {number}: does not compile: '{found[1]}' is not declared anywhere"
    return ""


def _made_for_8(file: Path) -> str:
    """The usual reason why a compiler refuses the C of a published MOD, and the fix."""
    if int(metadata.version("neuron").partition(".")[0]) < 9 or not file.is_file():
        return ""
    if not re.search(r"^\s*VERBATIM\b", file.read_text(errors="replace"), re.M):
        return ""
    return (
        "; NEURON 9 takes VERBATIM blocks for C++ and keeps its data elsewhere: if it compiles with NEURON 8, "
        "adapt the block, or install that with pip install 'neuron<9'"
    )


def _refused_by_nmodl(lines: list[str], files: dict[str, Path]) -> str:
    """What CoreNEURON's translator does not take: make says which file, the translator which line of it, and why."""
    of = [f"{found[1]}.mod" for line in lines if (found := re.search(r"([\w.-]+)\.cpp\] Error", line))]
    said = [line.rpartition(" :: ")[2] for line in lines if line.startswith("[NMODL] [error]")]
    if not of or not said:
        return ""
    why = next((text for text in said if re.search(r"\[\d+\.\d+", text)), said[-1])
    number = re.search(r" at \[(\d+)\.[\d-]+\]", why)
    where = ", ".join(str(files.get(name, name)) for name in of)
    return f"{where}{f', line {number[1]}' if number else ''}: CoreNEURON does not take it: {why}"


def _first_line_with(word: re.Match[str] | None, file: Path) -> int | None:
    """Where the name that a compiler complains about first stands in a MOD file."""
    if word is None or not file.is_file():
        return None
    lines = file.read_text(errors="replace").splitlines()
    return next((k for k, line in enumerate(lines, 1) if re.search(rf"\b{word[1]}\b", line.partition(":")[0])), None)


def load(library: Path) -> None:
    """Load a built library into this process' NEURON."""
    from neuron import h

    if not h.nrn_load_dll(os.fsencode(library)):  # text would have to be ASCII
        raise GbarError(f"NEURON cannot load {library}: delete that folder to have it built again")


def neutral_folder() -> Path:
    """A folder with nothing in it that NEURON would pick up by itself."""
    folder = cache_folder() / "empty"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
