"""gbar check: validate everything that can be wrong before simulating."""

from typing import Annotated

import typer

from gbar.scripts import terminal
from gbar.scripts.interrupts import as_process


@terminal.guarded
def check(
    problem: terminal.ProblemArgument,
    measurements: terminal.Measurements = None,
    quick: Annotated[bool, typer.Option("--quick", metavar="", help="Only read the files; start no NEURON.")] = False,
    as_json: terminal.JsonFlag = False,
) -> None:
    """Validate a problem, load its model and list what was found in it.

    Exit codes: 0 nothing wrong found, 2 bad input.
    """
    from gbar.sim import load_problem
    from gbar.sim.setup import notes, remarks, tried

    loaded = load_problem(problem, measurements, measured=False)
    with terminal.waiting("Building, loading and trying the model"):
        found = None if quick else tried(loaded)
    if as_json:
        terminal.print_json({"problem": loaded.name, **remarks(loaded, found)})
        return
    if found:
        shown = ", ".join([*found.model.sections][:8]) + (", …" if len(found.model.sections) > 8 else "")
        terminal.say(f"{loaded.name}: {found.model.compartments} compartments in sections {shown}\n")
    rows = []
    guessed = any(p.guess for p in loaded.parameter)
    for p in loaded.parameter:
        here = found.model.parameters[p.name] if found else None
        value = f"{here.value:.4g}" if here and here.known else "–"
        unit, places = (here.unit, str(here.places)) if here else (p.unit_of_value(""), "")
        bounds = f"{p.bounds[0]:.4g} … {p.bounds[1]:.4g} {p.scale}"
        rows.append((p.name, ", ".join(p.set), value, bounds, *[p.guess] * guessed, unit, places))
    columns = ["name", "set", "model", "bounds", *["start, prior"] * guessed, "unit", "segments"]
    terminal.print_table("Parameters", columns, rows, left=2, spare=1)
    measured = [m.under for m in loaded.measurements]
    kinds = [(name, p.kind, p.described, str(measured.count(name))) for name, p in loaded.protocol.items()]
    terminal.print_table("Protocols", ["name", "kind", "stimulus", "measured features"], kinds, left=3)
    if found and found.choice:
        terminal.say(f"Engine: {found.choice.engine}: {found.choice.why}\n")
    for note in notes(loaded, found):
        terminal.say(f"note: {note}")
    terminal.say(f"Nothing wrong found{' in the files' * quick}. Next: gbar measure {terminal.quoted(problem)}")


if __name__ == "__main__":
    as_process(lambda: typer.run(check))
