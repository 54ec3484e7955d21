"""A whole table of cells against one archive."""

import csv
import json
from pathlib import Path

import openpyxl
import pytest

from gbar.agent import read_result
from gbar.agent.tuning.batch_size import GUIDED_BATCH
from gbar.agent.tuning.cells import CellSummary, overall, split_table, tune_cells, write_summary
from gbar.agent.tuning.definition import TuneConfig
from gbar.sim import Archive, GbarError, load_problem, with_engine
from gbar.sim.archive.sampling import sample
from tests.problems import HH
from tests.synthetic import AGENT

KEYS = ["hyperpolarise.voltage_base", "fire.mean_frequency", "fire.AP_height"]
SAMPLES = 96


def table(folder: Path, text: str) -> Path:
    file = folder / "cells.csv"
    file.write_text(text)
    return file


def test_a_row_a_cell(tmp_path: Path) -> None:
    """Means and units of the row, SDs of its own or of the problem's table; what is empty was not measured."""
    text = f"cell,{','.join(KEYS)},fire.AP_height sd\nA,-63.5,87,35,2.5\nB,-64,,36,\n"
    files = split_table(HH, table(tmp_path, text), tmp_path / "tables")
    assert [file.stem for file in files] == ["A", "B"]
    first, second = (load_problem(HH, file).measurements for file in files)
    assert {m.key: (m.mean, m.sd) for m in first} == {KEYS[0]: (-63.5, 3.181), KEYS[1]: (87, 4.362), KEYS[2]: (35, 2.5)}
    assert {m.key: (m.mean, m.sd) for m in second} == {KEYS[0]: (-64, 3.181), KEYS[2]: (36, 1.791)}


def test_a_row_a_cell_as_spreadsheets_save_it(tmp_path: Path) -> None:
    """Semicolons, decimal commas, a name with a comma and a quote in it, and a workbook."""
    file = tmp_path / "cells.csv"
    file.write_text('Cell;fire.AP_height;fire.AP_height SD\n"mouse 3, slice 2 ""b""";35,5;2,5\n;;\n', encoding="utf-16")
    (made,) = split_table(HH, file, tmp_path / "tables")
    assert made.stem == 'mouse 3, slice 2 "b"'
    (measured,) = load_problem(HH, made).measurements
    assert (measured.key, measured.mean, measured.sd) == ("fire.AP_height", 35.5, 2.5)
    book = openpyxl.Workbook()
    for line in (["cell", "fire.AP_height"], [7, 35.125]):
        book.active.append(line)
    book.save(tmp_path / "cells.xlsx")
    (made,) = split_table(HH, tmp_path / "cells.xlsx", tmp_path / "more")
    assert (made.stem, load_problem(HH, made).measurements[0].mean) == ("7", 35.125)


def test_a_summary_keeps_names_with_commas(tmp_path: Path) -> None:
    write_summary(tmp_path, [row(10, 0.5)._replace(cell='mouse 3, slice 2 "b"'), row(None, None)])
    with (tmp_path / "cells.csv").open(newline="") as stream:
        first, second = csv.DictReader(stream)
    assert (first["cell"], first["first_solution_at"], first["total_s"]) == ('mouse 3, slice 2 "b"', "10", "2.0")
    assert (second["cell"], second["first_solution_at"]) == ("A", "")


def test_how_the_tables_of_cells_were_read_is_said(tmp_path: Path) -> None:
    """Before anything is simulated: a run folder that is a file ends it there."""
    head, row = "protocol,feature,mean,sd,unit\n", "fire,ap_height,35,2,mV\n"
    cells, out, said = tmp_path / "cells", tmp_path / "out", list[str]()
    cells.mkdir()
    (cells / "a.csv").write_text(head + row)
    out.mkdir()
    (out / "a").write_text("no folder")
    with pytest.raises(GbarError, match="is a file"):
        next(tune_cells(load_problem(HH), cells, tmp_path / "x.sqlite", out, TuneConfig(), say=said.append))
    assert said == ["a: fire.AP_height: read as AP_height, given as 'ap_height'"]


def test_two_files_of_one_cell(tmp_path: Path) -> None:
    for name in ("a.csv", "a.tsv", "a.b.csv"):
        (tmp_path / name).write_text("")
    with pytest.raises(GbarError, match=r"a\.csv and a\.tsv are both cell 'a'"):
        next(tune_cells(load_problem(HH), tmp_path, tmp_path / "x.sqlite", tmp_path / "out", TuneConfig()))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cell,fire.AP_height\nA,tall\n", "line 2: fire.AP_height: expected a number, got 'tall'"),
        ('cell,fire.AP_height\nA,"1,050"\n', "in one way"),
        ("cell,fire.AP_height,fire.AP_height\nA,1,1\n", "two columns"),
        ("", "column 'cell'"),
        ("cell\nA\n", "column 'cell'"),
        ("name,fire.AP_height\nA,1\n", "column 'cell'"),
        ("cell,fire.AP_height\n", "a row a cell"),
        ("cell,AP_height\nA,1\n", "PROTOCOL.FEATURE"),
        ("cell,fire.AP_heigth sd\nA,1\n", "no column of means"),
        ("cell,fire.Spikecount\nA,1\n", "no SD"),
        ("cell,fire.AP_height\nA,1\nA,2\n", "line 3"),
        ("cell,fire.AP_height\n../A,1\n", "'../A'"),
        ("cell,fire.AP_height\n..,1\n", "'..'"),
        ("cell,fire.AP_height\n/tmp/A,1\n", "'/tmp/A'"),
        ("cell,fire.AP_height\n,1\n", "expected a name"),
        ("cell,fire.AP_height\ntables,1\n", "no other cell's"),
        ("cell,fire.AP_height\nA,1,2\n", "more or fewer"),
    ],
)
def test_bad_tables_leave_nothing(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(GbarError, match=said.replace(".", r"\.")):
        split_table(HH, table(tmp_path, text), tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


def test_tables_of_ours_are_written_anew_and_no_others(tmp_path: Path) -> None:
    file, out = table(tmp_path, "cell,fire.AP_height\nA,1\n"), tmp_path / "tables"
    split_table(HH, file, out)
    split_table(HH, table(tmp_path, "cell,fire.AP_height\nA,2\n"), out)
    assert "AP_height,2," in (out / "A.csv").read_text()
    (out / "A.csv").write_text("mine")
    with pytest.raises(GbarError, match="not written by gbar"):
        split_table(HH, file, out)
    assert (out / "A.csv").read_text() == "mine"


def test_the_summary_is_not_written_over_the_table_of_cells(tmp_path: Path) -> None:
    file = table(tmp_path, "cell,fire.AP_height\nA,1\n")
    with pytest.raises(GbarError, match="not written by gbar"):
        list(tune_cells(load_problem(HH), file, tmp_path / "a.sqlite", tmp_path, TuneConfig()))
    assert file.read_text() == "cell,fire.AP_height\nA,1\n"
    assert list(tmp_path.iterdir()) == [file]


def row(first: int | None, best: float | None, batch: int | None = 8) -> CellSummary:
    return CellSummary("A", "solved", int(first is not None), first, 50, 1.0, batch, best, 4096, 1.0, 1.0, 2.0)


def test_overall() -> None:
    """Unsolved cells count as worse than any solved one."""
    found = overall([row(10, 0.5), row(20, 2.9), row(None, 3.1), row(40, None)])
    assert (found["cells"], found["solved"], found["median_first_solution_at"]) == (4, 3, 30.0)
    assert (found["first_batches"], found["first_batches_within_3"]) == (4, 2)
    assert overall([row(None, None), row(None, None), row(9, 1.0, None)])["median_first_solution_at"] is None


@pytest.mark.neuron
@pytest.mark.slow
def test_later_cells_start_from_all_that_is_known(tmp_path: Path) -> None:
    """The archive's samples are learned from once; each cell has a run folder and a row of the summary."""
    problem, archive = with_engine(load_problem(HH), "cvode atol 0.0001"), tmp_path / "archive.sqlite"
    with Archive(archive, problem) as kept:
        sample(problem, kept, SAMPLES, seed=0, workers=2)
    squid = (HH / "measurements" / "squid.csv").read_text()
    cells = tmp_path / "cells"
    cells.mkdir()
    (cells / "a.csv").write_text(squid)
    (cells / "b.csv").write_text(squid.replace("87.2354", "68.0"))
    budget = SAMPLES // 2 - 8  # more, and the second cell would learn anew from what the first one took
    # a tolerance that no sample meets, nor what one cell takes for the other
    config = TuneConfig(budget=budget, solutions=1, tolerance=1.0, agent=AGENT)
    done = list(tune_cells(problem, cells, archive, tmp_path / "out", config))
    results = [read_result(tmp_path / "out" / name) for name in "ab"]
    assert [(r.memory.evaluations, r.memory.learned_now) for r in results if r.memory] == [
        (SAMPLES, True),
        (SAMPLES, False),
    ]
    assert results[0].memory and results[1].memory and results[0].memory.digest == results[1].memory.digest
    for result, line in zip(results, done, strict=True):
        assert result.first_batch
        assert result.first_batch.evaluations == result.batch == GUIDED_BATCH
        assert line.first_batch_best == result.first_batch.best_max_abs_z
        assert line.first_solution_at == result.first_solution_at
    with (tmp_path / "out" / "cells.csv").open(newline="") as stream:
        assert [line["cell"] for line in csv.DictReader(stream)] == ["a", "b"]
    content = json.loads((tmp_path / "out" / "cells.json").read_text())
    assert content["overall"]["solved"] == sum(line.solutions > 0 for line in done) > 0
    assert len(content["cells"]) == 2
