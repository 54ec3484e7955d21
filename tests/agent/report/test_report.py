"""The report page: whole, alone, and true to what the run folder holds. No NEURON, no browser."""

import csv
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import psutil
import pytest

from gbar.agent.learning import PROPOSERS
from gbar.agent.report import trust, write_report
from gbar.agent.report.axis import Axis, around
from gbar.agent.report.closeup import close_ups, peaks
from gbar.agent.report.contents import Contents, read_contents
from gbar.agent.report.families import families
from gbar.agent.report.firing import rate, rate_curves
from gbar.agent.report.limits import findings
from gbar.agent.report.search import MAKERS
from gbar.agent.report.trust import verdict
from gbar.agent.report.voltages import decimate
from gbar.agent.report.words import mean_sd, number, short, z_score
from gbar.agent.result import (
    LIVE,
    Accuracy,
    Achieved,
    Candidate,
    Compensation,
    Conflict,
    Diagnosis,
    Live,
    Measured,
    Misbehaviour,
    Pressing,
    Progress,
    Range,
    Result,
    Uninformative,
    Unreachable,
    Wall,
    read_traces,
    write_live,
    write_numbered,
    write_result,
    write_traces,
)
from gbar.sim import GbarError
from tests.problems import ROOT, free, model_of, protocol_of, step_of, toml_of

HOSTILE = "<script>alert('x')</script>\" onload=\"y"
COLUMNS = ["evaluation", "batch", "proposer", "protocol", "feature", "predicted", "sd", "simulated", "measured_sd"]
VOID = {"br", "hr", "img", "input", "link", "meta", "wbr"}


class Page(HTMLParser):
    """Tags that open and close properly, the text between them, and every attribute."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.texts))

    def having(self, tag: str, word: str) -> list[dict[str, str]]:
        """Attributes of every such tag with a class."""
        return [attrs for name, attrs in self.tags if name == tag and word in attrs.get("class", "").split()]


def a_result(
    solutions: int = 3, features: int = 9, parameters: int = 4, *, name: str = "cell", undefined: bool = False
) -> Result:
    """A run as `gbar tune` would leave it."""
    rng = np.random.default_rng(solutions + 100 * features)
    units = ["mV", "ms", "MOhm", "Hz", "constant"]
    measurements = [
        Measured(protocol=f"{name}{i % 3}", feature=f"{name}_{i}", mean=10.0 + i, sd=0.5, unit=units[i % 5])
        for i in range(features)
    ]
    ranges = [
        Range(
            name=f"{name}_p{i}",
            low=1e-4 if i % 2 else -5.0,
            high=1e-2 if i % 2 else 5.0,
            scale="log" if i % 2 else "linear",
            unit="S/cm2" if i % 2 else "mV",
            uncertainty_left=None if i == 2 else i / parameters,
        )
        for i in range(parameters)
    ]

    def candidate(number: int, spread: float) -> Candidate:
        z: dict[str, float | None] = {m.key: rng.uniform(-spread, spread) for m in measurements}
        z[f"{name}1.{name}_1"] = None if undefined else spread
        values = {m.key: m.mean + s * m.sd for m in measurements if (s := z[m.key]) is not None}
        return Candidate(
            parameters={r.name: 10 ** rng.uniform(-4, -2) if r.scale == "log" else rng.uniform(-5, 5) for r in ranges},
            features=dict.fromkeys(z) | values,
            z=z,
            max_abs_z=None if undefined else max(abs(s) for s in z.values() if s is not None),
            undefined=int(undefined),
            gives_up=[key for key, s in z.items() if s is None or abs(s) > 2],
            proposer=("policy", "gradient")[number % 2],
            evaluation=50 + number,
        )

    found = [candidate(number, 1.9) for number in range(solutions)]
    return Result(
        problem=name,
        problem_folder=f"/nowhere/{name}",
        measurements_file=f"/nowhere/{name}.csv",
        archive="runs/archive.sqlite",
        status="solved" if found else "out of budget",
        seed=7,
        tolerance=2.0,
        budget=200,
        wanted=max(1, solutions),
        batch=16,
        planner="both",
        workers=2,
        engine="cvode atol 0.0001",
        confirmed_by="cvode atol 1e-07",
        evaluations=160,
        failed_evaluations=3,
        failures={f"time limit of 60 s {name}": 3},
        first_solution_at=64 if found else None,
        wall_s=Wall(simulate=40.0, fit=20.0, plan=10.0, total=72.0),
        measurements=measurements,
        parameters=ranges,
        solutions=found,
        nearest=found[0] if found else candidate(0, 40.0),
        next_nearest=[] if found else [candidate(1, 60.0)],
        surrogate={
            m.key: Accuracy(rmse_over_sd=0.1 + 0.2 * i, coverage_90=0.9, n=96, verdict="good" if i < 3 else "usable")
            for i, m in enumerate(measurements)
        },
        history=[
            Progress(
                evaluations=n,
                best_max_abs_z=None if n < 32 else 200.0 / n,
                solutions=solutions if n > 64 else 0,
                proposers={"design": 16} if n == 16 else {"policy": 8, "gradient": 8},
            )
            for n in range(16, 161, 16)
        ],
        versions={"gbar": "0.1.0", "neuron": "9.0.2"},
    )


def a_run(run: Path, result: Result, samples: int = 4000) -> Path:
    """The run folder of a result, with traces and predictions."""
    rng = np.random.default_rng(1)
    write_result(run, result)
    t = np.sort(rng.uniform(0, 500, samples))
    v = -70 + 90 * np.exp(-(((t % 50) - 20) ** 2))
    shown = len(result.solutions) or (1 + len(result.next_nearest) if result.nearest else 0)
    write_traces(run, [{m.protocol: (t, v + k) for m in result.measurements} for k in range(shown)])
    with (run / "predictions.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for n in range(16, 96):
            for m in result.measurements:
                simulated = m.mean + rng.normal()
                shown_value = "" if n % 10 == 0 else f"{simulated:.6g}"
                row = [f"{simulated + rng.normal() * 0.2:.6g}", 0.2, shown_value, m.sd]
                writer.writerow([n, n // 16, "policy", m.protocol, m.feature, *row])
    return run


def pages() -> Iterator[tuple[str, Result]]:
    yield "solutions", a_result()
    yield "one solution", a_result(1, 1, 1)
    yield "many", a_result(20, 35, 25)
    yield "none", a_result(0)
    yield "undefined", a_result(0, undefined=True)
    yield "hostile", a_result(2, name=HOSTILE)
    bare: dict[str, object] = {"nearest": None, "next_nearest": [], "history": [], "surrogate": {}, "failures": {}}
    yield "nothing", a_result(0).model_copy(update={**bare, "status": "interrupted", "evaluations": 0})


PAGES = dict(pages())


@pytest.fixture(scope="module", params=PAGES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, str]:
    result = PAGES[request.param]
    run = tmp_path_factory.mktemp("run")
    if request.param == "hostile":  # a protocol's name is part of a name inside the zip
        run = tmp_path_factory.mktemp("run <b>")
    return result, write_report(a_run(run, result)).read_text(encoding="utf-8")


def test_every_tag_is_closed(made: tuple[Result, str]) -> None:
    assert Page(made[1]).open == []


def test_page_is_alone_and_small(made: tuple[Result, str]) -> None:
    _, text = made
    assert len(text.encode()) < 1_500_000
    assert not re.search(r"https?:|@import|url\(", text)
    for tag, attributes in Page(text).tags:
        assert tag not in {"link", "iframe", "img", "object", "embed", "base"}
        assert not {"src", "srcset", "xlink:href"} & set(attributes)
        assert "href" not in attributes or (tag == "a" and re.fullmatch(r"[\w.]+(/[\w.]+)*", attributes["href"]))
        assert not any(name.startswith("on") for name in attributes)


def test_only_our_own_script_runs(made: tuple[Result, str]) -> None:
    assert [tag for tag, _ in Page(made[1]).tags].count("script") == 1
    assert "<script>alert" not in made[1]


def test_ids_are_unique_and_labels_lead_somewhere(made: tuple[Result, str]) -> None:
    tags = Page(made[1]).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["aria-labelledby"] for _, a in tags if "aria-labelledby" in a} <= set(ids)


def test_every_chart_has_a_name(made: tuple[Result, str]) -> None:
    for tag, attributes in Page(made[1]).tags:
        if tag == "svg" and "preserveaspectratio" not in attributes:
            assert attributes["role"] == "img"
            assert attributes.get("aria-label") or attributes.get("aria-labelledby")


def test_no_coordinate_is_broken(made: tuple[Result, str]) -> None:
    for _, attributes in Page(made[1]).tags:
        for name in ("x", "y", "width", "height", "x1", "x2", "y1", "y2", "d", "style"):
            assert not re.search(r"nan|inf|None", attributes.get(name, ""))


def test_every_solution_has_a_bar_for_every_measurement(made: tuple[Result, str]) -> None:
    result, text = made
    bars = [attributes["data-s"] for attributes in Page(text).having("g", "bar")]
    shown = len(result.solutions) or (1 + len(result.next_nearest) if result.nearest else 0)
    assert sorted(bars) == sorted(str(k) for k in range(1, shown + 1) for _ in result.measurements)


def test_bars_reach_where_z_says(tmp_path: Path) -> None:
    result = a_result(1, 1, 1)
    page = Page(write_report(a_run(tmp_path, result)).read_text(encoding="utf-8"))
    (ink,) = page.having("rect", "ink")
    z = next(iter(result.solutions[0].z.values()))
    assert z is not None
    band = next(a["style"] for _, a in page.tags if "--lo" in a.get("style", ""))
    low, high = (float(re.search(rf"--{end}:([\d.]+)%", band)[1]) for end in ("lo", "hi"))  # type: ignore[index]
    per_sd = (high - low) / (2 * result.tolerance)
    assert float(ink["width"].rstrip("%")) == pytest.approx(abs(z) * per_sd, abs=0.01)


def test_every_solution_is_in_traces_strips_and_table(tmp_path: Path) -> None:
    result = a_result(20, 35, 25)
    page = Page(write_report(a_run(tmp_path, result)).read_text(encoding="utf-8"))
    everyone = {str(k) for k in range(1, 21)}
    traces = [a["data-s"] for a in page.having("path", "trace")]
    assert len(traces) == 3 * 20
    assert set(traces) == everyone
    assert {a["data-s"] for a in page.having("g", "mark")} == everyone
    assert sum(tag == "td" and "data-s" in a for tag, a in page.tags) == 20 * (25 + 3 + 35)
    assert len([a for tag, a in page.tags if tag == "input"]) == 21


def test_the_closest_is_in_front_without_script(tmp_path: Path) -> None:
    result = a_result(3)
    zs = (1.5, 0.5, 1.0)
    moved = [s.model_copy(update={"max_abs_z": z}) for s, z in zip(result.solutions, zs, strict=True)]
    run = a_run(tmp_path, result.model_copy(update={"solutions": moved}))
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert {a["data-s"] for a in page.having("path", "on")} == {"2"}
    assert [a["value"] for tag, a in page.tags if tag == "input" and "checked" in a] == ["2"]


def test_what_misbehaves_is_said_and_not_put_in_front(tmp_path: Path) -> None:
    result = a_result()
    closest = result.in_front
    odd = Misbehaviour(
        protocol="strong", stimulus="9 nA for 500 ms", kind="depolarisation block", sets=[closest], of=10
    )
    result = result.model_copy(update={"warnings": [odd]})
    assert result.in_front != closest
    text = write_report(a_run(tmp_path, result)).read_text()
    assert f'value="{result.in_front}" checked' in text
    assert f"strong (9 nA for 500 ms), 1 of 10 solutions ({closest}): in depolarisation block" in text
    assert "1 of them do what a cell should not in protocols that were not measured" in text


def test_outcome_with_solutions(tmp_path: Path) -> None:
    text = Page(write_report(a_run(tmp_path, a_result(3))).read_text(encoding="utf-8")).text
    assert "3 different parameter sets reproduce all 9 measurements within 2 SD." in text
    assert "first was found after 64 evaluations" in text
    assert "time limit of 60 s cell" in text
    assert "gbar verify" in text
    assert "gbar export" in text


def test_outcome_without_solutions_names_what_is_missed(tmp_path: Path) -> None:
    result = a_result(0)
    assert result.nearest
    text = Page(write_report(a_run(tmp_path, result)).read_text(encoding="utf-8")).text
    assert "No parameter set found that reproduces all 9 measurements within 2 SD." in text
    missed = [z for z in result.nearest.z.values() if z is not None and abs(z) > 2]
    assert f"misses {len(missed)} of 9 measurements" in text
    assert "What the nearest compromise misses" in text and "1 other gives up something else" in text
    assert f"Compromise 1 misses {len(missed)} of 9: {result.nearest.gives_up[0]}" in text
    assert "+40.019 ms too high to be within tolerance" in text  # z in one cell, (40 − 2) × 0.5 ms
    assert "gbar export" not in text


def test_undefined_features_are_said_and_drawn(tmp_path: Path) -> None:
    page = Page(write_report(a_run(tmp_path, a_result(0, undefined=True))).read_text(encoding="utf-8"))
    assert "it has no value here" in page.text
    assert "not defined" in page.text
    assert len(page.having("line", "void")) == 2  # one feature, two parameter sets


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    page = Page(write_report(a_run(tmp_path, a_result(2, name=HOSTILE))).read_text(encoding="utf-8"))
    assert HOSTILE in page.text
    assert not any("onload" in attributes for _, attributes in page.tags)


def test_an_opposite_sign_is_asked_about() -> None:
    result = a_result(solutions=0)
    result.measurements[0] = Measured(protocol="fire", feature="AHP_depth", mean=4.5, sd=1, unit="mV")
    nearest = Achieved(feature="fire.AHP_depth", value=-60.0, z=-64.5)
    result.diagnosis = Diagnosis(unreachable=[Unreachable(nearest=nearest, parameters={})], probed=1)
    (sentence,) = findings(result)[0].sentences
    assert "the nearest in NEURON is −60.0" in sentence
    assert "measured 4.5, the model gives −60: the opposite sign" in sentence and "write −4.5" in sentence


def test_unconstrained_parameters_are_named(tmp_path: Path) -> None:
    result = a_result()
    result.parameters[1].uncertainty_left = 0.97
    text = Page(write_report(a_run(tmp_path, result)).read_text(encoding="utf-8")).text
    assert "Not constrained by these measurements: cell_p1." in text


def diagnosed(result: Result) -> Result:
    """The result with one finding of every kind."""
    first, second = (m.key for m in result.measurements[:2])
    low, high = Achieved(feature=first, value=1.5, z=-0.5), Achieved(feature=second, value=2.5, z=None)
    limits = Diagnosis(
        pressing=[Pressing(parameter=result.parameters[0].name, side="upper", bound=0.5, sets=2, of=2)],
        unreachable=[
            Unreachable(nearest=Achieved(feature=first, value=40.25, z=-4.5), parameters={}),
            Unreachable(nearest=Achieved(feature=second, value=None, z=None), parameters={}),
        ],
        conflicts=[Conflict(together=[low, high], trade_off=[[low, high], [high, low]])],
        uninformative=[Uninformative(feature=second, reason="constant")],
        unconstrained=[result.parameters[1].name],
        probed=12,
    )
    return result.model_copy(update={"diagnosis": limits})


def test_why_it_cannot_be_done(tmp_path: Path) -> None:
    """On the page, and in the same words in the terminal; nothing where there is nothing to say."""
    result = diagnosed(a_result(solutions=0))
    page = Page(write_report(a_run(tmp_path, result)).read_text(encoding="utf-8"))
    assert not page.open
    found = findings(result)
    assert [finding.title for finding in found] == [
        "Not found", "Not found together", "At a bound", "No information", "Not constrained"
    ]  # fmt: skip
    for finding in found:
        assert finding.title in page.text
        assert all(re.sub(r"\s+", " ", sentence) in page.text for sentence in finding.sentences)
    assert "40.2" in found[0].sentences[0] and "not defined in any simulation" in found[0].sentences[1]
    assert "Why nothing was found" in page.text and "12 times more" in page.text
    assert not any("opposite sign" in sentence for finding in found for sentence in finding.sentences)
    assert findings(a_result(solutions=2)) == []
    short = a_result(solutions=0).model_copy(update={"diagnosis": Diagnosis(probed=8)})
    assert [finding.title for finding in findings(short)] == ["Nothing in the way"]


def test_what_a_stopped_run_has_not_met_is_not_called_impossible(tmp_path: Path) -> None:
    result = diagnosed(a_result(solutions=0))
    result = result.model_copy(update={"diagnosis": result.diagnosis.model_copy(update={"probed": None})})
    assert [finding.title for finding in findings(result)][:2] == ["Not met so far", "Not met together so far"]
    page = Page(write_report(a_run(tmp_path, result)).read_text(encoding="utf-8"))
    assert "What limits this answer" in page.text and "nothing was found" not in page.text


def test_conflicts_are_told_by_the_measurement_that_has_most() -> None:
    result = a_result(solutions=0)
    a, b, c, d = (Achieved(feature=m.key, value=m.mean, z=9.0) for m in result.measurements[:4])
    pairs = [Conflict(together=list(pair), trade_off=[]) for pair in ((c, d), (a, b), (b, d))]
    result = result.model_copy(update={"diagnosis": Diagnosis(conflicts=pairs, probed=3)})
    (found,) = findings(result)
    assert [sentence.split(" ")[0] for sentence in found.sentences] == [d.feature, a.feature]
    assert c.feature in found.sentences[0] and b.feature in found.sentences[0] and b.feature in found.sentences[1]
    assert f"never in {result.evaluations + 3} evaluations" in found.advice


def test_result_alone_is_enough(tmp_path: Path) -> None:
    write_result(tmp_path, a_result())
    page = Page(write_report(tmp_path).read_text(encoding="utf-8"))
    assert page.open == []
    assert page.having("g", "bar")
    assert not page.having("path", "trace")


def test_only_the_nearest_may_have_traces(tmp_path: Path) -> None:
    run = a_run(tmp_path, a_result(0))
    t = np.arange(10.0)
    write_traces(run, [{"cell0": (t, t), "cell1": (t, t)}])
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert [a["data-s"] for a in page.having("path", "trace")] == ["1", "1"]
    assert "no response to draw" not in page.text


def test_a_response_that_is_missing_is_said(tmp_path: Path) -> None:
    run = a_run(tmp_path, a_result(2))
    t = np.arange(10.0)
    write_traces(run, [{"cell0": (t, t), "cell1": (t, t)}, {"cell0": (t, t)}])
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert page.text.count("no response to draw: 2") == 1


def test_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(GbarError, match=r"no result\.json"):
        write_report(tmp_path)
    write_result(tmp_path, a_result())
    (tmp_path / "predictions.csv").write_text("batch,protocol,feature,predicted,sd,simulated\nx,a,b,1,1,1\n")
    with pytest.raises(GbarError, match=r"predictions\.csv"):
        write_report(tmp_path)
    (tmp_path / "predictions.csv").unlink()
    (tmp_path / "traces.npz").write_text("no zip")
    with pytest.raises(GbarError, match=r"traces\.npz"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_objects_in_traces_are_refused(tmp_path: Path) -> None:
    write_result(tmp_path, a_result())
    t = np.array([{"code": "runs"}], dtype=object)
    np.savez(tmp_path / "traces.npz", **{"01/cell0/t": t, "01/cell0/v": t})  # type: ignore[arg-type]
    with pytest.raises(GbarError, match=r"traces\.npz"):
        write_report(tmp_path)


def test_stimulus_comes_from_the_problem_where_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "cell.hoc").write_text("create soma\n")
    (tmp_path / "problem.toml").write_text(
        toml_of(
            model_of(),
            free("p", "soma.gbar", 0, 1),
            step_of("cell0", amplitude=-1, delay=200, duration=100, total=500),
        )
    )
    result = a_result().model_copy(update={"problem_folder": str(tmp_path)})
    run = a_run(tmp_path, result)
    assert read_contents(run).stimuli["cell0"].words == "−1 nA for 100 ms"
    page = Page(write_report(run).read_text(encoding="utf-8"))
    (shade,) = page.having("rect", "stimulus")
    assert float(shade["width"].rstrip("%")) == pytest.approx(100 * 100 / (130 * 1.08), abs=0.1)


def spiking(t: np.ndarray, *at: float) -> np.ndarray:
    """A voltage (mV) at rest but for a spike at each of some times (ms)."""
    v = np.full(t.size, -70.0)
    for peak in at:
        v += np.interp(t, [peak - 0.6, peak, peak + 1.0, peak + 2.0, peak + 12.0], [0, 90, -8, -8, 0])
    return v


def a_measured_curve(folder: Path) -> tuple[Path, Result]:
    """A run of two solutions under three steps that make a curve, its table measured on recordings, and a page."""
    folder.mkdir(exist_ok=True)
    (folder / "cell.hoc").write_text("create soma\n")
    steps = {"weak": 0.1, "middle": 0.2, "strong": 0.3}
    protocols = [step_of(name, amplitude=i, delay=100, duration=200, total=400) for name, i in steps.items()]
    curve = protocol_of("curve", kind="fi", steps=[*steps])
    result = a_result(2)
    parameters = [free(r.name, f"soma.g{k}", 0, 1) for k, r in enumerate(result.parameters)]
    (folder / "problem.toml").write_text(toml_of(model_of(), *parameters, *protocols, curve))
    table = [("strong", "AP_amplitude", "mV"), ("curve", "f_I_gain", "Hz/nA"), ("strong", "AHP_depth", "mV")]
    measured = [
        Measured(protocol=p, feature=f, mean=m.mean, sd=m.sd, unit=u)
        for (p, f, u), m in zip(table, result.measurements, strict=False)
    ]
    keys = [m.key for m in measured]
    sets = [
        s.model_copy(update={"z": dict.fromkeys(keys, 1.0), "features": dict.fromkeys(keys, 9.0)})
        for s in result.solutions
    ]
    first, second = (r.name for r in result.parameters[:2])
    result = result.model_copy(
        update={
            "problem_folder": str(folder),
            "measurements_file": str(folder / "table.csv"),
            "measurements": measured,
            "solutions": sets,
            "nearest": sets[0],
            "compensating": [Compensation(first=first, second=second, correlation=-0.75)],
            "warnings": [
                Misbehaviour(protocol="weak", stimulus="0.1 nA", kind="fires after the stimulus", sets=[2], of=2)
            ],
        }
    )
    run = folder / "run"
    run.mkdir()
    write_result(run, result)
    t = np.linspace(0, 400, 8001)
    counts = {"weak": 1, "middle": 2, "strong": 4}
    responses = {name: (t, spiking(t, *(150 + 25 * k for k in range(n)))) for name, n in counts.items()}
    write_traces(run, [responses, responses])
    one = {"t": t, "v": spiking(t, 160.0, 190.0), "current": np.array(0.3), "sweep": np.array("a.abf, sweep 1")}
    np.savez(folder / "table_sweeps.npz", **{f"01/strong/{key}": value for key, value in one.items()})
    (run / "solutions" / "01").mkdir(parents=True)
    (run / "solutions" / "01" / "run.py").touch()
    return run, result


def test_recordings_lie_beneath_what_was_simulated(tmp_path: Path) -> None:
    run, _ = a_measured_curve(tmp_path / "cell")
    page = Page(write_report(run).read_text(encoding="utf-8"))
    traces = page.having("path", "trace")
    of_strong = traces[:3]  # its plot is the first: measured on its own
    assert ["recorded" in a["class"].split() for a in of_strong] == [True, False, False]
    assert "recorded on a cell" in page.text
    (tmp_path / "cell" / "table_sweeps.npz").unlink()
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert not page.having("path", "recorded") and "recorded on a cell" not in page.text


def test_protocols_stand_in_one_order(tmp_path: Path) -> None:
    """As in the table, a curve's steps after it, and what nobody measured last."""
    run, _ = a_measured_curve(tmp_path / "cell")
    text = write_report(run).read_text(encoding="utf-8")
    assert re.findall(r'<th scope="rowgroup" colspan="2">(\w+)<', text) == ["strong", "curve"]
    titles = re.findall(r"against time in ms under (\w+),", text)
    assert titles == ["strong", "weak", "middle"]
    assert "(not measured)" not in text  # the curve looks at them all
    accuracy = text.index("Accuracy per feature</caption>")
    assert re.findall(r"</th><td>(strong|curve)</td>", text[accuracy:]) == ["strong", "strong", "curve"]
    assert "2: goes on firing after the stimulus" in Page(text).text


def test_spikes_are_looked_at_closely(tmp_path: Path) -> None:
    run, _ = a_measured_curve(tmp_path / "cell")
    contents = read_contents(run)
    first, after = close_ups(contents)
    assert [first.protocol, after.protocol] == ["strong", "strong"]
    assert len(first.lines) == 2 and len(first.recorded) == 1
    stimulus = contents.stimuli["strong"]
    t, v = contents.traces["strong"]["01"]
    assert peaks(t - stimulus.delay, v, stimulus) == pytest.approx([50, 75, 100, 125], abs=0.06)
    assert [tick.label for tick in after.x_ticks][-1] == "20"  # up to the next spike, 25 ms later


def test_rates_rise_with_the_current(tmp_path: Path) -> None:
    run, _ = a_measured_curve(tmp_path / "cell")
    contents = read_contents(run)
    (curve,) = rate_curves(contents)
    assert (curve.name, len(curve.lines), curve.recorded.count("M")) == ("curve", 2, 1)
    heights = [int(place.split(" ")[1]) for place in curve.lines[0].path[1:].split("L")]
    assert heights == sorted(heights, reverse=True) and len(set(heights)) == 3  # down the page is less
    t, v = contents.traces["strong"]["01"]
    stimulus = contents.stimuli["strong"]
    assert rate(t - stimulus.delay, v, stimulus) == pytest.approx(1e3 * 4 / 200)


def test_parameters_that_make_up_for_one_another(tmp_path: Path) -> None:
    run, result = a_measured_curve(tmp_path / "cell")
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert "one rises as the other falls" in page.text and "correlation −0.75" in page.text
    assert len(page.having("circle", "lift")) == len(result.solutions)


def test_families_lie_apart() -> None:
    result = a_result(9, parameters=2)
    low, high = (r.low for r in result.parameters), (r.high for r in result.parameters)
    ends = [dict(zip((r.name for r in result.parameters), end, strict=True)) for end in (low, high)]
    sets = [s.model_copy(update={"parameters": ends[k % 3 == 0]}) for k, s in enumerate(result.solutions)]
    contents = Contents(Path(), result.model_copy(update={"solutions": sets}), {}, {})
    many, few = families(contents)
    assert (many.numbers, few.numbers) == ([2, 3, 5, 6, 8, 9], [1, 4, 7])
    names = [r.name for r in result.parameters]
    assert many.special == [(name, "low") for name in names] and few.special == [(name, "high") for name in names]
    assert [one.numbers for one in families(Contents(Path(), a_result(1), {}, {}))] == [[1]]


def test_files_are_linked_and_there(tmp_path: Path) -> None:
    run, _ = a_measured_curve(tmp_path / "cell")
    page = Page(write_report(run).read_text(encoding="utf-8"))
    linked = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert {"result.json", "solutions.csv", "traces.npz", "solutions/01/run.py"} <= set(linked)
    assert all((run / file).is_file() for file in linked)


def test_the_time_adds_up() -> None:
    wall = Wall(simulate=3.6, fit=2.2, plan=0.2, write=0.3, choose=0.45, total=7.3)
    assert wall.parts() == [("simulating", 4), ("learning", 2), ("planning", 0), ("the rest", 1)]


def a_live_run(run: Path, result: Result, process: int, ended: str | None = None) -> Path:
    """What a run like that leaves in its folder before it has ended, if a process with that number is it."""
    since = psutil.Process(process).create_time() if psutil.pid_exists(process) else 0.0
    kept = {name: getattr(result, name) for name in ("problem", "problem_folder", "measurements_file", "evaluations")}
    kept |= {name: getattr(result, name) for name in ("budget", "wanted", "tolerance", "seed", "workers", "engine")}
    kept |= {name: getattr(result, name) for name in ("measurements", "solutions", "nearest", "failures")}
    kept |= {"pid": process, "process_started": since, "started": 100.0, "updated": 190.0, "phase": "learning"}
    write_live(run, Live(**kept, features=[], history=[(16, 9.0, 0), (160, 1.5, 2)], ended=ended))
    return run


def no_process() -> int:
    """The number of a process that has ended."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_the_page_of_a_run_that_is_still_going(tmp_path: Path) -> None:
    run, result = a_measured_curve(tmp_path / "cell")
    (run / "result.json").unlink()
    a_live_run(run, result, os.getppid())
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert not page.open
    assert "So far, 2 different parameter sets reproduce all 3 measurements" in page.text
    assert (
        "The run is still going: this page shows how far it had come after 160 evaluations in 1 min 30 s" in page.text
    )
    assert page.having("path", "trace") and "Go on with it" in page.text and "gbar verify" not in page.text
    assert "Where the time went" not in page.text and "Who proposed what" not in page.text


def test_the_page_of_a_run_that_was_killed(tmp_path: Path) -> None:
    """Also in a later session: what an earlier one has left says more where that had come further."""
    run, result = a_measured_curve(tmp_path / "cell")
    a_live_run(run, result.model_copy(update={"evaluations": 200}), no_process())
    text = Page(write_report(run).read_text(encoding="utf-8")).text
    assert "The run was ended from outside: this page shows how far it had come after 200 evaluations" in text
    a_live_run(run, result.model_copy(update={"evaluations": 3, "solutions": []}), no_process())
    text = Page(write_report(run).read_text(encoding="utf-8")).text
    assert "after 160 evaluations" in text and "So far, 2 different" in text
    a_live_run(run, result, no_process(), ended="solved")
    assert "So far" not in write_report(run).read_text(encoding="utf-8")


def test_the_nearest_so_far_is_drawn(tmp_path: Path) -> None:
    run, result = a_measured_curve(tmp_path / "cell")
    traces = read_traces(run)["strong"]["01"]
    for name in ("result.json", "traces.npz"):
        (run / name).unlink()
    write_numbered(run / LIVE, {0: {"strong": traces}})
    a_live_run(run, result.model_copy(update={"solutions": []}), no_process())
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert "So far, no parameter set reproduces all 3" in page.text
    assert {a["data-s"] for a in page.having("path", "lift")} == {"1"}


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 has it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(theme: str) -> None:
    style = (ROOT / "agent" / "report" / "page.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    colours = dict(re.findall(r"--(\w+): (#\w{6});", blocks[theme == "dark"]))

    def ratio(one: str, other: str) -> float:
        low, high = sorted(luminance(colours[name]) for name in (one, other))
        return (high + 0.05) / (low + 0.05)

    for text in ("ink", "soft", "all", "one", "good", "fair", "poor"):
        assert ratio(text, "page") >= 4.5, text
    for line in ("all", "back", "one", "axis", "soft"):
        assert min(ratio(line, ground) for ground in ("page", "band", "stim")) >= 3, line
    assert not re.search(r"opacity: 0\.[0-3]", style)


def test_peaks_survive_decimation() -> None:
    t = np.linspace(0, 100, 50_001)
    v = np.full(t.size, -70.0)
    v[[12_345, 40_000]] = 30.0, -95.0
    few_t, few_v = decimate(t, v, 500)
    assert len(few_t) <= 500
    assert (few_v.max(), few_v.min()) == (30.0, -95.0)
    assert t[12_345] in few_t
    assert (np.diff(few_t) > 0).all()
    assert (few_t[0], few_t[-1]) == (0.0, 100.0)


def test_short_traces_are_kept_as_they_are() -> None:
    t, v = np.array([0.0, 1.0, 5.0]), np.array([1.0, 2.0, 3.0])
    assert decimate(t, v, 10) == (t, v)


@pytest.mark.parametrize(
    ("axis", "labels"),
    [
        (Axis(0, 10), ["0", "2", "4", "6", "8", "10"]),
        (Axis(-0.3, 0.3), ["−0.2", "0", "0.2"]),
        (Axis(0.01, 1, log=True), ["0.01", "0.03", "0.1", "0.3", "1"]),
        (Axis(2, 3, log=True), ["2", "2.2", "2.4", "2.6", "2.8", "3"]),
        (Axis(1e-5, 1e-3, log=True), ["1e−5", "3e−5", "1e−4", "3e−4", "0.001"]),
        (Axis(-75, 25), ["−60", "−40", "−20", "0", "20"]),
    ],
)
def test_ticks(axis: Axis, labels: list[str]) -> None:
    assert [tick.label for tick in axis.ticks()] == labels


@pytest.mark.parametrize("values", [[], [0.0], [5.0, 5.0], [-1e-12, 1e-12], [1e9, 1e9 + 1]])
@pytest.mark.parametrize("upright", [True, False])
def test_any_values_make_an_axis(values: list[float], upright: bool) -> None:
    axis = around(values, upright=upright)
    assert axis.low < axis.high
    assert len(axis.ticks()) >= 2
    assert all(0 <= axis.at(value) <= 100 for value in values)


@pytest.mark.parametrize("axis", [Axis(3.0, 3.0), Axis(1e10, math.nextafter(1e10, 2e10), log=True)])
def test_an_axis_whose_ends_are_one_number_has_a_middle(axis: Axis) -> None:
    assert axis.at(axis.low) == axis.at(axis.high) == 50.0


def test_verdicts_come_from_the_run() -> None:
    assert verdict(None) == "not tested"
    assert verdict(Accuracy(rmse_over_sd=3.0, coverage_90=0.9, n=50, verdict="do not trust")) == "do not trust"


def test_the_page_states_the_thresholds_in_force() -> None:
    from gbar.surrogate import accuracy

    assert (trust.GOOD, trust.USABLE) == (accuracy.GOOD, accuracy.USABLE)
    assert (trust.GOOD_COVERAGE, trust.USABLE_COVERAGE) == (accuracy.COVERED, accuracy.HALF_COVERED)


def test_numbers() -> None:
    assert [number(v) for v in (0.0, 1.0, -12.345, 1234.5, 3.88e-5, None, math.nan)] == [
        "0", "1.00", "−12.3", "1234", "3.88e−5", "not defined", "not defined",
    ]  # fmt: skip
    assert [short(v) for v in (2.0, 0.0, 4e-5, 1.5e6, 0.02)] == ["2", "0", "4e−5", "1.5e6", "0.02"]
    assert [z_score(v) for v in (0.41, -2.5, 40.0, None)] == ["+0.41", "−2.50", "+40.0", "not defined"]
    assert mean_sd(-65.95, 3.3) == "−66.0 ± 3.3"
    assert mean_sd(77, 12.3) == "77 ± 12"


def test_loads_neither_neuron_nor_jax(tmp_path: Path) -> None:
    a_run(tmp_path, a_result())
    code = (
        "import sys, pathlib, gbar.agent; before = set(sys.modules); from gbar.agent.report import write_report; "
        f"write_report(pathlib.Path({str(tmp_path)!r})); print({{'neuron', 'jax'}} & (set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("proposer", [*PROPOSERS, "design", "archive"])
def test_whoever_proposes_has_a_name_on_the_page(proposer: str) -> None:
    assert len(MAKERS[proposer].split()) > 1
