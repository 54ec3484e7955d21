"""gbar export: files that reproduce a solution without gbar."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from scripts._shared import JsonFlag, RunArgument, guarded, print_json

Form = StrEnum("Form", ["hoc", "python", "json"])


@guarded
def export(
    run: RunArgument,
    solution: Annotated[
        int, typer.Option(min=0, metavar="N", help="Its number, from 1. 0: the nearest set, solution or not.")
    ] = 1,
    to: Annotated[Form, typer.Option(help="What to write.")] = Form.python,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Default: RUN/solutions/NN.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write a solution as hoc, as a stand-alone Python script (needs only neuron and efel) or as JSON.

    Prints what was written. hoc and python copy the model beside it.

    Exit codes: 0 written, 2 bad input.
    """
    from agent.export import export_solution

    written = export_solution(run, solution, cast(Literal["hoc", "python", "json"], to.value), out)
    if as_json:
        print_json([str(file) for file in written])
    else:
        for file in written:
            typer.echo(str(file))


if __name__ == "__main__":
    typer.run(export)
