"""gbar check: validate everything that can be wrong before simulating."""

from typing import Annotated, Any

import typer

from scripts._shared import JsonFlag, Measurements, ProblemArgument, guarded, print_json, print_table, waiting


@guarded
def check(
    problem: ProblemArgument,
    measurements: Measurements = None,
    quick: Annotated[bool, typer.Option("--quick", metavar="", help="Only read the files; start no NEURON.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Validate a problem, load its model and list what was found in it.

    Exit codes: 0 nothing wrong found, 2 bad input.
    """
    from sim import Workers, load_problem
    from sim.effects import inert
    from sim.notes import notes, outside

    loaded = load_problem(problem, measurements, measured=False)
    found: dict = {}
    if not quick:
        with waiting("Building and loading the model"), Workers(loaded, 1) as pool:
            found = pool.found | {"inert": inert(loaded, pool)}
    if as_json:
        said = {"outside": outside(loaded, found), "notes": list(notes(loaded, found))}
        print_json({"problem": loaded.name, "measurements": len(loaded.measurements), **said, **found})
        return
    if found:
        names = ", ".join(list(found["sections"])[:8]) + (", …" if len(found["sections"]) > 8 else "")
        typer.echo(f"{loaded.name}: {found['compartments']} compartments in sections {names}\n")
    rows = []
    for p in loaded.parameter:
        here = found["parameters"][p.name] if found else {"unit": p.unit or "", "places": ""}
        value = f"{here['value']:.4g}" if found and here["known"] else "–"
        bounds = f"{p.bounds[0]:.4g} … {p.bounds[1]:.4g} {p.scale}"
        rows.append((p.name, ", ".join(p.set), value, bounds, str(here["unit"]), str(here["places"])))
    print_table("Parameters", ["name", "set", "model", "bounds", "unit", "segments"], rows, left=2, spare=1)
    counts = {name: sum(m.protocol == name for m in loaded.measurements) for name in loaded.protocol}
    kinds = [(name, p.kind, _stimulus(p), str(counts[name])) for name, p in loaded.protocol.items()]
    print_table("Protocols", ["name", "kind", "stimulus", "measured features"], kinds, left=3)
    for note in notes(loaded, found):
        typer.echo(f"note: {note}")
    typer.echo(f"Nothing wrong found{'' if found else ' in the files'}. Next: gbar measure {problem}")


def _stimulus(protocol: Any) -> str:
    if protocol.kind == "fi":
        return ", ".join(protocol.steps)
    current = "{:g} … {:g}".format(*protocol.bounds) if protocol.kind == "rheobase" else f"{protocol.amplitude:g}"
    return f"{current} nA, {protocol.duration:g} ms at {protocol.at}"


if __name__ == "__main__":
    typer.run(check)
