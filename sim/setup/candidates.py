"""What in a folder could be a model: read from the files' text, nothing is run."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gbar.sim.problem import model_files

FIRST = ("mosinit", "init", "main", "cell", "model")  # names of flat hoc files to try first


@dataclass(frozen=True)
class Candidate:
    """One way to load something, as [model] says it."""

    load: str
    template: str | None = None
    arguments: tuple[str | float, ...] = ()
    requires: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.load}, template {self.template}" if self.template else self.load


def find_candidates(folder: Path) -> list[Candidate]:
    """Templates, Python functions and classes, flat hoc files, morphologies: in the order in which to try them."""
    files = sorted(model_files(folder), key=lambda file: (len(file.parts), file))
    by: dict[str, list[Path]] = {}
    for file in files:
        by.setdefault(file.suffix.lower(), []).append(file)
    shapes = [*by.get(".asc", []), *by.get(".swc", [])]
    found: list[Candidate] = []
    homes = _homes(folder, by.get(".hoc", []))
    for file in by.get(".hoc", []):
        found += _templates(folder, file, shapes, homes)
    for file in by.get(".py", []):
        found += _functions(folder, file)
    flat = [file for file in by.get(".hoc", []) if _makes_sections(file)]
    flat.sort(key=lambda file: (file.stem not in FIRST, FIRST.index(file.stem) if file.stem in FIRST else 0))
    found += [Candidate(_name(folder, file)) for file in flat]
    return found + [Candidate(_name(folder, file)) for file in shapes]


def find_mechanisms(folder: Path) -> list[str]:
    """The folders that hold MOD files, relative to `folder`."""
    folders = {file.parent for file in model_files(folder) if file.suffix == ".mod"}
    return sorted(_name(folder, found) for found in folders)


def plain_hoc(file: Path) -> str:
    """A hoc file without its comments."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", file.read_text(errors="replace"), flags=re.S)


def _name(folder: Path, file: Path) -> str:
    return file.resolve().relative_to(folder.resolve()).as_posix()


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


def _templates(folder: Path, file: Path, shapes: list[Path], homes: dict[str, str]) -> Iterator[Candidate]:
    """The templates of a hoc file that make sections, with arguments where their init wants some."""
    text, own = plain_hoc(file), _name(folder, file)
    requires = tuple(_required(own, text, homes))
    for name, body in re.findall(r"begintemplate\s+(\w+)(.*?)endtemplate", text, re.S):
        if re.search(r"\bcreate\b|Import3d|load_morphology|load_file", body):
            yield Candidate(own, name, tuple(_arguments(folder, body, shapes)), requires)


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


def _makes_sections(file: Path) -> bool:
    """Whether a hoc file makes sections outside of templates, by itself or through a file that it loads."""
    outside = re.sub(r"begintemplate.*?endtemplate", "", plain_hoc(file), flags=re.S)
    return bool(re.search(r"^\s*create\b", outside, re.M) or (file.stem in FIRST and re.search("load|xopen", outside)))


def _functions(folder: Path, file: Path) -> Iterator[Candidate]:
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
        yield Candidate(f"{_name(folder, file)}:{node.name}")


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
