"""The reference pages against the code: every key is documented, no documented key is unknown, examples work."""

import csv
import json
import re
import sqlite3
import statistics
import tomllib
from pathlib import Path

import numpy as np
import pytest
import typer

import gbar
from gbar.agent import result
from gbar.scripts.bench.methods import METHODS
from gbar.scripts.bench.score import Score
from gbar.scripts.docs import filled
from gbar.scripts.main import app
from gbar.scripts.make_reference import PAGES as REFERENCE
from gbar.sim import Archive, Evaluation, Problem, load_problem
from gbar.sim.features import traces as features
from gbar.sim.problem import SD_FLOORS, formula, kinds, parameter, sd_floor
from gbar.sim.recordings import files, quality
from gbar.sim.recordings.averages import FLOOR_OF_A_COUNT
from tests.problems import HH, ROOT

DOCS = ROOT / "docs"
COMMANDS = typer.main.get_group(app).commands


def section(page: str, heading: str) -> str:
    """The text under a heading, up to the next heading of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}$\n(.*?)(?=^#+ |\Z)", (DOCS / page).read_text(), re.M | re.S)
    assert found, f"{page} has no heading '{heading}'"
    return found[1]


def table(text: str) -> list[list[str]]:
    """The cells of every table row; headers and rules are left out."""
    lines = re.findall(r"^\|.*\|$(?!\n\|---)", text, re.M)
    cells = [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in cells if row[0] != "---"]


def rows(text: str) -> list[list[str]]:
    """The rows that begin with code."""
    return [row for row in table(text) if row[0].startswith("`")]


def documented(page: str, heading: str) -> list[str]:
    """The keys in the tables under a heading."""
    return [row[0].strip("`") for row in rows(section(page, heading))]


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.M | re.S)


# --- the tables that are made from the code


@pytest.mark.parametrize("page", REFERENCE, ids=lambda page: page.name)
def test_tables_are_those_of_the_code(page: Path) -> None:
    text = page.read_text()
    assert filled(text) == text, "stale: make reference"


def defined(model: type[Problem] | type[result.Result]) -> dict[str, dict[str, dict[str, str]]]:
    """Every table of keys that a file may have: class -> key -> its part of the schema."""
    schema = model.model_json_schema()
    return {name: content["properties"] for name, content in {schema["title"]: schema, **schema["$defs"]}.items()}


@pytest.mark.parametrize(("model", "page"), [(Problem, "problem.md"), (result.Result, "result.md")])
def test_every_key_is_documented(model: type[Problem] | type[result.Result], page: str) -> None:
    shown = {row[0].strip("`") for row in rows((DOCS / page).read_text())}
    known = {key for keys in defined(model).values() for key in keys}
    assert known - shown == (FILLED_IN if model is Problem else set())


FILLED_IN = {"folder", "measurements_file", "said", "times", "currents", "kind"}  # by gbar; `kind` has a table by hand


def test_a_table_has_type_default_and_unit() -> None:
    (row,) = [row for row in rows(section("problem.md", "The model")) if row[0] == "`v_init`"]
    assert row[1:3] == ["number, mV", "required"]
    (row,) = [row for row in rows(section("problem.md", "Rheobase")) if row[0] == "`bounds`"]
    assert row[1:3] == ["`[low, high]`, nA", "`[0.0, 50.0]`"]
    (row,) = [row for row in rows(section("result.md", "Result")) if row[0] == "`solutions`"]
    assert row[1] == "list of [Candidate](#candidate)"


# --- problem.md


def test_every_message_is_one_that_gbar_says() -> None:
    said = "".join(file.read_text() for folder in ("sim", "agent") for file in (ROOT / folder).rglob("*.py"))
    shown = table(section("faults.md", "Messages at the start"))
    assert [row[0] for row in shown if re.findall(r"`([^`]+)`", row[0])[0] not in said] == []


def test_every_kind_of_protocol_is_documented() -> None:
    shown = [kind for row in rows(section("problem.md", "Protocols")) for kind in re.findall(r"`(\w+)`", row[0])]
    assert shown == list(kinds.KINDS)


def test_every_form_of_place_and_formula_is_documented() -> None:
    for row in rows(section("problem.md", "Places")):
        for place in re.findall(r"`([^`]+)`", row[0]):
            assert parameter.Parameter(name="p", set=(place,), bounds=(0, 1)).set == (place,)
    text = section("problem.md", "Formulas")
    for name in formula.FUNCTIONS:
        assert re.search(rf"[` ]{name}[` ]", text), name
    assert {row[0].strip("`") for row in rows(text)} >= parameter.OF_A_PLACE
    for written in re.findall(r'\| `"([^"`]+)"` \|', text):
        assert formula.Formula(written).names >= {"value"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hh.hoc").write_text((HH / "hh.hoc").read_text())
    (tmp_path / "cell.swc").touch()
    (tmp_path / "measurements").mkdir()
    (tmp_path / "measurements" / "squid.csv").write_text("protocol,feature,mean,sd,unit\nfire,AP_height,30,2,mV\n")
    return tmp_path


def whole(example: str) -> str:
    """A problem.toml of an example that shows a part of one: the rest is that of the first example."""
    first = blocks("problem.md", "toml")[0]
    model, parameters, protocols = re.findall(r"^\[(?:.(?!^\[model|^\[\[param|^\[protocol\.hyp))*", first, re.M | re.S)
    for heading, part in (("[model]", model), ("[[parameter]]", parameters), ("[protocol.", protocols)):
        if heading not in example:
            example = f"{part}\n{example}" if heading == "[model]" else f"{example}\n{part}"
    return example


@pytest.mark.parametrize("number", range(len(blocks("problem.md", "toml"))))
def test_toml_example_loads(folder: Path, number: int) -> None:
    (folder / "problem.toml").write_text(whole(blocks("problem.md", "toml")[number]))
    assert load_problem(folder, measured=False).names


def test_csv_example_loads(folder: Path) -> None:
    (folder / "problem.toml").write_text(blocks("problem.md", "toml")[0])
    (table,) = blocks("problem.md", "csv")
    (folder / "cell.csv").write_text(table)
    assert len(load_problem(folder, folder / "cell.csv").measurements) == len(table.splitlines()) - 2


def test_the_shortened_example_is_the_bundled_model() -> None:
    shown = tomllib.loads(blocks("problem.md", "toml")[0])
    bundled = tomllib.loads((HH / "problem.toml").read_text())
    shown["parameter"], bundled["parameter"] = shown["parameter"][:1], bundled["parameter"][:1]
    assert shown == bundled


# --- features.md


def test_what_is_computed_under_the_other_kinds() -> None:
    """As the sentence above the table says."""
    for kind in ("train", "ramp", "triangle", "noise", "waveform"):
        assert features.catalogue(kind) == features.catalogue("step", 1.0)
    for kind in ("clamp", "synapse"):
        assert features.catalogue(kind) == features.catalogue("step", 1.0, "cai") == list(features.OWN_OF_SIGNAL)
    for kind in kinds.KINDS:
        if kind != "fi":
            assert features.known_features(kind, "cai")[-1].startswith("signal_")


def test_named_features_exist() -> None:
    known = {name for kind in kinds.KINDS for name in features.known_features(kind)}
    for row in rows(section("features.md", "Which feature under which protocol")):
        if len(row) == 3:
            continue
        for name in re.findall(r"`(\w+)`", row[1]):
            assert name in known | set(kinds.KINDS), name
    named = re.findall(r"`(A[HP]\w+|\w+_ratio\d|sag_\w+|inv_\w+)`", (DOCS / "features.md").read_text())
    assert {name for name in named if name not in known | set(features.known_settings())} == set()


def test_our_own_features_are_documented() -> None:
    shown = {row[0].strip("`"): (row[1], row[3]) for row in rows(section("features.md", "Our own definitions"))}
    own = {**features.OWN, **features.OWN_OF_STEP, **features.OWN_OF_RHEOBASE, **features.OWN_OF_FI}
    own |= {name: "as recorded" for name in features.OWN_OF_SIGNAL if features.unit_of(name, "cai") == "mM"}
    own |= {name: features.unit_of(name) or "" for name in features.OWN_OF_SIGNAL if name not in own}
    assert {name: unit for name, (unit, _) in shown.items()} == own
    for name, (_, under) in shown.items():
        named = [kind for kind in kinds.KINDS if kind != "fi"] if under == "all" else under.split(", ")
        assert named == [kind for kind in kinds.KINDS if name in features.known_features(kind)]


def test_accepted_units() -> None:
    shown = {unit: re.findall(r"`([^`]+)`", spellings) for unit, spellings in table(section("features.md", "Units"))}
    every = {features.unit_of(name) for kind in kinds.KINDS for name in features.known_features(kind)}
    every |= {unit for _, unit in features.UNITS}
    assert set(shown) == every
    for unit, spellings in shown.items():
        assert {features.plain_unit(spelling) for spelling in spellings} == {features.plain_unit(unit)}
    assert features.plain_unit("") == "constant"
    assert features.plain_unit("mOhm") != "MΩ"


def test_named_settings_exist() -> None:
    named = {name for row in rows(section("features.md", "eFEL's settings")) for name in re.findall(r"`(\w+)`", row[0])}
    assert named - {"true"} <= set(features.known_settings())


def test_settings_example_loads(folder: Path) -> None:
    (settings,) = blocks("features.md", "toml")
    rest = blocks("problem.md", "toml")[0].replace("efel.strict_stiminterval = true", "")
    (folder / "problem.toml").write_text(f"{rest}\n{settings}")
    in_force = load_problem(folder, measured=False).efel_settings("fire")
    assert (in_force["Threshold"], in_force["strict_stiminterval"]) == (-30.0, True)


# --- measurements.md


def test_floors_are_the_floors() -> None:
    floors = table(section("measurements.md", "Means, SDs and floors"))
    shown = {unit: float(floor.partition(",")[0]) for unit, floor in floors}
    of_units = {unit: floor.recorded for unit, floor in SD_FLOORS.items()}
    assert shown == {**of_units, "ratios": sd_floor("").recorded, "counts": FLOOR_OF_A_COUNT}


def test_limits_are_the_limits() -> None:
    shown = {check: limit for check, limit, _ in table(section("measurements.md", "What is refused, and why"))}
    assert shown["baseline"] == "{:g} to {:g} mV".format(*quality.BASELINE_MV)
    limits = {
        "drift within a baseline": f"{quality.DRIFT_MV:g} mV",
        "baseline's SD": f"{quality.WANDER_MV:g} mV",
        "noise from sample to sample": f"{quality.NOISE_MV:g} mV",
        "time before the step": f"{quality.LEAST_BASELINE_MS:g} ms",
        "clipping": f"{quality.FLAT} equal samples",
        "baseline against the cell's other sweeps": f"{quality.CELL_DRIFT_MV:g} mV",
        "test pulse against the cell's other sweeps": f"{quality.LEAK_CHANGE:.0%}".replace("%", " %"),
        "seal, where the file has a seal test": f"{quality.SEAL_GOHM:g} GΩ",
    }
    assert {check: shown[check] for check in limits} == limits


def test_every_recording_format_is_documented() -> None:
    assert set(re.findall(r"`(\.\w+)`", section("measurements.md", "Formats"))) == set(files.READERS) | {".npz"}


# --- result.md


def test_every_object_has_a_heading() -> None:
    text = (DOCS / "result.md").read_text().partition("## result.json")[2].partition("\n## ")[0]
    assert set(re.findall(r"^### (\w+)$", text, re.M)) == set(defined(result.Result))


def test_every_key_of_a_running_run_is_documented() -> None:
    text = section("result.md", "progress.json")
    shared = re.findall(r"`(\w+)`", text.partition("And")[0])
    assert set(shared) <= set(result.Result.model_fields)
    assert {*shared, *(row[0].strip("`") for row in rows(text))} == set(result.Live.model_fields)


def test_columns_of_predictions() -> None:
    source = (ROOT / "agent" / "tuning" / "run.py").read_text()
    found = re.search(r"columns = (\[\"evaluation\".*?\])", source, re.S)
    assert found and documented("result.md", "predictions.csv") == json.loads(found[1])


def kept(tmp_path: Path) -> Path:
    """An archive of the bundled model with three made-up evaluations."""
    problem = load_problem(HH)
    with Archive(tmp_path / "archive.sqlite", problem) as archive:
        for slot, height in enumerate([20.0, 30.0, float("nan")]):
            x, done = np.array([0.1 + slot, 0.03, 3e-4]), Evaluation({"fire.AP_height": height})
            archive.add("r", 0, slot, "design", "cvode", x, done)
    return tmp_path / "archive.sqlite"


def test_tables_of_the_archive(tmp_path: Path) -> None:
    with sqlite3.connect(kept(tmp_path)) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(evaluations)")]
        meta = [row[0] for row in db.execute("SELECT key FROM meta")]
    shown = documented("result.md", "archive.sqlite")
    assert sorted(shown) == sorted(meta + columns)


def test_query_of_the_archive(tmp_path: Path) -> None:
    (query,) = blocks("result.md", "sql")
    with sqlite3.connect(kept(tmp_path)) as db:
        assert db.execute(query).fetchall() == [(2, 1.1, 30.0), (1, 0.1, 20.0)]


# --- notes/benchmarks.md


def test_every_method_is_documented() -> None:
    assert documented("notes/benchmarks.md", "Methods") == list(METHODS)


def test_columns_of_the_comparison() -> None:
    named = [
        name
        for text in re.findall(r"`([^`]+)`", section("notes/benchmarks.md", "Columns"))
        for name in text.split(", ")
    ]
    assert named == list(Score._fields)


# --- all of them

USER = sorted(DOCS.glob("*.md"))
PAGES = [ROOT / "README.md", *USER, *sorted((DOCS / "notes").glob("*.md"))]
WORDS = 12_000  # that a user can be asked to read


def test_pages_stay_short() -> None:
    assert sum(map(words, USER)) <= WORDS
    assert words(ROOT / "README.md") <= 300


def words(page: Path) -> int:
    """What `wc -w` counts."""
    return len(page.read_text().split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'src="([^"]+)"', text):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.is_file(), link
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.M) if anchor else []
        anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in anchors, link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_nothing_of_one_machine(page: Path) -> None:
    assert not re.search(r"/(work|home|root|Users|tmp)/", page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_and_their_options_exist(page: Path) -> None:
    code = re.findall(r"`[^`\n]+`|^```(?:sh|console|text)\n.*?^```$", page.read_text(), re.M | re.S)
    for name, rest in re.findall(r"\bgbar ([a-z]+)\b([^`\n;]*)", "\n".join(code)):
        assert name in COMMANDS, name
        known = {option for parameter in COMMANDS[name].params for option in parameter.opts}
        if name != "bench":
            assert set(re.findall(r"(?<=\s)--[a-z-]+", rest.partition("#")[0])) <= known | {"--help"}, (name, rest)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_python_uses_what_is_there(page: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.M | re.S):
        compile(block, page.name, "exec")
        assert set(re.findall(r"\bgbar\.(\w+)", block)) <= set(gbar.__all__)
        assert all(hasattr(gbar.Result, name) for name in re.findall(r"\bresult\.(\w+)", block))


def test_every_command_and_extra_is_documented() -> None:
    shown = set(re.findall(r"gbar (\w+)", section("start.md", "A model to try things on")))
    assert shown >= set(COMMANDS)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert documented("install.md", "Extras") == list(extras)


# --- comparison.md


def test_figures_of_the_comparison_are_those_of_its_rows() -> None:
    with (DOCS / "benchmarks" / "tune.csv").open(newline="") as stream:
        scores = [row for row in csv.DictReader(stream) if row["problem"] == "motoneuron"]
    shown = {row[0]: row for row in table(section("comparison.md", "In numbers"))}
    for title, method in COMPARED.items():
        runs = [row for row in scores if row["method"] == method]
        counts = sorted(int(row["evaluations"]) for row in runs)
        solved = sum(row["solved"] == "True" for row in runs)
        figures = [len(runs), solved, round(statistics.median(counts)), counts[-1]]
        assert [int(cell.replace(",", "")) for cell in shown[title][1:5]] == figures, title


def test_sums_on_real_targets_are_those_of_their_rows() -> None:
    scores: dict[tuple[str, str], list[dict[int, float]]] = {}
    with (DOCS / "benchmarks" / "real.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            sums = {told[0]: told[3] for told in json.loads(row["progress"])}
            scores.setdefault((row["problem"], row["method"]), []).append(sums)
    shown = table(section("comparison.md", "On real targets"))
    assert len(scores) == len(shown) * len(ON_REAL_TARGETS)
    for title, *cells in shown:
        problem = title.partition("`")[2].partition("`")[0]
        for method, cell in zip(ON_REAL_TARGETS, cells, strict=True):
            medians = [statistics.median(sums[after] for sums in scores[problem, method]) for after in (100, 200, 400)]
            assert cell == ", ".join(f"{median:.0f}" for median in medians), (problem, method)


ON_REAL_TARGETS = ("gbar", "dfo-ls", "cma", "bluepyopt-ibea")
COMPARED = {
    "DFO-LS, least squares without derivatives, from the middle of the bounds": "dfo-ls",
    "gbar": "gbar",
    "BoTorch, a Gaussian process a feature": "botorch-composite",
    "BoTorch's TuRBO": "botorch-turbo",
    "CMA-ES (pycma)": "cma",
}
