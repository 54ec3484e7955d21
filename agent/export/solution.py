"""From a run folder to a solution's files."""

import json
import sqlite3
from pathlib import Path
from typing import Any, Literal

from gbar.agent.export import bluepyopt, hoc, script, table
from gbar.agent.export.chosen import Chosen
from gbar.agent.export.methods import methods
from gbar.agent.export.model import refuse_inside
from gbar.agent.export.ours import refuse_foreign, refuse_foreign_model
from gbar.agent.result import Candidate, Result, read_result
from gbar.sim import GbarError, Integrator, Problem, load_problem
from gbar.sim.archive import reading, said_of, why_another
from gbar.sim.files import resolved, write_whole

Form = Literal["hoc", "python", "json", "bluepyopt"]
TableForm = Literal["csv", "parquet"]


def export_solution(run: Path, number: int, to: Form, out: Path | None = None) -> list[Path]:
    """Write one solution of a run as files that work without gbar.

    hoc: solution.hoc, which sets the parameters on the unchanged model; json: parameters.json, parameters and measured
    table with where they come from; python: run.py, which needs neuron and efel and prints the measured table again,
    and gbar_measure.py beside the model; bluepyopt: bluepyopt.json, the fixed parameters as BluePyOpt has them.

    Args:
        run: the run folder.
        number: of the solution, from 1; 0 is the nearest parameter set, solution or not.
        to: what to write.
        out: where to, RUN/solutions/NN unless given. hoc and python also copy the model: to OUT/model, or once for
            all solutions to RUN/solutions/model.

    Returns:
        The file written, and the model's folder where that was copied.

    Raises:
        GbarError: no run, no such solution, or a model that is gone or has changed since the run; or a file that no
            export wrote is in the way.
    """
    run, out = Path(run), out and resolved(out, "--out")
    if to not in {"hoc", "python", "json", "bluepyopt"}:
        raise GbarError(f"'{to}' is no form of export: expected hoc, python, json, bluepyopt, csv, parquet or methods")
    result = read_result(run)
    candidate = _candidate(run, result, number)
    problem = _problem(run, result)
    model = (out / "model") if out else run / "solutions" / "model"
    chosen = Chosen(result, candidate, number, problem, model)
    if to == "hoc":
        hoc.check(chosen)
    if to == "bluepyopt":
        bluepyopt.fixed_parameters(chosen)
    folder = out or run / "solutions" / f"{number:02d}"
    refuse_inside(folder, problem)
    try:
        _refuse_foreign(chosen, to, folder)
        folder.mkdir(parents=True, exist_ok=True)
        if to == "json":
            file = folder / "parameters.json"
            write_whole(file, json.dumps(described(chosen), indent=1, ensure_ascii=False) + "\n")
            return [file]
        return {"hoc": hoc.write, "python": script.write, "bluepyopt": bluepyopt.write}[to](chosen, folder)
    except OSError as error:
        raise GbarError(f"{folder}: cannot be written: {error.strerror}") from None


def _refuse_foreign(chosen: Chosen, to: Form, folder: Path) -> None:
    """Raises GbarError where something of the user's is in the way."""
    names = {"hoc": "solution.hoc", "json": "parameters.json", "python": "run.py", "bluepyopt": "bluepyopt.json"}
    fixed = frozenset(bluepyopt.fixed_parameters(chosen)) if to == "bluepyopt" else frozenset[str]()
    refuse_foreign(folder / names[to], fixed)
    if to in {"hoc", "python"} and chosen.model.parent == folder:  # not in the run folder, which is ours
        refuse_foreign_model(chosen.model)
    if to == "python":
        refuse_foreign(chosen.model.with_name(script.MEASURE))


def export_table(run: Path, to: TableForm, out: Path | None = None) -> list[Path]:
    """Write all solutions of a run as one table, solutions.csv or solutions.parquet.

    Args:
        run: the run folder; the problem it was made on is not needed.
        to: csv, or parquet, which needs pyarrow.
        out: where to, RUN/solutions unless given.

    Raises:
        GbarError: no run, no solutions, no pyarrow, or a folder that cannot be written.
    """
    run, out = Path(run), out and resolved(out, "--out")
    result = read_result(run)
    if not result.solutions:
        raise GbarError(f"{run}: this run has no solutions: export --solution 0 --to json writes the nearest set")
    table.check(to)
    folder = out or run / "solutions"
    if Path(result.problem_folder).exists():
        refuse_inside(folder, load_problem(result.problem_folder, measured=False))
    file = folder / f"solutions.{to}"
    try:
        refuse_foreign(file)
        folder.mkdir(parents=True, exist_ok=True)
        (table.write_csv if to == "csv" else table.write_parquet)(result, file)
    except OSError as error:
        raise GbarError(f"{folder}: cannot be written: {error.strerror}") from None
    return [file]


def export_methods(run: Path, out: Path | None = None) -> list[Path]:
    """Write a paragraph for a methods section, methods.txt, to RUN/solutions or `out`. Raises GbarError."""
    run, out = Path(run), out and resolved(out, "--out")
    result, folder = read_result(run), out or run / "solutions"
    file = folder / "methods.txt"
    try:
        refuse_foreign(file)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(file, methods(result) + "\n")
    except OSError as error:
        raise GbarError(f"{folder}: cannot be written: {error.strerror}") from None
    return [file]


def described(chosen: Chosen) -> dict[str, Any]:
    """A solution as data: parameters, features beside measurements, where it comes from."""
    result, candidate, problem = chosen.result, chosen.candidate, chosen.problem
    return {
        "problem": result.problem,
        "solution": chosen.number,
        "meets_all_measurements": chosen.is_solution,
        "outside_bounds": chosen.outside,
        "parameters": {
            parameter.name: {
                "value": candidate.parameters[parameter.name],
                "unit": chosen.units[parameter.name],
                "set": list(parameter.set),
                "bounds": list(parameter.bounds),
            }
            for parameter in problem.parameter
        },
        "features": [
            {
                "protocol": m.protocol,
                "feature": m.feature,
                "unit": m.unit,
                "mean": m.mean,
                "sd": m.sd,
                "value": candidate.features.get(m.key),
                "z": candidate.z.get(m.key),
            }
            for m in result.measurements
        ],
        "max_abs_z": candidate.max_abs_z,
        "tolerance": result.tolerance,
        "provenance": {
            "model": {"load": problem.model.load, "identity": problem.identity()},
            "celsius": problem.model.celsius,  # degC
            "v_init": problem.model.v_init,  # mV
            "measurements": Path(result.measurements_file).name,
            "confirmed_by": result.confirmed_by,
            "proposer": candidate.proposer,
            "evaluation": candidate.evaluation,
            "seed": result.seed,
            "versions": result.versions,
        },
    }


def _candidate(run: Path, result: Result, number: int) -> Candidate:
    """The parameter set of a number. Raises GbarError."""
    count = len(result.solutions)
    if number == 0 and result.nearest is None:
        raise GbarError(f"{run}: nothing was simulated in this run, so there is no nearest parameter set")
    if number == 0 and result.nearest is not None:
        return result.nearest
    if not count:
        raise GbarError(f"{run}: this run has no solutions: 0 stands for the nearest parameter set")
    if not 1 <= number <= count:
        raise GbarError(f"{run}: no solution {number}: there are {count}, numbered from 1 (0: the nearest)")
    return result.solutions[number - 1]


def _problem(run: Path, result: Result) -> Problem:
    """The problem a run was made on, as it was then. Raises GbarError."""
    folder = Path(result.problem_folder)
    if not folder.exists():
        raise GbarError(f"{run}: the problem it was made on is gone: {folder}: put it back, an export holds its model")
    try:
        problem = load_problem(folder, measured=False)
    except GbarError as error:
        raise GbarError(f"{run}: the problem it was made on cannot be read any more: {error}") from None
    again = f"changed since {run} was made: put it back as it was, or tune again"
    if why := _another_model(run, result, problem):
        raise GbarError(f"{folder}: a model file, a place of a parameter or a protocol has {again} ({why})")
    if set(problem.names) != {parameter.name for parameter in result.parameters}:
        raise GbarError(f"{folder}: the free parameters have {again}")
    if str(Integrator.of(problem).tight()) != result.confirmed_by:
        raise GbarError(f"{folder}: [simulation] has {again} ({result.confirmed_by})")
    for m in result.measurements:
        if m.protocol not in problem.responses:
            raise GbarError(f"{folder}: the protocols have {again}: '{m.protocol}' is gone")
        if (m.feature == "f_I_gain") != (m.protocol in problem.curves):
            raise GbarError(f"{folder}: the protocols have {again}: '{m.protocol}' is of another kind")
    return problem


def _another_model(run: Path, result: Result, problem: Problem) -> str:
    """Why the run's archive is of another model; empty where it is not, or is gone. Raises GbarError."""
    for file in (run / result.archive, Path(result.archive)):
        if not file.is_file():
            continue
        try:  # only read, and never made
            with reading(file) as kept:
                meta = dict(kept.execute("SELECT key, value FROM meta").fetchall())
            return why_another(meta, said_of(problem)) if meta else ""
        except (sqlite3.Error, ValueError) as error:
            raise GbarError(f"{file}: cannot be read as the run's archive ({error})") from None
    return ""
