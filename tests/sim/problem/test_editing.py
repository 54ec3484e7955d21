"""A table edited row by row: what is not touched stays to the byte, what is typed in any country is understood."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gbar.sim import GbarError, Problem, load_problem
from gbar.sim.problem import TypedRow, editable, pasted, read_measurements, read_rows, rewritten
from tests.problems import HH, MOTONEURON


@pytest.fixture(scope="module")
def problem() -> Problem:
    return load_problem(HH)


@pytest.mark.parametrize("folder", [HH, MOTONEURON], ids=lambda folder: folder.name)
def test_what_is_not_touched_stays_as_it_is(folder: Path) -> None:
    problem = load_problem(folder)
    table = problem.measurements_file
    assert table is not None
    assert rewritten(table, editable(table).rows, problem) == table.read_text()


def test_a_row_changes_in_its_place_and_one_goes(problem: Problem, write: Callable[..., Path]) -> None:
    text = "# mine\nprotocol;feature;mean;sd;unit\nfire;AP_height;35,8;1,8;mV\n\n# why\nfire;mean_frequency;87;4;Hz\n"
    table = write("t", **{"t.csv": text}) / "t.csv"
    first, second = editable(table).rows
    text = rewritten(table, [first._replace(mean="36.25")], problem)
    assert text == "# mine\nprotocol;feature;mean;sd;unit\nfire;AP_height;36,25;1,8;mV\n\n# why\n"
    added = TypedRow("hyperpolarise", "voltage_base", "-63.6 ± 3", "", "")
    table.write_text(rewritten(table, [first, second, added], problem))
    assert table.read_text().endswith("fire;mean_frequency;87;4;Hz\nhyperpolarise;voltage_base;-63,6;3;mV\n")
    assert [m.mean for m in read_measurements(table, problem)] == [35.8, 87.0, -63.6]


def test_what_compromises_are_judged_by_is_kept(problem: Problem, write: Callable[..., Path]) -> None:
    text = "protocol;feature;mean;sd;unit;weight;must_hold\nfire;AP_height;35,8;1,8;mV;0,5;yes\n"
    table = write("t", **{"t.csv": text}) / "t.csv"
    (row,) = (found := editable(table)).rows
    assert (found.plain, row.weight, row.must_hold) == (True, "0,5", "yes")
    table.write_text(rewritten(table, [row._replace(mean="36,25")], problem))
    assert table.read_text() == text.replace("35,8", "36,25")
    assert [(m.weight, m.must_hold) for m in read_measurements(table, problem)] == [(0.5, True)]
    copy = write("t", **{"u.csv": rewritten(None, [row], problem)}) / "u.csv"
    assert [(m.weight, m.must_hold) for m in read_measurements(copy, problem)] == [(0.5, True)]
    assert "weight: expected a number above 0" in read_rows([row._replace(weight="0")], problem)[0].error


@pytest.mark.parametrize("rows", ["fire,AP_height,35.8,1.8,mV\n", ""], ids=["a row", "none yet"])
def test_a_column_more_leaves_comments_and_rows_as_they_stand(
    problem: Problem, write: Callable[..., Path], rows: str
) -> None:
    text = f"# mine\nprotocol,feature,mean,sd,unit\n{rows}#fire,ISI_CV,MEAN,SD,\n"
    table = write("t", **{"t.csv": text}) / "t.csv"
    new = TypedRow("fire", "mean_frequency", "87", "4", "Hz", "of cell 3")
    table.write_text(rewritten(table, [*editable(table).rows, new], problem))
    expected = text.replace(",unit\n", ",unit,note\n") + "fire,mean_frequency,87,4,Hz,of cell 3\n"
    assert table.read_text() == expected
    assert [m.note for m in read_measurements(table, problem)] == ["", "of cell 3"][-len(editable(table).rows) :]
    assert [row.feature for row in editable(table).suggested] == ["ISI_CV"]


def test_a_file_without_a_header_gets_one(problem: Problem, write: Callable[..., Path]) -> None:
    table = write("t", **{"t.csv": "# mine\n"}) / "t.csv"
    table.write_text(rewritten(table, [TypedRow("fire", "AP_height", "36", "2", "mV")], problem))
    assert table.read_text() == "# mine\nprotocol,feature,mean,sd,unit\nfire,AP_height,36,2,mV\n"


def test_a_commented_row_is_offered_and_takes_its_place(problem: Problem, write: Callable[..., Path]) -> None:
    text = "# One row a measurement.\nprotocol,feature,mean,sd,unit\n#fire,AP_height,35.8,4,mV\n#fire,ISI_CV,MEAN,SD,\n"
    table = write("t", **{"t.csv": text}) / "t.csv"
    found = editable(table)
    assert [(row.feature, row.mean, row.line) for row in found.suggested] == [
        ("AP_height", "35.8", 3),
        ("ISI_CV", "MEAN", 4),
    ]
    typed = found.suggested[0]._replace(mean="36", sd="2")
    assert rewritten(table, [typed], problem).splitlines()[2] == "fire,AP_height,36,2,mV"


def test_a_table_of_other_columns_is_not_written_in_its_place(write: Callable[..., Path]) -> None:
    text = "protocol,feature,mean,sem,n,unit\nfire,AP_height,36,0.5,16,mV\n"
    found = editable(write("t", **{"t.csv": text}) / "t.csv")
    assert (found.plain, found.rows[0].sd) == (False, "2")


PASTED = {
    "a header, tabs, decimal commas": "Protocol\tFeature\tMean\tS.D.\tUnit\nfire\tAP_height\t35,8\t1,8\tmV",
    "no header, semicolons": "fire;AP_height;35,8;1,8;mV",
    "no unit": "fire\tAP_height\t35.8\t1.8",
    "mean and SD in one cell": "protocol\tfeature\tmean\nfire\tAP_height\t35,8 ± 1,8",
    "the same without a header": "fire\tAP_height\t35.8 ± 1.8",
    "a SEM": "protocol,feature,mean,sem,n,unit\nfire,AP_height,35.8,0.6,9,mV",
}


@pytest.mark.parametrize("text", PASTED.values(), ids=PASTED)
def test_rows_are_pasted_from_any_spreadsheet(problem: Problem, text: str) -> None:
    ((measurement, error),) = read_rows(pasted(text), problem)
    assert error == ""
    assert measurement is not None
    assert (measurement.key, measurement.mean, measurement.sd, measurement.unit) == ("fire.AP_height", 35.8, 1.8, "mV")


def test_each_row_has_its_own_fault(problem: Problem) -> None:
    rows = pasted(
        "fire\tAP_height\t35,8\t1,8\tV\nfire\tAP_hight\t1\t1\tmV\n\tAP_height\t1\t1\tmV\nfire\tAP_height\t36\t2\tmV"
    )
    errors = [error for _, error in read_rows(rows, problem)]
    assert "convert mean and sd" in errors[0]
    assert "nearest: 'AP_height'" in errors[1]
    assert "choose the one" in errors[2]
    assert errors[3] == ""
    twice = read_rows([rows[3], rows[3]], problem)
    assert "measured twice" in twice[1].error


@pytest.mark.parametrize("text", ["", "  \n ", "hello", "a\tb\tc\td\te\tf\tg\th"])
def test_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(GbarError):
        pasted(text)
