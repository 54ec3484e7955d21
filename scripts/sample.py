"""gbar sample: fill the archive with a space-filling design."""

from pathlib import Path
from typing import Annotated

import typer

from scripts._shared import JsonFlag, Measurements, ProblemArgument, WorkersOption, guarded, print_json, progress_bar


@guarded
def sample(
    problem: ProblemArgument,
    count: Annotated[int, typer.Option("-n", min=1, help="How many parameter vectors the design has.")] = 1024,
    seed: Annotated[int, typer.Option(help="Of the design.")] = 0,
    workers: WorkersOption = 2,
    archive: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: runs/PROBLEM/archive.sqlite.")] = None,
    measurements: Measurements = None,
    as_json: JsonFlag = False,
) -> None:
    """Simulate a space-filling design into an archive; what it holds already is not simulated again."""
    from sim import Archive, load_problem
    from sim import sample as fill

    loaded = load_problem(problem, measurements, measured=False)
    file = archive or Path("runs") / loaded.name / "archive.sqlite"
    file.parent.mkdir(parents=True, exist_ok=True)
    failed = 0
    with Archive(file, loaded) as kept, progress_bar(count, as_json) as show:

        def observe(done: int, evaluation: object) -> None:
            nonlocal failed
            failed += getattr(evaluation, "status", "ok") == "failed"
            show(done, f"{failed} failed")

        made = fill(loaded, kept, count, seed, workers, file.parent / "neuron.log", observe)
        total = kept.count()
    if as_json:
        print_json({"archive": str(file), "made": made, "failed": failed, "evaluations": total})
    else:
        typer.echo(f"{made} evaluations made, {failed} failed; {file} holds {total}")


if __name__ == "__main__":
    typer.run(sample)
