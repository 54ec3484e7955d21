"""gbar bench: the published comparisons, reproducible."""

import typer

from gbar.scripts.bench.commands.agent import agent
from gbar.scripts.bench.commands.long import long, pools
from gbar.scripts.bench.commands.problems import problems
from gbar.scripts.bench.commands.sim import sim
from gbar.scripts.bench.commands.surrogate import surrogate
from gbar.scripts.bench.commands.tune import tune
from gbar.scripts.bench.commands.window import window

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
bench.command()(problems)
bench.command()(window)
