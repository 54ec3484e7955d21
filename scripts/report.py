"""gbar report: the page about a run."""

import typer

from gbar.scripts.interrupts import as_process
from gbar.scripts.terminal import JsonFlag, RunArgument, guarded, print_json, say


@guarded
def report(run: RunArgument, as_json: JsonFlag = False) -> None:
    """Write RUN/report.html anew: one file that opens without a network. Of a run that is still going, or was killed,
    it shows how far it had come.

    Exit codes: 0 written, 2 bad input.
    """
    from gbar.agent.report import state_of, write_report

    page, state = write_report(run), state_of(run)
    if as_json:
        print_json({"page": str(page), "state": state})
        return
    if state:
        say(f"The run {state}: the page shows how far it had come.")
    say(f"Page: {page}")


if __name__ == "__main__":
    as_process(lambda: typer.run(report))
