"""gbar measure: simulate once and print features beside measurements."""

from typing import Annotated

import typer

from gbar.scripts import terminal
from gbar.scripts.interrupts import as_process
from gbar.scripts.terminal import JsonFlag, Measurements, ProblemArgument, guarded, print_json, print_table, waiting

Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Give a parameter a value, in its own unit. Repeat for more."),
]


@guarded
def measure(
    problem: ProblemArgument, assign: Assignments = None, measurements: Measurements = None, as_json: JsonFlag = False
) -> None:
    """Simulate the model once and print features beside measurements, with z = (simulated - mean) / SD.

    Parameters have the model's own values unless set otherwise.
    Without a table of measurements every feature that can be computed is printed.

    Exit codes: 0 simulated, 2 bad input.
    """
    from gbar.sim import load_problem
    from gbar.sim.setup import assigned, measure_once

    loaded = load_problem(problem, measurements, measured=False)
    terminal.say_how_read(loaded)
    with waiting("Simulating"):
        rows = measure_once(loaded, assigned(assign or []))
    for row in rows:
        if row.doubt:
            terminal.remark(f"{row.key}: {row.doubt}")
    if as_json:
        print_json([row._asdict() for row in rows])
        return
    table = [
        (row.protocol, row.feature, _shown(row.value), _against(row.mean, row.sd), _shown(row.z, "+.2f"), row.unit)
        for row in rows
    ]
    title = f"{loaded.name}, {', '.join(assign)}" if assign else f"{loaded.name} as it is"
    print_table(title, ["protocol", "feature", "model", "measured", "z", "unit"], table, left=2)


def _shown(value: float | None, form: str = ".4g") -> str:
    return "–" if value is None else format(value, form)


def _against(mean: float | None, sd: float | None) -> str:
    return "" if mean is None else f"{mean:.4g} ± {sd:.2g}"


if __name__ == "__main__":
    as_process(lambda: typer.run(measure))
