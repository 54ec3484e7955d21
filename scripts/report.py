"""gbar report: the page about a run."""

import typer

from gbar.scripts.interrupts import as_process
from gbar.scripts.terminal import JsonFlag, RunArgument, guarded, print_json, say


@guarded
def report(run: RunArgument, as_json: JsonFlag = False) -> None:
    """Write RUN/report.html anew: one file that opens without a network.

    Exit codes: 0 written, 2 bad input.
    """
    from gbar.agent.report import write_report

    page = write_report(run)
    if as_json:
        print_json({"page": str(page)})
    else:
        say(f"Page: {page}")


if __name__ == "__main__":
    as_process(lambda: typer.run(report))
