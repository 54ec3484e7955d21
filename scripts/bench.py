"""gbar bench: the published comparisons, reproducible."""

import typer

from scripts._bench_agent import agent
from scripts._bench_long import long, pools
from scripts._bench_sim import sim
from scripts._bench_surrogate import surrogate
from scripts._bench_tune import tune

bench = typer.Typer(help="The published comparisons.", no_args_is_help=True)


@bench.callback()
def group() -> None:
    """The published comparisons, reproducible."""


bench.command()(tune)
bench.command()(surrogate)
bench.command()(agent)
bench.command()(sim)
bench.command()(long)
bench.command()(pools)


if __name__ == "__main__":
    bench()
