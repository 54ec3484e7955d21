"""gbar verify: are the solutions still solutions, and can the surrogate be trusted?"""

from pathlib import Path
from typing import Annotated

import typer

from gbar.scripts import terminal
from gbar.scripts.interrupts import as_process


@terminal.guarded
def verify(
    run: terminal.RunArgument,
    hold: Annotated[int | None, typer.Option(min=1, metavar="N", help="Solution N under other conditions.")] = None,
    held_out: Annotated[Path | None, typer.Option(metavar="CSV", help="Beside measurements kept from the run.")] = None,
    workers: terminal.WorkersOption = 2,
    as_json: terminal.JsonFlag = False,
) -> None:
    """Simulate every solution again, in a fresh process at tightened accuracy, and assess the surrogate.

    With --hold N instead one of them with other time steps, parameters ±2 % and ±10 %, temperatures and currents, and
    beside measurements that the run did not know; kept in RUN/hold/N.json.

    Exit codes: 0 every solution is confirmed, 1 one is not, 2 bad input.
    """
    terminal.start_jax()
    if hold is not None:
        _hold(run, hold, held_out and held_out.resolve(), workers, as_json)
        return
    from gbar.agent.tuning import verify_run

    with terminal.waiting("Simulating the solutions again, testing the surrogate"):
        found = verify_run(run, workers)
    if as_json:
        terminal.print_json(found.model_dump())
    else:
        rows = [
            (f"{s.solution:02d}", s.verdict, _shown(s.max_abs_z), _shown(s.largest_change)) for s in found.solutions
        ]
        columns = ["solution", "verdict", "largest |z|", "largest change of z"]
        if rows:
            terminal.print_table(f"Simulated again at {found.confirmed_by}", columns, rows, left=2)
        else:
            terminal.say("This run has no solutions to simulate again.\n")
        terminal.print_accuracy(found)
    if any(s.verdict != "confirmed" for s in found.solutions):
        raise typer.Exit(1)


def _hold(run: Path, number: int, held_out: Path | None, workers: int, as_json: bool) -> None:
    from gbar.agent import tuning
    from gbar.agent.result import write_hold

    with terminal.waiting(f"Simulating solution {number} under other conditions"):
        found = tuning.hold(run, number, held_out, workers)
    file = write_hold(run, found)
    if as_json:
        terminal.print_json(found.model_dump())
    else:
        terminal.print_hold(found)
        terminal.say(f"Written: {file}")


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    as_process(lambda: typer.run(verify))
