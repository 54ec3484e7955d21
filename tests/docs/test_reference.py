"""The reference pages against the code: every key is documented, no documented key is unknown, examples work."""

import json
import re
import sqlite3
import tomllib
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from gbar.agent import result
from gbar.scripts.bench.methods import METHODS
from gbar.scripts.bench.score import Score
from gbar.sim import Archive, Evaluation, load_problem
from gbar.sim.features import traces as features
from gbar.sim.problem import formula, kinds, parameter, tables
from gbar.sim.problem import problem as problems
from gbar.sim.recordings import files, quality
from gbar.sim.recordings.averages import FLOOR_OF_A_COUNT, FLOOR_OF_A_RATIO, FLOORS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = ["problem.md", "your-model.md", "features.md", "measurements.md", "bluepyopt.md", "result.md"]
PAGES += ["benchmarks.md", "simulation.md", "compatibility.md"]
STIMULUS, HOLDING, AMPLITUDE = "Keys of every stimulus", "Keys of every current", "Keys of an amplitude"


def section(page: str, heading: str) -> str:
    """The text under a heading, up to the next heading of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}$\n(.*?)(?=^#+ |\Z)", (DOCS / page).read_text(), re.M | re.S)
    assert found, f"{page} has no heading '{heading}'"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, headers and rules left out."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def documented(page: str, heading: str) -> list[str]:
    """The keys in the tables under a heading."""
    return [row[0].strip("`") for row in rows(section(page, heading))]


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.M | re.S)


def keys(model: type[BaseModel]) -> set[str]:
    return set(model.model_fields) - problems.OURS


# --- problem.md

PROBLEM_KEYS: dict[str, tuple[set[str], list[str]]] = {
    "top": (keys(problems.Problem), ["The top of the file"]),
    "model": (keys(problems.Model), ["The model"]),
    "parameter": (keys(parameter.Parameter), ["Free parameters"]),
    "step": (keys(kinds.Step), [STIMULUS, HOLDING, AMPLITUDE]),
    "train": (keys(kinds.Train), [STIMULUS, HOLDING, AMPLITUDE, "Keys of train"]),
    "ramp": (keys(kinds.Ramp), [STIMULUS, HOLDING, AMPLITUDE, "Keys of ramp and triangle"]),
    "noise": (keys(kinds.Noise), [STIMULUS, HOLDING, AMPLITUDE, "Keys of noise"]),
    "waveform": (keys(kinds.Waveform) | {"file"}, [STIMULUS, "Keys of waveform"]),
    "clamp": (keys(kinds.Clamp), [STIMULUS, "Keys of clamp"]),
    "synapse": (keys(kinds.Synapse), [STIMULUS, HOLDING, "Keys of synapse"]),
    "rheobase": (keys(kinds.Rheobase), [STIMULUS, HOLDING, "Keys of rheobase"]),
    "fi": (keys(kinds.FiCurve), ["Keys of fi"]),
    "simulation": (keys(problems.Simulation), ["Simulation"]),
    "measurement": ([*tables.COLUMNS, *tables.OPTIONAL], ["The measurements"]),
}


@pytest.mark.parametrize("table", PROBLEM_KEYS)
def test_every_key_of_a_problem_is_documented(table: str) -> None:
    known, headings = PROBLEM_KEYS[table]
    found = [key for heading in headings for key in documented("problem.md", heading)]
    assert sorted(found) == sorted(known)


@pytest.mark.parametrize(
    ("model", "heading"),
    [
        (problems.Model, "The model"),
        (parameter.Parameter, "Free parameters"),
        (kinds.Step, STIMULUS),
        (kinds.Step, HOLDING),
        (kinds.Step, AMPLITUDE),
        (kinds.Train, "Keys of train"),
        (kinds.Ramp, "Keys of ramp and triangle"),
        (kinds.Noise, "Keys of noise"),
        (kinds.Waveform, "Keys of waveform"),
        (kinds.Clamp, "Keys of clamp"),
        (kinds.Synapse, "Keys of synapse"),
        (kinds.Rheobase, "Keys of rheobase"),
        (problems.Simulation, "Simulation"),
    ],
)
def test_documented_defaults_are_the_defaults(model: type[BaseModel], heading: str) -> None:
    column = {row[0].strip("`"): row[3] for row in rows(section("problem.md", heading))}
    for key, shown in column.items():
        field = model.model_fields[key]
        if shown == "required":
            assert field.is_required(), key
        elif shown == "none":
            assert field.get_default(call_default_factory=True) in (None, {}), key
        else:
            value = json.loads(shown.strip("`"))
            assert (tuple(value) if isinstance(value, list) else value) == field.default, key


def test_every_kind_of_protocol_is_documented() -> None:
    (kind,) = [row for row in rows(section("problem.md", STIMULUS)) if row[0] == "`kind`"]
    assert set(re.findall(r'`"(\w+)"`', kind[4])) == set(kinds.KINDS)


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
    (tmp_path / "hh.hoc").write_text((ROOT / "models" / "hh" / "hh.hoc").read_text())
    (tmp_path / "cell.swc").touch()
    (tmp_path / "measurements").mkdir()
    (tmp_path / "measurements" / "squid.csv").write_text("protocol,feature,mean,sd,unit\nfire,AP_height,30,2,mV\n")
    return tmp_path


@pytest.mark.parametrize("number", range(len(blocks("problem.md", "toml"))))
def test_toml_example_loads(folder: Path, number: int) -> None:
    (folder / "problem.toml").write_text(blocks("problem.md", "toml")[number])
    assert load_problem(folder, measured=False).names


def test_csv_example_loads(folder: Path) -> None:
    (folder / "problem.toml").write_text(blocks("problem.md", "toml")[-1])
    (table,) = blocks("problem.md", "csv")
    (folder / "cell.csv").write_text(table)
    assert len(load_problem(folder, folder / "cell.csv").measurements) == len(table.splitlines()) - 2


def test_the_shortened_example_is_the_bundled_model() -> None:
    shown = tomllib.loads(blocks("problem.md", "toml")[0])
    bundled = tomllib.loads((ROOT / "models" / "hh" / "problem.toml").read_text())
    shown["parameter"], bundled["parameter"] = shown["parameter"][:1], bundled["parameter"][:1]
    assert shown == bundled


# --- features.md


def catalogue() -> dict[str, list[str]]:
    """Feature -> where it is computed unasked."""
    kinds = {"step < 0": ("step", -1.0), "step ≥ 0": ("step", 1.0), "pulse": ("pulse", 1.0)}
    kinds |= {"rheobase": ("rheobase", 0.0), "fi": ("fi", 0.0)}
    found: dict[str, list[str]] = {}
    for label, (kind, amplitude) in kinds.items():
        for name in features.catalogue(kind, amplitude):
            found.setdefault(name, []).append(label)
    return found


def test_the_catalogue_is_documented() -> None:
    table = [row for row in rows(section("features.md", "Which feature under which protocol")) if len(row) == 3]
    shown = {
        name.strip("`"): (unit, under.split(", ")) for name, unit, under in table if name.strip("`") in catalogue()
    }
    assert shown == {name: (features.unit_of(name), under) for name, under in catalogue().items()}


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
    lines = [line for line in section("features.md", "Units").splitlines() if line.startswith("| ")][1:]
    shown = {cells[0]: re.findall(r"`([^`]+)`", cells[1]) for cells in (line[2:-2].split(" | ") for line in lines)}
    every = {features.unit_of(name) for kind in kinds.KINDS for name in features.known_features(kind)}
    every |= {unit for _, unit in features.UNITS}
    assert set(shown) == every
    for unit, spellings in shown.items():
        assert {features.plain_unit(spelling) for spelling in spellings} == {features.plain_unit(unit)}
    assert features.plain_unit("") == "constant"
    assert features.plain_unit("mOhm") != "MΩ"


def test_settings_and_their_defaults() -> None:
    shown = {
        row[0].strip("`"): tomllib.loads(f"x = {row[1].strip('`')}")["x"]
        for row in rows(section("features.md", "eFEL's settings"))
    }
    assert shown == {**features.known_settings(), **features.SETTINGS}


def test_settings_example_loads(folder: Path) -> None:
    (settings,) = blocks("features.md", "toml")
    rest = blocks("problem.md", "toml")[0].partition("[protocol.")[0]
    (folder / "problem.toml").write_text(f"{rest}\n{settings}")
    in_force = load_problem(folder, measured=False).efel_settings("fire")
    assert (in_force["Threshold"], in_force["strict_stiminterval"]) == (-30.0, True)


# --- measurements.md


def test_floors_are_the_floors() -> None:
    table = [line[2:-2].split(" | ") for line in section("measurements.md", "Means, SDs and floors").splitlines()[1:]]
    shown = {
        cells[0]: float(cells[1].partition(",")[0]) for cells in table if len(cells) == 2 and cells[1][0].isdigit()
    }
    assert shown == {**FLOORS, "ratios": FLOOR_OF_A_RATIO, "counts": FLOOR_OF_A_COUNT}


def test_limits_are_the_limits() -> None:
    table = [line[2:-2].split(" | ") for line in section("measurements.md", "What is refused, and why").splitlines()]
    shown = {cells[0]: cells[1] for cells in table if len(cells) == 3}
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


def defined() -> dict[str, set[str]]:
    """Every object of result.json and its keys, from the schema itself."""
    schema = json.loads(result.schema())
    return {schema["title"]: set(schema["properties"])} | {
        name: set(content["properties"]) for name, content in schema["$defs"].items()
    }


@pytest.mark.parametrize("name", defined())
def test_every_key_of_result_json_is_documented(name: str) -> None:
    assert sorted(documented("result.md", name)) == sorted(defined()[name])


def test_no_documented_object_is_unknown() -> None:
    text = (DOCS / "result.md").read_text().partition("## result.json")[2].partition("\n## ")[0]
    assert set(re.findall(r"^### (\w+)$", text, re.M)) == set(defined())


def test_columns_of_predictions() -> None:
    source = (ROOT / "agent" / "tuning" / "run.py").read_text()
    found = re.search(r"columns = (\[\"evaluation\".*?\])", source, re.S)
    assert found and documented("result.md", "predictions.csv") == json.loads(found[1])


def kept(tmp_path: Path) -> Path:
    """An archive of the bundled model with three made-up evaluations."""
    problem = load_problem(ROOT / "models" / "hh")
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


# --- benchmarks.md


def test_every_method_is_documented() -> None:
    assert documented("benchmarks.md", "Methods") == list(METHODS)


def test_columns_of_the_comparison() -> None:
    named = [
        name for text in re.findall(r"`([^`]+)`", section("benchmarks.md", "Columns")) for name in text.split(", ")
    ]
    assert named == list(Score._fields)


# --- all of them


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", (DOCS / page).read_text()):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = DOCS / (file or page)
        assert target.is_file(), link
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.M)
        anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in anchors, link


@pytest.mark.parametrize("page", PAGES)
def test_nothing_of_one_machine(page: str) -> None:
    assert not re.search(r"/(work|home|root|Users|tmp)/", (DOCS / page).read_text())
