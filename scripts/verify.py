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
    from gbar.agent import tuning
    from gbar.sim import GbarError

    if hold is not None:
        with terminal.waiting(f"Simulating solution {hold} under other conditions"):
            held = tuning.hold(run, hold, held_out and held_out.resolve(), workers)
        terminal.print_json(held.model_dump()) if as_json else terminal.print_hold(held)
        return
    if held_out is not None:
        raise GbarError("--held-out is of one solution: say which, with --hold N")
    with terminal.waiting("Simulating the solutions again, testing the surrogate"):
        found = tuning.verify_run(run, workers)
    terminal.print_json(found.model_dump()) if as_json else terminal.print_verification(found)
    if any(s.verdict != "confirmed" for s in found.solutions):
        raise typer.Exit(1)


if __name__ == "__main__":
    as_process(lambda: typer.run(verify))
