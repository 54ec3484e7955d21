"""gbar measure: simulate once and print features beside measurements."""

from typing import Annotated

import typer

from scripts._shared import JsonFlag, Measurements, ProblemArgument, guarded, print_json, print_table

Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a parameter; repeat.")
]


@guarded
def measure(
    problem: ProblemArgument, assign: Assignments = None, measurements: Measurements = None, as_json: JsonFlag = False
) -> None:
    """Simulate the model once, with its own parameter values unless set otherwise."""
    from sim import load_problem
    from sim.measuring import measure_once

    loaded = load_problem(problem, measurements, measured=False)
    rows = measure_once(loaded, assign or [])
    if as_json:
        print_json([row._asdict() for row in rows])
        return
    table = [
        (row.protocol, row.feature, _shown(row.value), _against(row.mean, row.sd), _shown(row.z, "+.2f"), row.unit)
        for row in rows
    ]
    print_table(loaded.name, ["protocol", "feature", "simulated", "measured", "z", "unit"], table, left=2)


def _shown(value: float | None, form: str = ".5g") -> str:
    return "–" if value is None else format(value, form)


def _against(mean: float | None, sd: float | None) -> str:
    return "" if mean is None else f"{mean:.5g} ± {sd:.3g}"


if __name__ == "__main__":
    typer.run(measure)
