"""Which files are the model: all in its folder decide what a simulation gives, but for what is known not to.

A model may read files of any name, so the rule names what is left out: results, caches, what was built, what editors
and spreadsheets leave, tables of measurements, pages and pictures. Nothing here opens what is no plain file: a link to
nowhere, a pipe or a socket in the folder is passed over.
"""

import fnmatch
import functools
import hashlib
import os
import re
import stat
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gbar.sim.errors import GbarError

MODEL_SOURCES = {
    ".hoc",
    ".py",
    ".mod",
    ".inc",
    ".swc",
    ".asc",
    ".json",
    ".ses",
    ".dat",
}  # that decide, whatever they are called
TABLES = {"features.json"}  # measurements, beside the model in a BluePyOpt folder
RESULTS = {
    "archive.sqlite",
    "progress.json",
    "result.json",
}  # a folder with one of these is a run of ours, not part of the model
NO_MODEL = {"measurements", "runs", "solutions", "x86_64", "arm64", "aarch64", "__pycache__"}
OF_CELLS = {"cells.csv", "cells.json"}  # a folder with both holds the runs of many cells
OTHERS_FOLDERS = {"umac", "i686", "powerpc", "node_modules", "site-packages"}  # built, or installed
OF_EDITORS = {".bak", ".orig", ".rej", ".swo", ".swp", ".tmp", ".part", ".lock", ".lnk"}
BUILT = {".pyc", ".pyo", ".o", ".lo", ".la"}
PAGES = {".md", ".rst", ".html", ".htm", ".css", ".js", ".pdf", ".ps", ".eps", ".tex", ".doc", ".docx", ".odt", ".rtf"}
PAGES |= {".ppt", ".pptx", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".bmp", ".ipynb", ".mp4", ".avi", ".mov"}
RECORDED = {".abf", ".nwb", ".ibw", ".pxp", ".axgd", ".axgx", ".smr", ".smrx", ".wcp", ".edr"}  # by amplifiers
OF_RUNS = {".log", ".sqlite", ".sqlite3", ".db"}
NOTES = re.compile(
    r"(readme|licen[cs]e|copying|changelog|changes|citation|authors|contributing|notice|makefile)([\W_].*)?", re.I
)
LEFT = {"thumbs.db", "desktop.ini", "nrnmech.dll", "traces.npz", "report.html"}
SQLITE = b"SQLite format 3\0"
WHOLE_MB = 64.0  # larger files are told by their size and a megabyte at the start, the middle and the end
MOST_FILES = 20_000  # a folder with more holds more than a model
HEADER_BYTES = 65_536

READS = re.compile(
    r'\b(?:load_file|xopen|ropen|nrn_load_dll|INCLUDE|include)\s*\(?\s*(?:\d\s*,\s*)?"([^"\n]+)"'
)  # in hoc and MOD: a file by its name
READS_SOMETHING = re.compile(r"\b(?:load_file|xopen|ropen)\s*\(\s*(?:\d\s*,\s*)?(?![\s\"\d)])[^)\n]*\)")
WRITES = re.compile(
    r"\b(?:wopen|aopen|savetxt|to_csv|tofile|np\.save|savez|savez_compressed)\s*\(\s*[\"']([^\"'\n]+)[\"']"
    r"|\bopen\s*\(\s*[\"']([^\"'\n]+)[\"']\s*,\s*(?:mode\s*=\s*)?[\"'][wax]"
)


class ModelFiles(NamedTuple):
    """The files that decide, and what nobody can see by looking at them."""

    files: dict[str, Path]  # by their path from the problem's folder
    outside: list[str]  # the names of those that lie elsewhere
    unseen: list[str]  # hoc files that open something by a name made up while they run


def find_model_files(folder: Path, mechanisms: Sequence[str] = (), outputs: Sequence[str] = ()) -> ModelFiles:
    """Every file that decides what a simulation gives.

    Args:
        folder: the problem's.
        mechanisms: folders of MOD files, relative to it.
        outputs: patterns of names, relative to it, of files that the model itself writes.

    Raises:
        GbarError: there are more files than a model could have.
    """
    folder = folder.resolve()
    homes = dict.fromkeys([folder, *((folder / name).resolve() for name in mechanisms)])
    found = {_name(file, folder): file for home in homes for file in model_files(home)}
    texts = {
        name: _text(file) for name, file in found.items() if file.suffix.lower() in {".hoc", ".ses", ".mod", ".py"}
    }
    written = {Path(name).name for text in texts.values() for name in _written(text)}
    kept = {
        name: file
        for name, file in found.items()
        if file.suffix.lower() in MODEL_SOURCES - {".dat", ".json"}
        or not (file.name in written or any(fnmatch.fnmatch(name, pattern) for pattern in outputs))
    }
    elsewhere = _elsewhere(folder, homes, texts)
    loading = {name for name in texts if not name.lower().endswith(".mod")}
    unseen = sorted(name for name in loading if READS_SOMETHING.search(texts[name]))
    return ModelFiles(dict(sorted({**kept, **elsewhere}.items())), sorted(elsewhere), unseen)


def model_files(folder: Path) -> Iterator[Path]:
    """The files in one folder that decide a simulation, without what runs have left there."""
    yield from (file for file in files_in(folder) if decides(file))


def files_in(folder: Path) -> Iterator[Path]:
    """The plain files in a model's folder, without measurements, what runs have left there and what was built.

    Links to folders are followed, each folder once.

    Raises:
        GbarError: there are more than a model could have.
    """
    folder = Path(folder).resolve()
    seen, count = {(s.st_dev, s.st_ino) for s in (above.stat() for above in (folder, *folder.parents))}, 0
    for path, folders, files in os.walk(folder, followlinks=True):
        here = Path(path)
        folders[:] = sorted(name for name in folders if _is_models(here / name) and _first(here / name, seen))
        plain = [here / name for name in sorted(files) if name not in RESULTS and _is_plain(here / name)]
        count += len(plain)
        if count > MOST_FILES:
            raise GbarError(f"{folder}: more than {MOST_FILES:,} files: keep the model in a folder of its own")
        yield from plain


def _first(folder: Path, seen: set[tuple[int, int]]) -> bool:
    """Whether a folder is met for the first time, however it is called."""
    about = folder.stat()
    known = (about.st_dev, about.st_ino) in seen
    seen.add((about.st_dev, about.st_ino))
    return not known


def _is_models(folder: Path) -> bool:
    if folder.name in NO_MODEL | OTHERS_FOLDERS or folder.name.startswith(".") or folder.name.endswith(".egg-info"):
        return False
    try:
        inside = set(os.listdir(folder))
    except OSError:  # not for us to read, nor for the model
        return False
    return not (RESULTS & inside or inside >= OF_CELLS or "pyvenv.cfg" in inside)


def _is_plain(file: Path) -> bool:
    """A file or a link to one: no pipe, which would wait for ever, no socket, no link to nowhere."""
    try:
        return stat.S_ISREG(file.stat().st_mode)
    except OSError:
        return False


def decides(file: Path) -> bool:
    """Whether a file in a model's folder decides a simulation, by its name and, of tables, by its first line."""
    name, suffix = file.name.lower(), file.suffix.lower()
    if name in TABLES or name in LEFT or name.startswith((".", "~$")) or name.endswith(("~", "#", ".mind.npz")):
        return False
    if suffix in MODEL_SOURCES:
        return True
    if suffix in OF_EDITORS | BUILT | PAGES | RECORDED | OF_RUNS or NOTES.fullmatch(name):
        return False
    if name.startswith(("libnrnmech", "libcorenrnmech")):
        return False
    return not (_is_table(file) or _is_database(file) or (suffix == ".toml" and _is_problem(file)))


def _is_problem(file: Path) -> bool:
    """Whether it is a problem.toml, or protocols for one, however it is called: what it says counts, not the file."""
    return bool(re.search(rb"^\s*\[(\[parameter\]\]|protocol\.)", _start(file), re.M))


def _is_database(file: Path) -> bool:
    """An archive, whatever it is called, or what SQLite keeps beside it."""
    name = re.sub(r"-(wal|shm|journal)$", "", str(file))
    return (name != str(file) and Path(name).exists()) or _start(file).startswith(SQLITE)


def _is_table(file: Path) -> bool:
    """Measurements, cells or an injected current, by the words in the header: the problem says what counts of them."""
    if file.name.lower().startswith("measurement") and file.suffix.lower() in {".csv", ".tsv", ".xlsx", ".ods"}:
        return True
    if file.suffix.lower() in {".xlsx", ".ods"}:
        return _is_sheet(file)
    if file.suffix.lower() not in {".csv", ".tsv", ".tab"}:
        return False
    raw = _start(file)
    text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", errors="replace")
    lines = (line for line in text.splitlines() if line.strip(' ,;\t"') and not line.lstrip('" ').startswith("#"))
    header = next(lines, "").lower()
    words = [word.strip(' "') for word in re.split(r"[,;\t]", header)]
    current = re.fullmatch(r"t(ime)?\W*_?ms\W*[,;\t]\s*(i|current)\W*_?na\W*", header.strip())
    of_cells = words[0] == "cell" and ("." in header or "status" in words)
    return {"protocol", "feature"} <= set(words) or of_cells or bool(current)


def _is_sheet(file: Path) -> bool:
    """Whether a spreadsheet's words are those of a table of measurements."""
    try:
        with zipfile.ZipFile(file) as sheet:
            held = [name for name in sheet.namelist() if name in {"xl/sharedStrings.xml", "content.xml"}]
            held += [name for name in sheet.namelist() if name.startswith("xl/worksheets/sheet")][:4]
            text = b"".join(sheet.open(name).read(4 * HEADER_BYTES) for name in held).lower()
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError):
        return False
    return b"protocol" in text and b"feature" in text


def _start(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(HEADER_BYTES)
    except OSError:
        return b""


def _name(file: Path, folder: Path) -> str:
    return Path(os.path.relpath(file, folder)).as_posix()


def _text(file: Path) -> str:
    """A source without its comments; empty where it cannot be read."""
    return _plain(file, file_stamp(file), file.suffix.lower())


@functools.lru_cache(maxsize=4096)
def _plain(file: Path, _: tuple[int, ...], suffix: str) -> str:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    comments = r"COMMENT.*?ENDCOMMENT" if suffix == ".mod" else r"#[^\n]*" if suffix == ".py" else r"/\*.*?\*/|//[^\n]*"
    return re.sub(comments, "", text, flags=re.S)


def _written(text: str) -> Iterator[str]:
    """The files that a source writes, by the names that stand in it."""
    yield from (first or second for first, second in WRITES.findall(text))


def _elsewhere(folder: Path, homes: Iterable[Path], texts: Mapping[str, str]) -> dict[str, Path]:
    """The files outside the model's folders that its sources have NEURON open by a name that stands in them."""
    homes, found = list(homes), dict[str, Path]()
    waiting = [(folder / name, text) for name, text in texts.items()]
    while waiting:
        source, text = waiting.pop()
        for named in READS.findall(text):
            for base in (folder, source.parent):
                file = Path(os.path.normpath(base / os.path.expanduser(named)))
                inside = any(file.is_relative_to(home) for home in homes)
                if not inside and _is_plain(file) and _name(file, folder) not in found:
                    found[_name(file, folder)] = file
                    waiting.append((file, _text(file)))
    return found


def file_stamp(file: Path) -> tuple[int, ...]:
    """What tells, without reading it, that a file may have changed; (0,) where there is none."""
    try:
        about = file.stat()
    except OSError:
        return (0,)
    return about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def file_digest(file: Path) -> str:
    """A hash of a file's content; read again only when its stamp has changed. One word for what cannot be read."""
    return _digest(file, file_stamp(file))


@functools.lru_cache(maxsize=2 * MOST_FILES)
def _digest(file: Path, _: tuple[int, ...]) -> str:
    found = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size <= WHOLE_MB * 1e6:
                found.update(stream.read())
            else:
                found.update(str(size).encode())
                for at in (0, size // 2, size - 1_000_000):
                    stream.seek(at)
                    found.update(stream.read(1_000_000))
    except OSError:
        return "unreadable"
    return found.hexdigest()[:32]
