"""What `tune` says while it runs and when it ends."""

from pathlib import Path
from typing import TYPE_CHECKING

from gbar.scripts.terminal.shared import print_table, quoted, say, say_in_lines

if TYPE_CHECKING:
    from gbar.agent.result import Candidate, Hold, Result
    from gbar.agent.tuning import CellSummary, Verification
    from gbar.sim import Problem

USELESS_SD = 10.0  # beyond it no digit helps anybody
ACCURACY = """\
off by: how far its predictions of the run's second half missed NEURON, in SDs of the measurement.
left out: how far it misses evaluations that were kept from it, which is harder: what it is worth elsewhere.
The verdict is about this run. Whatever it says, NEURON itself has confirmed every solution."""


def default_folder(problem: "Problem") -> Path:
    """Where a run goes when nobody says where."""
    table = problem.measurements_file
    return Path("runs") / (f"{problem.name}-{table.stem}" if table else problem.name)


def print_summary(result: "Result", folder: Path) -> None:
    """How a run ended."""
    wall, found = result.wall_s, len(result.solutions)
    before = f", and {wall.earlier:.0f} s in earlier sessions" if wall.earlier else ""
    say_in_lines(
        f"{found or 'No'} solution{'' if found == 1 else 's'} in {result.evaluations} evaluations "
        f"({result.failed_evaluations} failed): {result.status}, {result.wanted} wanted.\n"
        f"{wall.total:.0f} s{before}: {', '.join(f'{word} {seconds}' for word, seconds in wall.parts())}.\n"
        f"A solution has every |z| <= {result.tolerance:g} in NEURON at {result.confirmed_by}."
    )
    for name, count in result.failures.items():
        say(f"  {count} failed: {name}")
    say()
    if result.solutions:
        _print_solutions(result)
        _print_warnings(result)
    elif result.nearest:
        _print_misses([result.nearest, *result.next_nearest], result)
        _print_findings(result)
    say(f"Page:      {folder / 'report.html'}")
    say(f"Solutions: {folder / 'solutions.csv'}" if found else f"Result:    {folder / 'result.json'}")
    if found:
        say(f"Next:      gbar verify {quoted(folder)}; gbar export {quoted(folder)} --solution {result.in_front}")


def _print_solutions(result: "Result") -> None:
    keys = [(m.protocol, m.feature, m.key, m) for m in result.measurements]
    rows = [
        (protocol, feature, f"{m.mean:.4g} ± {m.sd:.2g}", *(_value(s.features[key]) for s in result.solutions))
        for protocol, feature, key, m in keys
    ]
    rows.append(("", "largest |z|", "", *(f"{s.max_abs_z:.2f}" for s in result.solutions)))
    numbers = [f"#{i + 1}" for i in range(len(result.solutions))]
    columns = ["protocol", "feature", "measured", *numbers]
    print_table("Measured, and the first solutions", columns, rows, left=2, spare=len(numbers) - 1)


def _print_warnings(result: "Result") -> None:
    """What the solutions do where nothing was measured, and what to do about it."""
    from gbar.agent.report import UNMEASURED, warnings_of

    for sentence in warnings_of(result.warnings, "solution"):
        say_in_lines(f"Warning, not measured: {sentence}")
    if result.warnings:
        say_in_lines(f"  {UNMEASURED}")
        say()


def _value(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _print_misses(nearest: "list[Candidate]", result: "Result") -> None:
    """A row for each measurement that a compromise misses, the widest miss of the first on top; what each gives up."""
    from gbar.agent.report import compromises

    rows = []
    for m in result.measurements:
        z = [near.z[m.key] for near in nearest]
        sizes = [float("inf") if value is None else abs(value) for value in z]
        if max(sizes) > result.tolerance:
            told = ["–" if size <= result.tolerance else _missed(value) for value, size in zip(z, sizes, strict=True)]
            key = m.key + (f" ({m.demand})" if m.demand else "")
            rows.append((m.must_hold, sizes[0], key, told))
    table = [(key, *told) for *_, key, told in sorted(rows, key=lambda row: row[:2], reverse=True)]
    numbers = [f"#{i + 1}" for i in range(len(nearest))]
    title = f"What compromises miss, of {len(result.measurements)} measurements (z, or – where one is met)"
    print_table(title, ["measurement", *numbers], table)
    for sentence in compromises(result) if len(nearest) > 1 else []:
        say(f"Compromise {sentence}")
    say()


def _print_findings(result: "Result") -> None:
    """Why it cannot be done: a line each, with what to do about it."""
    from gbar.agent.report import findings

    for finding in findings(result):
        for sentence in finding.sentences:
            say_in_lines(f"{finding.title}: {sentence}")
        if finding.advice:
            say_in_lines(f"  {finding.advice}")
    say()


def _missed(value: float | None) -> str:
    return "not defined" if value is None else f"{value:+.2f}"


def print_verification(found: "Verification") -> None:
    """The solutions simulated again, and the surrogate."""
    rows = [(f"{s.solution:02d}", s.verdict, _two(s.max_abs_z), _two(s.largest_change)) for s in found.solutions]
    if rows:
        columns = ["solution", "verdict", "largest |z|", "largest change of z"]
        print_table(f"Simulated again at {found.confirmed_by}", columns, rows, left=2)
    else:
        say("This run has no solutions to simulate again.\n")
    print_accuracy(found)


def print_accuracy(found: "Verification") -> None:
    """How far the surrogate can be trusted, feature by feature."""
    rows = [
        (
            key,
            feature.verdict,
            _error(feature.recent_rmse_over_sd),
            _error(feature.held_out_rmse_over_sd),
            "–" if feature.coverage_90 is None else f"{feature.coverage_90:.0%}",
        )
        for key, feature in found.surrogate.items()
    ]
    columns = ["feature", "verdict", "off by, SD", "left out, SD", "in its 90 %"]
    print_table(f"Surrogate over {found.evaluations} evaluations", columns, rows, left=2, spare=2)
    for key, feature in found.surrogate.items():
        if feature.verdict != "good":
            say(f"{key}: {feature.verdict}: {feature.why}")
    say(ACCURACY)


def _two(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _error(value: float | None) -> str:
    if value is not None and value > USELESS_SD:
        return f"> {USELESS_SD:.0f}"
    return "–" if value is None else f"{value:.2f}"


def print_hold(found: "Hold") -> None:
    """What becomes of a solution where something is a little different."""
    rows = [
        (
            one.group,
            f"{one.what} {one.change}".strip(),
            "yes" if found.holds(one) else "no",
            _two(one.max_abs_z),
            one.furthest,
        )
        for one in found.conditions
    ]
    columns = ["what differs", "how", "holds", "largest |z|", "of"]
    print_table(f"Solution {found.solution}, every |z| <= {found.tolerance:g} wanted", columns, rows, left=3, spare=1)
    if found.curve:
        curve = [(f"{point.current:g}", f"{point.rate:.1f}") for point in found.curve]
        print_table(f"Firing rate, steps as {found.curve_of}", ["nA", "Hz"], curve, left=0)
    for warning in found.warnings:
        say_in_lines(f"Not as a cell should, {warning.protocol}: {warning.kind}")
    if found.held_out:
        table = [
            (m.key, f"{m.mean:.4g} ± {m.sd:.2g}", _value(row.found.value), _missed(row.found.z))
            for row in found.held_out
            for m in [row.measured]
        ]
        print_table("Measurements that the run did not know", ["measurement", "measured", "value", "z"], table)


def print_cells(done: "list[CellSummary]", overall: dict[str, float | int | None], folder: Path) -> None:
    """How a whole table of cells went."""
    columns = ["cell", "status", "solutions", "first at", "evaluations", "best |z|", "first batch", "total s"]
    keys = ["solutions", "first_solution_at", "evaluations", "best_max_abs_z", "first_batch_best", "total_s"]
    rows = [(row.cell, row.status, *(_value(getattr(row, key)) for key in keys)) for row in done]
    print_table("New evaluations to the first solution, and the best |z| of the first batch", columns, rows, left=2)
    for name, value in overall.items():
        say(f"{name.replace('_', ' ')}: {_value(value)}")
    say(f"Summary: {folder / 'cells.csv'}")
