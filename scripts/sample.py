"""gbar sample: fill the archive with a space-filling design."""

from pathlib import Path
from typing import Annotated

import typer

from gbar.scripts import terminal
from gbar.scripts.interrupts import as_process
from gbar.scripts.terminal import say


@terminal.archiving
def sample(
    problem: terminal.ProblemArgument,
    count: Annotated[int, typer.Option("-n", min=1, metavar="N", help="Parameter vectors in the design.")] = 1024,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Another seed, another design.")] = 0,
    workers: terminal.WorkersOption = 2,
    archive: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: runs/NAME/archive.sqlite.")] = None,
    measurements: terminal.Measurements = None,
    engine: terminal.EngineOption = None,
    dask: terminal.DaskOption = None,
    as_json: terminal.JsonFlag = False,
) -> None:
    """Simulate a space-filling design into an archive, which serves any later tune of the same model.

    What the archive holds already is not simulated again.

    Exit codes: 0 done, 2 bad input, 130 stopped by Ctrl-C; what was simulated is kept.
    """
    from gbar.sim import Archive, load_problem
    from gbar.sim import sample as fill
    from gbar.sim.files import Made, resolved

    loaded = terminal.engaged(load_problem(problem, measurements, measured=False), engine)
    file = archive or Path("runs") / loaded.name / "archive.sqlite"
    made, failed = Made(), 0
    made.folder(resolved(file, "--archive").parent)
    with Archive(file, loaded, made) as kept, terminal.progress_bar(count) as show:

        def observe(done: int, evaluation: object) -> None:
            nonlocal failed
            failed += getattr(evaluation, "status", "ok") == "failed"
            show(done, f"{failed} failed")

        count = fill(loaded, kept, count, seed, workers, kept.path.with_name("neuron.log"), observe, dask)
        total = kept.count()
    if as_json:
        terminal.print_json({"archive": str(file), "made": count, "failed": failed, "evaluations": total})
    else:
        say(f"{count} evaluations made, {failed} failed; {file} holds {total}")


if __name__ == "__main__":
    as_process(lambda: typer.run(sample))
