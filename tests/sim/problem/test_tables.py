"""Tables as spreadsheets save them in any country: every value is read as it was meant, or asked about in one line."""

import io
import json
import math
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbar.sim import GbarError, load_problem
from gbar.sim.features import known_features, unit_of
from gbar.sim.problem import Measurement, Problem, doubtful_sign, interview, of_measurements
from gbar.sim.problem.quantity import Numerals
from gbar.sim.problem.synonyms import MEANT, feature_of
from gbar.sim.problem.tables import add_rows, rows_of
from tests.problems import free, model_of, protocol_of, step_of, toml_of

TOML = toml_of(
    model_of(),
    free("gl", "all.gl_hh", 1.5e-4, 6e-4),
    step_of("down", amplitude=-0.2, delay=50, duration=150, total=250),
    step_of("fire", amplitude=2, delay=50, duration=200, total=275),
    protocol_of("recruit", "rheobase", bounds=[0, 5], delay=50, duration=50, total=150),
)
HEAD = "protocol,feature,mean,sd,unit\n"
RIN = "down,ohmic_input_resistance,10.5,1.2,MOhm\n"
PLAIN = HEAD + RIN
MEASURED = [("down.ohmic_input_resistance", 10.5, 1.2)]

Load = Callable[..., Problem]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """A problem with a table of this content under this name."""
    (tmp_path / "cell.hoc").write_text("create soma\n")
    (tmp_path / "problem.toml").write_text(TOML)

    def loaded(content: str | bytes, name: str = "cell.csv") -> Problem:
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_problem(tmp_path, file)

    return loaded


def found(problem: Problem) -> list[tuple[str, float, float]]:
    return [(m.key, m.mean, m.sd) for m in problem.measurements]


def refusal(call: Callable[[], object], *wanted: str) -> str:
    with pytest.raises(GbarError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for part in wanted:
        assert part in message, f"{part!r} is not in: {message}"
    return message


# --- the file


GERMAN = "protocol;feature;mean;sd;unit\r\ndown;ohmic_input_resistance;10,5;1,2;MOhm\r\n"
FORMS: dict[str, str | bytes] = {
    "decimal comma": "\ufeff" + GERMAN,
    "decimal comma in quotes": HEAD + 'down,ohmic_input_resistance,"10,5","1,2",MOhm\n',
    "semicolons and points": PLAIN.replace(",", ";"),
    "tabs": PLAIN.replace(",", "\t"),
    "tabs and commas": GERMAN.replace(";", "\t"),
    "bars": PLAIN.replace(",", "|"),
    "its delimiter said": "sep=;\r\n" + GERMAN,
    "UTF-16": PLAIN.encode("utf-16"),
    "UTF-16 without a mark": PLAIN.replace(",", "\t").encode("utf-16-le"),
    "UTF-16, the other way": PLAIN.encode("utf-16-be"),
    "UTF-32": PLAIN.encode("utf-32"),
    "Western code page": PLAIN.replace("\n", ",note\n", 1).replace("MOhm", "MOhm,café").encode("cp1252"),
    "omega of a Greek code page": PLAIN.replace("MOhm", "MΩ").encode("cp1253"),
    "omega of a Macintosh": PLAIN.replace("MOhm", "MΩ").encode("mac_roman"),
    "Macintosh line ends": PLAIN.replace("\n", "\r"),
    "no last line end": PLAIN.strip(),
    "trailing columns": PLAIN.replace("\n", ",,\n") + ",,,,,,\n",
    "blank rows": "\n,,,,\n" + HEAD + ",,,,\n" + RIN + ",,,,\n\n",
    "comments": f'# a rat\n{HEAD} # its\n{RIN}"# and, quoted",,,,\n',
    "capitals": PLAIN.replace(HEAD, "Protocol,FEATURE,Mean,S.D.,Units\n"),
    "spaces": PLAIN.replace(",", " , "),
    "no-break spaces": PLAIN.replace("ohmic_input_resistance", "ohmic_input_resistance\u00a0"),
    "the header twice": HEAD + PLAIN,
    "a column without name or content": "protocol,,feature,mean,sd,unit\ndown,,ohmic_input_resistance,10.5,1.2,MOhm\n",
    "STDEV": PLAIN.replace(",sd,", ",stdev,"),
    "plus-minus": "protocol,feature,mean,unit\ndown,ohmic_input_resistance,10.5 ± 1.2,MOhm\n",
    "plus-minus in the heading": "protocol,feature,mean ± SD,unit\ndown,ohmic_input_resistance,10.5 +/- 1.2,MOhm\n",
    "plus-minus and the SD again": HEAD + "down,ohmic_input_resistance,10.5±1.2,1.2,MOhm\n",
    "plus-minus, German": GERMAN.replace("10,5;1,2", "10,5 ± 1,2;"),
    "plus-minus, and what it is": HEAD + "down,ohmic_input_resistance,10.5 ± 1.2 SD (n = 7),,MOhm\n",
    "n beside the SD": PLAIN.replace("unit\n", "unit,n\n").replace("MOhm", "MOhm,12"),
    "exponents": PLAIN.replace("10.5,1.2", "1.05E+01,1.2e0"),
    "no note in a row": PLAIN.replace("unit\n", "unit,note\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_table_in_any_form(load: Load, form: str) -> None:
    assert found(load(FORMS[form])) == MEASURED


BROKEN: dict[str, tuple[str | bytes, list[str]]] = {
    "nothing": ("", ["no column 'protocol', 'feature', 'mean', 'sd', 'unit'"]),
    "two columns": ("protocol,feature\na,b\n", ["no column 'mean', 'sd', 'unit'", "expected protocol,feature,mean"]),
    "range": (PLAIN.replace("mean,sd", "min,max"), ["column 'min'", "a range is no SD"]),
    "title": ("Table 1\n" + PLAIN, ["unknown column 'Table 1'", "the header seems to be row 2"]),
    "content beside": (HEAD.replace("\n", ",\n") + RIN.replace("\n", ",x\n"), ["row 2", "'x'", "column 6"]),
    "comma decimals bare": (HEAD + "down,ohmic_input_resistance,10,5,1,2,MOhm\n", ["row 2", "7 fields", "Quote"]),
    "SEM without n": (PLAIN.replace(",sd,", ",sem,"), ["SEM without n", "SD = SEM × √n"]),
    "SEM in the note": (PLAIN.replace("unit\n", "unit,note\n").replace("MOhm", "MOhm,SEM n=12"), ["SEM", "row 2"]),
    "SEM over SD": (
        "protocol,feature,mean,sd,sem,n,unit\ndown,ohmic_input_resistance,10,1,2,4,MOhm\n",
        ["mixed up", "row 2"],
    ),
    "two SDs": (HEAD + "down,ohmic_input_resistance,10 ± 1,2,MOhm\n", ["10 ± 1", "sd 2", "keep one"]),
    "quote left open": (PLAIN.replace("MOhm", '"MOhm'), ["row 2", "quotes go in pairs"]),
    "a unit in a heading": (PLAIN.replace("mean", "Mean (MOhm)"), ["'Mean (MOhm)'", "column 'unit'", "'mean'"]),
    "a unit behind a comma": (PLAIN.replace("sd,", '"SD, MΩ",'), ["'SD, MΩ'", "column 'unit'", "'sd'"]),
    "a unit after a stroke": (PLAIN.replace("mean", "mean / mV"), ["'mean / mV'", "column 'unit'", "'mean'"]),
    "a spread in a heading": (PLAIN.replace("mean", "Mean (SD)"), ["'Mean (SD)'", "1.4 ± 0.3", "'Mean ± SD'"]),
    "letters between": (PLAIN.replace("mean", "meäan"), ["unknown column 'meäan'", "nearest: 'mean'"]),
    "no text": (b"\x89PNG\r\n\x1a\n\x00\x00\x01\x02\xff\xfe", ["not a CSV text file"]),
    "old Excel": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500, ["old .xls", ".xlsx"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_table_is_refused_with_what_to_do(load: Load, case: str) -> None:
    content, wanted = BROKEN[case]
    refusal(lambda: load(content), "cell.csv", *wanted)


def test_too_large(load: Load) -> None:
    refusal(lambda: load(b"a,b\n" * 6_000_000), "more than 20 MB")


# --- numbers


READ = {  # text -> value, wherever it stands
    "10": 10.0,
    "10.5": 10.5,
    "10,5": 10.5,
    "-65": -65.0,
    "−65": -65.0,
    "–65,25": -65.25,
    "+4.5": 4.5,
    ".5": 0.5,
    "0,050": 0.05,
    "1234,567": 1234.567,
    "1,050.5": 1050.5,
    "1.050,5": 1050.5,
    "1,050,000": 1050000.0,
    "1 050": 1050.0,
    "1\u202f050,5": 1050.5,
    "1'050": 1050.0,
    "1,050E-3": 0.00105,
}
NO_NUMBER = [
    *(
        "",
        "low",
        "TRUE",
        "false",
        "1_000",
        "١٢",
        "１２",
        "0x10",
        "1,00,000",
        "--5",
        "5-",
        "(65)",
        "8-12",
        "8–12",
        "8 to 12",
    ),
    *("<5", "~5", "10 MOhm", "10;5", "1.2.3", "nan", "NaN", "inf", "-Infinity", "1e999", "12 %%", "#DIV/0!", "1..5"),
]


@pytest.mark.parametrize("numerals", [Numerals(), Numerals(True, False), Numerals(False, False), Numerals(True, True)])
def test_numbers_of_any_country(numerals: Numerals) -> None:
    for text, value in READ.items():
        assert numerals.number(text) == (value, False), text
    for text in NO_NUMBER:
        refusal(lambda text=text: numerals.number(text), "expected", f"'{text}'")  # type: ignore[misc]
    refusal(lambda: numerals.number(True), "expected a number", "'TRUE'")


@pytest.mark.parametrize(
    ("rows", "mean"),
    [
        ('"1,050",100', None),  # thousands of one country, a decimal of the other
        ('"1,050","0,5"', 1.05),  # a comma that can only be a decimal says what the other is
        ('"1,050",0.5', None),
        ('"1.050","0,5"', None),
        ("1.050,0.5", 1.05),
        ("1.050,100", 1.05),  # fields parted by commas: the decimal is a point
        ("1.050;100", None),  # fields parted by semicolons: it may be either
        ("1.050;0.5", 1.05),
        ("1.050;0,5", None),
        ("1,050;0,5", 1.05),
        ("1,050;100", None),
    ],
)
def test_a_number_that_could_be_two_is_asked_about(load: Load, rows: str, mean: float | None) -> None:
    delimiter = ";" if ";" in rows else ","
    text = delimiter.join(["protocol", "feature", "mean", "sd", "unit"]) + "\n"
    text += delimiter.join(["down", "ohmic_input_resistance", rows, "MOhm"]) + "\n"
    if mean is None:
        refusal(lambda: load(text), "row 2", "read in one way", "write")
    else:
        assert found(load(text))[0][1] == mean


@settings(max_examples=200, deadline=None)
@given(value=st.floats(-1e7, 1e7), decimals=st.integers(0, 6), comma=st.booleans(), grouped=st.booleans())
def test_no_number_is_read_as_another(value: float, decimals: int, comma: bool, grouped: bool) -> None:
    """Whatever a spreadsheet writes is read as what it was, or asked about: with any evidence of its marks."""
    text = f"{value:{',' if grouped else ''}.{decimals}f}"
    right = float(text.replace(",", ""))
    if comma:
        text = text.translate(str.maketrans(",.", ".,"))
    for numerals in (Numerals(False, False), Numerals(comma, not comma)):
        try:
            assert numerals.number(text).value == right
        except GbarError as error:
            assert "in one way" in str(error)


def test_sem_becomes_sd_when_n_is_said(load: Load) -> None:
    for text in (
        "protocol,feature,mean,SEM,n,unit\ndown,ohmic_input_resistance,10,0.3,16,MOhm\n",
        "protocol,feature,mean,n,unit\ndown,ohmic_input_resistance,10 ± 0.3 SEM,16,MOhm\n",
        "protocol,feature,mean,unit\ndown,ohmic_input_resistance,10 ± 0.3 s.e.m. (n=16),MOhm\n",
        "protocol,feature,mean±sem,n,unit\ndown,ohmic_input_resistance,10 ± 0.3,16,MOhm\n",
    ):
        problem = load(text)
        assert found(problem) == [("down.ohmic_input_resistance", 10.0, 1.2)]
        assert list(of_measurements(problem)) == ["down.ohmic_input_resistance: SD 1.2 from SEM 0.3 of 16"]
    for n in ("1", "2.5", "0", "-4", "", "many"):
        text = f"protocol,feature,mean,sem,n,unit\ndown,ohmic_input_resistance,10,0.3,{n},MOhm\n"
        refusal(lambda text=text: load(text), "row 2", "n: expected")  # type: ignore[misc]


# --- units and names


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ("down,ohmic_input_resistance,0.01,0.001,GOhm", (10, 1)),
        ("down,ohmic_input_resistance,0.01,0.001,GΩ", (10, 1)),
        ("down,ohmic_input_resistance,10,1,megohm", (10, 1)),
        ("down,ohmic_input_resistance,10,1,M Ω", (10, 1)),
        ("down,sag_ratio1,12,3,%", (0.12, 0.03)),
        ("down,sag_ratio1,12%,3 %,", (0.12, 0.03)),
        ("down,sag_ratio1,0.12,0.03,ratio", (0.12, 0.03)),
        ("down,membrane_capacitance,120,10,pF", (0.12, 0.01)),
        ("down,time_constant,0.02,0.002,s", (20, 2)),
        ("down,voltage_base,-65,1,mv", (-65, 1)),
        ("fire,mean_frequency,0.05,0.01,kHz", (50, 10)),
        ("fire,mean_frequency,50,10,spikes/s", (50, 10)),
        ("fire,AP_duration_half_width,800,100,us", (0.8, 0.1)),
        ("fire,AP_duration_half_width,800,100,µs", (0.8, 0.1)),
        ("fire,AP_peak_upstroke,100,10,mV/ms", (100, 10)),
        ("fire,Spikecount,12,1,spikes", (12, 1)),
        ("recruit,rheobase,50,10,pA", (0.05, 0.01)),
    ],
)
def test_units_of_a_rig(load: Load, row: str, value: tuple[float, float]) -> None:
    (measured,) = load(HEAD + row + "\n").measurements
    assert (measured.mean, measured.sd) == value
    problem = load(HEAD + row + "\n")
    converted = f",{value[0]:g},{value[1]:g}," not in row
    assert any("given in" in note for note in of_measurements(problem)) == converted


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ("down,ohmic_input_resistance,10,1,kOhm", ["'kOhm'", "'MΩ'", "0.01 and 0.001"]),
        ("down,ohmic_input_resistance,10,1,mOhm", ["milliohm", "MOhm"]),
        ("down,ohmic_input_resistance,0.1,0.01,uS", ["'uS'", "conductance"]),
        ("down,ohmic_input_resistance,10,1,mV", ["'mV'", "'MΩ'"]),
        ("down,ohmic_input_resistance,10%,1%,MOhm", ["%", "MOhm"]),
        ("down,sag_ratio1,12%,3,constant", ["%", "both"]),
        ("down,sag_ratio1,12,3,constant", ["12", "share", "%"]),
        ("down,time_constant,20,2,mS", ["'mS'", "'ms'"]),
        *(
            (f"down,ohmic_input_resistance,10,1,{unit}", [f"'{unit}'"])
            for unit in ("hm", "ohms", "Mohms2", "Gigs", "mega")
        ),
        ("down,ohmic_input_resistance,10,1," + "x" * 5000, ["5000 characters"]),
        (f"down,ohmic_input_resistance,{'9' * 5000},1,MOhm", ["5000 characters"]),
        ("fire,Spikecount,12,3,%", ["'%'", "'constant'"]),
        ("fire,Spikecount,-12,3,constant", ["never negative"]),
        ("fire,AP_peak_downstroke,50,3,V/s", ["negative", "-50"]),
        ("recruit,rheobase,50,10,NA", ["'NA'", "'nA'"]),
    ],
)
def test_units_and_values_that_cannot_be(load: Load, row: str, wanted: list[str]) -> None:
    refusal(lambda: load(f"{HEAD}{row}\n"), "row 2", *wanted)


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ("fire,AHP_depth,4.5,1,mV", "ABOVE rest"),
        ("down,voltage_base,65,1,mV", "minus"),
        ("down,ohmic_input_resistance,-10,1,MOhm", "sign"),
        ("down,time_constant,-10,1,ms", "sign"),
        ("fire,Spikecount,12.5,0.0000001,constant", "no whole number"),
        ("down,sag_ratio1,1.2,0.1,constant", "from 0 to 1"),
    ],
)
def test_values_that_can_be_but_are_doubted(load: Load, row: str, wanted: str) -> None:
    (note,) = of_measurements(load(f"{HEAD}{row}\n"))
    assert wanted in note


@pytest.mark.parametrize(
    ("feature", "mean", "sd", "model"),
    [
        ("AHP_depth", 4.5, 1, -60),
        ("AHP_depth", -4.5, 1, 3),
        ("AHP_depth_slow", 8, 2, -9),
        ("voltage_base", 70, 2, -65.3),
        ("steady_state_voltage_stimend", 78, 3, -81),
        ("voltage_deflection", 12, 1, -10),
        ("sag_amplitude", -3, 0.5, 2.2),
        ("fast_AHP", -12, 2, 11),
        ("ADP_peak_amplitude", -3, 1, 4),
        ("AP_fall_rate", 60, 5, -80),
        ("time_constant", -10, 1, 11),
        ("ohmic_input_resistance", -100, 10, 80),
    ],
)
def test_the_opposite_sign_of_the_models_is_asked_about(feature: str, mean: float, sd: float, model: float) -> None:
    said = doubtful_sign(feature, mean, sd, model)
    assert f"measured {mean:g}, the model gives {model:g}: the opposite sign" in said and said.endswith(f"{-mean:g}")
    assert doubtful_sign(feature, -mean, sd, model) == ""


@pytest.mark.parametrize(
    ("feature", "mean", "sd", "model"),
    [
        ("AHP_depth", 0.5, 1, -6),  # near 0
        ("AHP_depth", 4.5, 1, None),
        ("AHP_depth", 4.5, 1, math.nan),
        ("AHP_depth", 4.5, 1, 0.0),
        ("maximum_voltage", 40, 3, -52),  # no spike
        ("AP_height", 30, 3, -12),
        ("adaptation_index2", 0.02, 0.005, -0.02),
        ("AP_amplitude_change", 0.1, 0.01, -0.1),
        ("minimum_voltage", 10, 3, -80),
    ],
)
def test_a_sign_that_may_well_be_is_not(feature: str, mean: float, sd: float, model: float | None) -> None:
    assert doubtful_sign(feature, mean, sd, model) == ""


def test_ordinary_values_are_not_doubted(load: Load) -> None:
    rows = "fire,AHP_depth,-4.5,1,mV\ndown,voltage_base,-65,1,mV\nfire,Spikecount,12.5,1,\ndown,sag_ratio1,0.2,0.1,\n"
    assert list(of_measurements(load(HEAD + rows))) == []


FOREIGN = [
    "APé_height",
    "AP漢_height",
    "AP_h🧠eight",
    "АP_height",
    "AP_height²",
    "%AP_height",
    "AP=height",
    "AP_heıght",
]


@pytest.mark.parametrize("given", FOREIGN)
def test_a_feature_with_letters_that_nobody_means_is_no_other_spelling(load: Load, given: str) -> None:
    """Only the nearest name is told."""
    refusal(lambda: load(f"{HEAD}fire,{given},30,3,mV\n"), "nearest: 'AP_height'")


@pytest.mark.parametrize(
    "given",
    ["ap_height", "AP Height", "AP-HEIGHT", "Ap_height ", "AP–height", "AP\u200b_height", "ＡＰ_height"],
)
def test_a_feature_in_another_spelling(load: Load, given: str) -> None:
    problem = load(f"{HEAD}fire,{given},30,3,mV\n")
    assert found(problem) == [("fire.AP_height", 30, 3)]
    assert list(of_measurements(problem)) == [f"fire.AP_height: read as AP_height, given as '{given.strip()}'"]
    refusal(lambda: load(f"{HEAD}fire,{given},30,3,mV\nfire,AP_height,30,3,mV\n"), "row 3", "measured twice")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        *((name, "'ohmic_input_resistance' (MΩ)") for name in ("Rin", "ri", "r_in", "input resistance", "Rm")),
        *((name, "'time_constant' (ms)") for name in ("tau", "membrane_tau", "Tau m")),
        *((name, "'voltage_base' (mV)") for name in ("v_rest", "vrest", "RMP", "Vm", "resting_potential")),
        *((name, "'rheobase' (nA)") for name in ("rheobase_i", "threshold_current")),
        *((name, "'f_I_gain' (Hz/nA)") for name in ("f_i_curve_slope", "fi_slope")),
        ("upstroke_downstroke_ratio", "AP_peak_downstroke"),
        ("sag", "'sag_ratio1' (no unit)"),
        ("isi_cv", "'ISI_CV'"),
        ("input_conductance", "1 / conductance"),
        ("avg_rate", "'mean_frequency' (Hz)"),
        ("width", "spike_half_width"),
    ],
)
def test_another_tools_name_leads_to_the_feature(load: Load, given: str, wanted: str) -> None:
    refusal(lambda: load(f"{HEAD}fire,{given},1,1,\n"), "row 2", f"no feature '{given}'", wanted)


def test_names_lead_to_features_that_exist() -> None:
    known = {name for kind in ("step", "rheobase", "fi") for name in known_features(kind)}
    assert {name for name, _ in MEANT.values()} <= known
    assert all(unit_of(name) for name, _ in MEANT.values())
    for name in known:
        assert feature_of(name, known) == name == feature_of(name.swapcase() if name != "ISI_CV" else name, known)


# --- workbooks


def workbook(*sheets: list[list[Any]], **formats: str) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"S{number + 1}")
        for row in rows:
            sheet.append(row)
        for cell, form in formats.items():
            if sheet.max_row > 1:
                sheet[cell].number_format = form
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


NAMES = ["protocol", "feature", "mean", "sd", "unit"]
RIN_CELLS = ["down", "ohmic_input_resistance", 10.5, 1.2, "MΩ"]


@pytest.mark.parametrize(
    "content",
    [
        workbook([NAMES, RIN_CELLS]),
        workbook([["My cell"]], [NAMES, RIN_CELLS]),  # the sheet that holds a table
        workbook([[], ["# a rat"], [None, *NAMES, None], [], [None, *RIN_CELLS], []]),
        workbook([[*NAMES, "note"], RIN_CELLS]),
        workbook([NAMES, ["down", "ohmic_input_resistance", "10,5", "1,2", "MOhm"]]),
        workbook([["protocol", "feature", "mean", "unit"], ["down", "ohmic_input_resistance", "10.5 ± 1.2", "MΩ"]]),
    ],
)
@pytest.mark.parametrize("name", ["cell.xlsx", "cell.csv"])
def test_a_workbook(load: Load, content: bytes, name: str) -> None:
    assert found(load(content, name)) == MEASURED


def test_numbers_of_a_workbook_are_what_they_are(load: Load) -> None:
    """1.125 is no 1125, whatever else stands there; what is shown as 12 % is 0.12."""
    rows = [NAMES, ["down", "ohmic_input_resistance", 1.125, 0.125, "MΩ"], ["down", "sag_ratio1", 0.12, 0.03, ""]]
    content = workbook(rows, C3="0%", D3="0.0%")
    assert [(m.mean, m.sd) for m in load(content, "cell.xlsx").measurements] == [(1.125, 0.125), (0.12, 0.03)]
    rows[2][4] = "%"
    assert load(workbook(rows, C3="0%", D3="0%"), "cell.xlsx").measurements[1].mean == 0.12


def with_part(name: str, content: bytes, replaced: str = "") -> bytes:
    """A workbook with another file in it."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook([NAMES, RIN_CELLS]))) as old,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for part in old.namelist():
            if part != replaced:
                new.writestr(part, old.read(part))
        new.writestr(name, content)
    return stream.getvalue()


ENTITIES = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;">]><sst>&c;</sst>'
HOSTILE: dict[str, tuple[bytes, list[str]]] = {
    "formula": (workbook([NAMES, [*RIN_CELLS[:2], "=10+0.5", *RIN_CELLS[3:]]]), ["S1", "cell C2", "a formula"]),
    "date": (workbook([NAMES, [*RIN_CELLS[:2], date(2026, 5, 1), *RIN_CELLS[3:]]]), ["cell C2", "a date"]),
    "truth": (workbook([NAMES, [*RIN_CELLS[:2], True, *RIN_CELLS[3:]]]), ["row 2", "'TRUE'"]),
    "two tables": (workbook([NAMES, RIN_CELLS], [NAMES, RIN_CELLS]), ["'S1', 'S2'", "keep one"]),
    "empty": (workbook([[]]), ["no column 'protocol'"]),
    "macros": (with_part("xl/vbaProject.bin", b"x"), ["macros"]),
    "bomb": (with_part("xl/media/a.xml", b"0" * 60_000_000), ["more than 20 MB"]),
    "entities": (with_part("xl/sharedStrings.xml", ENTITIES, "xl/sharedStrings.xml"), ["entities"]),
    "entities in UTF-16": (with_part("xl/more.xml", ENTITIES.decode().encode("utf-16")), ["entities"]),
    "cut off": (workbook([NAMES, RIN_CELLS])[:2000], ["damaged"]),
    "broken inside": (with_part("xl/worksheets/sheet1.xml", b"<worksheet", "xl/worksheets/sheet1.xml"), ["be read"]),
    "another zip": (with_part("a", b"", "xl/workbook.xml"), ["a zip file", ".xlsx"]),
    "number as text": (workbook([NAMES, [*RIN_CELLS[:2], "1.050", *RIN_CELLS[3:]]]), ["in one way"]),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_workbook_that_cannot_be_told(load: Load, case: str) -> None:
    content, wanted = HOSTILE[case]
    refusal(lambda: load(content, "cell.xlsx"), "cell.xlsx", *wanted)


@pytest.mark.parametrize("pair", [[True, 1], ["10", 1], [float("nan"), 1], [10, 0], [10, False], [10, "1"]])
def test_numbers_of_a_features_json(load: Load, pair: list[Any]) -> None:
    text = json.dumps({"down": {"soma": {"ohmic_input_resistance": pair}}})
    refusal(lambda: load(text, "features.json"), "ohmic_input_resistance", "expected")


# --- rows added to a table that is there


@pytest.mark.parametrize("form", [form for form in FORMS if "plus-minus" not in form and "without name" not in form])
def test_rows_are_added_as_the_table_is_written(tmp_path: Path, form: str) -> None:
    table, content = tmp_path / "cell.csv", FORMS[form]
    table.write_bytes(content if isinstance(content, bytes) else content.encode())
    new = Measurement(protocol="down", feature="voltage_base", mean=-65.125, sd=1.25, unit="mV")
    add_rows(table, [new])
    rows = [(row["feature"], row["mean"], row["sd"]) for _, row in rows_of(table)]
    assert rows == [("ohmic_input_resistance", 10.5, 1.2), ("voltage_base", -65.125, 1.25)]


def test_rows_are_not_added_to_what_cannot_take_them(tmp_path: Path) -> None:
    new = [Measurement(protocol="down", feature="voltage_base", mean=-65.0, sd=1.0, unit="mV")]
    for name, content in (
        ("cell.xlsx", workbook([NAMES, RIN_CELLS])),
        ("cell.csv", b"protocol,feature,mean,sem,n,unit\n"),
        ("blank.csv", FORMS["a column without name or content"]),
    ):
        table = tmp_path / name
        table.write_bytes(content if isinstance(content, bytes) else content.encode())
        before = table.read_bytes()
        refusal(lambda table=table: add_rows(table, new), "rows are added")  # type: ignore[misc]
        assert table.read_bytes() == before
        assert sorted(file.name for file in tmp_path.iterdir() if file.name.startswith(".")) == []


def test_typed_values_are_read_alike_and_asked_about(load: Load) -> None:
    """A decimal comma, another spelling, another tool's name, and an AHP above rest, which has to be confirmed."""
    problem = load(PLAIN)
    typed = iter(
        [*("fire", "v_rest", "ap height", "30,5", "1,050", "3"), *("fire", "AHP_depth", "4.5", "1", "")]
        + [*("fire", "AHP_depth", "4.5", "1", "y"), ""]
    )
    asked: list[str] = []
    said: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return next(typed)

    rows = interview(problem, answer, said.append)
    assert [(row.key, row.mean, row.sd) for row in rows] == [
        ("fire.AP_height", 30.5, 3.0),
        ("fire.AHP_depth", 4.5, 1.0),
    ]
    assert any("'voltage_base' (mV)" in line for line in said)
    assert any("1.05 or 1050" in line for line in said)
    assert sum("ABOVE rest" in prompt for prompt in asked) == 2


DEMANDING = "protocol;feature;mean;sd;unit;Weight;must hold\n"


@pytest.mark.parametrize(
    ("row", "demand"),
    [
        ("2,5;yes", (2.5, True)),
        (";", (1.0, False)),
        ("", (1.0, False)),
        ("1;no", (1.0, False)),
        ("0.5;TRUE", (0.5, True)),
    ],
)
def test_weights_and_what_must_hold(load: Load, row: str, demand: tuple[float, bool]) -> None:
    (m,) = load(DEMANDING + "down;ohmic_input_resistance;10;1;MOhm" + (f";{row}" if row else "")).measurements
    assert (m.weight, m.must_hold) == demand and bool(m.demand) == (demand != (1.0, False))


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ("0;no", ["weight", "above 0", "'0'"]),
        ("-1;no", ["weight", "above 0"]),
        ("50 %;no", ["weight", "'50 %'"]),
        ("much;no", ["weight", "expected a number", "'much'"]),
        ("1e7;no", ["weight", "at most"]),
        ("1;perhaps", ["must_hold", "yes or no", "'perhaps'"]),
    ],
)
def test_demands_that_are_none(load: Load, row: str, wanted: list[str]) -> None:
    refusal(lambda: load(f"{DEMANDING}down;ohmic_input_resistance;10;1;MOhm;{row}"), "measurement 1", *wanted)


def test_demands_of_a_workbook_and_of_a_features_json(load: Load) -> None:
    row = ["down", "ohmic_input_resistance", 10, 1, "MOhm", 3, True]
    (m,) = load(workbook([[*HEAD.strip().split(","), "weight", "must_hold"], row]), "cell.xlsx").measurements
    assert m.demand == "must hold, weight 3"
    entry = {"feature": "ohmic_input_resistance", "val": [10.0, 1.0], "weight": 3}
    (m,) = load(json.dumps({"down": {"soma": [entry]}}), "features.json").measurements
    assert (m.weight, m.must_hold) == (3.0, False)
    entry["weight"] = "much"
    refusal(lambda: load(json.dumps({"down": {"soma": [entry]}}), "features.json"), "weight", '"much"')


def test_a_row_typed_into_a_table_with_demands_is_a_plain_one(load: Load, tmp_path: Path) -> None:
    plain, demanding = load(PLAIN).measurements, f"{HEAD.strip()},weight,must_hold\n{RIN.strip()},2,yes\n"
    (tmp_path / "more.csv").write_text(demanding)
    add_rows(tmp_path / "more.csv", [plain[0].model_copy(update={"feature": "voltage_base"})])
    assert [(row["weight"], row["must_hold"]) for _, row in rows_of(tmp_path / "more.csv")] == [(2, True), (1, False)]
