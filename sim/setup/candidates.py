"""What in a folder could be a model: read from the files' text, nothing is run."""

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gbar.sim.problem import model_files

FIRST = ("mosinit", "init", "main", "cell", "model")  # names of flat hoc files to try first, where they load the same
STARTS = ("mosinit", "init")  # what a published model is started with: others that load more make figures
LOADS = re.compile(r'(?:load_file|xopen)\s*\(\s*(?:\d\s*,\s*)?"([^"]+)"')


@dataclass(frozen=True)
class ModelCandidate:
    """One way to load something, as [model] says it."""

    load: str
    template: str | None = None
    arguments: tuple[str | float, ...] = ()
    requires: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.load}, template {self.template}" if self.template else self.load


def find_candidates(folder: Path) -> list[ModelCandidate]:
    """Templates, Python functions and classes, flat hoc files, morphologies: in the order in which to try them."""
    files = sorted(model_files(folder), key=lambda file: (len(file.parts), file))
    by: dict[str, list[Path]] = {}
    for file in files:
        by.setdefault(file.suffix.lower(), []).append(file)
    shapes = [*by.get(".asc", []), *by.get(".swc", [])]
    found: list[ModelCandidate] = []
    homes = _homes(folder, by.get(".hoc", []))
    for file in by.get(".hoc", []):
        found += _templates(folder, file, shapes, homes)
    for file in by.get(".py", []):
        found += _functions(folder, file)
    found += [ModelCandidate(_name(folder, file)) for file in _flat(folder, by.get(".hoc", []))]
    return found + [ModelCandidate(_name(folder, file)) for file in shapes]


def find_mechanisms(folder: Path) -> list[str]:
    """The folders that hold MOD files, relative to `folder`."""
    folders = {file.parent for file in model_files(folder) if file.suffix == ".mod"}
    return sorted(_name(folder, found) for found in folders)


def find_celsius(folder: Path) -> tuple[float, str] | None:
    """The temperature that a folder's sources set, and one that does; None where none does, or they differ."""
    found: dict[float, str] = {}
    for file in model_files(folder):
        if file.suffix.lower() in {".hoc", ".ses", ".py"}:
            text = re.sub(r"#[^\n]*", "", file.read_text(errors="replace")) if file.suffix == ".py" else plain_hoc(file)
            for value in re.findall(r"\bcelsius\s*=\s*(\d+(?:\.\d*)?)", text):
                found.setdefault(float(value), _name(folder, file))
    return next(iter(found.items())) if len(found) == 1 else None


def plain_hoc(file: Path) -> str:
    """A hoc file without its comments."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", file.read_text(errors="replace"), flags=re.S)


def _name(folder: Path, file: Path) -> str:
    return Path(os.path.relpath(file, folder.resolve())).as_posix()


def _homes(folder: Path, files: list[Path]) -> dict[str, str]:
    """Template -> the first file that defines it; NEURON's own importers of morphologies come from import3d.hoc."""
    homes: dict[str, str] = {}
    for file in files:
        for name in re.findall(r"begintemplate\s+(\w+)", plain_hoc(file)):
            homes.setdefault(name, _name(folder, file))
    return homes


def _required(own: str, text: str, homes: dict[str, str]) -> Iterator[str]:
    """The files of the templates that a hoc file makes objects of and neither defines nor loads anything for."""
    if "load_file" in text or "xopen" in text:
        return
    made = dict.fromkeys(re.findall(r"\bnew\s+(\w+)", text))
    if any(name.startswith("Import3d") for name in made):
        yield "import3d.hoc"
    yield from dict.fromkeys(homes[name] for name in made if homes.get(name, own) != own)


def _templates(folder: Path, file: Path, shapes: list[Path], homes: dict[str, str]) -> Iterator[ModelCandidate]:
    """The templates of a hoc file that make sections, with arguments where their init wants some."""
    text, own = plain_hoc(file), _name(folder, file)
    requires = tuple(_required(own, text, homes))
    for name, body in _bodies(file):
        if re.search(r"\bcreate\b|Import3d|load_morphology|load_file", body):
            yield ModelCandidate(own, name, tuple(_arguments(folder, body, shapes)), requires)


def _arguments(folder: Path, body: str, shapes: list[Path]) -> Iterator[str | float]:
    """A guess at what init wants: texts are a morphology, or its folder and its name; numbers are 0."""
    init = re.search(r"proc\s+init\s*\(\s*\)\s*\{(.*?)(?=\n\s*(?:proc|func|obfunc|endtemplate)\b|\Z)", body, re.S)
    wanted = {int(number): kind for kind, number in re.findall(r"\$(s|o)?(\d)", init[1] if init else "")}
    texts = [number for number in sorted(wanted) if wanted[number] == "s"]
    shape = shapes[0] if shapes else None
    for number in range(1, max(wanted, default=0) + 1):
        if wanted.get(number) != "s":
            yield 0.0
        elif shape is None:
            yield ""
        elif len(texts) > 1:
            yield _name(folder, shape.parent) if number == texts[0] else shape.name
        else:
            yield _name(folder, shape)


def loaded_by(folder: Path, name: str) -> set[str]:
    """The hoc files of a folder that one of them loads, directly or through others, itself among them."""
    waiting, seen = [name], set[str]()
    while waiting:
        here = waiting.pop()
        if here in seen or not (folder / here).is_file():
            continue
        seen.add(here)
        for said in LOADS.findall(plain_hoc(folder / here)):
            named = (folder / said, (folder / here).parent / said)
            waiting += [_name(folder, file) for file in named if file.is_file() and file.suffix.lower() == ".hoc"]
    return seen


def _flat(folder: Path, files: list[Path]) -> list[Path]:
    """The hoc files that make sections outside of templates, that which loads the most first."""
    loads = {file: loaded_by(folder, _name(folder, file)) for file in files}
    cells = {name for file in files for name, body in _bodies(file) if re.search(r"\bcreate\b|Import3d", body)}
    makes = {_name(folder, file) for file in files if _makes_sections(file) or _makes_one_of(file, cells)}
    flat = [file for file in files if makes & loads[file] or (file.stem in FIRST and _loads_something(file))]

    def order(file: Path) -> tuple[bool, int, int]:
        starts = file.stem in STARTS and _loads_something(file)
        return not starts, -len(loads[file]), FIRST.index(file.stem) if file.stem in FIRST else len(FIRST)

    return sorted(flat, key=order)


def _bodies(file: Path) -> list[tuple[str, str]]:
    """The templates of a hoc file, by name."""
    return re.findall(r"begintemplate\s+(\w+)(.*?)endtemplate", plain_hoc(file), re.S)


def _makes_one_of(file: Path, templates: set[str]) -> bool:
    return bool(templates & set(re.findall(r"\bnew\s+(\w+)", _outside_of_templates(file))))


def _outside_of_templates(file: Path) -> str:
    return re.sub(r"begintemplate.*?endtemplate", "", plain_hoc(file), flags=re.S)


def _loads_something(file: Path) -> bool:
    return bool(re.search("load|xopen", _outside_of_templates(file)))


def _makes_sections(file: Path) -> bool:
    """Whether a hoc file itself makes sections outside of templates."""
    return bool(re.search(r"(^|[;{}])\s*create\b", _outside_of_templates(file), re.M))


def _functions(folder: Path, file: Path) -> Iterator[ModelCandidate]:
    """Functions and classes of a Python file about NEURON that can be called without arguments."""
    try:
        tree = ast.parse(file.read_text(errors="replace"))
    except SyntaxError:
        return
    imported = {
        part.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for part in node.names
    }
    imported |= {str(node.module).partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    if "neuron" not in imported:
        return
    callable_ = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef) and _is_free(node)]
    likely = re.compile(r"cell|neuron|build|make|create|model", re.I)
    callable_.sort(key=lambda node: (not likely.search(node.name), isinstance(node, ast.FunctionDef)))
    for node in callable_:
        yield ModelCandidate(f"{_name(folder, file)}:{node.name}")


def _is_free(node: ast.FunctionDef | ast.ClassDef) -> bool:
    if node.name.startswith("_"):
        return False
    inits = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
    function = node if isinstance(node, ast.FunctionDef) else (inits[0] if inits else None)
    if function is None:
        return True
    needed = len(function.args.args) - len(function.args.defaults) - (function is not node)
    optional = [default is not None for default in function.args.kw_defaults]
    return needed <= 0 and all(optional)
