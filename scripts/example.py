"""gbar example: a bundled problem, copied into the current folder."""

from pathlib import Path
from typing import Annotated

import typer

from gbar.scripts.interrupts import as_process
from gbar.scripts.terminal import JsonFlag, guarded, print_json, quoted


@guarded
def example(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Which one. Without it: what there is.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Copy a bundled problem into the current folder; without a name, list what there is. Nothing is overwritten.

    Exit codes: 0 copied or listed, 2 no such problem, or something of its name is there already.
    """
    from gbar.sim.setup import bundled, copy_bundled

    if name is None:
        if as_json:
            print_json(bundled())
            return
        for each, about in bundled().items():
            print(f"{each:12} {about}")
        return
    copied = copy_bundled(name, Path.cwd()).name
    if as_json:
        print_json({"name": name, "folder": copied})
        return
    print(f"Copied:     {copied}, with problem.toml and measurements")
    print(f"Next:       gbar check {quoted(copied)}; gbar tune {quoted(copied)}")


if __name__ == "__main__":
    as_process(lambda: typer.run(example))
