"""Numbers are numbers, physics has limits, names are names, and nothing takes long to be refused."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gbar.sim import GbarError, load_problem
from gbar.sim.problem import Formula
from tests.fuzz import PROBLEM, TABLE, WAVE

Made = Callable[..., Path]


@pytest.fixture
def problem(tmp_path: Path) -> Made:
    def made(*replaced: tuple[str, str], table: str = TABLE) -> Path:
        text = PROBLEM
        for old, new in replaced:
            assert old in text, old
            text = text.replace(old, new, 1)
        files = {"problem.toml": text, "table.csv": table, "wave.csv": WAVE, "cell.hoc": "create soma\n"}
        for name, content in files.items():
            (tmp_path / name).write_text(content, encoding="utf-8")
        return tmp_path

    return made


def refusal(path: Path) -> str:
    with pytest.raises(GbarError) as refused:
        load_problem(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)


NUMBERS = [
    "celsius = 34.0",
    "v_init = -70.0",
    "bounds = [1e-5, 1e-3]",
    "amplitude = -0.1",
    "delay = 200.0",
    "percent = 150.0",
    "sd = 0.05",
    "weight = 0.001",
    "onsets = [0.0, 10.0]",
    "voltage = 0.0",
    "time_limit = 30.0",
]


@pytest.mark.parametrize("line", NUMBERS)
@pytest.mark.parametrize("value", ["true", '"5"', '"1e-3"', "{}", "nan", "inf"])
def test_only_numbers_are_numbers(problem: Made, line: str, value: str) -> None:
    key, _, given = line.partition(" = ")
    new = f"{key} = [{value}, 1.0]" if given.startswith("[") else f"{key} = {value}"
    assert key in refusal(problem((line, new)))


SLIPS = {
    "kelvin": (("celsius = 34.0", "celsius = 310.15"), ["-5 to 60 degC", "kelvin"]),
    "microvolts": (("v_init = -70.0", "v_init = -70000.0"), ["-500 to 500 mV", "µV"]),
    "seconds as microseconds": (("total = 800.0", "total = 1e9"), ["at most 1e+06 ms"]),
    "amperes": (("amplitude = -0.1", "amplitude = 1e300"), ["-100000 to 100000 nA", "pA"]),
    "noise": (("sd = 0.05", "sd = 1e9"), ["nA"]),
    "step": (('engine = "cvode"', 'engine = "fixed"\ndt = 5.0'), ["1e-05 to 1 ms"]),
    "atol": (('engine = "cvode"', 'engine = "cvode"\natol = 1e-30'), ["1e-12 to 1 mV"]),
    "interpolation": (("Threshold = -20.0", "interp_step = 1e300"), ["interp_step", "0.001 to 10 ms"]),
    "setting": (("Threshold = -20.0", "Threshold = 1e300"), ["Threshold", "at most 1e+09"]),
    "bounds": (("bounds = [0.01, 0.5]", "bounds = [-1e308, 1e308]"), ["1e+30"]),
    "clamp": (("voltage = 0.0", "voltage = 1e6"), ["mV"]),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_physics_has_limits_and_the_message_their_reason(problem: Made, slip: str) -> None:
    replaced, wanted = SLIPS[slip]
    said = refusal(problem(replaced))
    assert all(part in said for part in wanted), said


@pytest.mark.parametrize("sd", ["1e-300", "1e300", "0", "true"])
def test_an_sd_that_none_is(problem: Made, sd: str) -> None:
    assert "measurement 1" in refusal(problem(table=TABLE.replace("100.0,10.0", f"100.0,{sd}")))


NO_NAMES = ["", " ", "a\\nb", "\\u001b[31m", " a", "a ", "a  b", "x" * 101, "\\u202ea", "a'b", "a\\tb", "'; quit() //"]


@pytest.mark.parametrize("name", NO_NAMES)
def test_names_are_names(problem: Made, name: str) -> None:
    assert "name" in refusal(problem(('name = "g_pas"', f'name = "{name}"')))
    assert "protocol" in refusal(problem(("[protocol.up]", f'[protocol."{name}"]'), ('"up"]', f'"{name}"]')))


@pytest.mark.parametrize("name", ["ḡ_Na", "漢字", "gbar.soma_dend", "g[0]", "a/b", "g Na", "é-1+2"])
def test_names_that_people_use(problem: Made, name: str) -> None:
    assert load_problem(problem(('name = "g_pas"', f'name = "{name}"'))).names[0] == name


@pytest.mark.parametrize("text", ["~" * 490, "-" * 490 + "1", "(" * 240 + "1" + ")" * 240, "1" * 490, "a." * 200 + "a"])
def test_a_formula_of_any_shape_is_one_or_refused(text: str) -> None:
    try:
        assert Formula(text)({"a": 1.0}) is not None
    except GbarError as refused:
        assert len(str(refused)) < 2000


def test_five_thousand_parameters_are_read_in_seconds(problem: Made) -> None:
    entry = '[[parameter]]\nname = "p{0}"\nset = ["soma.g_pas"]\nbounds = [0, 1]\nformula = "value + p{0}"\n'
    path = problem(("[protocol.down]", "".join(entry.format(i) for i in range(5000)) + "[protocol.down]"))
    start = time.process_time()
    assert len(load_problem(path).names) == 5002
    assert time.process_time() - start < 10
