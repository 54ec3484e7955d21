"""gbar bench problems: public problems with real or published targets, from files that the user has fetched."""

from pathlib import Path
from typing import Annotated

import typer

from gbar.scripts.terminal import guarded, say


@guarded
def problems(
    name: Annotated[str, typer.Argument(help="Which; without one, all are listed.")] = "",
    source: Annotated[Path | None, typer.Argument(help="Your copy of its public repository.")] = None,
    out: Annotated[Path | None, typer.Argument(help="The new problem's folder.")] = None,
    simulate: Annotated[bool, typer.Option(help="Simulate the published parameters once.")] = True,
    hidden: Annotated[
        int,
        typer.Option(min=0, help="Tables besides, in OUT/hidden, of cells near the published one: each can be met."),
    ] = 0,
) -> None:
    """Write a public problem with real or published targets as a problem's folder.

    Its files are not part of gbar: fetch the repository that the list names.
    """
    from gbar.scripts.bench.problems import PROBLEMS, hide, published_fit, write_problem
    from gbar.sim import GbarError, nearest

    if not name:
        for key, one in PROBLEMS.items():
            say(f"{key}: {one.said}\n    from {one.source}")
        return
    if name not in PROBLEMS:
        raise GbarError(f"no problem '{name}'{nearest(name, PROBLEMS)}")
    if source is None or out is None:
        raise GbarError(f"{name}: expected SOURCE, a copy of {PROBLEMS[name].source}, and OUT, a new folder")
    write_problem(name, PROBLEMS[name], source, out)
    say(f"Written: {out}. Next: gbar check {out}")
    if simulate:
        fit = published_fit(out)
        largest = "one is not defined" if fit.largest_z is None else f"largest {fit.largest_z:.1f}"
        within = f"{fit.within_2} within 2 SDs, {fit.within_3} within 3"
        say(f"Published parameters: sum of |z| {fit.sum_z:.1f} (each at most 20), {largest}; {within}")
    if hidden:
        hide(out, hidden)
        say(f"Written: {out / 'hidden'}. Next: gbar bench tune {out} --cells {out / 'hidden'}")
