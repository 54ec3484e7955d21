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

    loaded = load_problem(problem, measurements, measured=False)
    found: dict = {}
    if not quick:
        with waiting("Building and loading the model"), Workers(loaded, 1) as pool:
            found = pool.found
    values = {name: here["value"] for name, here in found.get("parameters", {}).items()}
    outside = [p.name for p in loaded.parameter if values and not p.bounds[0] <= values[p.name] <= p.bounds[1]]
    if as_json:
        print_json({"problem": loaded.name, "measurements": len(loaded.measurements), "outside": outside, **found})
        return
    if found:
        names = ", ".join(list(found["sections"])[:8]) + (", …" if len(found["sections"]) > 8 else "")
        typer.echo(f"{loaded.name}: {found['compartments']} compartments in sections {names}\n")
    rows = []
    for p in loaded.parameter:
        here = found["parameters"][p.name] if found else {"unit": p.unit or "", "places": ""}
        value = f"{here['value']:.4g}" if found else "–"
        bounds = f"{p.bounds[0]:.4g} … {p.bounds[1]:.4g} {p.scale}"
        rows.append((p.name, ", ".join(p.set), value, bounds, str(here["unit"]), str(here["places"])))
    print_table("Parameters", ["name", "set", "model", "bounds", "unit", "segments"], rows, left=2, spare=1)
    counts = {name: sum(m.protocol.partition(":")[0] == name for m in loaded.measurements) for name in loaded.protocol}
    kinds = [(name, p.kind, _stimulus(p), str(counts[name])) for name, p in loaded.protocol.items()]
    print_table("Protocols", ["name", "kind", "stimulus", "measured features"], kinds, left=3)
    for name in outside:
        typer.echo(f"note: {name} has a value outside its bounds in the model as it is")
    typer.echo(f"Nothing wrong found{'' if found else ' in the files'}. Next: gbar measure {problem}")


def _stimulus(protocol: Any) -> str:
    if protocol.kind == "fi":
        return ", ".join(protocol.steps)
    size = "{:g} … {:g} nA".format(*protocol.bounds) if protocol.kind == "rheobase" else protocol.words
    return f"{size}, {protocol.duration:g} ms at {protocol.at}"


if __name__ == "__main__":
    typer.run(check)
