"""gbar check: validate everything that can be wrong before simulating."""

from typing import Annotated

import typer

from scripts._shared import JsonFlag, Measurements, ProblemArgument, guarded, print_json, print_table


@guarded
def check(
    problem: ProblemArgument,
    measurements: Measurements = None,
    as_json: JsonFlag = False,
    quick: Annotated[bool, typer.Option(help="Only read the files; do not start NEURON.")] = False,
) -> None:
    """Validate a problem, load its model and list what was found in it."""
    from sim import Workers, load_problem

    loaded = load_problem(problem, measurements, measured=False)
    found: dict = {}
    if not quick:
        with Workers(loaded, 1) as pool:
            found = pool.found
    outside = [
        p.name
        for p in loaded.parameter
        if found and not p.bounds[0] <= found["parameters"][p.name]["value"] <= p.bounds[1]
    ]
    if as_json:
        print_json({"problem": loaded.name, "measurements": len(loaded.measurements), "outside": outside, **found})
        return
    rows: list[tuple[str, ...]] = []
    for p in loaded.parameter:
        here = found["parameters"][p.name] if found else {"value": float("nan"), "unit": p.unit or "", "places": 0}
        bounds = f"{p.bounds[0]:.4g} … {p.bounds[1]:.4g} {p.scale}"
        rows.append((p.name, ", ".join(p.set), f"{here['value']:.4g}", bounds, str(here["unit"]), str(here["places"])))
    if found:
        sections = ", ".join(found["sections"])
        typer.echo(
            f"{loaded.name}: {found['compartments']} compartments in {len(found['sections'])} sections: {sections}"
        )
    print_table("Parameters", ["name", "set", "in the model", "bounds", "unit", "segments"], rows, left=2)
    measured = {name: sum(m.protocol == name for m in loaded.measurements) for name in loaded.protocol}
    kinds = [(name, protocol.kind, str(measured[name])) for name, protocol in loaded.protocol.items()]
    print_table("Protocols", ["name", "kind", "measurements"], kinds, left=2)
    for name in outside:
        typer.echo(f"note: {name} has a value outside its bounds in the model as it is")
    typer.echo(f"Nothing wrong found. Next: gbar measure {problem}")


if __name__ == "__main__":
    typer.run(check)
