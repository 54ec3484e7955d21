"""What `tune` says while it runs and when it ends."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from scripts._shared import print_table

if TYPE_CHECKING:
    from agent.loop import Session
    from agent.result import Candidate, Result


def best_so_far(session: "Session") -> str:
    """The text beside the progress bar."""
    best = session.best
    shown = f"best |z| {best:.2f}" if best < float("inf") else "best |z| –"
    return f"{shown}, {len(session.solutions)} of {session.config.solutions} solutions"


def print_summary(result: "Result", folder: Path) -> None:
    """How a run ended."""
    wall = result.wall_s
    typer.echo(
        f"{len(result.solutions)} solutions (every |z| <= {result.tolerance:g}, confirmed by NEURON at "
        f"{result.confirmed_by}) in {result.evaluations} evaluations, {result.failed_evaluations} failed; "
        f"{wall.total:.0f} s: simulating {wall.simulate:.0f}, fitting {wall.fit:.0f}, planning {wall.plan:.0f}"
    )
    if result.solutions:
        keys = [(m.protocol, m.feature, f"{m.protocol}.{m.feature}", m) for m in result.measurements]
        shown = result.solutions[:6]
        rows = [
            (protocol, feature, f"{m.mean:.4g} ± {m.sd:.3g}", *(_value(s.features[key]) for s in shown))
            for protocol, feature, key, m in keys
        ]
        rows.append(("", "largest |z|", "", *(f"{s.max_abs_z:.2f}" for s in shown)))
        numbers = [f"#{i + 1}" for i in range(len(shown))]
        print_table("Measured, and the first solutions", ["protocol", "feature", "measured", *numbers], rows, left=2)
    elif result.nearest:
        typer.echo(f"No solution: {result.status}. The nearest sets, and the measurements they miss:")
        for number, near in enumerate([result.nearest, *result.next_nearest], start=1):
            typer.echo(f"  #{number}: {_misses(near, result)}")
    for name, count in result.failures.items():
        typer.echo(f"  {count} evaluations failed: {name}")
    typer.echo(f"Page:      {folder / 'report.html'}")
    typer.echo(f"Solutions: {folder / 'solutions.csv'}")


def _value(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _misses(near: "Candidate", result: "Result") -> str:
    missed = {key: z for key, z in near.z.items() if z is None or abs(z) > result.tolerance}
    ordered = sorted(missed.items(), key=lambda item: -abs(item[1]) if item[1] is not None else float("-inf"))
    told = [f"{key} (z {z:+.1f})" if z is not None else f"{key} (not defined)" for key, z in ordered[:4]]
    more = f" and {len(ordered) - 4} more" if len(ordered) > 4 else ""
    return ", ".join(told) + more
