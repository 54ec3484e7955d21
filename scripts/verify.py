"""gbar verify: are the solutions still solutions, and can the surrogate be trusted?"""

import typer

from scripts._shared import JsonFlag, RunArgument, WorkersOption, guarded, print_json, print_table


@guarded
def verify(run: RunArgument, workers: WorkersOption = 2, as_json: JsonFlag = False) -> None:
    """Simulate every solution again, in a fresh process at tightened accuracy, and assess the surrogate.

    Exit code 1 when a solution is no longer one.
    """
    from agent.verify import verify_run

    found = verify_run(run, workers)
    if as_json:
        print_json(found.model_dump())
    else:
        rows = [
            (f"{s.solution:02d}", _shown(s.max_abs_z), _shown(s.largest_change), s.verdict) for s in found.solutions
        ]
        columns = ["solution", "largest |z|", "largest change of z", "verdict"]
        print_table(f"Simulated again at {found.confirmed_by}", columns, rows)
        accuracy = [
            (
                key,
                _shown(a.held_out_rmse_over_sd),
                _shown(a.prequential_rmse_over_sd),
                _shown(a.recent_rmse_over_sd),
                "–" if a.coverage_90 is None else f"{a.coverage_90:.0%}",
                _shown(a.validity_auroc),
                a.verdict,
            )
            for key, a in found.surrogate.items()
        ]
        columns = ["feature", "held out", "prequential", "recent", "in 90 %", "AUROC", "verdict"]
        print_table(f"Surrogate: RMSE in SD over {found.evaluations} evaluations", columns, accuracy)
    if any(s.verdict != "confirmed" for s in found.solutions):
        raise typer.Exit(1)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    typer.run(verify)
