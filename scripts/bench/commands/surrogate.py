"""gbar bench surrogate: how fast the agent thinks on this device."""

from pathlib import Path
from typing import Annotated

import typer

from gbar.scripts.interrupts import as_process
from gbar.scripts.terminal import JsonFlag, guarded, print_json, print_table, waiting


@guarded
def surrogate(
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="An archive, as gbar sample makes it.")],
    measurements: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Its features. Default: the most often defined in the archive.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Speed of learning and planning on this device, CPU or GPU, beside its arithmetic limit. Needs no NEURON."""
    from gbar.scripts.bench.thought import bench_thought

    with waiting("Timing in two fresh processes"):
        device, found = bench_thought(archive, measurements)
    if as_json:
        print_json({"device": device, "thought": [one._asdict() for one in found]})
        return
    rows = [(t.what, f"{t.value:.4g}", t.unit, "–" if t.share is None else f"{t.share:.1%}") for t in found]
    print_table(f"On {device}", ["what", "measured", "unit", "of the limit"], rows)


if __name__ == "__main__":
    as_process(lambda: typer.run(surrogate))
