"""gbar init: look at a model's folder and write a problem to start from."""

from pathlib import Path
from typing import Annotated

import typer

from gbar.scripts.interrupts import as_process
from gbar.scripts.terminal import JsonFlag, guarded, print_json, quoted, say, waiting


@guarded
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder that holds the model.")],
    load: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Which file to load, or FILE.py:FUNCTION, where there are several."),
    ] = None,
    template: Annotated[str | None, typer.Option(metavar="NAME", help="Which hoc template of that file.")] = None,
    celsius: Annotated[
        float | None,
        typer.Option(min=0, max=60, metavar="T", help="Temperature of the measurements, where the model sets none."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Look at a model's folder and write problem.toml, and a table of measurements where there is none.

    The model's files stay as they are. Parameters, bounds and protocols are proposals, every line yours to change.

    Exit codes: 0 written, 2 bad input: no model that loads, or a problem.toml that is there already.
    """
    from gbar.sim.setup import begin

    with waiting("Building, loading and trying the model"):
        begun = begin(folder, load, template, celsius)
    if as_json:
        print_json({**begun._asdict(), "toml": str(begun.toml), "table": str(begun.table)})
        return
    say(f"Loaded:     {begun.loaded}, {begun.compartments} compartments")
    for other in begun.others:
        say(f"Also there: {other}")
    for stimulus in begun.stimuli:
        say(f"Switched off: {stimulus}")
    say(f"Proposed:   {begun.parameters} free parameters, protocols {', '.join(begun.protocols)}")
    for remark in begun.remarks:
        say(f"Note:       {remark}")
    say(f"Wrote:      {begun.toml}")
    say(f"Table:      {begun.table}")
    say(f"Next:       gbar check {quoted(folder)}")


if __name__ == "__main__":
    as_process(lambda: typer.run(init))
