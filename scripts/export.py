"""gbar export: files that reproduce a solution without gbar."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from gbar.scripts.interrupts import as_process
from gbar.scripts.terminal import JsonFlag, RunArgument, guarded, print_json, say

Form = StrEnum("Form", ["hoc", "python", "json", "bluepyopt", "csv", "parquet", "methods"])


@guarded
def export(
    run: RunArgument,
    solution: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Its number, from 1. 0: the nearest set. Default: 1.")
    ] = None,
    to: Annotated[Form, typer.Option(help="What to write.")] = Form.python,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Default: in RUN/solutions.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write a solution as hoc, as a stand-alone Python script, as JSON or as BluePyOpt's fixed parameters.

    csv and parquet are one table of all solutions, methods a paragraph for a paper. Prints what was written.
    hoc and python copy the model beside it.

    Exit codes: 0 written, 2 bad input.
    """
    from gbar.agent.export import export_methods, export_solution, export_table
    from gbar.sim import GbarError

    if to in {Form.csv, Form.parquet, Form.methods}:
        if solution is not None:
            raise GbarError(f"--to {to.value} writes all solutions: leave --solution out")
        written = export_methods(run, out) if to is Form.methods else export_table(run, cast(Any, to.value), out)
    else:
        written = export_solution(run, 1 if solution is None else solution, cast(Any, to.value), out)
    if as_json:
        print_json([str(file) for file in written])
    else:
        for file in written:
            say(str(file))


if __name__ == "__main__":
    as_process(lambda: typer.run(export))
