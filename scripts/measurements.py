"""gbar measurements: type a table of measurements."""

from pathlib import Path
from typing import Annotated

import typer

from gbar.scripts.interrupts import as_process
from gbar.scripts.terminal import ProblemArgument, guarded, quoted, say


@guarded
def measurements(
    problem: ProblemArgument,
    out: Annotated[Path, typer.Option(metavar="CSV", help="The table; rows are added to one that exists.")] = Path(
        "measurements.csv"
    ),
) -> None:
    """Ask for measurements row by row and write them as a CSV: protocol, feature, mean, SD.

    What cannot be a measurement is refused with the reason and asked again.
    An empty protocol, or the end of the input, ends; nothing is written before.

    Exit codes: 0 done, 2 bad input, 130 stopped by Ctrl-C and nothing is written.
    """
    from gbar.sim import load_problem
    from gbar.sim.problem import add_rows, interview, read_measurements, written_table

    loaded = load_problem(problem, measured=False)
    written_table(out)  # before anything is typed
    given = read_measurements(out, loaded) if out.exists() else ()
    rows = interview(loaded, input, say, given)
    if rows:
        add_rows(out, rows)
    if rows:
        then = f"gbar tune {quoted(problem)} --measurements {quoted(out)}"
        say(f"Written: {out}: {len(given)} rows kept, {len(rows)} new. Next: {then}")
    else:
        say("No rows, nothing written.")


if __name__ == "__main__":
    as_process(lambda: typer.run(measurements))
