"""The source of gbar's own functions, for a script that has to work without gbar.

The functions are copied as they stand, with everything they refer to: an export computes what gbar computed because it
runs the same lines.
"""

import ast
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import gbar

Name = tuple[str, str]  # module, top-level name in it


@dataclass
class Source:
    """One module taken apart."""

    lines: list[str]
    defined: dict[str, list[ast.stmt]] = field(default_factory=dict)  # every statement that makes or extends a name
    imported: dict[str, tuple[str, str | None]] = field(default_factory=dict)  # module, and the name taken from it


@dataclass
class Carried:
    """What a script has to hold."""

    sections: dict[str, str]  # module -> source, in the order of need
    imports: set[tuple[str, str | None]]  # from outside gbar: a module, and the name taken from it


def carry(roots: Iterable[Name], package: str = "gbar.sim") -> Carried:
    """Collect functions and everything they refer to.

    Args:
        roots: what the script calls, in the order in which modules are to appear.
        package: what is copied; anything else is imported. A module of the package that a function uses as a
            namespace is not followed: the script makes that namespace, and the roots name what is taken from it.

    Raises:
        ValueError: two modules use one name for different things.
    """
    sources: dict[str, Source] = {}
    wanted: set[Name] = set()
    imports: set[tuple[str, str | None]] = set()
    waiting = list(roots)
    while waiting:
        module, name = waiting.pop(0)
        source = sources.setdefault(module, _source(module))
        if name in source.imported:
            origin, taken = source.imported[name]
            if origin != package and not origin.startswith(f"{package}."):
                imports.add((origin, taken))
            elif taken is not None and _file(f"{origin}.{taken}") is None:
                waiting.append((origin, taken))
        elif name in source.defined and (module, name) not in wanted:
            wanted.add((module, name))
            waiting += [(module, used) for node in source.defined[name] for used in _names(node)]
    _refuse_doubles(wanted)
    parts = {module: _text(source, {name for at, name in wanted if at == module}) for module, source in sources.items()}
    return Carried({module: text for module, text in parts.items() if text}, imports)


def _file(module: str) -> Path | None:
    """Where a module of ours stands; None for a name that is none. Read, not imported: some of it loads NEURON."""
    path = Path(gbar.__file__).parent.joinpath(*module.split(".")[1:])
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@functools.cache
def _source(module: str) -> Source:
    file = _file(module)
    assert file is not None, module
    text = file.read_text(encoding="utf-8")
    source = Source(text.splitlines())
    for node in ast.parse(text).body:
        match node:
            case ast.Import(names=names):
                source.imported |= {alias.asname or alias.name: (alias.name, None) for alias in names}
            case ast.ImportFrom(module=str(origin), names=names):
                source.imported |= {alias.asname or alias.name: (origin, alias.name) for alias in names}
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                source.defined.setdefault(name, []).append(node)
            case ast.Assign(targets=targets):
                for target in targets:
                    if isinstance(target, ast.Name):
                        source.defined.setdefault(target.id, []).append(node)
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.AugAssign(target=ast.Name(id=name)):
                source.defined.setdefault(name, []).append(node)
    return source


def _names(node: ast.stmt) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
            yield f"{part.value.id}.{part.attr}"  # import importlib.util is used as importlib.util


def _text(source: Source, names: set[str]) -> str:
    """The statements that define the names, in the module's own order, each with the comment above it."""
    nodes = {node.lineno: node for name in names for node in source.defined[name]}
    pieces = []
    for _, node in sorted(nodes.items()):
        decorators = getattr(node, "decorator_list", [])
        start = min([node.lineno, *(decorator.lineno for decorator in decorators)]) - 1
        while start > 0 and source.lines[start - 1].startswith("#"):
            start -= 1
        blank = "\n\n\n" if isinstance(node, ast.FunctionDef | ast.ClassDef) else "\n"
        pieces.append((blank, "\n".join(source.lines[start : node.end_lineno])))
    text = ""
    for i, (blank, piece) in enumerate(pieces):
        apart = "\n\n\n" if i and "\n\n\n" in (blank, pieces[i - 1][0]) else "\n"
        text += apart + piece if i else piece
    return text


def _refuse_doubles(wanted: set[Name]) -> None:
    homes: dict[str, str] = {}
    for module, name in sorted(wanted):
        if name in homes:
            raise ValueError(f"'{name}' is in {homes[name]} and in {module}: a script can hold one")
        homes[name] = module


def import_lines(imports: Iterable[tuple[str, str | None]]) -> list[str]:
    """Import statements, one a module, sorted."""
    taken: dict[str, set[str]] = {}
    plain = set()
    for module, name in imports:
        if name is None:
            plain.add(module)
        else:
            taken.setdefault(module, set()).add(name)
    aliases = {"numpy": "import numpy as np"}
    lines = [aliases.get(module, f"import {module}") for module in sorted(plain)]
    return lines + [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(taken.items())]
