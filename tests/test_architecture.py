"""The house rules of the code itself: which way imports point, what may open a file, how long a script may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# scripts -> agent -> surrogate, agent -> sim; worker processes import sim alone and must start without JAX
MAY_NOT_IMPORT = {
    "sim": {"jax", "jaxlib", "flax", "optax", "surrogate", "agent", "scripts"},
    "surrogate": {"neuron", "sim", "agent", "scripts"},
    "agent": {"scripts"},
    "scripts": set[str](),
}
# opening a file with one of these runs whatever code is in the file
RUNS_CODE_WHEN_OPENED = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
NOT_PACKAGES = {"docs", "models", "runs", "tests"} | {
    folder.name for folder in ROOT.iterdir() if folder.is_dir() and folder.name not in MAY_NOT_IMPORT
}
SCRIPT_LINES = 60

PACKAGE_FILES = sorted(path for package in MAY_NOT_IMPORT for path in (ROOT / package).rglob("*.py"))
PACKAGE_FOLDERS = sorted({path.parent for path in PACKAGE_FILES})
SCRIPTS = sorted(p for p in (ROOT / "scripts").glob("*.py") if p.name != "main.py" and not p.name.startswith("_"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, top-level name) of every import, also inside functions. A relative one cannot leave its package."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name.partition(".")[0]) for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield node.lineno, module.partition(".")[0]
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield node.lineno, module.partition(".")[0]


def pickles_allowed(tree: ast.Module) -> Iterator[int]:
    """Lines that pass allow_pickle as anything but a plain False."""
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="allow_pickle", value=ast.Constant(value=False)):
                pass
            case ast.keyword(arg="allow_pickle"):
                yield node.lineno


def violations(path: Path, package: str) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    found = []
    for line, module in imports(tree):
        if module in MAY_NOT_IMPORT[package]:
            found.append(f"line {line}: {package} may not import {module}")
        if module in RUNS_CODE_WHEN_OPENED:
            found.append(f"line {line}: {module} runs code when a file is opened")
        if module in NOT_PACKAGES:
            found.append(f"line {line}: {module}/ is a folder, not a package")
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
    assert violations(path, path.relative_to(ROOT).parts[0]) == []


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


@pytest.mark.parametrize(
    ("package", "source", "complaint"),
    [
        ("sim", "import jax", "sim may not import jax"),
        ("sim", "import jax.numpy as jnp", "sim may not import jax"),
        ("sim", "import numpy, optax", "sim may not import optax"),
        ("sim", "def f():\n    from surrogate.fit import fit", "line 2: sim may not import surrogate"),
        ("sim", "if True:\n    import agent", "line 2: sim may not import agent"),
        ("sim", "import importlib\nimportlib.import_module('flax.nnx')", "sim may not import flax"),
        ("surrogate", "from neuron import h", "surrogate may not import neuron"),
        ("surrogate", "from sim import Problem", "surrogate may not import sim"),
        ("surrogate", "__import__('agent')", "surrogate may not import agent"),
        ("agent", "import scripts.tune", "agent may not import scripts"),
        ("agent", "from tests.conftest import thing", "tests/ is a folder, not a package"),
        ("scripts", "import models", "models/ is a folder, not a package"),
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
        ("sim", "import numpy\nfrom neuron import h\nfrom . import jax\nfrom .agent import x"),
        ("surrogate", "import jax\nimport flax.linen as nn"),
        ("agent", "from sim import simulate\nimport surrogate\n'import scripts'  # a string, not an import"),
        ("scripts", "import agent\nnp.load(f, allow_pickle=False)"),
    ],
)
def test_the_check_lets_pass(tmp_path: Path, package: str, source: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(source, encoding="utf-8")
    assert violations(path, package) == []


def test_a_missing_public_list_is_noticed(tmp_path: Path) -> None:
    init = tmp_path / "__init__.py"
    init.write_text("from .x import y\n", encoding="utf-8")
    assert public_names(init) is None
    init.write_text("__all__: list[str] = ['y']\n", encoding="utf-8")
    assert public_names(init) == ["y"]
