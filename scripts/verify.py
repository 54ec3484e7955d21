"""gbar verify: are the solutions still solutions, and can the surrogate be trusted?"""

import typer

from gbar.scripts.terminal import JsonFlag, RunArgument, WorkersOption, guarded, print_json, print_table, waiting

COLUMNS = ["feature", "verdict", "recent", "in 90 %", "held out", "whole run", "AUROC"]


@guarded
def verify(run: RunArgument, workers: WorkersOption = 2, as_json: JsonFlag = False) -> None:
    """Simulate every solution again, in a fresh process at tightened accuracy, and assess the surrogate.

    Exit codes: 0 every solution is confirmed, 1 one is not, 2 bad input.
    """
    from gbar.agent.tuning import verify_run

    with waiting("Simulating the solutions again, testing the surrogate"):
        found = verify_run(run, workers)
    if as_json:
        print_json(found.model_dump())
    else:
        rows = [
            (f"{s.solution:02d}", s.verdict, _shown(s.max_abs_z), _shown(s.largest_change)) for s in found.solutions
        ]
        columns = ["solution", "verdict", "largest |z|", "largest change of z"]
        if rows:
            print_table(f"Simulated again at {found.confirmed_by}", columns, rows, left=2)
        else:
            typer.echo("This run has no solutions to simulate again.\n")
        accuracy = [
            (
                key,
                a.verdict,
                _shown(a.recent_rmse_over_sd),
                "–" if a.coverage_90 is None else f"{a.coverage_90:.0%}",
                _shown(a.held_out_rmse_over_sd),
                _shown(a.prequential_rmse_over_sd),
                _shown(a.validity_auroc),
            )
            for key, a in found.surrogate.items()
        ]
        print_table(f"Surrogate over {found.evaluations} evaluations", COLUMNS, accuracy, left=2, spare=3)
        for key, a in found.surrogate.items():
            if a.verdict != "good":
                typer.echo(f"{key}: {a.verdict}: {a.why}")
        typer.echo(
            "Errors (recent, held out, whole run): RMSE against NEURON in SDs of the\nmeasurement; see docs/result.md."
        )
    if any(s.verdict != "confirmed" for s in found.solutions):
        raise typer.Exit(1)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"


if __name__ == "__main__":
    typer.run(verify)
