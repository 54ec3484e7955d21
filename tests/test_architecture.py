"""The house rules of the code itself: which way imports point, through which doors, what may open a file, how long a
script may be."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.problems import ROOT

# scripts -> agent -> surrogate, agent -> sim; worker processes import sim alone and must start without JAX
MAY_NOT_IMPORT = {
    "sim": {"jax", "jaxlib", "flax", "optax", "gbar.surrogate", "gbar.agent", "gbar.scripts"},
    "surrogate": {"neuron", "gbar.sim", "gbar.agent", "gbar.scripts"},
    "agent": {"gbar.scripts"},
    "scripts": set[str](),
}
# The rooms of each package, ground floor first: a room imports from those before it, through their doors only.
ROOMS = {
    "sim": [
        "errors",
        "files",
        "features",
        "problem",
        "mechanisms",
        "cell",
        "engine",
        "pool",
        "archive",
        "recordings",
        "setup",
    ],
    "surrogate": [],
    "agent": ["result", "learning", "export", "report", "tuning", "ui"],
    "scripts": ["interrupts", "terminal", "docs", "bench"],
}
LOADS_NEURON = ("sim", "cell")  # the only room that may import NEURON before it is needed
# opening a file with one of these runs whatever code is in the file
RUNS_CODE_WHEN_OPENED = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
NOT_PACKAGES = {folder.name for folder in ROOT.iterdir() if folder.is_dir() and folder.name != "gbar"} | {
    "docs",
    "models",
    "runs",
    "tests",
}
SCRIPT_LINES = 60

PACKAGE_FILES = sorted(path for package in MAY_NOT_IMPORT for path in (ROOT / package).rglob("*.py"))
PACKAGE_FOLDERS = sorted({path.parent for path in PACKAGE_FILES})
SCRIPTS = sorted(
    p for p in (ROOT / "scripts").glob("*.py") if p.name not in {"main.py", "interrupts.py", "__init__.py"}
)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(tree: ast.Module) -> Iterator[tuple[int, str, list[str]]]:
    """(line, module, names taken from it) of every import, also inside functions."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name, []) for alias in names)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                yield node.lineno, module, [alias.name for alias in names]
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield node.lineno, module, []


def named_in_strings(tree: ast.Module) -> Iterator[tuple[int, str, list[str]]]:
    """The same for modules that a string names, as for `python -m` or to be imported later."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("gbar."):
            module = node.value.partition(":")[0]
            if room_of(module) and " " not in module:
                yield node.lineno, module, []


def room_of(module: str) -> tuple[str, str] | None:
    """("sim", "problem") of gbar.sim.problem.loading; an empty room for a package's own door and loose files."""
    parts = module.split(".")
    if len(parts) < 2 or parts[0] != "gbar" or parts[1] not in ROOMS:
        return None
    return parts[1], parts[2] if len(parts) > 2 and parts[2] in ROOMS[parts[1]] else ""


def door_of(room: tuple[str, str]) -> str:
    return ".".join(part for part in ("gbar", *room) if part)


def listed_at(room: tuple[str, str]) -> list[str] | None:
    """What a door lists; None where a room is a single file, which is its own door."""
    init = ROOT.joinpath(*(part for part in room if part), "__init__.py")
    return public_names(init) if init.is_file() else None


def through_the_door(here: tuple[str, str], module: str, names: list[str]) -> str | None:
    """What is wrong with an import from gbar itself, if anything."""
    there = room_of(module)
    if there is None or there == here:
        return None
    if not there[1] and there[0] == here[0] and here[1]:  # a package's own door, from inside it
        inner = [name for name in names if name in ROOMS[here[0]]]
        if names and inner == names:
            return next((wrong for name in names if (wrong := upwards(here, (here[0], name)))), None)
        return f"{module} from inside {door_of(here)}: name the room"
    if wrong := upwards(here, there):
        return wrong
    if module != door_of(there):
        return f"{module} passes by the door of {door_of(there)}"
    listed = listed_at(there)
    hidden = [name for name in names if listed is not None and name not in listed and name not in ROOMS[there[0]]]
    return f"{', '.join(hidden)} is not listed at the door of {door_of(there)}" if hidden else None


def upwards(here: tuple[str, str], there: tuple[str, str]) -> str | None:
    """Whether an arrow between two rooms of a package runs up."""
    if here[0] != there[0] or not here[1] or not there[1]:
        return None
    order = ROOMS[here[0]]
    return f"{door_of(here)} is below {door_of(there)}" if order.index(there[1]) > order.index(here[1]) else None


def pickles_allowed(tree: ast.Module) -> Iterator[int]:
    """Lines that pass allow_pickle as anything but a plain False."""
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="allow_pickle", value=ast.Constant(value=False)):
                pass
            case ast.keyword(arg="allow_pickle"):
                yield node.lineno


def violations(path: Path, package: str, room: str = "") -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    found = []
    for line, module, names in imports(tree):
        first = module.partition(".")[0]
        reached = {first, ".".join(module.split(".")[:2]), *(f"{module}.{name}" for name in names)}
        for forbidden in sorted(reached & MAY_NOT_IMPORT[package]):
            found.append(f"line {line}: {package} may not import {forbidden}")
        if first in RUNS_CODE_WHEN_OPENED:
            found.append(f"line {line}: {module} runs code when a file is opened")
        if first in NOT_PACKAGES:
            found.append(f"line {line}: {first}/ is a folder, not a package")
        if wrong := through_the_door((package, room), module, names):
            found.append(f"line {line}: {wrong}")
    for line, module, _ in named_in_strings(tree):
        there = room_of(module)
        if there and (wrong := upwards((package, room), there)):
            found.append(f"line {line}: {wrong}, by a string")
    if package == "sim" and (package, room) != LOADS_NEURON:
        for node in tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom) and "neuron" in ast.unparse(node).split():
                found.append(f"line {node.lineno}: NEURON is loaded before it is needed")
    found += [f"line {line}: allow_pickle" for line in pickles_allowed(tree)]
    return found


def public_names(init: Path) -> list[str] | None:
    """What `__all__` says, or None where it is absent."""
    for node in ast.parse(init.read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return list(ast.literal_eval(value))
            case ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.expr() as value):
                return list(ast.literal_eval(value))
    return None


@pytest.mark.parametrize("package", MAY_NOT_IMPORT)
def test_package_is_there(package: str) -> None:
    assert (ROOT / package / "__init__.py").is_file()


@pytest.mark.parametrize("path", PACKAGE_FILES, ids=name_of)
def test_imports_point_one_way_and_nothing_unpickles(path: Path) -> None:
    package, *inner = path.relative_to(ROOT).with_suffix("").parts
    assert violations(path, package, inner[0] if inner[0] in ROOMS[package] else "") == []


@pytest.mark.parametrize("folder", PACKAGE_FOLDERS, ids=name_of)
def test_package_has_a_public_list(folder: Path) -> None:
    init = folder / "__init__.py"
    assert init.is_file(), f"{name_of(folder)}/ would not be installed: it has no __init__.py"
    names = public_names(init)
    assert names is not None, f"{name_of(init)} has no __all__"
    assert len(names) == len(set(names)), f"{name_of(init)} lists a name twice"


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_script_is_thin(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines < SCRIPT_LINES, f"{lines} lines: move logic into a package"


def test_what_runs_as_a_process_is_ready_for_an_interrupt() -> None:
    run_by = re.compile(r'\nif __name__ == "__main__":\n    (typer|bench|app)')
    assert [name_of(path) for path in (ROOT / "scripts").rglob("*.py") if run_by.search(path.read_text())] == []


@pytest.mark.parametrize(
    ("package", "source", "complaint"),
    [
        ("sim", "import jax", "sim may not import jax"),
        ("sim", "import jax.numpy as jnp", "sim may not import jax"),
        ("sim", "import numpy, optax", "sim may not import optax"),
        ("sim", "def f():\n    from gbar.surrogate import fit", "line 2: sim may not import gbar.surrogate"),
        ("sim", "if True:\n    import gbar.agent", "line 2: sim may not import gbar.agent"),
        ("sim", "from gbar import agent", "line 1: sim may not import gbar.agent"),
        ("sim", "import importlib\nimportlib.import_module('flax.nnx')", "sim may not import flax"),
        ("surrogate", "from neuron import h", "surrogate may not import neuron"),
        ("surrogate", "from gbar.sim import Problem", "surrogate may not import gbar.sim"),
        ("surrogate", "__import__('gbar.agent')", "surrogate may not import gbar.agent"),
        ("agent", "import gbar.scripts", "agent may not import gbar.scripts"),
        ("agent", "from tests.conftest import thing", "tests/ is a folder, not a package"),
        ("scripts", "import models", "models/ is a folder, not a package"),
        ("agent", "import sim", "sim/ is a folder, not a package"),
        ("sim", "import pickle", "pickle runs code"),
        ("surrogate", "import cloudpickle as c", "cloudpickle runs code"),
        ("agent", "from joblib import load", "joblib runs code"),
        ("scripts", "import dill", "dill runs code"),
        ("sim", "np.load(f, allow_pickle=True)", "line 1: allow_pickle"),
        ("sim", "np.load(f, allow_pickle=flag)", "line 1: allow_pickle"),
    ],
)
def test_the_check_finds(tmp_path: Path, package: str, source: str, complaint: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(source, encoding="utf-8")
    found = violations(path, package)
    assert len(found) == 1
    assert complaint in found[0]


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("sim", "import numpy\nfrom . import jax\nfrom .agent import x"),
        ("surrogate", "import jax\nimport flax.linen as nn"),
        (
            "agent",
            "from gbar.sim import simulate\nfrom gbar import surrogate\n'import gbar.scripts'  # a string",
        ),
        ("scripts", "import gbar.agent\nnp.load(f, allow_pickle=False)"),
    ],
)
def test_the_check_lets_pass(tmp_path: Path, package: str, source: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(source, encoding="utf-8")
    assert violations(path, package) == []


@pytest.mark.parametrize(
    ("package", "room", "source", "complaint"),
    [
        ("sim", "problem", "from gbar.sim.engine import Evaluation", "gbar.sim.problem is below gbar.sim.engine"),
        ("sim", "problem", "from gbar.sim import engine", "gbar.sim.problem is below gbar.sim.engine"),
        ("sim", "engine", "from gbar.sim.problem.kinds import Step", "passes by the door of gbar.sim.problem"),
        ("sim", "engine", "from gbar.sim.problem import read_toml", "read_toml is not listed at the door"),
        ("sim", "engine", "from gbar.sim import Problem", "gbar.sim from inside gbar.sim.engine: name the room"),
        ("agent", "learning", "from gbar.agent.tuning import search", "gbar.agent.learning is below"),
        ("agent", "tuning", "from gbar.sim.problem.problem import Problem", "passes by the door of gbar.sim.problem"),
        ("sim", "pool", "ask('gbar.sim.setup.effects:spreads')", "gbar.sim.pool is below gbar.sim.setup, by a string"),
        ("sim", "engine", "from neuron import h", "NEURON is loaded before it is needed"),
    ],
)
def test_the_check_of_doors_finds(tmp_path: Path, package: str, room: str, source: str, complaint: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(source, encoding="utf-8")
    (found,) = violations(path, package, room)
    assert complaint in found


@pytest.mark.parametrize(
    ("package", "room", "source"),
    [
        ("sim", "engine", "from gbar.sim.engine.steps import even\nfrom gbar.sim import features, mechanisms"),
        ("sim", "engine", "from gbar.sim.problem import Problem\nfrom gbar.sim.errors import GbarError, nearest"),
        ("agent", "tuning", "from gbar.sim import Problem\nfrom gbar.sim.problem import Stimulus"),
        ("sim", "engine", "def f():\n    from neuron import h"),
    ],
)
def test_the_check_of_doors_lets_pass(tmp_path: Path, package: str, room: str, source: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(source, encoding="utf-8")
    assert violations(path, package, room) == []


def test_every_room_is_in_the_plan() -> None:
    for package, rooms in ROOMS.items():
        there = {p.name.removesuffix(".py") for p in (ROOT / package).iterdir() if p.suffix == ".py" or p.is_dir()}
        there -= {"__init__", "__pycache__"} | {path.stem for path in SCRIPTS} | {"main"}
        assert there - {path.stem for path in (ROOT / "surrogate").glob("*.py")} == set(rooms) - {
            path.stem for path in SCRIPTS
        }


def test_tests_mirror_the_rooms() -> None:
    for package in MAY_NOT_IMPORT:
        there = {folder.name for folder in (ROOT / "tests" / package).iterdir() if folder.is_dir()} - {"__pycache__"}
        assert there <= set(ROOMS[package]), f"tests/{package}"


def test_tests_say_once_where_the_problems_are() -> None:
    upwards = re.compile(r"Path\(__file__\)\S*\.(parents\[|parent\.parent)")
    found = [name_of(path) for path in (ROOT / "tests").rglob("*.py") if upwards.search(path.read_text())]
    assert found == ["tests/problems.py"], "tests.problems has ROOT, HH, MOTONEURON and TROUBLE"


def test_the_links_of_a_checkout_lead_to_the_packages() -> None:
    for package in MAY_NOT_IMPORT:
        assert (ROOT / "gbar" / package).resolve() == ROOT / package


def test_a_missing_public_list_is_noticed(tmp_path: Path) -> None:
    init = tmp_path / "__init__.py"
    init.write_text("from .x import y\n", encoding="utf-8")
    assert public_names(init) is None
    init.write_text("__all__: list[str] = ['y']\n", encoding="utf-8")
    assert public_names(init) == ["y"]
